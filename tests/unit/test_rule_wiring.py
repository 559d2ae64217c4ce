"""The rule, wired: the configuration's limits as it gets them, and the daemon's clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from agent.adapters.clock import SystemClock
from agent.compose.rule import limits, open_trade
from agent.configuration import RuleSettings, load
from agent.domain.errors import NotYet
from agent.domain.standing_rule import Limits
from tests.unit.test_configuration import ACCOUNT, GOOD


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


def test_a_step_that_the_daemon_has_taken_in_keeps_the_rule_from_nothing(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD)
    wall, monotonic = [2_000_000_000 * 10**9], [0.0]
    clock = SystemClock(
        require_synchronised=False,
        step_tolerance_s=2.0,
        wall_ns=lambda: wall[0],
        monotonic=lambda: monotonic[0],
    )
    nothing = cast("Any", None)  # only the clock is asked before anything else
    trade = open_trade(
        load(file, {}),
        account=ACCOUNT,
        nodes=nothing,
        book=nothing,
        follow=cast("Any", Following()),
        journal=nothing,
        clock=clock,
        events=nothing,
    )
    desk = cast("Any", trade)._desk

    wall[0] += 3600 * 10**9
    with pytest.raises(NotYet, match="clock"):
        desk._look()
    clock.stepped()
    with pytest.raises(AttributeError, match="fact"):  # it goes on, and asks the journal that is not there
        desk._look()


class Following:
    def may_submit(self) -> bool:
        return True
