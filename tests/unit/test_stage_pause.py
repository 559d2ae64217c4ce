"""A paused market takes nothing: what is sent into it reverts, costs gas, and counts against readings that are good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

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
