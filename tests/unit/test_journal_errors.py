"""The journal's errors: each of SQLite's has its place, and each passing condition passes (faults 4, 5, 7, 8)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters import journal as room
from agent.adapters.event_rows import EventRows
from agent.adapters.journal import FILE_NAME, Journal, open_journal
from agent.domain.errors import AgentError, DiskFailed, JournalBusy, JournalDamaged

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal, aside = open_journal(tmp_path)
    assert aside is None
    yield journal
    journal.close()


def pragma(journal: Journal, name: str) -> object:
    row = journal.one(f"PRAGMA {name}")
    assert row is not None
    return row[0]


PASSING = {"BUSY", "LOCKED", "FULL", "READONLY", "CANTOPEN", "PROTOCOL", "PERM", "NOMEM", "INTERRUPT"}
DAMAGE = {"CORRUPT", "NOTADB", "FORMAT"}
DISK = {"IOERR", "NOLFS"}
# Ours to mend, and loud until it is: no program can go on sensibly after a wrong statement.
MISTAKES = {
    "ABORT", "AUTH", "CONSTRAINT", "EMPTY", "ERROR", "INTERNAL", "MISMATCH", "MISUSE", "NOTFOUND", "NOTICE", "RANGE",
    "SCHEMA", "TOOBIG", "WARNING",
}  # fmt: skip
NOT_ERRORS = {"OK", "ROW", "DONE"}


def _primary(name: str) -> str:
    return name.split("_")[1]


CODES = sorted(
    name
    for name, value in vars(sqlite3).items()
    if name.startswith("SQLITE_")
    and isinstance(value, int)
    # What else the module exports (limits, authoriser actions) shares the prefix, and is no result code.
    and _primary(name) in PASSING | DAMAGE | DISK | MISTAKES
    and not name.startswith(("SQLITE_LIMIT", "SQLITE_DBCONFIG"))
)


@pytest.mark.parametrize("code", CODES)
def test_every_error_of_sqlite_is_mapped(code: str, tmp_path: Path) -> None:
    error = sqlite3.OperationalError("made up")
    error.sqlite_errorname = code
    kind = _primary(code)
    expected: type[Exception] = sqlite3.OperationalError
    if kind in PASSING:
        expected = JournalBusy
    elif kind in DAMAGE:
        expected = JournalDamaged
    elif kind in DISK:
        expected = DiskFailed

    with pytest.raises(expected) as raised, room._mapped(tmp_path / FILE_NAME):
        raise error
    if isinstance(raised.value, AgentError):
        assert code in str(raised.value)
        assert FILE_NAME in str(raised.value)
        assert raised.value.__cause__ is error


def test_the_table_of_errors_is_complete() -> None:
    """By number: every primary result code of SQLite that is an error is in exactly one of the four sets."""
    numbers = {value: _primary(name) for name, value in vars(sqlite3).items() if name in CODES and value < 29}

    assert sorted(numbers) == sorted(set(range(1, 29)) & set(numbers))
    assert set(range(1, 29)) - set(numbers) <= {sqlite3.SQLITE_NOTICE, sqlite3.SQLITE_WARNING}
    assert not PASSING & DAMAGE
    assert not (PASSING | DAMAGE) & (DISK | MISTAKES)


def test_a_full_journal_takes_rows_again_when_there_is_room(journal: Journal) -> None:
    rows = EventRows(journal)
    rows.add([(1, "kept", "info", {})])
    journal.execute(f"PRAGMA max_page_count = {pragma(journal, 'page_count')}")

    def too_much() -> None:
        with journal.transaction():
            for number in range(200):
                rows.add([(number, "lost", "info", {"text": "x" * 500})])

    with pytest.raises(JournalBusy, match="SQLITE_FULL"):
        too_much()
    assert [event.name for event in rows.events_after(0, 500)] == ["kept"]
    journal.execute("PRAGMA max_page_count = 100000")
    rows.add([(2, "again", "info", {})])

    assert [event.name for event in rows.events_after(0, 500)] == ["kept", "again"]


def test_locked_by_another_process_is_busy_within_the_bound(journal: Journal, tmp_path: Path) -> None:
    journal.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalBusy, match="SQLITE_BUSY"):
        journal.set_fact("a", "1")
    assert journal.fact("a") is None
    other.execute("ROLLBACK")
    other.close()
    journal.set_fact("a", "1")

    assert journal.fact("a") == "1"


def test_who_waits_behind_a_busy_turn_is_not_kept_as_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 8: eight loops that each wait five seconds for the lock, one after the other, looked hung."""
    monkeypatch.setattr(room, "_BUSY_MS", 400)
    journal, _ = open_journal(tmp_path)
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for patience in (400, 50, 50):
        assert pragma(journal, "busy_timeout") == patience
        with pytest.raises(JournalBusy):
            journal.set_fact("a", "1")
    other.execute("ROLLBACK")
    other.close()
    journal.set_fact("a", "1")

    assert pragma(journal, "busy_timeout") == 400
    journal.close()


def test_the_bound_is_below_the_watchdogs_patience(journal: Journal) -> None:
    assert pragma(journal, "busy_timeout") == 5000


def test_a_disk_that_gives_errors_ends_the_process(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes writing fail as a broken disk does (SQLITE_IOERR_WRITE), in a process of its own."""
    script = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from agent.adapters.journal import open_journal
        from agent.domain.errors import DiskFailed

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        journal, _ = open_journal(Path(sys.argv[1]))
        journal.set_fact("kept", "1")
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        try:
            for number in range(100):
                journal.set_fact("big", str(number) * 5000)
        except DiskFailed as failed:
            print(failed)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    journal, aside = open_journal(tmp_path)

    assert "SQLITE_IOERR_WRITE" in done.stdout
    assert aside is None
    assert journal.fact("kept") == "1"
    journal.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device"), JournalBusy),
        (OSError(30, "Read-only file system"), JournalBusy),
        (PermissionError(13, "Permission denied"), JournalBusy),
        (OSError(5, "Input/output error"), DiskFailed),
    ],
)
def test_a_file_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, expected: type[AgentError]
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(room.os, "open", fail)
    with pytest.raises(expected, match=str(error.strerror)):
        Journal(tmp_path / FILE_NAME)


def test_opening_a_journal_that_another_holds_is_busy_and_leaves_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_BUSY_MS", 20)
    open_journal(tmp_path)[0].close()
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalBusy, match="SQLITE_BUSY"):
        open_journal(tmp_path)
    other.close()
    open_journal(tmp_path)[0].close()
