"""The standing rule in the spine: once an interval, whatever crashes, reorganises or stays silent (I3, I5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.domain.decisions import Buy, Cancel, Offer, Redeem
from agent.domain.outbox import State
from tests.fakes.chain import Chain
from tests.fakes.ruled import BAND, LIMITS, Ruled
from tests.fakes.trading import NEIGHBOUR
from tests.fakes.world import HOUSEHOLD, FakeClock


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Ruled]:
    home = made(tmp_path)
    yield home
    home.journal.close()


def made(directory: Path) -> Ruled:
    clock = FakeClock()
    clock.advance(10)
    home = Ruled(directory, Chain(clock), clock)
    # The first reading brings 5 kWh of each register, which begin there: they are redeemed against each other.
    home.interval()
    assert [type(act) for act in home.acts()] == [Redeem]
    return home


def seller(home: Ruled) -> None:
    home.each_interval(produced_wh=1_000, consumed_wh=200)


def buyer(home: Ruled) -> None:
    home.each_interval(produced_wh=0, consumed_wh=1_000)


# -- what it does


def test_a_surplus_is_redeemed_and_offered(home: Ruled) -> None:
    seller(home)
    home.interval()

    redeemed, offered = home.acts()[1:]
    assert redeemed == Redeem(200)
    assert isinstance(offered, Offer)
    assert (offered.energy_wh, offered.price) == (800, 2_200)
    assert home.chain.top.trading.order(HOUSEHOLD, offered.number or 0).energy_wh == 800
    home.sound()


def test_a_deficit_is_bought_and_redeemed_after_the_next_interval(home: Ruled) -> None:
    buyer(home)
    home.chain.neighbour_offers(1, 5_000, 1_200, home.clock.now_s + 9_000)
    home.interval()
    assert home.acts()[1:] == [Buy(NEIGHBOUR, 1, 1_000, 1_200, 1_300)]
    home.interval()

    assert home.acts()[2:] == [Redeem(1_000), Buy(NEIGHBOUR, 1, 1_000, 1_200, 1_300)]
    home.sound()


def test_an_expired_order_is_taken_back_and_offered_anew(home: Ruled) -> None:
    seller(home)
    home.interval()
    home.each_interval(produced_wh=0, consumed_wh=0)
    for _ in range(5):
        home.interval()

    offers = [act for act in home.acts() if isinstance(act, Offer)]
    assert [act.energy_wh for act in offers] == [800, 800]
    assert [act.number for act in home.acts() if isinstance(act, Cancel)] == [offers[0].number]
    home.sound()


def test_a_rule_that_is_off_decides_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    clock.advance(10)
    home = Ruled(tmp_path, Chain(clock), clock, replace(LIMITS, enabled=False))
    home.interval()

    assert home.decisions.last() is None
    home.journal.close()


def test_days_bounds_hold_over_many_intervals(home: Ruled) -> None:
    home.limits = replace(LIMITS, offer_day_most_wh=2_000)
    home.kill()
    home.start()
    seller(home)
    for _ in range(5):
        home.interval()

    assert sum(act.energy_wh for act in home.acts() if isinstance(act, Offer)) == 2_000
    home.sound()


# -- once an interval


def test_running_twice_on_the_same_interval_acts_once(home: Ruled) -> None:
    seller(home)
    home.booked()
    for _ in range(5):
        home.turn("trade")
    home.settled()
    for _ in range(5):
        home.turn("trade")

    assert len(home.acts()) == 3
    home.sound()


def test_a_newer_reading_that_is_not_booked_yet_opens_no_decided_interval_again(home: Ruled) -> None:
    buyer(home)
    home.interval()
    said = home.events.names().count("rule.decided")
    home.chain.neighbour_offers(1, 5_000, 1_200, home.clock.now_s + 9_000)
    home.closed()
    home.turns("trade", "trade")

    assert [type(act) for act in home.acts()] == [Redeem], "what came after the decision is the next one's"
    assert home.events.names().count("rule.decided") == said
    home.sound()


def test_before_the_journal_is_compared_with_the_chain_nothing_is_decided(home: Ruled) -> None:
    seller(home)
    home.booked()
    home.kill()
    home.start()
    home.turns("trade", "trade")
    assert len(home.acts()) == 1
    home.settled()

    assert len(home.acts()) == 3


def test_two_agents_on_one_journal_act_once(home: Ruled) -> None:
    seller(home)
    home.booked()
    first, carry_out = home.trade, home.trade._carry_out  # the moment between planning and queueing
    home.start()
    home.turns("follow")

    def slowly(*arguments: object) -> bool:
        home.turn("trade")
        return carry_out(*arguments)

    first._carry_out = slowly
    assert not first.run_once()
    home.settled()

    assert len(home.acts()) == 3
    home.sound()


@pytest.mark.parametrize("point", range(1, 8))
@pytest.mark.parametrize("side", [seller, buyer])
def test_a_crash_at_any_point_of_the_decision_neither_loses_nor_doubles_it(
    tmp_path: Path, side: Callable[[Ruled], None], point: int
) -> None:
    home = made(tmp_path)
    side(home)
    home.chain.neighbour_offers(1, 400, 1_200, home.clock.now_s + 9_000)
    home.chain.neighbour_offers(2, 5_000, 1_300, home.clock.now_s + 9_000)
    home.booked()
    home.fuse.left = point
    home.turns("trade", "trade")
    home.settled()
    home.fuse.left = None

    assert len(home.acts()) == 3
    assert home.events.names().count("rule.decided") <= 2 + home.restarts
    home.sound()
    home.journal.close()


@pytest.mark.parametrize("point", range(1, 30, 2))
def test_a_crash_anywhere_on_the_way_to_final_neither_loses_nor_doubles_it(tmp_path: Path, point: int) -> None:
    home = made(tmp_path)
    seller(home)
    home.booked()
    home.fuse.left = point
    home.settled(12)
    home.fuse.left = None
    home.settled(6)

    assert len(home.acts()) == 3
    assert all(entry.state is State.FINAL for entry in home.entries())
    home.sound()
    home.journal.close()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_reorganisation_that_takes_the_reading_away_decides_nothing_anew(
    home: Ruled,
    depth: int,
    keep: bool,
) -> None:
    seller(home)
    home.booked()
    home.turn("trade")
    home.turns("submit")
    home.chain.mine()
    home.chain.reorganise(depth, keep=keep)
    home.settled(20)

    assert len(home.acts()) == 3
    home.sound()
    home.interval()
    assert len(home.acts()) == 5, "the next interval has its own"
    home.sound()


def test_a_reading_that_is_taken_back_before_the_decision_is_waited_for(home: Ruled) -> None:
    seller(home)
    home.closed()
    home.turns("follow", "submit", "submit")
    home.chain.mine()
    home.turns("confirm")
    home.chain.reorganise(1, keep=False)
    home.turn("trade")
    assert len(home.acts()) == 1
    home.settled(20)

    assert len(home.acts()) == 3
    home.sound()


# -- what it waits for, and what it leaves


def test_silent_nodes_are_waited_for(home: Ruled) -> None:
    seller(home)
    home.booked()
    for node in home.chain.nodes:
        node.fault = "silent"
    home.turns("trade", "trade")
    assert len(home.acts()) == 1
    for node in home.chain.nodes:
        node.fault = ""
    home.settled()

    assert len(home.acts()) == 3
    home.sound()


def test_an_interval_that_is_too_old_is_left_out_and_said_to_be(home: Ruled) -> None:
    seller(home)
    home.booked()
    for node in home.chain.nodes:
        node.fault = "silent"
    home.turn("trade")
    home.clock.advance(1_801)
    for node in home.chain.nodes:
        node.fault = ""
    home.turns("follow")
    home.turns("trade", "trade", "trade")

    last = home.decisions.last()
    assert last is not None
    assert (last.acts, last.reasons) == (
        (),
        ("the interval was too old when it could be decided: the full nodes did not say all that it takes",),
    )
    assert home.events.names().count("rule.skipped") == 1
    home.sound()


def test_after_a_long_absence_only_the_newest_interval_is_decided(home: Ruled) -> None:
    seller(home)
    for _ in range(6):
        home.booked()
    home.settled()

    assert len(home.acts()) == 3
    assert home.acts()[2].energy_wh == 4_800, "nothing is lost: the surplus of all six is offered"
    home.sound()


def test_while_something_is_on_its_way_nothing_is_decided(home: Ruled) -> None:
    seller(home)
    home.booked()
    home.desk.submit(home.desk.redemption(100))
    home.turn("trade")
    assert len(home.acts()) == 1
    home.settled()

    assert home.acts()[1:2] == [Redeem(100)]
    assert len(home.acts()) == 3


def test_a_paused_market_is_waited_for(home: Ruled) -> None:
    seller(home)
    home.booked()
    home.chain.market = replace(BAND, paused=True)
    home.turn("trade")
    assert len(home.acts()) == 1
    home.chain.market = BAND
    home.settled()

    assert len(home.acts()) == 3
    home.sound()


def test_a_suspended_household_decides_nothing(home: Ruled) -> None:
    seller(home)
    home.booked()
    home.chain.office(active=False)
    home.turns("trade", "trade")

    assert len(home.acts()) == 1


@pytest.mark.parametrize("state", ["halted", "clock", "busy"])
def test_nothing_is_decided_while_the_agent_may_not_act(home: Ruled, state: str) -> None:
    seller(home)
    home.booked()
    if state == "halted":
        home.outbox.halt("the key is in use elsewhere")
    home.clock.good, home.journal.busy = state != "clock", state == "busy"
    home.turns("trade", "trade")

    assert len(home.acts()) == 1


def test_what_a_person_queues_meanwhile_wins(home: Ruled) -> None:
    seller(home)
    home.booked()
    by_hand = home.desk.offer(900, 2_000, home.clock.now_s + 3_600)
    planned = home.trade._planned  # the moment between planning and queueing

    def slowly(*arguments: object) -> object:
        done = planned(*arguments)
        home.desk.submit(by_hand)
        return done

    home.trade._planned = slowly
    home.turn("trade")
    home.settled()

    last = home.decisions.last()
    assert last is not None
    assert [type(step.act).__name__ for step in last.steps] == ["NoneType", "NoneType", "NoneType"]
    assert all("the desk refused" in step.why for step in last.steps[:2])
    assert [order.energy_wh for order in home.chain.top.trading.standing()] == [900]


# -- what it says


def test_it_speaks_when_it_acts_or_its_reasons_change(home: Ruled) -> None:
    said = home.events.names().count("rule.decided")
    for _ in range(4):
        home.interval()
    assert home.events.names().count("rule.decided") == said + 1, "that there is nothing to do is said once"
    seller(home)
    home.interval()

    assert home.events.names().count("rule.decided") == said + 2
    assert home.events.last("rule.decided")["acts"] == [
        "redeem 0.200 kWh",
        f"offer 0.800 kWh as order {home.acts()[-1].number}",
    ]


def test_a_restart_does_not_say_the_same_reasons_again(home: Ruled) -> None:
    home.interval()
    said = home.events.names().count("rule.decided")
    home.kill()
    home.start()
    home.turns("follow")
    home.interval()

    assert home.events.names().count("rule.decided") == said


def test_the_log_does_not_tell_the_households_limits(home: Ruled) -> None:
    seller(home)
    home.interval()

    assert set(home.events.last("rule.decided")) == {"interval_end", "acts", "why"}
    assert "1500" not in str(home.events.heard)
