"""A paused market takes nothing: what is sent into it reverts, costs gas, and counts against readings that are good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.domain.outbox import State
from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import RULES, Home
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


def test_nothing_is_sent_into_a_pause_behind_what_is_in_flight(home: Home) -> None:
    sent(home)
    before = len(home.chain.broadcasts)
    home.chain.market = replace(home.chain.market, paused=True)
    for _ in range(4):
        sealed(home)
        home.turns("submit")

    assert len(home.chain.broadcasts) == before
    assert home.states()[-4:] == [ReadingState.SEALED] * 4
    assert "paused" in str(home.events.last("submit.waiting")["problem"])

    home.chain.market = replace(home.chain.market, paused=False)
    home.settle()
    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


def test_a_reverted_transaction_that_a_deep_reorganisation_removes_leaves_no_hole(home: Home) -> None:
    home.interval()
    home.settle()
    before = home.chain.top.number
    sealed(home)
    home.turns("submit")
    home.chain.market = replace(home.chain.market, paused=True)
    for _ in range(RULES.depth + 1):
        home.chain.mine()
    home.turns("confirm", "confirm")
    assert home.entries()[-1].state is State.REFUSED
    reverted = home.entries()[-1].nonce

    # Nobody remembers it, and the next transaction has a higher nonce already.
    home.chain.reorganise(home.chain.top.number - before, keep=False)
    home.chain.market = replace(home.chain.market, paused=False)
    for _ in range(3):
        home.interval()
    home.settle()

    assert home.outbox.open_entries() == []
    assert home.chain.top.nonce > reverted + 1
    assert set(home.states()) <= {ReadingState.FINAL, ReadingState.COVERED}
    consistent(home)


def test_a_final_transaction_that_is_mined_again_and_reverts_is_not_final(home: Home) -> None:
    home.interval()
    home.settle()
    before = home.chain.top.number
    sealed(home)
    home.turns("submit")
    for _ in range(RULES.depth + 1):
        home.chain.mine()
    home.turns("confirm", "confirm")
    assert home.entries()[-1].state is State.FINAL
    moved = home.entries()[-1].id

    # Taken back and mined again into a pause before anybody looks: the account's nonce is what it was.
    home.chain.reorganise(home.chain.top.number - before, keep=True)
    home.chain.market = replace(home.chain.market, paused=True)
    for _ in range(RULES.depth + 1):
        home.chain.mine()
    home.chain.market = replace(home.chain.market, paused=False)
    for _ in range(3):
        home.interval()
    home.settle()

    assert next(one for one in home.entries() if one.id == moved).state is State.REFUSED
    assert set(home.states()) <= {ReadingState.FINAL, ReadingState.COVERED}
    consistent(home)
