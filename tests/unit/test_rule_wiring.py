"""The configuration's limits as the rule gets them."""

from __future__ import annotations

from agent.compose.rule import limits
from agent.configuration import RuleSettings
from agent.domain.standing_rule import Limits


def settings(*, sell: bool, buy: bool) -> RuleSettings:
    return RuleSettings(
        enabled=True,
        self_first=True,
        sell=sell,
        buy=buy,
        keep_wh=1,
        sell_at_least_wei_per_kwh=2,
        buy_at_most_wei_per_kwh=3,
        order_least_wh=4,
        order_most_wh=5,
        offer_day_most_wh=6,
        buy_day_most_wh=7,
        buy_day_most_wei=8,
        reserve_wei=9,
        order_lifetime_s=300,
    )


def test_every_limit_arrives() -> None:
    assert limits(settings(sell=True, buy=True)) == Limits(
        enabled=True,
        self_first=True,
        keep_wh=1,
        sell_at_least=2,
        buy_at_most=3,
        order_least_wh=4,
        order_most_wh=5,
        offer_day_most_wh=6,
        buy_day_most_wh=7,
        buy_day_most_wei=8,
        reserve_wei=9,
        order_lifetime_s=300,
    )


def test_a_price_alone_neither_sells_nor_buys() -> None:
    made = limits(settings(sell=False, buy=False))

    assert (made.sell_at_least, made.buy_at_most) == (None, None)


def test_by_default_it_is_off() -> None:
    assert not limits(RuleSettings()).enabled
