"""The journal's rows about meters, readings and the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.journal import Journal, open_journal
from agent.adapters.meter_rows import MeterRows
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.domain.fees import Fee
from agent.domain.outbox import Attempt, Inclusion, Intent, Kind, State
from agent.domain.readings import ClosedReading, Flags, Reading, ReadingState
from agent.domain.registers import RegisterState, Suspicion
from agent.domain.samples import MeterRole, MinuteRow
from tests.fakes.world import HOUSEHOLD, FakeKey

P, C = MeterRole.PRODUCTION, MeterRole.CONSUMPTION


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal, _ = open_journal(tmp_path)
    yield journal
    journal.close()


def minute(at: int, register: int | None, powers: tuple[int, int, int] | None, good: int, bad: int) -> MinuteRow:
    low, mean, high = powers or (None, None, None)
    return MinuteRow(P, at, register, low, mean, high, good, bad)


def kept(journal: Journal) -> list[MinuteRow]:
    rows = journal.query("SELECT * FROM minute ORDER BY minute, role")
    return [
        MinuteRow(MeterRole(row["role"]), **{key: row[key] for key in tuple(row.keys()) if key != "role"})
        for row in rows
    ]  # a row iterates over its values


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((60, 10, (1, 5, 9), 20, 0), (60, 12, (0, 8, 30), 40, 1), (60, 12, (0, 7, 30), 60, 1)),
        ((60, 10, (1, 5, 9), 20, 2), (60, None, None, 0, 3), (60, 10, (1, 5, 9), 20, 5)),
        ((60, None, None, 0, 3), (60, 10, (1, 5, 9), 20, 2), (60, 10, (1, 5, 9), 20, 5)),
        ((60, None, None, 0, 1), (60, None, None, 0, 1), (60, None, None, 0, 2)),
    ],
)
def test_a_minute_with_a_restart_in_it_is_added_up(journal: Journal, first: tuple, second: tuple, both: tuple) -> None:
    rows = MeterRows(journal)
    rows.add_minutes([minute(*first)])
    rows.add_minutes([minute(*second)])

    assert kept(journal) == [minute(*both)]


def test_minutes_are_kept_and_pruned(journal: Journal) -> None:
    rows = MeterRows(journal)
    assert rows.newest_minute() is None
    rows.add_minutes([minute(at, 1, (1, 1, 1), 1, 0) for at in (0, 60, 120)])

    assert rows.newest_minute() == 120
    assert rows.prune_minutes(60) == 1
    assert [row.minute for row in kept(journal)] == [60, 120]


def test_a_register_is_kept_without_its_suspicion(journal: Journal) -> None:
    rows = MeterRows(journal)
    rows.save_register(P, RegisterState())
    assert rows.register(P) == RegisterState()
    state = RegisterState(raw_wh=5, at_ms=6, rollovers=1, serial="A")
    rows.save_register(P, state)
    rows.save_register(P, RegisterState(7, 8, 2, None, Suspicion("fell", 1, None, 1, 1, 1)))

    assert rows.register(P) == RegisterState(7, 8, 2, None)
    assert rows.register(C) == RegisterState()


def test_before_enrolment_no_epoch_ends(journal: Journal) -> None:
    rows = MeterRows(journal)

    assert rows.end_epochs(2) == 0
    assert rows.follow_epoch(1, 0)
    assert rows.epoch() == 1


@pytest.mark.parametrize("story", ["agent first", "office first", "office twice", "office first, then read"])
def test_an_epoch_is_counted_once_whoever_sees_it_first(journal: Journal, story: str) -> None:
    rows = MeterRows(journal)
    assert rows.follow_epoch(1, 0)
    assert not rows.follow_epoch(1, 5)
    if story == "agent first":
        assert rows.end_epochs(1) == 2
        assert not rows.follow_epoch(1, 5)
        assert not rows.follow_epoch(2, 0)
        expected = 2
    elif story == "office first":
        assert rows.follow_epoch(2, 0)
        assert rows.end_epochs(1) == 2
        assert rows.end_epochs(1) == 3
        expected = 3
    elif story == "office twice":
        assert rows.follow_epoch(2, 0)
        assert rows.follow_epoch(3, 0)
        assert rows.end_epochs(1) == 3
        assert rows.end_epochs(1) == 3
        expected = 3
    else:
        assert rows.follow_epoch(2, 0)
        assert not rows.follow_epoch(2, 1)
        assert rows.end_epochs(1) == 3
        expected = 3
    assert rows.epoch() == expected


def closed(end: int, epoch: int = 1) -> ClosedReading:
    return ClosedReading(end, 900, epoch, end + 1, 10, 20, Flags.LATE, 5, b"p", b"c")


def seal(rows: ReadingRows, epoch: int = 1) -> None:
    for row_id, one in rows.closed(99):
        reading = Reading(HOUSEHOLD, epoch, rows.next_sequence(epoch), one.taken_at, 10, 20, one.flags)
        rows.seal(row_id, FakeKey().sign_reading(reading))


def test_a_reading_on_its_way(journal: Journal) -> None:
    rows = ReadingRows(journal, HOUSEHOLD)
    assert rows.last_end() is None
    assert rows.close(closed(900))
    assert not rows.close(closed(900))
    assert rows.last_end() == 900
    assert rows.closed(9) == [(1, closed(900))]
    seal(rows)
    seal(rows)
    ((row_id, signed),) = rows.sealed(1, 9)
    assert signed.reading.sequence == 1
    assert FakeKey().made_by(signed) == HOUSEHOLD
    assert rows.waiting_epochs() == [1]
    assert [one.interval_end for one in rows.sealed_after(1, 0, 9)] == [900]
    assert rows.sealed_after(1, 1, 9) == []
    assert rows.refusals(row_id) == 0
    rows.set_state([row_id], ReadingState.SEALED, "came back")
    assert rows.refusals(row_id) == 1
    assert rows.refusals(99) == 0


def test_numbers_go_on_above_the_floor_only_upwards(journal: Journal) -> None:
    rows = ReadingRows(journal, HOUSEHOLD)
    assert rows.next_sequence(1) == 1
    rows.raise_floor(1, 50)
    rows.raise_floor(1, 40)
    assert rows.next_sequence(1) == 51
    assert rows.next_sequence(2) == 1


def test_retention_leaves_what_is_under_way_and_the_newest(journal: Journal) -> None:
    rows = ReadingRows(journal, HOUSEHOLD)
    for end in (900, 1800, 2700, 3600):
        rows.close(closed(end))
    seal(rows)
    rows.set_state([1, 3, 4], ReadingState.FINAL)

    assert rows.prune(10**9) == 2
    assert rows.next_sequence(1) == 5
    assert rows.last_end() == 3600
    assert [row["id"] for row in journal.query("SELECT id FROM reading")] == [2, 4]


def test_intervals_that_the_chain_holds_are_not_stated_again(journal: Journal) -> None:
    rows = ReadingRows(journal, HOUSEHOLD)
    rows.close(closed(900))
    rows.close(closed(1800))
    rows.raise_end(1000)
    rows.raise_end(500)

    assert [one.interval_end for _, one in rows.closed(9)] == [1800]
    assert rows.last_end() == 1800
    rows.raise_end(2000)
    assert rows.last_end() == 2000


def test_the_telemetry_mark(journal: Journal) -> None:
    rows = ReadingRows(journal, HOUSEHOLD)
    assert rows.telemetry_mark() == (0, 0)
    rows.set_telemetry_mark(2, 7)
    assert rows.telemetry_mark() == (2, 7)


# More than an SQLite integer holds.
INTENT = Intent("k", Kind.REPORT, "0xto", b"data", 5, expires_at=77, value=10**25 + 1)
FIRST = Attempt("0xa", b"a", Fee(10, 1), signed_at=100)
FOUND = Inclusion("0xa", 5, "0xb5", succeeded=True)


def test_an_entry_on_its_way(journal: Journal) -> None:
    outbox, readings = OutboxRows(journal), ReadingRows(journal, HOUSEHOLD)
    readings.close(closed(900))
    seal(readings)
    assert outbox.queue(INTENT, 50, [1])
    assert not outbox.queue(INTENT, 51)
    (entry,) = outbox.open_entries()
    assert (entry.state, entry.nonce, entry.expires_at, entry.attempts) == (State.QUEUED, None, 77, ())
    assert entry.value == INTENT.value
    assert outbox.next_nonce() == 0
    outbox.sign(entry.id, 0, FIRST)
    assert outbox.next_nonce() == 1
    outbox.sent(entry.id, "0xa", 101, accepted=False)
    assert outbox.open_entries()[0].state is State.SIGNED
    outbox.sent(entry.id, "0xa", 102, accepted=True)
    outbox.sent(entry.id, "0xa", 103, accepted=True)
    outbox.bump(entry.id, Attempt("0xa2", b"a2", Fee(20, 2), signed_at=110))
    outbox.suspect(entry.id)
    (entry,) = outbox.open_entries()
    assert [(one.tx_hash, one.accepted_at, one.sent_at) for one in entry.attempts] == [
        ("0xa", 102, 103),
        ("0xa2", None, None),
    ]
    assert (entry.state, entry.foreign_sightings) == (State.SENT, 1)
    outbox.move(entry.id, State.INCLUDED, 120, FOUND)
    assert (outbox.open_entries()[0].inclusion, outbox.open_entries()[0].foreign_sightings) == (FOUND, 0)
    outbox.move(entry.id, State.FINAL, 130, FOUND)
    assert outbox.open_entries() == []
    assert [one.id for one in outbox.newest_ended()] == [entry.id]
    outbox.move(entry.id, State.SENT, 140)
    assert list(outbox.newest_ended()) == []


def test_looking_back_is_bounded_and_newest_first(journal: Journal) -> None:
    outbox = OutboxRows(journal)
    for nonce in range(40):
        outbox.queue(Intent(f"k{nonce}", Kind.FILLER, "0x", b"", 1), 0)
        outbox.sign(nonce + 1, nonce, Attempt(f"0x{nonce}", b"", Fee(1, 1), 0))
        outbox.move(nonce + 1, State.FINAL, 0)

    assert [one.nonce for one in outbox.newest_ended()] == list(range(39, 23, -1))


def test_nonces_that_were_never_given_away(journal: Journal) -> None:
    outbox = OutboxRows(journal)
    assert not outbox.left_out(0)
    outbox.raise_nonce_floor(3)
    outbox.queue(INTENT, 0)
    outbox.sign(1, outbox.next_nonce(), FIRST)

    assert [nonce for nonce in range(-1, 6) if outbox.left_out(nonce)] == [0, 1, 2]
    assert outbox.next_nonce() == 4


def test_a_halt_and_its_resume(journal: Journal) -> None:
    outbox = OutboxRows(journal)
    outbox.adopt_nonce(9)
    assert outbox.next_nonce() == 0
    outbox.queue(INTENT, 0)
    outbox.halt("somebody else")
    assert outbox.halted() == "somebody else"
    assert not outbox.forgiven(1)
    outbox.resume()
    assert outbox.halted() is None
    assert outbox.forgiven(1)
    assert not outbox.forgiven(2)
    outbox.adopt_nonce(9)
    outbox.adopt_nonce(20)
    assert outbox.next_nonce() == 9


def test_a_journal_of_another_release_is_seen(journal: Journal) -> None:
    assert journal.current()
    journal.execute("PRAGMA user_version = 1")
    assert not journal.current()


def test_the_outbox_is_looked_into_by_key_kind_and_age(journal: Journal) -> None:
    outbox = OutboxRows(journal)
    assert (outbox.newest_id(), outbox.by_key("a"), outbox.why(1)) == (0, None, "")
    for key, kind in (("a", Kind.OFFER), ("b", Kind.BUY), ("c", Kind.OFFER), ("d", Kind.OFFER)):
        outbox.queue(Intent(key, kind, "0x", b"", 1, value=10**30), 5)
    outbox.move(3, State.REFUSED, 6, why="no")

    assert outbox.newest_id() == 4
    assert [entry.key for entry in outbox.newest(Kind.OFFER, 2)] == ["d", "c"]
    assert [entry.key for entry in outbox.live_after(1)] == ["b", "d"]
    found = outbox.by_key("b")
    assert found is not None
    assert (found.id, found.value) == (2, 10**30)
    assert outbox.why(3) == "no"


def ended(outbox: OutboxRows, number: int, at: int) -> str:
    """An entry that became final; the hash of its transaction."""
    outbox.queue(Intent(f"report:1:{number}", Kind.REPORT, "0x" + "22" * 20, b"data", 1), at)
    entry = outbox.by_key(f"report:1:{number}")
    assert entry is not None
    tx_hash = f"0x{number:064x}"
    outbox.sign(entry.id, number, Attempt(tx_hash, b"raw", Fee(1, 1), at))
    outbox.move(entry.id, State.FINAL, at, Inclusion(tx_hash, number, "0xblock", succeeded=True))
    return tx_hash


def test_signed_bytes_of_old_transactions_go_and_the_newest_stay_however_old(journal: Journal) -> None:
    outbox = OutboxRows(journal)
    hashes = [ended(outbox, number, 1_000 + number) for number in range(70)]

    assert outbox.forget_signed(before=1_003) == 3
    assert outbox.forget_signed(before=9_000) == 2  # of seventy, the newest 65 could be reorganised yet
    assert outbox.forget_signed(before=9_000) == 0

    oldest = outbox.by_transaction(hashes[0])
    assert oldest is not None
    assert (oldest.attempts, oldest.state) == ((), State.FINAL)
    assert all(entry.attempts for entry in outbox.newest_ended())
    assert outbox.by_transaction("0x" + "ff" * 32) is None


def test_what_is_not_final_keeps_its_signed_bytes(journal: Journal) -> None:
    outbox = OutboxRows(journal)
    for number in range(70):
        ended(outbox, number, 1_000)
    journal.execute("UPDATE entry SET state = 'sent' WHERE nonce = 0")

    assert outbox.forget_signed(before=9_000) == 4
    assert outbox.open_entries()[0].attempts
