"""Mempools that are full take nothing: it is said once, nothing is lost, and it goes out when they have room."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import Home
from tests.fakes.stories import consistent, sealed
from tests.fakes.world import FakeClock


def test_a_transaction_that_no_node_takes_is_said_once_and_goes_out_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    clock.advance(10)
    home = Home(tmp_path, Chain(clock), clock)
    for _ in range(3):
        home.turns("poll", "follow")
        home.pass_time(1)
    sealed(home)
    with monkeypatch.context() as full:
        full.setattr(home.chain, "broadcast", lambda _raw: False)
        for _ in range(8):
            home.turns("submit")
            home.pass_time(5)
    assert home.events.names().count("submit.waiting") == 1
    assert "mempools may be full" in str(home.events.last("submit.waiting")["problem"])
    assert "transaction.sent" not in home.events.names()

    home.interval()
    home.settle()
    home.interval()
    home.settle()

    assert "submit.resumed" in home.events.names()
    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)
