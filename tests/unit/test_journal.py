"""The journal: what it promises about commits, damage, forms and errors (faults 3 to 8, 48; I1)."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters import journal as room
from agent.adapters.chain_rows import ChainRows
from agent.adapters.event_rows import EventRows
from agent.adapters.journal import FILE_NAME, Journal, open_journal
from agent.domain.errors import JournalBusy, JournalDamaged, JournalTooNew
from agent.domain.market import Head
from tests.fakes.chain import ENROLLED, PARAMETERS

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


def test_a_commit_is_on_the_disk_when_it_returns(journal: Journal) -> None:
    assert pragma(journal, "journal_mode") == "wal"
    assert pragma(journal, "synchronous") == 2  # FULL
    assert pragma(journal, "foreign_keys") == 1
    assert pragma(journal, "wal_autocheckpoint") == 4000
    assert pragma(journal, "page_size") == 1024


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_nobody_else_reads_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        journal, _ = open_journal(tmp_path)
        journal.set_fact("a", "b")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    journal.close()

    assert set(modes) == {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"}
    assert set(modes.values()) == {0o600}


def test_a_transaction_is_whole_or_not_at_all(journal: Journal) -> None:
    def half() -> None:
        with journal.transaction():
            journal.set_fact("a", "1")
            with journal.transaction():
                journal.set_fact("b", "2")
            raise LookupError

    with pytest.raises(LookupError):
        half()
    assert (journal.fact("a"), journal.fact("b")) == (None, None)
    with journal.transaction():
        journal.set_fact("a", "1")
        journal.set_fact("a", "2")
    journal.set_fact("b", None)
    assert journal.fact("a") == "2"


def test_another_thread_waits_for_the_commit(journal: Journal) -> None:
    seen: list[str | None] = []
    with journal.transaction():
        journal.set_fact("a", "1")
        other = threading.Thread(target=lambda: seen.append(journal.fact("a")))
        other.start()
        other.join(0.05)
        assert seen == []
    other.join()

    assert seen == ["1"]


def test_it_is_opened_again_as_it_was(tmp_path: Path) -> None:
    first, _ = open_journal(tmp_path)
    first.set_fact("a", "1")
    first.close()
    second, _ = open_journal(tmp_path)

    assert second.fact("a") == "1"
    assert second.migrate() == []
    second.close()


def test_looking_on_beside_the_agent(journal: Journal, tmp_path: Path) -> None:
    journal.set_fact("a", "1")
    looking = Journal(tmp_path / FILE_NAME, read_only=True)

    assert looking.fact("a") == "1"
    with pytest.raises(JournalBusy, match="READONLY"):
        looking.set_fact("a", "2")
    looking.close()


def test_looking_at_what_is_not_there_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(JournalBusy, match="CANTOPEN"):
        Journal(tmp_path / FILE_NAME, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalBusy, match="No such file or directory"):
        Journal(tmp_path / "no" / FILE_NAME)


# -- forms


def test_a_step_that_fails_in_its_middle_leaves_the_old_form(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.set_fact("a", "1")
    begun = room._migrations()
    bad = [*begun, ("0002_bad.sql", "CREATE TABLE half (x);\nDROP TABLE minute;\nCREATE TABLE fact (y);")]
    monkeypatch.setattr(room, "_migrations", lambda: bad)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        journal.migrate()

    journal.set_fact("a", "2")  # the connection is not left inside the failed transaction
    tables = {row["name"] for row in journal.query("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert "half" not in tables
    assert "minute" in tables
    assert pragma(journal, "user_version") == len(begun)
    monkeypatch.setattr(room, "_migrations", lambda: [*begun, ("0002_good.sql", "CREATE TABLE half (x);")])
    assert journal.migrate() == ["0002_good.sql"]
    assert journal.fact("a") == "2"
    monkeypatch.setattr(room, "_migrations", lambda: bad[:2] + bad[1:])
    with pytest.raises(sqlite3.OperationalError):
        open_journal(tmp_path)


def test_a_newer_releases_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    journal.set_fact("a", "1")
    journal.execute("PRAGMA user_version = 99")
    journal.close()
    before = (tmp_path / FILE_NAME).read_bytes()

    with pytest.raises(JournalTooNew, match=r"form 99, this one knows \d+.*install that release again"):
        open_journal(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.glob("*damaged*")] == []


# -- damage


def _many(directory: Path) -> Path:
    journal, _ = open_journal(directory)
    with journal.transaction():
        for number in range(2000):
            EventRows(journal).add([(number, "an.event", "info", {"number": number, "text": "x" * 40})])
    journal.close()
    return directory / FILE_NAME


@pytest.mark.parametrize("offset", [0, 4096, 8192 * 4])
def test_a_damaged_file_is_set_aside_and_never_deleted(tmp_path: Path, offset: int) -> None:
    path = _many(tmp_path)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 4096)
    damaged = path.read_bytes()
    journal, aside = open_journal(tmp_path)

    assert aside == tmp_path / f"{FILE_NAME}.damaged-1"
    assert aside.read_bytes() == damaged
    assert EventRows(journal).events_after(0, 10) == []
    journal.close()
    path.write_bytes(b"this is no database" * 400)
    journal, aside = open_journal(tmp_path)
    assert aside == tmp_path / f"{FILE_NAME}.damaged-2"
    journal.close()


def test_damage_found_by_the_check_names_it(tmp_path: Path) -> None:
    path = _many(tmp_path)
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xa5" * 4096 * 4)
    journal = Journal(path)
    with pytest.raises(JournalDamaged, match="damaged"):
        journal.check()
    journal.close()


def test_what_is_left_of_the_log_goes_aside_with_the_file(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / (FILE_NAME + suffix)).write_text(f"damaged{suffix}")
    aside = room._set_aside(tmp_path / FILE_NAME)

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        aside.name: "damaged",
        f"{aside.name}-wal": "damaged-wal",
        f"{aside.name}-shm": "damaged-shm",
    }


# -- small rows


def test_what_the_chain_said_last(journal: Journal) -> None:
    rows, head = ChainRows(journal), Head(5, "0x5", 99)
    assert rows.parameters() is None
    assert rows.household() is None
    rows.set_parameters(PARAMETERS)
    rows.set_household(ENROLLED, head)

    assert rows.parameters() == PARAMETERS
    assert rows.household() == (ENROLLED, head)


def test_an_exception_is_kept_without_a_nodes_token(journal: Journal) -> None:
    rows = EventRows(journal)

    rows.add([(1, "loop.failed", "error", {"exception": OSError("https://me:c4nary@node.example/c4nary: refused")})])

    assert rows.events_after(0, 1)[0].facts == {"exception": "https://…@node.example/… refused"}


def test_events_in_order(journal: Journal) -> None:
    rows = EventRows(journal)
    for number in range(5):
        rows.add([(number, f"e{number}", "info", {"path": Path("x")})])
    assert rows.event_mark() == 0
    rows.set_event_mark(2)

    assert rows.event_mark() == 2
    assert [(event.name, event.facts) for event in rows.events_after(2, 2)] == [
        ("e2", {"path": "x"}),
        ("e3", {"path": "x"}),
    ]
    assert rows.prune(2) == 2
    assert [event.id for event in rows.events_after(0, 9)] == [3, 4, 5]
    rows.prune(99)
    rows.add([(9, "later", "info", {})])
    assert rows.events_after(0, 9)[0].id == 6, "an id is never given twice: consumers count by it"
