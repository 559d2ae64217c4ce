"""The standing rule: what it does in plain cases, and the bounds that hold whatever it is told."""

from __future__ import annotations

from dataclasses import replace

from agent.domain.decisions import Act, Buy, Cancel, Decision, Offer, Redeem, Step, Today, done_on_day, numbers_offered
from agent.domain.orders import PLACES, Order, cost_of
from agent.domain.standing_rule import MOST_ACTS, SETTLES_S, Limits, Situation, decide
from tests.fakes.ruled import BAND, LIMITS

NOW = 1_795_305_600
US, THEM, OTHER = "0xA", "0xB", "0xC"
SEEN = Situation(
    household=US,
    parameters=BAND,
    tokens_wh=0,
    redeemable_wh=0,
    money_wei=10**9,
    fee_wei=0,
    own=(),
    made=frozenset(),
    book=(),
    today=Today(),
)


def order(seller: str = THEM, number: int = 1, wh: int = 5_000, price: int = 2_000, life: int = 3_600) -> Order:
    return Order(seller, number, wh, price, NOW + life)


def acts(limits: Limits, seen: Situation) -> list[Act]:
    return [step.act for step in decide(limits, seen, NOW) if step.act is not None]


def reasons(limits: Limits, seen: Situation) -> str:
    return "; ".join(step.why for step in decide(limits, seen, NOW))


# -- one household on one side at a time


def test_own_consumption_comes_first_and_the_rest_is_offered() -> None:
    seen = replace(SEEN, tokens_wh=3_000, redeemable_wh=700)

    assert acts(LIMITS, seen) == [Redeem(700), Offer(2_300, 2_200, NOW + 3_600)]


def test_what_is_kept_is_not_offered_and_may_be_redeemed() -> None:
    keeps = replace(LIMITS, keep_wh=2_000)

    assert acts(keeps, replace(SEEN, tokens_wh=2_100)) == [Offer(100, 2_200, NOW + 3_600)]
    assert acts(keeps, replace(SEEN, tokens_wh=1_000, redeemable_wh=1_000)) == [Redeem(1_000)]


def test_consumption_without_tokens_is_bought_from_the_cheapest() -> None:
    book = (order(number=1, price=2_300), order(OTHER, 7, 300, 1_200), order(number=2, price=2_401))
    seen = replace(SEEN, tokens_wh=200, redeemable_wh=1_200, book=book)

    assert acts(LIMITS, seen) == [
        Redeem(200),
        Buy(OTHER, 7, 300, 1_200, cost_of(300, 1_200, 100).total_wei),
        Buy(THEM, 1, 700, 2_300, cost_of(700, 2_300, 100).total_wei),
    ]


def test_the_service_cost_counts_and_the_retail_tariff_is_the_most() -> None:
    short = replace(SEEN, redeemable_wh=1_000)

    assert "no order is cheap enough" in reasons(LIMITS, replace(short, book=(order(price=2_401),)))
    dear = replace(LIMITS, buy_at_most=9_999)
    assert acts(dear, replace(short, book=(order(price=2_900),))) != []
    assert acts(dear, replace(short, book=(order(price=2_901),))) == []


def test_what_keeps_it_from_buying_is_named() -> None:
    short = replace(SEEN, redeemable_wh=1_000, book=(order(),))

    assert "too little above the reserve" in reasons(replace(LIMITS, reserve_wei=10**9), short)
    assert "money of this day" in reasons(LIMITS, replace(short, today=Today(spent_wei=1_000_000)))
    assert "energy of this day" in reasons(LIMITS, replace(short, today=Today(bought_wh=20_000)))
    assert "least amount of an order" in reasons(LIMITS, replace(short, book=(order(wh=99),)))
    assert acts(LIMITS, replace(short, book=(order(wh=99), order(OTHER, price=2_100)))) != []


