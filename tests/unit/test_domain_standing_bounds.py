"""The bounds of the standing rule hold whatever it is told, and what is unknown is never acted upon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.cli import explain
from agent.domain.decisions import Buy, Cancel, Offer, Redeem, Today
from agent.domain.market import Parameters
from agent.domain.orders import Order, cost_of, money_for
from agent.domain.standing_rule import MOST_ACTS, Limits, Situation, _affordable_wh, decide
from tests.unit.test_domain_standing_rule import NOW, OTHER, THEM, US, acts

# Numbers that lie close together, so that each bound is the one that holds now and then.

energy, money, price = st.integers(0, 12_000), st.integers(0, 20_000), st.integers(0, 3_000)
limits_ = st.builds(
    lambda least, more, **rest: Limits(order_least_wh=least, order_most_wh=least + more, **rest),
    least=st.integers(1, 300),
    more=st.integers(0, 5_000),
    enabled=st.just(value=True),
    self_first=st.booleans(),
    keep_wh=st.integers(0, 3_000),
    sell_at_least=st.none() | price,
    buy_at_most=st.none() | st.integers(1_000, 4_000),
    offer_day_most_wh=energy,
    buy_day_most_wh=energy,
    buy_day_most_wei=money,
    order_lifetime_s=st.integers(300, 9_999),
    reserve_wei=st.integers(0, 2_000),
)


def orders(*sellers: str) -> st.SearchStrategy[tuple[Order, ...]]:
    one = st.builds(
        Order,
        st.sampled_from(sellers),
        st.integers(1, 5),
        st.integers(0, 3_000),
        price,
        st.integers(NOW - 99, NOW + 9_999),
    )
    return st.lists(one, max_size=8).map(tuple)


def or_unknown(known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is known."""
    return st.integers(0, 19).flatmap(lambda die: known if die else st.none())


seen_ = st.builds(
    Situation,
    household=st.just(US),
    parameters=or_unknown(
        st.builds(
            lambda cost, low, more: Parameters(900, cost, low, low + more, paused=False),
            st.integers(0, 300),
            st.integers(0, 1_000),
            st.integers(0, 3_000),
        )
    ),
    tokens_wh=or_unknown(energy),
    redeemable_wh=or_unknown(energy),
    money_wei=or_unknown(st.integers(0, 30_000)),
    fee_wei=or_unknown(st.integers(0, 900)),
    own=or_unknown(orders(US)),
    made=st.frozensets(st.integers(1, 5)),
    book=or_unknown(orders(US, THEM, OTHER)),
    today=st.builds(Today, st.integers(0, 3_000), st.integers(0, 3_000), st.integers(0, 3_000)),
)


@given(limits_, seen_)
def test_nothing_is_offered_beyond_what_is_held_kept_and_allowed(limits: Limits, seen: Situation) -> None:
    made = [act for act in acts(limits, seen) if isinstance(act, Offer)]
    offered = sum(act.energy_wh for act in made)
    redeemed = sum(act.energy_wh for act in acts(limits, seen) if isinstance(act, Redeem))

    if made:
        assert seen.tokens_wh is not None
        assert seen.parameters is not None
        assert limits.sell_at_least is not None
        assert offered + redeemed + limits.keep_wh <= seen.tokens_wh
        assert offered + seen.today.offered_wh <= limits.offer_day_most_wh
    for act in made:
        assert limits.order_least_wh <= act.energy_wh <= limits.order_most_wh
        assert seen.parameters.feed_in_tariff <= act.price <= seen.parameters.retail_tariff
        assert act.price >= limits.sell_at_least
        assert act.expires_at == NOW + limits.order_lifetime_s


@given(limits_, seen_)
def test_nothing_is_bought_beyond_limit_day_need_and_purse(limits: Limits, seen: Situation) -> None:
    done = acts(limits, seen)
    bought = [act for act in done if isinstance(act, Buy)]
    if not bought:
        return
    market, at_most = seen.parameters, limits.buy_at_most
    assert market is not None
    assert at_most is not None
    assert seen.redeemable_wh is not None
    assert seen.tokens_wh is not None
    assert seen.money_wei is not None
    assert seen.fee_wei is not None
    energy_wh, spent = sum(act.energy_wh for act in bought), sum(act.cost_wei for act in bought)
    assert energy_wh <= seen.redeemable_wh - seen.tokens_wh
    assert energy_wh + seen.today.bought_wh <= limits.buy_day_most_wh
    assert spent + seen.today.spent_wei <= limits.buy_day_most_wei
    assert spent + seen.fee_wei * len(done) <= seen.money_wei - limits.reserve_wei
    left = {(one.seller, one.number): one for one in seen.book or ()}
    for act in bought:
        assert limits.order_least_wh <= act.energy_wh <= limits.order_most_wh
        assert act.price + market.service_cost <= min(at_most, market.retail_tariff)
        assert market.feed_in_tariff <= act.price
        assert act.cost_wei == money_for(act.energy_wh, act.price) + money_for(act.energy_wh, market.service_cost)
        assert act.seller != US, "no trade with oneself"
        one = left.pop((act.seller, act.number))
        assert (act.price, act.energy_wh <= one.energy_wh, one.open_at(NOW)) == (one.price, True, True)


