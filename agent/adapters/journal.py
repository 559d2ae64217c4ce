"""The journal: one SQLite file, one writer, and every acknowledged row in it exactly once.

WAL with ``synchronous=FULL``: a commit is on the disk when it returns, also through a power cut (NORMAL is not: it
syncs at checkpoints only). The tables are the ``*_rows`` modules' business; this one opens, checks, migrates, and
hands out transactions. It is the only importer of ``sqlite3``.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path

from agent.domain.errors import DiskFailed, JournalBusy, JournalDamaged, JournalTooNew

FILE_NAME = "journal.sqlite"

# A command that holds the journal is done in milliseconds; a stage must come back before its watchdog budget ends.
_BUSY_MS = 5_000
# Once another has held it for so long, each further transaction asks for a moment only, until one is taken: threads
# wait in line here, and each with its whole patience would be waited for longer than the watchdog waits.
_STILL_BUSY_MS = 50
# 4 MB of log between checkpoints: few large sequential writes are kinder to an SD card than many small ones.
_CHECKPOINT_PAGES = 4_000
# A commit writes whole pages, and ours changes a few dozen bytes: small ones write a quarter of the default's.
_PAGE_BYTES = 1_024

# Conditions that end by themselves or by an installer's hand while the process goes on, rows waiting in memory.
_PASSING = frozenset(
    f"SQLITE_{code}"
    for code in (
        "BUSY", "LOCKED", "PROTOCOL", "FULL", "READONLY", "CANTOPEN", "PERM", "NOMEM", "INTERRUPT",
    )
)  # fmt: skip
_DAMAGE = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"})
_DISK = frozenset({"SQLITE_IOERR", "SQLITE_NOLFS"})

Row = sqlite3.Row


class Journal:
    """An open journal file.

    One connection serves all threads behind a lock: there is one writer by construction, and a reader waits no longer
    than a commit takes.

    Args:
        path: the database file; its folder must exist.
        read_only: open for looking only, beside a running agent.

    Raises:
        JournalDamaged: the file is not a database.
        DiskFailed: the disk gives errors.
        JournalBusy: it cannot be opened just now.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._patience_ms = _BUSY_MS
        with _mapped(path):
            # The file holds the household's data: nobody else reads it, whatever the process's umask is.
            if not read_only and not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            mode = "ro" if read_only else "rw"
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=_BUSY_MS / 1000,
                isolation_level=None,
                check_same_thread=False,
            )
            with ExitStack() as undo:
                undo.callback(self._connection.close)
                self._connection.row_factory = sqlite3.Row
                self._connection.execute("PRAGMA foreign_keys = ON")
                if not read_only:
                    self._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a new file; others keep theirs
                    self._connection.execute("PRAGMA journal_mode = WAL")
                    self._connection.execute("PRAGMA synchronous = FULL")
                    self._connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
                undo.pop_all()

    def close(self) -> None:
        """Close the file; nothing is pending, since every transaction ended."""
        with self._lock:
            self._connection.close()

    def check(self) -> None:
        """Read the whole file and look for damage.

        Raises:
            JournalDamaged: SQLite's integrity check finds something.
        """
        with self._lock, _mapped(self.path):
            found = [row[0] for row in self._connection.execute("PRAGMA integrity_check(5)")]
        if found != ["ok"]:
            raise JournalDamaged(f"{self.path} is damaged: {'; '.join(found)}")

    def current(self) -> bool:
        """Whether its tables are in this release's form."""
        with self._lock, _mapped(self.path):
            return int(self._connection.execute("PRAGMA user_version").fetchone()[0]) == len(_migrations())

    def migrate(self) -> list[str]:
        """Bring the tables to this release's form, each step in a transaction of its own.

        Returns:
            The names of the steps that were carried out.

        Raises:
            JournalTooNew: the file was written by a newer release.
        """
        steps = _migrations()
        with self._lock, _mapped(self.path):
            at = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
            if at > len(steps):
                raise JournalTooNew(
                    f"{self.path} was written by a newer release (form {at}, this one knows {len(steps)});"
                    " install that release again, or restore the copy made before the upgrade"
                )
            for number, (_, script) in enumerate(steps[at:], start=at + 1):
                # One script, one transaction: a power cut between two statements leaves the old form whole.
                try:
                    self._connection.executescript(
                        f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
                    )
                finally:
                    # Left open, every later commit would be a part of it, and none would ever reach the disk.
                    if self._in_transaction():
                        self._connection.execute("ROLLBACK")
        return [name for name, _ in steps[at:]]

    @contextmanager
    def transaction(self) -> Iterator[Journal]:
        """Everything inside is committed together, or not at all.

        Raises:
            JournalBusy: the journal is locked by another process, full or read-only; nothing was written.
            JournalDamaged: the file is damaged.
            DiskFailed: the disk gives errors.
        """
        with self._lock, _mapped(self.path):
            if self._in_transaction():  # a room calls another room: one commit, the outermost
                yield self
                return
            self._begin()
            try:
                yield self
                self._connection.execute("COMMIT")
            except BaseException:
                # Some failures (a full disk) have rolled back already.
                if self._in_transaction():
                    self._connection.execute("ROLLBACK")
                raise

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            self._wait_at_most(_STILL_BUSY_MS)
            raise
        self._wait_at_most(_BUSY_MS)

    def _wait_at_most(self, milliseconds: int) -> None:
        """How long SQLite waits for another process."""
        if self._patience_ms != milliseconds:
            self._connection.execute(f"PRAGMA busy_timeout = {milliseconds}")
            self._patience_ms = milliseconds

    def _in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> int:
        """Run one writing statement inside a transaction of the caller's; returns the number of rows changed."""
        with self._lock, _mapped(self.path):
            return self._connection.execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> int:
        """Run one INSERT inside a transaction of the caller's; returns the new row's id."""
        with self._lock, _mapped(self.path):
            return int(self._connection.execute(sql, parameters).lastrowid or 0)

    def query(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> list[Row]:
        """All rows of one reading statement."""
        with self._lock, _mapped(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> Row | None:
        """The first row of one reading statement, or None."""
        rows = self.query(sql, parameters)
        return rows[0] if rows else None

    def fact(self, name: str) -> str | None:
        """A single value, or None if it was never set."""
        row = self.one("SELECT value FROM fact WHERE name = ?", (name,))
        return None if row is None else str(row["value"])

    def set_fact(self, name: str, value: str | None) -> None:
        """Set a single value inside a transaction, or remove it with None."""
        with self.transaction():
            if value is None:
                self.execute("DELETE FROM fact WHERE name = ?", (name,))
            else:
                self.execute(
                    "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )


def open_journal(directory: Path) -> tuple[Journal, Path | None]:
    """Open the household's journal, checked and migrated; a damaged one is set aside, never deleted.

    Args:
        directory: where the journal lives.

    Returns:
        The journal, and where a damaged one was put (None in good order).

    Raises:
        JournalTooNew: it was written by a newer release.
        JournalBusy: it cannot be opened just now.
        DiskFailed: the disk gives errors.
    """
    path = directory / FILE_NAME
    try:
        return _sound(path), None
    except JournalDamaged:
        aside = _set_aside(path)
        return _sound(path), aside


def _sound(path: Path) -> Journal:
    journal = Journal(path)
    with ExitStack() as undo:
        undo.callback(journal.close)
        journal.check()
        journal.migrate()
        undo.pop_all()
    return journal


def _set_aside(path: Path) -> Path:
    """Rename a damaged journal with its log, so that an expert can still look at it."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _migrations() -> list[tuple[str, str]]:
    """``(name, SQL)`` of each step, in order; the first is form 1."""
    folder = files("agent.adapters") / "migrations"
    # Beside the steps lies what an installation compiles.
    steps = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted((entry.name, entry.read_text(encoding="utf-8")) for entry in steps)


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, by code and never by text."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EIO:
            raise DiskFailed(f"the disk failed under {path} ({error}); check the card and its file system") from error
        raise JournalBusy(f"{path} cannot be made now ({error}); its folder must exist and be writable") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", "") or ""
        base = "_".join(code.split("_")[:2])
        if base in _PASSING:
            raise JournalBusy(f"{path} cannot be written now ({code}); free space or end what holds it") from error
        if base in _DAMAGE:
            raise JournalDamaged(f"{path} is damaged ({code})") from error
        if base in _DISK:
            raise DiskFailed(f"the disk failed under {path} ({code}); check the card and its file system") from error
        raise  # a mistake of ours: no message helps an installer, and nothing may go on as if it had worked
