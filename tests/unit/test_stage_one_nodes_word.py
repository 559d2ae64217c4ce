"""One full node that lies while the others are silent: nothing that cannot be undone is done (fault 32; I3, I7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.domain.errors import NodeUnavailable
from agent.domain.market import HouseholdState
from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import Home
from tests.fakes.stories import consistent, sealed, sent
from tests.fakes.world import FakeClock


class Liar(Chain):
    """A chain whose only answering node may lie."""

    claims: HouseholdState | None = None
    claims_nonce: int | None = None

    def household(self, witnesses: int = 1) -> HouseholdState:
        honest = super().household(witnesses)
        return self.claims or honest

    def pending_nonce(self, witnesses: int = 1) -> int:
        honest = super().pending_nonce(witnesses)
        return honest if self.claims_nonce is None else self.claims_nonce

    def silence_others(self) -> None:
        for node in self.nodes[1:]:
            node.fault = "silent"

    def tell_truth(self) -> None:
        self.claims = self.claims_nonce = None
        for node in self.nodes:
            node.fault = ""


@pytest.fixture
def chain() -> Liar:
    clock = FakeClock()
    clock.advance(10)
    return Liar(clock)


@pytest.fixture
def home(chain: Liar, tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, chain, chain.clock)
    for _ in range(3):
        home.turns("poll", "follow")
        home.pass_time(1)
    sent(home)
    home.settle()
    yield home
    home.journal.close()


def test_a_waiting_reading_is_not_given_up(home: Home, chain: Liar) -> None:
    chain.silence_others()
    chain.claims = replace(chain.top.state, sequence=9_000, taken_at=chain.clock.now_s + 10**6)
    sealed(home, 2)
    home.turns("submit")
    assert ReadingState.COVERED not in home.states()
    chain.tell_truth()
    home.settle()

    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


def test_no_numbers_are_left_out_at_a_start(home: Home, chain: Liar) -> None:
    home.kill()
    chain.silence_others()
    chain.claims = replace(chain.top.state, sequence=2**24 - 1, taken_at=2**32 - 1)
    chain.claims_nonce = 10**6
    home.start()
    home.turns("follow")
    assert not home.follow.may_submit()
    chain.tell_truth()
    home.turns("poll", "follow")
    for _ in range(2):
        home.interval()
    home.settle()

    assert [reading.sequence for reading in home.chain.booked()] == list(range(1, len(home.states()) + 1))
    assert "journal.behind_chain" not in home.events.names()
    consistent(home)


def test_a_nonce_that_nobody_has_mined_halts_nothing(home: Home, chain: Liar) -> None:
    chain.claims_nonce = chain.top.nonce + 3
    sealed(home)
    home.turns("submit")
    assert home.outbox.halted() is None
    assert home.events.last("submit.waiting")["problem"]
    chain.tell_truth()
    home.settle()

    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


def test_witnesses_that_are_missing_are_no_answer(chain: Liar) -> None:
    chain.silence_others()
    with pytest.raises(NodeUnavailable):
        chain.household(2)
