"""Where the office's database may be, and where a password may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.adapters.office_database.address import engine_url, leaves_this_machine, sqlite_url
from agent.domain.errors import ConfigurationInvalid


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("p@ss:w/rd\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "text",
    ["sqlite:///office.sqlite", "sqlite:////var/lib/office.sqlite", "postgresql://u@localhost/office",
     "postgres://u@127.0.0.1:5433/office", "postgresql+psycopg://u@[::1]/office", "postgresql:///office",
     "postgresql://u@/office?host=/run/postgresql", "postgresql://?service=office"],
)  # fmt: skip
def test_a_database_on_this_machine(text: str) -> None:
    url = engine_url(text, None)
    assert url.drivername in {"sqlite", "postgresql+psycopg"}
    assert "sslmode" not in url.query


def test_a_path_becomes_a_url_and_back() -> None:
    path = Path("/var/lib/a b/office%20?.sqlite")
    assert engine_url(sqlite_url(path), None).database == str(path)


@pytest.mark.parametrize(
    "where",
    ["u@db.example/office", "u@192.0.2.1/office", "u@[2001:db8::1]:5432/office", "u@/office?host=db.example:5432",
     "u@/office?host=localhost&host=db.example", "u@/office?host=localhost,db.example"],
)  # fmt: skip
def test_off_this_machine_it_is_encrypted_or_refused(where: str) -> None:
    text, more = f"postgresql://{where}", "&" if "?" in where else "?"
    assert engine_url(text, None).query["sslmode"] == "verify-full"
    assert engine_url(f"{text}{more}sslmode=require", None).query["sslmode"] == "require"
    for mode in ("disable", "allow", "prefer", "nonsense"):
        with pytest.raises(ConfigurationInvalid, match="plain text"):
            engine_url(f"{text}{more}sslmode={mode}", None)


@pytest.mark.parametrize(
    "text", ["postgresql://u:canary@db.example/office", "postgresql://u@localhost/o?password=canary"]
)
def test_a_password_in_the_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="--database-password-file") as refused:
        engine_url(text, None)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("office.sqlite", "cannot be read"),
        ("postgresql://u@localhost:many/office", "cannot be read"),
        ("mysql://u@localhost/office", "begins with mysql"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///office.sqlite?mode=ro", "names no file"),
        ("postgresql://u@localhost", "names no database"),
        ("postgresql://u@localhost/office?options=-csearch_path%3Dx", "has the options options"),
    ],
)
def test_a_wrong_url_says_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=says):
        engine_url(text, None)


def test_the_password_comes_from_a_file_and_does_not_show(password_file: Path) -> None:
    url = engine_url("postgresql://u@localhost/office", password_file)
    assert url.password == password_file.read_text().rstrip()
    assert "p@ss" not in f"{url} {url!r}"
    with pytest.raises(ConfigurationInvalid, match="SQLite has no password"):
        engine_url("sqlite:///a", password_file)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [(b"a\n", 0o640, "chmod 600"), (b"", 0o600, "one line"), (b"a" * 5000, 0o600, "one line"),
     (b"\xff", 0o600, "UTF-8"), (None, 0, "No such file")],
)  # fmt: skip
def test_a_wrong_password_file_is_named(tmp_path: Path, content: bytes | None, mode: int, says: str) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(ConfigurationInvalid, match=says):
        engine_url("postgresql://u@localhost/office", path)


@pytest.mark.parametrize(
    ("host", "leaves"),
    [("", False), ("/run/postgresql", False), ("@abstract", False), ("localhost", False), ("127.9.9.9", False),
     ("::1", False), ("192.0.2.1", True), ("db.example", True), ("0.0.0.0", True)],  # noqa: S104 - compared, never bound
)  # fmt: skip
def test_what_leaves_this_machine(host: str, *, leaves: bool) -> None:
    assert leaves_this_machine(host) is leaves
