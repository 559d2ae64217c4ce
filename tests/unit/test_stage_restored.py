"""A key used elsewhere, a tampered row, a restored older copy (faults 37, 48; S25, S29; I2, I3)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.journal import FILE_NAME
from agent.domain.outbox import State
from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import Home
from tests.fakes.stories import consistent, sealed, sent
from tests.fakes.world import FakeClock


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    clock = FakeClock()
    clock.advance(10)
    home = Home(tmp_path, Chain(clock), clock)
    for _ in range(3):
        home.turns("poll", "follow")
        home.pass_time(1)
    yield home
    home.journal.close()


def test_a_foreign_use_of_the_key_halts_and_a_person_resumes_it(home: Home) -> None:
    sent(home)
    home.settle()
    home.chain.stranger()
    sealed(home)
    home.turns("submit")
    assert home.outbox.halted() is not None
    assert home.events.names().count("submit.halted") == 1
    before = len(home.chain.broadcasts)
    home.settle(4)
    assert len(home.chain.broadcasts) == before
    home.outbox.resume()
    home.settle()
    assert home.outbox.halted() is None
    assert set(home.states()) == {ReadingState.FINAL}
    home.chain.stranger()
    sealed(home)
    home.turns("submit")
    assert home.outbox.halted() is not None, "a resume is for what was seen, not for ever"


def test_a_nonce_that_was_taken_in_flight_halts_and_after_a_resume_the_readings_go_again(home: Home) -> None:
    sent(home)
    home.chain.evict()
    home.chain.stranger()
    home.turns("confirm", "confirm")
    assert home.outbox.halted() is None
    home.turns("confirm")
    assert home.outbox.halted() is not None
    home.turns("confirm")
    home.outbox.resume()
    home.settle(16)
    assert home.states()[-1] is ReadingState.FINAL
    assert State.REPLACED in [one.state for one in home.entries()]
    consistent(home)


def test_bytes_signed_before_a_crash_whose_nonce_a_stranger_took_are_replaced(home: Home) -> None:
    sent(home)
    home.settle()
    sealed(home)
    home.fuse.left = 6
    home.turns("submit")
    home.chain.stranger()
    home.pass_time(1)
    home.kill()
    home.start()
    home.settle(16)

    assert State.REPLACED in [one.state for one in home.entries()]
    assert home.states()[-1] is ReadingState.FINAL
    consistent(home)


def test_a_tampered_row_is_never_sent(home: Home) -> None:
    sealed(home, 2)
    home.journal.execute("UPDATE reading SET produced_wh = produced_wh + 1 WHERE sequence = 1")
    home.settle()

    assert home.states() == [ReadingState.REFUSED, ReadingState.FINAL]
    assert "reading.tampered" in home.events.names()


@pytest.mark.parametrize("mined", ["all", "some", "none", "evicted"])
def test_a_restored_older_copy_goes_on_above_what_the_chain_has_seen(home: Home, tmp_path: Path, mined: str) -> None:
    sent(home)
    home.settle()
    home.journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / FILE_NAME, tmp_path / "copy")
    sealed(home, 2)
    home.turns("submit")
    if mined != "none":
        home.chain.mine()
    sealed(home, 2)
    home.turns("submit")
    if mined == "all":
        home.chain.mine()
    home.kill()
    for suffix in ("-wal", "-shm"):
        (tmp_path / (FILE_NAME + suffix)).unlink(missing_ok=True)
    shutil.copy(tmp_path / "copy", tmp_path / FILE_NAME)
    home.start()
    home.pass_time(5)  # still in the interval whose reading the chain may hold
    home.turns("poll", "poll", "record", "follow")
    if mined == "evicted":
        home.chain.evict()
    home.turns("record")
    home.settle(20)
    home.interval()
    home.settle(20)

    assert "journal.behind_chain" in home.events.names()
    assert home.outbox.halted() is None
    assert {ReadingState.FINAL} <= set(home.states()) <= {ReadingState.FINAL, ReadingState.COVERED}
    assert home.outbox.open_entries() == []
    booked = home.chain.booked()
    last = home.journal.one("SELECT max(produced_wh) AS wh FROM reading")
    assert last is not None
    assert booked[-1].produced_wh == last["wh"]
    if mined == "all":
        assert len({one.taken_at // 900 for one in booked}) == len(booked)
    consistent(home)


def test_a_bumped_transaction_of_a_newer_life_is_replaced_and_not_doubled(home: Home, tmp_path: Path) -> None:
    sent(home)
    home.journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / FILE_NAME, tmp_path / "copy")
    home.pass_time(180)
    home.turns("confirm")
    home.chain.mine()
    home.kill()
    for suffix in ("-wal", "-shm"):
        (tmp_path / (FILE_NAME + suffix)).unlink(missing_ok=True)
    shutil.copy(tmp_path / "copy", tmp_path / FILE_NAME)
    home.start()
    home.settle()

    assert home.outbox.halted() is None
    assert home.states()[-1] is ReadingState.COVERED
    consistent(home)
