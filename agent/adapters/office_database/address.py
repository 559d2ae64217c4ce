"""Where the office's database is: a URL without a password, and the password from a file."""

from __future__ import annotations

import ipaddress
import stat
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from agent.domain.errors import ConfigurationInvalid

POSTGRESQL = "postgresql+psycopg"
_FOREIGN = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 4096
# What a person may set in a URL. Everything else that libpq knows comes from a service file or its environment.
_LIBPQ_OPTIONS = frozenset({"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "service", "passfile"})
# libpq's own default is to fall back to plain text without a word.
_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
_FORMS = "sqlite:///FILE or postgresql://USER@HOST:PORT/NAME would be right"


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def engine_url(text: str, password_file: Path | None) -> URL:
    """A checked URL, with the password that a file holds.

    Args:
        text: ``sqlite:///FILE``, or ``postgresql://USER@HOST:PORT/NAME``.
        password_file: one line, readable by its owner alone; None where libpq finds the password itself (``.pgpass``,
            a service file, a certificate) or none is needed.

    Raises:
        ConfigurationInvalid: it is another kind of URL, a password stands in it, an option is unknown, or the
            connection would leave this machine unencrypted.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text itself is not repeated: a password may stand in it.
        raise _wrong("the database's URL cannot be read; " + _FORMS) from None
    if url.password is not None or "password" in url.query:
        raise _wrong(
            "a password stands in the database's URL, where others on this machine can read it: put it in a file of"
            " mode 0600 and name that with --database-password-file"
        )
    if url.drivername == "sqlite":
        return _sqlite(url, password_file)
    if url.drivername in {"postgresql", "postgres", POSTGRESQL}:
        return _postgresql(url.set(drivername=POSTGRESQL), password_file)
    raise _wrong(f"the database's URL begins with {url.drivername}; " + _FORMS)


def _sqlite(url: URL, password_file: Path | None) -> URL:
    if url.host or url.query or not url.database or url.database == ":memory:":
        raise _wrong("the database's URL names no file: sqlite:///FILE is relative, sqlite:////FILE begins at the root")
    if password_file is not None:
        raise _wrong("SQLite has no password: leave --database-password-file out")
    return url


def _postgresql(url: URL, password_file: Path | None) -> URL:
    if foreign := sorted(set(url.query) - _LIBPQ_OPTIONS):
        raise _wrong(
            f"the database's URL has the options {', '.join(foreign)}; known are {', '.join(sorted(_LIBPQ_OPTIONS))}"
        )
    if not url.database and "service" not in url.query:
        raise _wrong("the database's URL names no database; " + _FORMS)
    if any(leaves_this_machine(host) for host in _hosts(url)):
        mode = url.query.get("sslmode")
        if mode is None:
            url = url.update_query_dict({"sslmode": "verify-full"})
        elif mode not in _ENCRYPTED:
            raise _wrong(
                f"the database's URL says sslmode={mode}, and personal data would cross the network in plain text:"
                f" {', '.join(sorted(_ENCRYPTED))} would be right"
            )
    return url if password_file is None else url.set(password=_password(password_file))


def _hosts(url: URL) -> list[str]:
    """Every host that the URL names, without its port: libpq takes several, the library repeats or a comma between."""
    stated = url.query.get("host", ())
    named = [url.host or "", *([stated] if isinstance(stated, str) else stated)]
    return [_without_port(host) for several in named for host in several.split(",")]


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def leaves_this_machine(host: str) -> bool:
    """Whether a connection to a host goes over a network; a folder (a Unix socket) and loopback do not."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _password(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()[: _MOST_BYTES + 1]
    except OSError as error:
        raise _wrong(f"database password file {path}: {error.strerror}") from None
    if mode & _FOREIGN:
        raise _wrong(f"database password file {path} may be read by others; run: chmod 600 {path}")
    if len(content) > _MOST_BYTES or not (line := content.removesuffix(b"\n").removesuffix(b"\r")):
        raise _wrong(f"database password file {path} should hold one line, the password")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise _wrong(f"database password file {path} is not UTF-8 text") from None


def _wrong(problem: str) -> ConfigurationInvalid:
    return ConfigurationInvalid([problem])
