"""The standing rule: what a household that has set its limits once would do now, and why.

``decide`` is a pure function of the limits, of what the household holds, of the order book and of the market's
parameters. Each thing it does, and each thing it leaves, carries its reason in words and the numbers that led to it.

In this order:

1. An order of the household that has expired is taken back, since that is how its energy returns.
2. Own consumption first: tokens are redeemed against it. Where they do not reach, orders that the rule itself has made
   are taken back, the cheapest first; their energy is there after the next interval.
3. Of the rest ``keep_wh`` stays, and what is above it is offered: one lot an interval, so that a large surplus comes
   onto the market little by little, each lot at the price of its time.
4. For consumption that no token covers, the cheapest orders of others are bought, whole or in part.

A household is on one side at a time: a surplus is what own consumption leaves, a deficit is what own tokens leave.

The price asked is half way between the floor and the cheapest order of others; where there is none, half way to the
ceiling. The floor is the household's own or the feed-in tariff, whichever is higher. The ceiling is the retail tariff
less the service cost, since above it a buyer is better off with the distribution company. An order lives for
``order_lifetime_s`` and is then taken back and offered anew, so that is how an asking price follows the market.

The price paid, service cost included, is never above the household's limit nor above the retail tariff.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.domain.decisions import Buy, Cancel, Offer, Redeem, Step, Today
from agent.domain.market import Parameters
from agent.domain.orders import MOST_ENERGY_WH, PLACES, WH_PER_KWH, Order, cost_of

# In one interval; what is left has its turn after the next one. The outbox holds 16, and readings need room in it.
MOST_ACTS = 8
# A purchase that is mined after the order's end reverts and costs its fee: leave it time to be mined.
SETTLES_S = 60

_UNKNOWN: Final = "is not known"
_SMALL: Final = "it is less than the least amount of an order"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the household has set once.

    Attributes:
        enabled: whether anything is done at all.
        self_first: whether own tokens are redeemed against own consumption before anything is sold.
        keep_wh: tokens that are never offered, Wh; they wait for own consumption.
        sell_at_least: wei for each kWh that the household wants; None sells nothing.
        buy_at_most: wei for each kWh that the household pays, service cost included; None buys nothing.
        order_least_wh: the least energy of an offer, a purchase or a redemption, Wh; 1 or more.
        order_most_wh: the most energy of an offer or a purchase, Wh.
        offer_day_most_wh: the most energy that is offered on one day, Wh; what expired unsold does not count.
        buy_day_most_wh: the most energy that is bought on one day, Wh.
        buy_day_most_wei: the most money that is paid on one day, service cost included, wei.
        order_lifetime_s: how long an offer stands, seconds.
        reserve_wei: money that stays in the account, wei.
    """

    enabled: bool
    self_first: bool
    keep_wh: int
    sell_at_least: int | None
    buy_at_most: int | None
    order_least_wh: int
    order_most_wh: int
    offer_day_most_wh: int
    buy_day_most_wh: int
    buy_day_most_wei: int
    order_lifetime_s: int
    reserve_wei: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What is the case; what is not known is None, and nothing is done that needs it.

    Attributes:
        household: its account, checksummed.
        parameters: the market's.
        tokens_wh: energy tokens held, escrow not included, Wh.
        redeemable_wh: own consumption that no token was burned against, Wh.
        money_wei: the account's balance, wei.
        fee_wei: the most that one transaction's gas may cost, wei.
        own: the household's orders with anything left in them, also those that have expired.
        made: numbers of the orders that the rule has made; others are a person's, and left alone until they expire.
        book: the orders of others that are open.
        today: what the rule has done on this day.
    """

    household: str
    parameters: Parameters | None
    tokens_wh: int | None
    redeemable_wh: int | None
    money_wei: int | None
    fee_wei: int | None
    own: tuple[Order, ...] | None
    made: frozenset[int]
    book: tuple[Order, ...] | None
    today: Today


def decide(limits: Limits, seen: Situation, now: int) -> tuple[Step, ...]:
    """What to do now, and why; acts are in the order in which they are to be sent.

    Args:
        limits: the household's.
        seen: what is the case, with none of the household's orders on its way.
        now: UTC epoch seconds.
    """
    if not limits.enabled:
        return ()
    if seen.tokens_wh is None or seen.redeemable_wh is None:
        return (Step(None, f"what the household holds and may redeem {_UNKNOWN}"),)
    if seen.parameters is None:
        return (Step(None, f"the market's tariff {_UNKNOWN}"),)
    deciding = _Deciding(limits, seen, seen.parameters, seen.tokens_wh, seen.redeemable_wh, now)
    if limits.self_first:
        deciding.redeem()
    freed_wh = deciding.take_back()
    if limits.sell_at_least is not None:
        deciding.sell(limits.sell_at_least)
    if limits.buy_at_most is not None:
        deciding.buy(limits.buy_at_most, freed_wh)
    return tuple(deciding.steps)


@dataclass(slots=True)
class _Purse:
    """Money for purchases: what the account may spend, what the day still allows, and a purchase's fee, wei."""

    wei: int
    day_wei: int
    fee_wei: int

    @property
    def budget_wei(self) -> int:
        """The most that one purchase may cost, fee not included."""
        return min(self.wei - self.fee_wei, self.day_wei)

    @property
    def what_is_short(self) -> str:
        """Which of the two bounds the budget, in words."""
        account = self.wei - self.fee_wei < self.day_wei
        return "the account holds too little above the reserve" if account else "the most money of this day is paid"

    def pay(self, cost_wei: int) -> None:
        """Take a purchase and its fee."""
        self.wei -= cost_wei + self.fee_wei
        self.day_wei -= cost_wei