def test_an_order_outside_the_band_is_not_bought_however_cheap() -> None:
    assert acts(LIMITS, replace(SEEN, redeemable_wh=1_000, book=(order(price=999),))) == []


def test_nobody_buys_from_himself_however_cheap() -> None:
    assert acts(LIMITS, replace(SEEN, redeemable_wh=1_000, book=(order(US, price=1_000),))) == []


def test_each_purchase_takes_its_price_and_its_fee_out_of_the_purse() -> None:
    book = tuple(order(number=number, wh=1_000, price=1_900) for number in range(1, 6))
    short = replace(SEEN, redeemable_wh=5_000, book=book)

    # Each costs 2000 wei for all of it, service cost included.
    assert [act.energy_wh for act in acts(LIMITS, replace(short, money_wei=6_001)) if isinstance(act, Buy)] == [
        1_000,
        1_000,
        1_000,
    ]
    assert len(acts(LIMITS, replace(short, money_wei=6_002, fee_wei=1_000))) == 2
    assert len(acts(replace(LIMITS, buy_day_most_wei=4_001), short)) == 2
    assert len(acts(replace(LIMITS, buy_day_most_wei=6_001), replace(short, today=Today(spent_wei=2_000)))) == 2
    redeems = replace(short, tokens_wh=100, money_wei=3_050, fee_wei=1_000)
    assert [type(act) for act in acts(LIMITS, redeems)] == [Redeem, Buy], "the redemption's fee is kept back"
    assert acts(LIMITS, redeems)[1].energy_wh < 600


def test_a_large_surplus_is_offered_in_lots_and_the_day_has_an_end() -> None:
    assert [act.energy_wh for act in acts(LIMITS, replace(SEEN, tokens_wh=6_000))] == [5_000]
    assert [act.energy_wh for act in acts(LIMITS, replace(SEEN, tokens_wh=6_000, today=Today(49_800)))] == [200]
    assert "the most of this day" in reasons(LIMITS, replace(SEEN, tokens_wh=6_000, today=Today(49_901)))


def test_an_order_that_ends_at_once_is_left() -> None:
    seen = replace(SEEN, redeemable_wh=1_000, book=(order(life=SETTLES_S - 1),))

    assert acts(LIMITS, seen) == []


def test_without_self_first_nothing_is_redeemed_and_all_is_offered() -> None:
    seller = replace(LIMITS, self_first=False, buy_at_most=None)

    assert acts(seller, replace(SEEN, tokens_wh=1_000, redeemable_wh=900)) == [Offer(1_000, 2_200, NOW + 3_600)]


# -- the price asked


def test_the_price_lies_half_way_to_the_cheapest_order_of_others() -> None:
    rich = replace(SEEN, tokens_wh=1_000)

    def asked(*prices: int) -> int:
        book = tuple(order(number=number, price=price) for number, price in enumerate(prices))
        return next(act.price for act in acts(LIMITS, replace(rich, book=book)) if isinstance(act, Offer))

    assert asked() == (1_500 + 2_900) // 2
    assert asked(2_000, 2_500) == 1_750
    assert asked(1_501) == 1_500
    assert asked(1_200) == 1_500


def test_below_the_feed_in_tariff_nothing_is_asked() -> None:
    cheap = replace(LIMITS, sell_at_least=0)

    assert acts(cheap, replace(SEEN, tokens_wh=1_000, book=(order(price=1_000),)))[0] == Offer(
        1_000, 1_000, NOW + 3_600
    )


def test_a_price_that_no_buyer_would_pay_is_not_asked() -> None:
    assert "more than the retail tariff" in reasons(
        replace(LIMITS, sell_at_least=2_901), replace(SEEN, tokens_wh=1_000)
    )


# -- orders of one's own


def test_an_expired_order_is_taken_back_whoever_made_it() -> None:
    assert acts(LIMITS, replace(SEEN, own=(order(US, 9, 400, life=0),))) == [Cancel(9, 400)]