@given(limits_, seen_)
def test_redemptions_and_cancellations_are_of_what_there_is(limits: Limits, seen: Situation) -> None:
    done = acts(limits, seen)
    own = {one.number: one for one in seen.own or ()}
    cancelled = [act for act in done if isinstance(act, Cancel)]

    assert len(done) <= MOST_ACTS
    assert sum(isinstance(act, Redeem) for act in done) <= limits.self_first
    for act in done:
        if isinstance(act, Redeem):
            assert seen.tokens_wh is not None
            assert seen.redeemable_wh is not None
            assert limits.order_least_wh <= act.energy_wh <= min(seen.tokens_wh, seen.redeemable_wh)
    for act in cancelled:
        assert act.number in seen.made or any(not one.open_at(NOW) for one in seen.own or ())
        assert act.number in own


@given(limits_, seen_)
def test_the_same_situation_gives_the_same_decision_in_any_order_of_the_book(limits: Limits, seen: Situation) -> None:
    unique = {(one.seller, one.number): one for one in seen.book or ()}
    book = tuple(unique.values())

    assert decide(limits, replace(seen, book=book), NOW) == decide(limits, replace(seen, book=book[::-1]), NOW)


@given(st.integers(-9, 10**6), st.integers(0, 5_000), st.integers(0, 5_000))
def test_what_is_affordable_is_paid_for_by_the_budget(budget_wei: int, price: int, service: int) -> None:
    energy_wh = _affordable_wh(budget_wei, price + service)

    assert energy_wh >= 0
    assert cost_of(energy_wh, price, service).total_wei <= max(0, budget_wei)
    if budget_wei > 0 and price + service > 0:
        # A wei or two may stay, never more.
        assert cost_of(energy_wh + 1, price, service).total_wei + 2 + (price + service) // 1_000 > budget_wei


@given(limits_, seen_)
def test_off_is_off(limits: Limits, seen: Situation) -> None:
    assert decide(replace(limits, enabled=False), seen, NOW) == ()


@given(limits_, seen_)
def test_what_is_unknown_is_never_acted_upon(limits: Limits, seen: Situation) -> None:
    for part in ("parameters", "tokens_wh", "redeemable_wh"):
        assert acts(limits, replace(seen, **{part: None})) == []
    for part in ("own", "book"):
        assert not any(isinstance(act, Offer | Buy) for act in acts(limits, replace(seen, **{part: None})))
    for part in ("money_wei", "fee_wei"):
        assert not any(isinstance(act, Buy) for act in acts(limits, replace(seen, **{part: None})))


@given(limits_, seen_)
def test_every_step_has_a_reason_in_words(limits: Limits, seen: Situation) -> None:
    steps = decide(limits, seen, NOW)

    assert steps or not (limits.self_first or limits.sell_at_least is not None or limits.buy_at_most is not None)
    assert all(name in explain._WORDS for step in steps for name in step.facts), "explained in words, too"
    assert all(step.why and not any(sign.isdigit() for sign in step.why.replace("256", "")) for step in steps)


def test_a_watt_hour_or_a_moment_sets_no_price() -> None:
    limits = Limits(
        enabled=True,
        self_first=True,
        keep_wh=0,
        sell_at_least=1_500,
        buy_at_most=None,
        order_least_wh=100,
        order_most_wh=5_000,
        offer_day_most_wh=50_000,
        buy_day_most_wh=0,
        buy_day_most_wei=0,
        order_lifetime_s=3_600,
        reserve_wei=0,
    )

    def price(*book: Order) -> int:
        market = Parameters(900, 100, 1_000, 3_000, paused=False)
        seen = Situation(US, market, 5_000, 0, 10**9, 1, (), frozenset(), book, Today())
        return next(step.act.price for step in decide(limits, seen, NOW) if isinstance(step.act, Offer))

    assert price(Order(THEM, 1, 99, 1_000, NOW + 9_999)) == price()
    assert price(Order(THEM, 1, 5_000, 1_000, NOW + 30)) == price()
    assert price(Order(THEM, 1, 100, 1_000, NOW + 9_999)) < price()