@dataclass(slots=True)
class _Deciding:
    """One decision in the making."""

    limits: Limits
    seen: Situation
    market: Parameters
    tokens_wh: int
    redeemable_wh: int
    now: int
    steps: list[Step] = field(default_factory=list)

    @property
    def _acts(self) -> int:
        return sum(step.act is not None for step in self.steps)

    @property
    def _full(self) -> bool:
        return self._acts >= MOST_ACTS

    @property
    def _short_wh(self) -> int:
        """Own consumption that own tokens do not cover, Wh; below 0 it is what they leave."""
        return self.redeemable_wh - self.tokens_wh

    def _leave(self, why: str, **facts: int) -> None:
        self.steps.append(Step(None, why, facts))

    def redeem(self) -> None:
        """Own consumption first."""
        facts = {"tokens_wh": self.tokens_wh, "redeemable_wh": self.redeemable_wh}
        energy_wh = min(self.tokens_wh, self.redeemable_wh)
        if energy_wh >= self.limits.order_least_wh:
            self.steps.append(Step(Redeem(energy_wh), "own consumption first", facts))
        elif self.redeemable_wh <= 0:
            self._leave("nothing is redeemed: tokens were burned against all consumption", **facts)
        elif self.tokens_wh <= 0:
            self._leave("nothing is redeemed: no tokens are held", **facts)
        else:
            self._leave(f"nothing is redeemed: {_SMALL}", **facts, least_wh=self.limits.order_least_wh)

    def take_back(self) -> int:
        """Own orders that must not stand, and those whose energy is needed; returns what that frees, Wh."""
        if self.seen.own is None:
            self._leave(f"no order is taken back: which the household has {_UNKNOWN}")
            return 0
        freed_wh, standing = 0, []
        for order in sorted(self.seen.own, key=lambda order: order.number):
            why = self._must_not_stand(order)
            if not why:
                standing.append(order)
            elif not self._full:
                freed_wh += self._take_back(order, why)
        if not self.limits.self_first:
            return freed_wh
        # The cheapest earn the least; of two alike the newest goes, since the older one is nearer to being bought.
        for order in sorted(standing, key=lambda order: (order.price, -order.number)):
            if self._full or self._short_wh - freed_wh < self.limits.order_least_wh:
                break
            if order.number in self.seen.made:
                freed_wh += self._take_back(order, "its energy is needed for own consumption")
        return freed_wh

    def _must_not_stand(self, order: Order) -> str:
        if order.energy_wh <= 0:
            return ""
        if not order.open_at(self.now):
            return "it has expired, and its energy returns"
        if order.number not in self.seen.made:
            return ""
        if not self.market.feed_in_tariff <= order.price <= self.market.retail_tariff:
            return "its price has left the tariff band"
        if self.limits.sell_at_least is not None and order.price < self.limits.sell_at_least:
            return "its price is below what the household wants now"
        return ""

    def _take_back(self, order: Order, why: str) -> int:
        facts = {"price": order.price, "expires_at": order.expires_at, "short_wh": max(0, self._short_wh)}
        self.steps.append(Step(Cancel(order.number, order.energy_wh), why, facts))
        return order.energy_wh

    def sell(self, at_least: int) -> None:
        """Offer what is left above what is kept."""
        limits, today = self.limits, self.seen.today
        needed_wh = max(0, self.redeemable_wh) if limits.self_first else 0
        surplus_wh = self.tokens_wh - needed_wh - limits.keep_wh
        facts = {
            "tokens_wh": self.tokens_wh,
            "needed_wh": needed_wh,
            "keep_wh": limits.keep_wh,
            "surplus_wh": surplus_wh,
        }
        if surplus_wh <= 0:
            self._leave("nothing is offered: there is no surplus", **facts)
            return
        day_left_wh = limits.offer_day_most_wh - today.offered_wh
        facts |= {"day_left_wh": day_left_wh}
        left_wh = min(surplus_wh, day_left_wh)
        if left_wh < limits.order_least_wh:
            small = surplus_wh < limits.order_least_wh
            why = _SMALL if small else "the most of this day is offered"
            self._leave(f"nothing is offered: {why}", **facts, least_wh=limits.order_least_wh)
            return
        if self.seen.own is None or self.seen.book is None:
            self._leave(f"nothing is offered: the order book {_UNKNOWN}", **facts)
            return
        floor = max(at_least, self.market.feed_in_tariff)
        ceiling = self.market.retail_tariff - self.market.service_cost
        facts |= {"floor": floor, "ceiling": ceiling}
        if floor > ceiling:
            self._leave(
                "nothing is offered: with the service cost a buyer would pay more than the retail tariff", **facts
            )
            return
        price, cheapest = _asked(floor, ceiling, self._rivals())
        facts |= {} if cheapest is None else {"cheapest": cheapest}
        against = "the ceiling" if cheapest is None else "the cheapest order of others"
        why = f"a surplus, half way between the floor and {against}"
        if len(self.seen.own) >= PLACES:
            self._leave(f"nothing is offered: the household has {PLACES} orders, which is the most", **facts)
        elif self._full:
            self._leave("nothing is offered: other things come first, and an interval has its bounds", **facts)
        else:
            lot_wh = min(left_wh, limits.order_most_wh)
            self.steps.append(Step(Offer(lot_wh, price, self.now + limits.order_lifetime_s), why, facts))

    def buy(self, at_most: int, freed_wh: int) -> None:
        """Buy what own tokens do not cover, from the cheapest."""
        limits, today = self.limits, self.seen.today
        short_wh = self._short_wh - freed_wh
        day_left_wh, day_left_wei = limits.buy_day_most_wh - today.bought_wh, limits.buy_day_most_wei - today.spent_wei
        facts = {"redeemable_wh": self.redeemable_wh, "tokens_wh": self.tokens_wh, "freed_wh": freed_wh}
        if short_wh <= 0:
            self._leave("nothing is bought: consumption is covered", **facts)
            return
        facts |= {"short_wh": short_wh, "day_left_wh": day_left_wh, "day_left_wei": day_left_wei}
        if min(short_wh, day_left_wh) < limits.order_least_wh:
            why = _SMALL if short_wh < limits.order_least_wh else "the most energy of this day is bought"
            self._leave(f"nothing is bought: {why}", **facts, least_wh=limits.order_least_wh)
            return
        if self.seen.money_wei is None or self.seen.fee_wei is None:
            self._leave(f"nothing is bought: the account's balance {_UNKNOWN}", **facts)
            return
        if self.seen.own is None or self.seen.book is None:
            self._leave(f"nothing is bought: the order book {_UNKNOWN}", **facts)
            return
        free_wei = self.seen.money_wei - limits.reserve_wei - self.seen.fee_wei * self._acts
        limit = min(at_most, self.market.retail_tariff)
        facts |= {"limit": limit, "service_cost": self.market.service_cost}
        fitting = self._fitting(limit)
        if not fitting:
            cheapest = min((order.price for order in self._others()), default=None)
            facts |= {} if cheapest is None else {"cheapest": cheapest}
            self._leave("nothing is bought: no order is cheap enough, service cost included", **facts)
            return
        facts |= {"purse_wei": free_wei, "least_wh": limits.order_least_wh}
        purse = _Purse(free_wei, day_left_wei, self.seen.fee_wei)
        why_not = self._buy_from(fitting, min(short_wh, day_left_wh), purse, facts)
        if why_not:
            self._leave(f"nothing is bought: {why_not}", **facts)

    def _buy_from(self, fitting: Iterable[Order], wanted_wh: int, purse: _Purse, facts: dict[str, int]) -> str:
        """Buy from the cheapest on; returns why nothing is bought, or nothing."""
        least_wh, bought = self.limits.order_least_wh, False
        why_not = "other things come first, and an interval has its bounds"
        for order in fitting:
            if wanted_wh < least_wh or self._full:
                break
            affordable_wh = _affordable_wh(purse.budget_wei, order.price + self.market.service_cost)
            if affordable_wh < least_wh:  # the cheapest comes first: what is too dear here stays too dear
                why_not = purse.what_is_short
                break
            energy_wh = min(wanted_wh, order.energy_wh, self.limits.order_most_wh, affordable_wh)
            if energy_wh < least_wh:
                why_not = "what is cheap enough is less than the least amount of an order"
                continue
            cost_wei = cost_of(energy_wh, order.price, self.market.service_cost).total_wei
            act = Buy(order.seller, order.number, energy_wh, order.price, cost_wei)
            seen = facts | {"purse_wei": purse.wei, "day_left_wei": purse.day_wei}
            self.steps.append(Step(act, "consumption that own tokens do not cover, from the cheapest order", seen))
            purse.pay(cost_wei)
            wanted_wh, bought = wanted_wh - energy_wh, True
        return "" if bought else why_not

    def _others(self) -> list[Order]:
        """Each open order of others once."""
        book = {(order.seller, order.number): order for order in self.seen.book or ()}
        return [order for order in book.values() if order.seller != self.seen.household and order.open_at(self.now)]

    def _rivals(self) -> list[Order]:
        """Orders that an asking price is set against: a watt-hour for a moment would else set everybody's."""
        return [
            order
            for order in self._others()
            if order.energy_wh >= self.limits.order_least_wh and order.expires_at >= self.now + SETTLES_S
        ]

    def _fitting(self, limit: int) -> list[Order]:
        """Orders within the tariff band and the limit that stand long enough, the cheapest first."""
        market = self.market
        fitting = [
            order
            for order in self._others()
            if market.feed_in_tariff <= order.price <= market.retail_tariff
            and order.price + market.service_cost <= limit
            and order.expires_at >= self.now + SETTLES_S
        ]
        return sorted(fitting, key=lambda order: (order.price, order.expires_at, order.seller, order.number))


def _asked(floor: int, ceiling: int, others: Iterable[Order]) -> tuple[int, int | None]:
    """The price to ask, and the cheapest order that it was set against; wei for each kWh."""
    cheapest = min((order.price for order in others), default=None)
    top = ceiling if cheapest is None else min(ceiling, cheapest)
    return floor + max(0, top - floor) // 2, cheapest


def _affordable_wh(budget_wei: int, wei_per_kwh: int) -> int:
    """Energy that costs no more than the budget, whichever way its two parts are rounded up, Wh."""
    if budget_wei <= 0:
        return 0
    # Each part is rounded up by less than a wei and their sum is whole: at most one wei above the exact price.
    return MOST_ENERGY_WH if wei_per_kwh <= 0 else (budget_wei - 1) * WH_PER_KWH // wei_per_kwh