def test_an_interval_has_so_many_acts_and_the_next_one_goes_on() -> None:
    own = tuple(order(US, number, 400, life=0) for number in range(1, 20))
    seen = replace(SEEN, tokens_wh=5_000, own=own)

    assert acts(LIMITS, seen) == [Cancel(number, 400) for number in range(1, MOST_ACTS + 1)]
    assert "other things come first" in reasons(LIMITS, seen)


def test_the_rules_own_orders_are_freed_for_own_consumption_the_cheapest_first() -> None:
    own = (order(US, 1, 400, 2_000), order(US, 2, 400, 1_800), order(US, 3, 400, 1_700))
    seen = replace(SEEN, redeemable_wh=700, own=own, made=frozenset({1, 2}), book=(order(),))

    assert acts(LIMITS, seen) == [Cancel(2, 400), Cancel(1, 400)], "a person's own order 3 stands"


def test_what_is_freed_is_not_bought() -> None:
    seen = replace(SEEN, redeemable_wh=700, own=(order(US, 1, 400),), made=frozenset({1}), book=(order(),))

    assert acts(LIMITS, seen)[1:] == [Buy(THEM, 1, 300, 2_000, cost_of(300, 2_000, 100).total_wei)]


def test_an_order_whose_price_left_the_band_or_the_limits_is_taken_back() -> None:
    own = (order(US, 1, price=999), order(US, 2, price=3_001), order(US, 3, price=1_499), order(US, 4, price=1_500))

    assert acts(LIMITS, replace(SEEN, own=own, made=frozenset({1, 2, 3, 4}))) == [
        Cancel(1, 5_000),
        Cancel(2, 5_000),
        Cancel(3, 5_000),
    ]
    assert acts(LIMITS, replace(SEEN, own=own)) == [], "a person's own orders stand"


def test_no_place_no_offer() -> None:
    own = tuple(order(US, number) for number in range(PLACES))

    assert "which is the most" in reasons(LIMITS, replace(SEEN, tokens_wh=1_000, own=own))


# -- reasons


def test_every_reason_has_its_numbers() -> None:
    steps = decide(LIMITS, replace(SEEN, tokens_wh=3_000, redeemable_wh=700, book=(order(price=2_000),)), NOW)

    assert dict(steps[0].facts) == {"tokens_wh": 3_000, "redeemable_wh": 700}
    assert dict(steps[1].facts) == {
        "tokens_wh": 3_000,
        "needed_wh": 700,
        "keep_wh": 0,
        "surplus_wh": 2_300,
        "day_left_wh": 50_000,
        "floor": 1_500,
        "ceiling": 2_900,
        "cheapest": 2_000,
    }


def test_with_nothing_to_do_each_part_says_why() -> None:
    assert [step.why for step in decide(LIMITS, SEEN, NOW)] == [
        "nothing is redeemed: tokens were burned against all consumption",
        "nothing is offered: there is no surplus",
        "nothing is bought: consumption is covered",
    ]


# -- a day's sums


def test_a_day_counts_what_was_offered_and_bought_on_it() -> None:
    offer, buy = Offer(900, 1, NOW + 600, 7), Buy(THEM, 1, 300, 5, 4)
    earlier = Decision(NOW - 900, NOW - 1, (Step(Offer(5_000, 1, NOW, 6), ""), Step(buy, "")))
    first = Decision(NOW, NOW + 5, (Step(offer, ""), Step(None, ""), Step(buy, "")))

    assert done_on_day([earlier, first], NOW + 900) == Today(900, 300, 4)
    early = Decision(NOW + 300, NOW + 599, (Step(Cancel(7, 500), ""), Step(Cancel(6, 5_000), "")))
    assert done_on_day([earlier, first, early], NOW + 900) == Today(900, 300, 4)
    late = replace(early, decided_at=NOW + 600)
    assert done_on_day([earlier, first, late], NOW + 900) == Today(400, 300, 4)
    assert numbers_offered([earlier, first]) == {6, 7}
