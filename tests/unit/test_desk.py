"""The desk: what is refused before anything is signed, what counts as spent, and which number an order gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.domain.errors import BadRequest, NotYet
from agent.domain.market_calls import BuyCall, CancelCall, OfferCall, RedeemCall
from agent.domain.orders import PLACES, Order
from agent.domain.outbox import Kind, State
from agent.domain.plans import Plan
from tests.fakes.chain import ENROLLED, Chain
from tests.fakes.home import Home
from tests.fakes.trading import NEIGHBOUR
from tests.fakes.world import HOUSEHOLD, FakeClock

HOUR = 3_600
HELD = replace(ENROLLED, produced_wh=10_000, consumed_wh=4_000, tokens_wh=10_000)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    clock = FakeClock()
    made = Home(tmp_path, Chain(clock, state=HELD), clock)
    made.chain.neighbour_offers(7, 5_000, 25, clock.now_s + HOUR)
    yield made
    made.journal.close()


def offered(home: Home, energy_wh: int = 1_000, price: int = 25, **more: str) -> Plan:
    return home.desk.offer(energy_wh, price, home.clock.now_s + HOUR, **more)


def mined(home: Home) -> None:
    home.turns("follow")
    for _ in range(4):
        home.turns("submit", "confirm", "confirm")
        home.chain.mine()
        home.pass_time(5)


def test_a_plan_shows_cost_fee_and_balances_and_changes_nothing(home: Home) -> None:
    plan = home.desk.purchase(NEIGHBOUR, 7, 2_500)

    assert plan.call == BuyCall(NEIGHBOUR, 7, 2_500, 25)
    assert plan.cost is not None
    assert (plan.cost.price_wei, plan.cost.service_cost_wei, plan.intent.value) == (63, 25, 88)
    assert plan.fee_most_wei == plan.intent.gas * (2 * 1000 + 100)
    assert (plan.tokens_before_wh, plan.tokens_after_wh) == (10_000, 12_500)
    assert plan.money_before_wei - plan.money_after_wei == plan.cost_most_wei == 88 + plan.fee_most_wei
    assert plan.intent.expires_at == home.clock.now_s + 600
    assert home.entries() == []
    assert home.chain.broadcasts == []


def test_a_submitted_plan_waits_for_the_daemon_and_a_second_time_changes_nothing(home: Home) -> None:
    plan = offered(home)

    assert home.desk.submit(plan)
    assert not home.desk.submit(plan)
    assert [(entry.kind, entry.state, entry.key) for entry in home.entries()] == [
        (Kind.OFFER, State.QUEUED, f"offer:{home.clock.now_s}")
    ]
    assert home.desk.asked(plan.intent.key) == home.entries()[0]


def test_what_has_no_number_is_not_signed_late(home: Home) -> None:
    """An old copy of the journal that is put back later does nothing twice."""
    now = home.clock.now_s
    plans = [home.desk.purchase(NEIGHBOUR, 7), home.desk.redemption(), offered(home)]

    assert [plan.intent.expires_at for plan in plans] == [now + 600, now + 600, now + HOUR - 30]
    home.pass_time(600)
    with pytest.raises(BadRequest, match="too long ago"):
        home.desk.submit(plans[0])
    assert home.desk.submit(plans[2])


def test_nothing_is_planned_while_submission_is_halted(home: Home) -> None:
    home.outbox.halt("a stranger used nonce 5")
    with pytest.raises(NotYet, match=r"stranger used nonce 5\. .*keys resume"):
        offered(home)
    # Looking is always possible.
    home.clock.good = False
    assert home.desk.wallet().means.tokens_wh == 10_000


def test_a_key_of_the_callers_own_is_asked_for_once(home: Home) -> None:
    assert home.desk.submit(offered(home, key="rule:1"))
    assert not home.desk.submit(offered(home, key="rule:1"))


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda home: offered(home, 0), "0.001 kWh"),
        (lambda home: offered(home, -1), "0.001 kWh"),
        (lambda home: offered(home, 2**40), "0.001 kWh"),
        (lambda home: offered(home, 10_001), "holds 10.000 kWh"),
        (lambda home: offered(home, price=19), "feed-in tariff"),
        (lambda home: offered(home, price=31), "retail tariff"),
        (lambda home: home.desk.offer(1, 25, home.clock.now_s + 59), "60 s to 30 days"),
        (lambda home: home.desk.offer(1, 25, home.clock.now_s - 5), "-5 s from now"),
        (lambda home: home.desk.offer(1, 25, home.clock.now_s + 30 * 86_400 + 1), "30 days"),
        (lambda home: home.desk.cancellation(5), "no order 5"),
        (lambda home: home.desk.purchase(NEIGHBOUR, 8), "does not exist"),
        (lambda home: home.desk.purchase(NEIGHBOUR, 7, 5_001), "has 5.000 kWh left"),
        (lambda home: home.desk.purchase(NEIGHBOUR, 7, 0), "0.001 kWh"),
        (lambda home: home.desk.purchase(NEIGHBOUR, 7, most_price=24), "more than your 0.0024 TOM/kWh"),
        (lambda home: home.desk.purchase(NEIGHBOUR, 7, shown_price=24), "0.0024 TOM/kWh was shown"),
        (lambda home: home.desk.cheapest(1_000, 24), "nobody else sells energy now at 0.0024 TOM/kWh"),
        (lambda home: home.desk.redemption(4_001), "4.000 kWh of your consumption"),
        (lambda home: home.desk.redemption(0), "0.001 kWh"),
    ],
)
def test_what_is_wrong_is_refused_with_what_would_be_right(home: Home, ask: Callable[[Home], Plan], told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        ask(home)
    assert home.entries() == []


ASKS = [
    offered,
    lambda home: home.desk.purchase(NEIGHBOUR, 7),
    lambda home: home.desk.redemption(1),
]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda chain: setattr(chain, "market", replace(chain.market, paused=True)), "paused"),
        (lambda chain: chain.office(active=False), "suspended"),
        (lambda chain: chain.office(enrolled=False, active=False), "not enrolled"),
    ],
)
def test_a_closed_market_and_a_suspended_household_are_told(
    home: Home, ask: Callable[[Home], Plan], change: Callable[[Chain], None], told: str
) -> None:
    change(home.chain)
    with pytest.raises(NotYet, match=told):
        ask(home)


@pytest.mark.parametrize("ask", ASKS)
def test_money_for_the_fee_must_be_there(home: Home, ask: Callable[[Home], Plan]) -> None:
    home.chain.funds = 100
    with pytest.raises(BadRequest, match="send funds"):
        ask(home)


@pytest.mark.parametrize("ask", ASKS)
def test_nothing_is_said_under_a_clock_that_is_not_set(home: Home, ask: Callable[[Home], Plan]) -> None:
    home.clock.good = False
    with pytest.raises(NotYet, match="clock"):
        ask(home)


def test_ones_own_order_is_not_bought_and_a_suspended_household_takes_it_back(home: Home) -> None:
    home.desk.submit(offered(home))
    with pytest.raises(BadRequest, match="not on the chain yet"):
        home.desk.cancellation(home.clock.now_s)
    mined(home)
    (own,) = home.desk.own_orders()
    with pytest.raises(BadRequest, match="is your own"):
        home.desk.purchase(HOUSEHOLD, own.order.number)
    home.chain.office(active=False)
    plan = home.desk.cancellation(own.order.number)
    assert (plan.energy_wh, plan.tokens_before_wh, plan.tokens_after_wh) == (1_000, 9_000, 10_000)
    home.desk.submit(plan)
    with pytest.raises(BadRequest, match="being taken back already"):
        home.desk.cancellation(own.order.number)
    assert home.desk.own_orders()[0].cancelling
    mined(home)
    assert home.desk.own_orders() == []
    assert home.chain.top.state.tokens_wh == 10_000


def test_an_expired_order_is_not_bought_and_its_energy_can_be_taken_back(home: Home) -> None:
    home.desk.submit(offered(home))
    mined(home)
    home.pass_time(HOUR)
    with pytest.raises(BadRequest, match="ended"):
        home.desk.purchase(NEIGHBOUR, 7)
    assert home.desk.open_orders() == []
    (own,) = home.desk.own_orders()
    assert home.desk.cancellation(own.order.number).energy_wh == 1_000


def test_what_is_queued_counts_as_spent(home: Home) -> None:
    home.desk.submit(offered(home, 6_000))
    with pytest.raises(BadRequest, match=r"6\.000 kWh of it on its way already; 4\.000 kWh or less"):
        offered(home, 4_001)
    home.desk.submit(home.desk.redemption(3_000))
    with pytest.raises(BadRequest, match=r"1\.000 kWh of your consumption|1\.000 kWh or less"):
        home.desk.redemption(1_001)
    assert home.desk.redemption().energy_wh == 1_000
    home.desk.submit(home.desk.purchase(NEIGHBOUR, 7, 3_000))
    with pytest.raises(BadRequest, match=r"3\.000 kWh of it being bought by you already; 2\.000"):
        home.desk.purchase(NEIGHBOUR, 7, 2_001)
    assert home.desk.purchase(NEIGHBOUR, 7).energy_wh == 2_000
    wallet = home.desk.wallet()
    assert (wallet.means.tokens_wh, wallet.spoken.tokens_wh, wallet.spoken.redeemed_wh) == (10_000, 9_000, 3_000)
    assert wallet.spoken.money_wei > 105


def test_a_plan_that_another_overtook_is_judged_again(home: Home) -> None:
    first, second = offered(home, 6_000), offered(home, 6_000, key="other")
    bought, again = home.desk.purchase(NEIGHBOUR, 7), home.desk.purchase(NEIGHBOUR, 7, key="again")
    home.desk.submit(first)
    with pytest.raises(BadRequest, match="ask again"):
        home.desk.submit(second)
    home.desk.submit(bought)
    with pytest.raises(BadRequest, match="meanwhile"):
        home.desk.submit(again)
    late = home.desk.redemption(3_000)
    home.desk.submit(home.desk.redemption(2_000, key="sooner"))
    # Mined meanwhile, it is still what the late plan did not know of.
    mined(home)
    with pytest.raises(BadRequest, match="or less is right"):
        home.desk.submit(late)


def test_numbers_rise_with_the_time_and_above_the_last(home: Home) -> None:
    numbers = []
    for _ in range(3):
        plan = offered(home, 1)
        home.desk.submit(plan)
        assert isinstance(plan.call, OfferCall)
        numbers.append(plan.call.number)
    home.clock.step(-500)
    plan = offered(home, 1)
    assert isinstance(plan.call, OfferCall)
    assert [*numbers, plan.call.number] == [numbers[0] + step for step in range(4)]


def test_a_place_with_something_in_it_is_passed_over(home: Home) -> None:
    home.desk.submit(offered(home, 1))
    mined(home)
    (own,) = home.desk.own_orders()
    home.clock.advance(own.order.number + PLACES - home.clock.now_s)
    plan = offered(home, 1)
    assert isinstance(plan.call, OfferCall)
    assert plan.call.number == own.order.number + PLACES + 1


def test_a_lost_journal_uses_no_number_again(home: Home) -> None:
    number = home.clock.now_s
    for step in range(3):
        order = Order(HOUSEHOLD, number + step, 0 if step == 1 else 1, 25, number + HOUR)
        home.chain._append((), 0, home.chain.top.state, home.chain.top.trading.put(order))
    plan = offered(home, 1)
    assert isinstance(plan.call, OfferCall)
    assert plan.call.number == number + 3


def test_256_open_orders_are_the_most(home: Home) -> None:
    for step in range(PLACES):
        order = Order(HOUSEHOLD, home.clock.now_s - step, 1, 25, home.clock.now_s + HOUR)
        home.chain._append((), 0, home.chain.top.state, home.chain.top.trading.put(order))
    with pytest.raises(BadRequest, match="256 open orders"):
        offered(home, 1)


def test_the_cheapest_is_taken_first_and_no_more_than_is_left(home: Home) -> None:
    end = home.clock.now_s + HOUR
    home.chain.neighbour_offers(8, 300, 22, end)
    home.chain.neighbour_offers(9, 900, 22, end - 60)

    assert [order.number for order in home.desk.open_orders()] == [9, 8, 7]
    plan = home.desk.cheapest(1_000)
    assert plan.call == BuyCall(NEIGHBOUR, 9, 900, 22)
    home.desk.submit(plan)
    assert home.desk.cheapest(1_000).call == BuyCall(NEIGHBOUR, 8, 300, 22)


def test_escrow_and_everything_else_is_in_the_wallet(home: Home) -> None:
    home.desk.submit(offered(home, 2_000))
    mined(home)
    wallet = home.desk.wallet()
    assert (wallet.means.tokens_wh, wallet.escrow_wh, wallet.means.redeemable_wh) == (8_000, 2_000, 4_000)
    assert wallet.spoken.tokens_wh == 0
    assert wallet.settlement.symbol == "TOM"


asks = st.lists(
    st.tuples(st.sampled_from(["offer", "buy", "redeem", "cancel", "mine"]), st.integers(1, 6_000)), max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(asks=asks, funds=st.integers(0, 3_000_000_000))
def test_no_plan_spends_more_than_is_held_whatever_is_queued(
    tmp_path_factory: pytest.TempPathFactory, asks: list[tuple[str, int]], funds: int
) -> None:
    clock = FakeClock()
    home = Home(tmp_path_factory.mktemp("desk"), Chain(clock, state=HELD), clock)
    home.chain.neighbour_offers(7, 5_000, 25, clock.now_s + HOUR)
    home.chain.funds = funds
    planned: list[Plan] = []
    for what, energy_wh in asks:
        clock.advance(1)
        try:
            match what:
                case "offer":
                    planned.append(offered(home, energy_wh))
                case "buy":
                    planned.append(home.desk.purchase(NEIGHBOUR, 7, energy_wh))
                case "redeem":
                    planned.append(home.desk.redemption(energy_wh))
                case "cancel":
                    own = home.desk.own_orders()
                    planned.extend(home.desk.cancellation(one.order.number) for one in own[:1])
                case _:
                    mined(home)
            # Every other plan is submitted late, after others were made.
            if len(planned) > 1:
                home.desk.submit(planned.pop(0))
        except (BadRequest, NotYet):
            pass
        calls = [home.desk._codec.understood(entry.data) for entry in home.desk._unmined() if entry.kind != "opening"]
        tokens = sum(call.energy_wh for call in calls if isinstance(call, OfferCall | RedeemCall))
        burned = sum(call.energy_wh for call in calls if isinstance(call, RedeemCall))
        bought = sum(call.energy_wh for call in calls if isinstance(call, BuyCall))
        cancelled = [call.number for call in calls if isinstance(call, CancelCall)]
        assert tokens <= home.chain.top.state.tokens_wh
        assert burned <= home.chain.redeemable()
        assert bought <= home.chain.order(NEIGHBOUR, 7).energy_wh
        assert len(cancelled) == len(set(cancelled))
        assert sum(entry.value for entry in home.desk._unmined()) <= home.chain.balance()
    home.journal.close()
