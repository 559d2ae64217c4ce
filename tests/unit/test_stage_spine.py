"""From poll to final on a fake chain: the faults of the outbox one by one (faults 30 to 41; I1, I2, I3, I7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.domain.errors import JournalBusy
from agent.domain.fees import FeeQuote
from agent.domain.outbox import Kind, State
from agent.domain.readings import ReadingState
from agent.domain.samples import MeterRole
from tests.fakes.chain import ENROLLED, Chain
from tests.fakes.home import STAGES, Home
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


def test_readings_become_final_in_order(home: Home) -> None:
    for _ in range(5):
        home.interval()
    home.settle()

    assert set(home.states()) == {ReadingState.FINAL}
    assert [one.sequence for one in home.chain.booked()] == list(range(1, len(home.states()) + 1))
    assert home.chain.top.state.produced_wh == home.readings.sealed_after(1, 0, 99)[-1].signed.reading.produced_wh
    consistent(home)


def test_nonce_0_is_something_that_may_happen_twice(home: Home) -> None:
    sealed(home)
    home.settle()

    assert [(one.kind, one.nonce) for one in sorted(home.entries(), key=lambda one: one.nonce or 0)] == [
        (Kind.OPENING, 0),
        (Kind.REPORT, 1),
    ]


def test_the_opening_survives_a_node_that_is_away(home: Home) -> None:
    sealed(home)
    home.chain.before_send = lambda: setattr(home.chain.nodes[0], "fault", "silent")
    for node in home.chain.nodes:
        node.fault = "deaf"
    home.turns("submit")
    assert [one.state for one in home.entries()] == [State.QUEUED, State.SIGNED]
    for node in home.chain.nodes:
        node.fault = ""
    home.chain.before_send = lambda: None
    home.settle()
    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


def test_several_intervals_that_wait_go_in_one_transaction(home: Home) -> None:
    sent(home, 30)
    assert [len(home.readings.of_entry(entry.id)) for entry in home.outbox.open_entries()] == [30]
    home.settle()
    consistent(home)


def test_at_most_16_are_in_flight(home: Home) -> None:
    sent(home)
    for _ in range(25):
        sealed(home)
        home.turns("submit")
    assert len(home.outbox.open_entries()) == 16
    home.settle(20)
    assert set(home.states()) == {ReadingState.FINAL}


def test_the_same_bytes_go_out_after_an_answer_that_was_lost(home: Home) -> None:
    sealed(home)
    home.settle()
    sealed(home)
    for node in home.chain.nodes:
        node.fault = "deaf"
    home.turns("submit")
    assert [one.state for one in home.outbox.open_entries()] == [State.SIGNED]
    for node in home.chain.nodes:
        node.fault = ""
    home.settle()

    assert len({tx.tx_hash for tx in home.chain.broadcasts if tx.nonce == 2}) == 1
    assert home.states()[-1] is ReadingState.FINAL
    consistent(home)


@pytest.mark.parametrize("point", range(1, 12))
def test_a_crash_at_each_commit_and_each_sending(home: Home, point: int) -> None:
    sealed(home)
    home.fuse.left = point
    home.settle(6)
    sealed(home, 2)
    home.settle()

    assert home.restarts == 1
    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_reorganisation_ends_well(home: Home, depth: int, keep: bool) -> None:
    sent(home)
    home.chain.mine()
    home.turns("confirm")
    home.chain.reorganise(depth, keep=keep)
    home.turns("confirm")
    assert home.states()[-1] is ReadingState.BUNDLED
    home.settle(16)
    home.interval()
    home.settle(16)

    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


def test_a_reorganisation_deeper_than_final_is_noticed_and_mended(home: Home) -> None:
    sent(home)
    home.settle(5)
    assert set(home.states()) == {ReadingState.FINAL}
    home.chain.reorganise(len(home.chain.blocks) - 1, keep=False)
    home.interval()
    home.settle(20)

    assert set(home.states()) == {ReadingState.FINAL}
    assert len(home.chain.booked()) == len(home.states())
    consistent(home)


def test_an_evicted_transaction_is_sent_again(home: Home) -> None:
    sent(home)
    home.chain.evict()
    home.pass_time(10)
    home.turns("confirm")

    assert "transaction.sent_again" in home.events.names()
    home.settle()
    assert home.states()[-1] is ReadingState.FINAL


def test_a_set_back_clock_stops_no_resending(home: Home) -> None:
    sent(home)
    home.chain.evict()
    home.clock.step(-30 * 86_400)
    home.turns("confirm")

    assert "transaction.sent_again" in home.events.names()


def test_a_stuck_transaction_is_bumped_and_mined_once(home: Home) -> None:
    sent(home)
    home.pass_time(180)
    home.turns("confirm")
    (entry,) = home.outbox.open_entries()
    first, second = entry.attempts

    assert second.fee.max_fee * 8 >= first.fee.max_fee * 9
    assert {tx.max_fee for node in home.chain.nodes for tx in node.pool.values()} == {second.fee.max_fee}
    home.settle()
    consistent(home)


def test_a_bump_beyond_the_limit_sends_the_same_bytes_again(home: Home) -> None:
    home.chain.quote = FeeQuote(10**9, 10**9)
    sent(home)
    before = len(home.chain.broadcasts)
    home.pass_time(180)
    home.turns("confirm", "confirm")

    assert [len(entry.attempts) for entry in home.outbox.open_entries()] == [1]
    assert len(home.chain.broadcasts) == before + 1


def test_one_nodes_invented_receipt_is_not_believed(home: Home) -> None:
    sent(home)
    home.chain.nodes[0].fault = "invents"
    home.turns("confirm", "confirm", "confirm")
    assert home.states()[-1] is ReadingState.BUNDLED
    home.chain.nodes[1].fault = home.chain.nodes[2].fault = "silent"
    home.turns("confirm", "confirm", "confirm")
    assert home.states()[-1] is ReadingState.BUNDLED


def test_nothing_is_final_while_one_node_alone_answers(home: Home) -> None:
    sent(home)
    home.chain.nodes[1].fault = home.chain.nodes[2].fault = "silent"
    for _ in range(10):
        home.chain.mine()
        home.turns("confirm")
    assert [one.state for one in home.outbox.open_entries()] == [State.INCLUDED]
    home.chain.nodes[1].fault = ""
    home.turns("confirm", "confirm")
    assert home.states()[-1] is ReadingState.FINAL


def test_lagging_nodes_move_nothing_back(home: Home) -> None:
    sent(home)
    home.settle(5)
    home.chain.nodes[0].behind = home.chain.nodes[1].behind = 0
    home.chain.nodes[2].behind = 6
    sealed(home)
    home.turns("submit", "confirm", "confirm")

    assert "transaction.reorganised" not in home.events.names()


def test_a_revert_lets_the_readings_go_and_they_are_told_again_alone(home: Home) -> None:
    sent(home, 3)
    home.chain.market = replace(home.chain.market, paused=True)
    home.chain.mine()
    home.chain.market = replace(home.chain.market, paused=False)
    home.settle(20)

    assert "transaction.reverted" in home.events.names()
    assert set(home.states()) == {ReadingState.FINAL}
    assert [len(home.readings.of_entry(entry.id)) for entry in home.entries()][-3:] == [1, 1, 1]
    consistent(home)


def test_what_the_contract_always_rejects_is_refused_after_three_times_and_holds_nothing_up(home: Home) -> None:
    sent(home)
    home.settle()
    sealed(home)
    row = home.readings.sealed(1, 9)[0][0]
    real = home.chain.wrong
    home.chain.wrong = lambda state, one: "ImpossibleEnergy" if one.sequence == 3 else real(state, one)
    home.settle()
    sealed(home)
    home.settle()

    assert home.states()[2:] == [ReadingState.REFUSED, ReadingState.FINAL]
    assert home.readings.refusals(row) == 2
    assert home.events.names().count("transaction.refused") == 3
    consistent(home)


@pytest.mark.parametrize("why", ["paused", "suspended", "no funds"])
def test_what_may_pass_later_waits_and_is_said_once(home: Home, why: str) -> None:
    sent(home)
    home.settle()
    if why == "paused":
        home.chain.market = replace(home.chain.market, paused=True)
    elif why == "suspended":
        home.chain.office(active=False)
    else:
        home.chain.funds = 0
    sealed(home, 2)
    home.settle(6)
    assert home.states()[-2:] in ([ReadingState.SEALED] * 2, [ReadingState.BUNDLED] * 2)
    assert home.events.names().count("submit.waiting") == 1
    assert "submit.resumed" not in home.events.names()
    home.chain.market, home.chain.funds = replace(home.chain.market, paused=False), 10**18
    home.chain.office(active=True)
    home.settle()
    assert home.events.names().count("submit.resumed") == 1
    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


def test_a_suspended_household_still_gets_its_signed_bytes_out(home: Home) -> None:
    sent(home)
    home.settle()
    sealed(home)
    home.fuse.left = 6  # after the commit of the signature, before the first byte leaves
    home.turns("submit")
    assert home.restarts == 1
    assert [one.state for one in home.outbox.open_entries()] == [State.SIGNED]
    sealed(home)
    home.chain.office(active=False)
    before = len(home.chain.broadcasts)
    home.turns("follow", "submit")

    assert len(home.chain.broadcasts) == before + 1


def test_an_epoch_that_waits_holds_up_nothing_of_the_one_before(home: Home) -> None:
    sent(home)
    home.settle()
    sealed(home, 2)
    home.meters[MeterRole.PRODUCTION].wh = 0.0
    home.turns("poll", "poll", "record")
    sealed(home)
    home.settle(6)
    assert home.states()[-3:] == [ReadingState.FINAL, ReadingState.FINAL, ReadingState.SEALED]
    assert "epoch 2" in str(home.events.last("submit.waiting")["problem"])
    home.chain.office(epoch=2, sequence=0, produced_wh=0)
    sealed(home)
    home.settle()
    assert home.states()[-2:] == [ReadingState.FINAL] * 2
    assert [(one.epoch, one.sequence) for one in home.chain.booked()][-2:] == [(2, 1), (2, 2)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_journal_that_cannot_even_be_read_stops_no_stage(
    home: Home, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(home)
    home.pass_time(900)

    def busy(*_: object) -> None:
        raise JournalBusy("locked")

    for name in ("query", "execute", "insert", "transaction"):
        monkeypatch.setattr(home.journal, name, busy)
    home.turn(stage)


@pytest.mark.parametrize("stage", ["follow", "seal", "submit", "confirm"])
def test_no_node_no_change(home: Home, stage: str) -> None:
    sent(home)
    sealed(home)
    for node in home.chain.nodes:
        node.fault = "silent"
    before = home.states()

    assert not home.turn(stage)
    assert home.states() == before


@pytest.mark.parametrize("stage", ["seal", "submit"])
def test_nothing_is_signed_under_a_clock_that_is_not_trusted(home: Home, stage: str) -> None:
    sent(home)
    sealed(home)
    home.pass_time(900)
    home.turns("poll", "record")
    home.clock.good = False
    before = home.states()

    assert not home.turn(stage)
    assert home.states() == before


def test_a_number_that_no_reading_holds_is_refused_and_the_rest_goes_on(home: Home) -> None:
    home.readings.raise_floor(1, 2**24 - 2)
    sealed(home, 2)

    assert home.states() == [ReadingState.SEALED, ReadingState.REFUSED]


def test_free_gas_asks_for_no_balance(home: Home) -> None:
    home.chain.quote, home.chain.funds = FeeQuote(0, 0), 0
    sent(home)
    home.settle()

    assert set(home.states()) == {ReadingState.FINAL}


def test_an_expired_intent_is_never_sent(home: Home) -> None:
    sent(home)
    home.settle()
    sealed(home)
    home.fuse.left = 2
    home.turns("submit")
    home.turns("follow")
    (entry,) = home.outbox.open_entries()
    assert entry.state is State.QUEUED
    home.journal.execute("UPDATE entry SET expires_at = ? WHERE id = ?", (home.clock.now_s, entry.id))
    home.turns("submit")

    assert home.entries()[-1].state is State.EXPIRED


def test_a_household_that_is_not_enrolled_states_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    home = Home(tmp_path, Chain(clock, state=replace(ENROLLED, enrolled=False, active=False, epoch=0)), clock)
    home.interval()
    home.interval()
    assert home.states() == []
    assert "household.not_enrolled" in home.events.names()
    home.chain.office(enrolled=True, active=True, epoch=1)
    home.interval()
    home.settle()
    assert set(home.states()) == {ReadingState.FINAL}
    home.journal.close()
