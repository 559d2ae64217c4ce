"""A PostgreSQL server of one's own, on a Unix socket and loopback, gone at the end."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulators.process import Child, StartError

_PLACES: Final = "/usr/lib/postgresql"
_START_S: Final = 30.0
_POLL_S: Final = 0.05
_USER: Final = "office"
# The server refuses to run as root; Debian's package brings the first of these, and every system has the second.
_UNPRIVILEGED: Final = ("postgres", "nobody")
# Becomes another user and stays the same process, so that the tether of `Child` holds it.
_DESCEND: Final = (
    "import os,sys,ctypes,signal\n"
    "uid,gid=int(sys.argv[1]),int(sys.argv[2])\n"
    "os.setgroups([]);os.setgid(gid);os.setuid(uid)\n"
    "ctypes.CDLL(None).prctl(1,signal.SIGTERM)\n"  # a change of user clears it
    "os.execv(sys.argv[3],sys.argv[3:])\n"
)


def find_postgres() -> Path | None:
    """Find the newest PostgreSQL server; Debian keeps its programs off every PATH."""
    homes = sorted(
        (path for path in Path(_PLACES).glob("*/bin") if path.parent.name.isdigit()),
        key=lambda path: int(path.parent.name),
        reverse=True,
    )
    found = shutil.which("postgres")
    for folder in [*homes, *([Path(found).resolve().parent] if found else [])]:
        if all(os.access(folder / program, os.X_OK) for program in ("postgres", "initdb")):
            return folder
    return None


class PostgresServer:
    """One cluster in a temporary folder, with a role that has a password (SCRAM) and owns a database.

    Use it as a context manager. On loopback it asks for the password; so it does on the socket.

    Raises:
        StartError: There is no PostgreSQL here, or it did not start.
    """

    user: Final = _USER
    database: Final = "office"

    def __init__(self) -> None:
        folder = find_postgres()
        if folder is None:
            raise StartError("no PostgreSQL server here: sudo apt-get install postgresql")
        self._programs = folder
        self._identity = _someone() if os.geteuid() == 0 else None
        self._temporary = tempfile.TemporaryDirectory(prefix="postgres-")
        self.directory = Path(self._temporary.name)
        self.port = _free_port()
        self.password = secrets.token_urlsafe(18)
        self._child: Child | None = None
        try:
            self._make()
        except BaseException:
            self._temporary.cleanup()
            raise

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database}"

    @property
    def password_file(self) -> Path:
        """A file with the password, mode 0600."""
        return self.directory / "password"

    def start(self) -> Self:
        """Start it and wait until it answers. Doing it twice is doing it once.

        Raises:
            StartError: It did not start; with its own words.
        """
        if self._child is not None:
            return self
        child = Child(
            self._as_someone(
                "postgres", "-D", str(self._data), "-p", str(self.port), "-k", str(self._data), "-c",
                "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=30",
            ),
            "PostgreSQL",
        )  # fmt: skip
        try:
            child.wait_for_line("ready to accept connections", _START_S)
        except StartError:
            child.kill()
            raise
        self._child = child
        return self

    def stop(self) -> None:
        """Stop it; what was committed is there when it is started again."""
        if self._child is not None:
            child, self._child = self._child, None
            # SIGINT ends sessions at once; SIGTERM would wait for them.
            child.signal(signal.SIGINT)
            deadline = time.monotonic() + _START_S
            while child.running and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            child.kill()

    def fresh(self) -> str:
        """Make one more, empty database; gives its URL."""
        name = f"office_{secrets.token_hex(6)}"
        self.run_sql(f'CREATE DATABASE "{name}"')
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{name}"

    def run_sql(self, statement: str) -> str:
        """Have one statement carried out by psql; gives what it printed.

        Raises:
            StartError: The server refused it.
        """
        done = subprocess.run(
            [self._programs / "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url],
            env={"PGPASSWORD": self.password, "PATH": os.environ.get("PATH", "")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._temporary.cleanup()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _make(self) -> None:
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(self.password + "\n")
        given = self.directory / "initial"
        given.touch(mode=0o600)
        given.write_text(self.password + "\n")
        self._data.mkdir(mode=0o700)
        if self._identity is not None:
            # The folder itself is root's; the server's user has to pass through it.
            self.directory.chmod(0o711)
            for path in (self._data, given):
                os.chown(path, *self._identity)
        done = subprocess.run(
            self._as_someone(
                "initdb", "-D", str(self._data), "-U", self.user, "-A", "scram-sha-256", f"--pwfile={given}",
                "-E", "UTF8", "--locale=C", "--no-sync",
            ),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
        )  # fmt: skip
        given.unlink()
        if done.returncode:
            raise StartError(f"initdb ended with code {done.returncode}: {done.stderr.strip()}")
        self.start()
        try:
            admin = self.url.removesuffix(self.database) + "postgres"
            subprocess.run(
                [self._programs / "psql", "-X", "-q", "-c", f"CREATE DATABASE {self.database}", admin],
                env={"PGPASSWORD": self.password, "PATH": os.environ.get("PATH", "")},
                capture_output=True,
                check=True,
            )
        except BaseException:
            self.stop()
            raise

    def _as_someone(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._programs / program), *arguments]
        if self._identity is None:
            return command
        uid, gid = self._identity
        return [sys.executable, "-I", "-S", "-c", _DESCEND, str(uid), str(gid), *command]


def _someone() -> tuple[int, int]:
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise StartError("PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody")


def _free_port() -> int:
    # The server cannot tell which port it was given, so one is chosen for it.
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
