"""The standing rule beside orders that nobody can buy: they keep it from no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.domain.decisions import Buy
from agent.domain.errors import Rejected
from agent.domain.market_calls import BuyCall
from agent.domain.orders import Order
from tests.fakes.chain import Chain
from tests.fakes.ruled import Ruled
from tests.fakes.trading import NEIGHBOUR, understood
from tests.fakes.world import FakeClock


def test_an_order_that_cannot_be_bought_keeps_the_rule_from_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    clock.advance(10)
    home = Ruled(tmp_path, Chain(clock), clock)
    home.interval()
    rehearse = home.chain.rehearse

    def suspended(to: str, data: bytes, value: int = 0, gas: int = 0) -> None:
        call = understood(data)
        if isinstance(call, BuyCall) and call.seller == NEIGHBOUR:
            raise Rejected("SellerNotActive", {"seller": NEIGHBOUR})
        rehearse(to, data, value, gas)

    monkeypatch.setattr(home.chain, "rehearse", suspended)
    honest = "0x" + "33" * 20
    home.each_interval(produced_wh=0, consumed_wh=1_000)
    home.chain.neighbour_offers(1, 50_000, 1_100, clock.now_s + 90_000)
    home.chain.puts(Order(honest, 1, 50_000, 1_200, clock.now_s + 90_000))
    home.interval()

    assert home.acts()[1:] == [Buy(honest, 1, 1_000, 1_200, 1_300)]
    last = home.decisions.last()
    assert last is not None
    assert "SellerNotActive" in last.reasons[0]
    home.sound()
    home.journal.close()
