"""Judgements on what a household asks of the market, made before anything is signed. Pure.

Each raises ``BadRequest`` with what was wrong and what would be right, or ``NotYet`` where the same request may be
right later. The contract has the last word; these are here so that a person hears it at once, in words, and for free.

What lies in the outbox and is not mined yet counts as spent: the contract does not know of it. What it will bring
(energy bought, an order taken back) does not count as held, since it may still be refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.domain.amounts import told_kwh, told_money, told_price
from agent.domain.errors import BadRequest, NotYet
from agent.domain.market import HouseholdState, Parameters, Settlement
from agent.domain.market_calls import BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.orders import MOST_ENERGY_WH, MOST_PRICE, Order
from agent.domain.outbox import Entry

SHORTEST_EXPIRY_S = 60
LONGEST_EXPIRY_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Means:
    """What the household has at the newest block.

    Attributes:
        tokens_wh: energy tokens, Wh.
        redeemable_wh: consumption that no token was burned against yet, Wh.
        money_wei: the account's balance.
    """

    tokens_wh: int
    redeemable_wh: int
    money_wei: int


@dataclass(frozen=True, slots=True)
class Pledged:
    """What of it the outbox has spoken for already.

    Attributes:
        tokens_wh: offered or redeemed.
        redeemed_wh: redeemed.
        money_wei: sent along or paid for gas, at most.
        calls: what was asked for.
    """

    tokens_wh: int = 0
    redeemed_wh: int = 0
    money_wei: int = 0
    calls: tuple[MarketCall, ...] = ()

    def __add__(self, other: Pledged) -> Pledged:
        """Both together."""
        return Pledged(
            self.tokens_wh + other.tokens_wh,
            self.redeemed_wh + other.redeemed_wh,
            self.money_wei + other.money_wei,
            self.calls + other.calls,
        )

    def bought_wh(self, seller: str, number: int) -> int:
        """How much of an order we are buying already, Wh."""
        return sum(
            call.energy_wh
            for call in self.calls
            if isinstance(call, BuyCall) and (call.seller, call.number) == (seller, number)
        )

    def cancels(self, number: int) -> bool:
        """Whether an order of our own is being taken back already."""
        return any(isinstance(call, CancelCall) and call.number == number for call in self.calls)

    def offers(self, number: int) -> bool:
        """Whether a number is given to an order that is not mined yet."""
        return any(isinstance(call, OfferCall) and call.number == number for call in self.calls)

    @property
    def last_number(self) -> int:
        """The highest number that these give to an order; 0 if none does."""
        return max((call.number for call in self.calls if isinstance(call, OfferCall)), default=0)


def most_cost(entry: Entry, max_fee: int) -> int:
    """The most that an entry takes from the account, wei.

    Args:
        entry: from the outbox.
        max_fee: what it would offer for a unit of gas if it is not signed yet, wei.
    """
    offered = entry.attempts[-1].fee.max_fee if entry.attempts else max_fee
    return entry.gas * offered + entry.value


def pledged(entries: Iterable[tuple[Entry, MarketCall | None]], max_fee: int) -> Pledged:
    """What entries have spoken for.

    Args:
        entries: from the outbox, each with what it asks of the market; None for readings and the like.
        max_fee: what is offered for a unit of gas now, wei.
    """
    total = Pledged()
    for entry, call in entries:
        tokens = call.energy_wh if isinstance(call, OfferCall | RedeemCall) else 0
        redeemed = call.energy_wh if isinstance(call, RedeemCall) else 0
        total += Pledged(tokens, redeemed, most_cost(entry, max_fee), () if call is None else (call,))
    return total


def check_household(call: MarketCall, state: HouseholdState, parameters: Parameters) -> None:
    """Whether the contract takes such a call from this household now; one that is suspended may take an order back.

    Raises:
        NotYet: it does not.
    """
    if not state.enrolled:
        raise NotYet("the registration office has not enrolled this household; run: prosumer-agent enrol")
    if not state.active and not isinstance(call, CancelCall):
        raise NotYet("the registration office has suspended this household; ask there")
    if parameters.paused:
        raise NotYet("the distribution agent has paused the market; try again when it is open")


def check_amount(energy_wh: int) -> None:
    """Whether it is an amount at all.

    Raises:
        BadRequest: it is nothing, or more than the contract can count.
    """
    if not 0 < energy_wh <= MOST_ENERGY_WH:
        raise BadRequest(f"energy is {told_kwh(energy_wh)}; from 0.001 kWh to {told_kwh(MOST_ENERGY_WH)} is right")


def check_price(price: int, parameters: Parameters, unit: Settlement) -> None:
    """Whether a seller may ask for this price, wei for each kWh.

    Raises:
        BadRequest: it is outside the tariff band.
    """
    low, high = parameters.feed_in_tariff, min(parameters.retail_tariff, MOST_PRICE)
    if not low <= price <= high:
        raise BadRequest(
            f"the price is {told_price(price, unit)}; between {told_price(low, unit)} (feed-in tariff) and"
            f" {told_price(high, unit)} (retail tariff) is right"
        )


def check_expiry(expires_at: int, now: int) -> None:
    """Whether an order may end then, both UTC epoch seconds.

    Raises:
        BadRequest: it is over, about to be, or too far away.
    """
    if not SHORTEST_EXPIRY_S <= expires_at - now <= LONGEST_EXPIRY_S:
        raise BadRequest(
            f"the order would end {expires_at - now} s from now; {SHORTEST_EXPIRY_S} s to"
            f" {LONGEST_EXPIRY_S // 86_400} days is right"
        )


def check_order(order: Order, buyer: str, energy_wh: int, now: int, being_bought_wh: int) -> None:
    """Whether so much of an order can be bought.

    Args:
        order: as the contract has it.
        buyer: checksummed.
        energy_wh: Wh.
        now: UTC epoch seconds.
        being_bought_wh: what of it we are buying already, Wh.

    Raises:
        BadRequest: it is our own, gone, over, or has less left.
    """
    name = f"order {order.seller}/{order.number}"
    if order.seller == buyer:
        raise BadRequest(f"{name} is your own; take it back with: prosumer-agent sell --cancel {order.number}")
    if order.energy_wh == 0:
        raise BadRequest(f"{name} does not exist, is sold or was taken back; see: prosumer-agent orders")
    if not order.open_at(now):
        raise BadRequest(f"{name} ended {now - order.expires_at} s ago; see: prosumer-agent orders")
    left = order.energy_wh - being_bought_wh
    if energy_wh > left:
        queued = f", {told_kwh(being_bought_wh)} of it being bought by you already" if being_bought_wh else ""
        raise BadRequest(f"{name} has {told_kwh(order.energy_wh)} left{queued}; {told_kwh(left)} or less is right")


def check_same_price(order: Order, shown: int | None, most: int | None, unit: Settlement) -> None:
    """Whether an order still costs what was shown, and no more than what is wanted; wei for each kWh, None for any.

    Raises:
        BadRequest: it does not.
    """
    name = f"order {order.seller}/{order.number}"
    if shown is not None and order.price != shown:
        raise BadRequest(
            f"{name} costs {told_price(order.price, unit)} now, and {told_price(shown, unit)} was shown; look again"
        )
    if most is not None and order.price > most:
        raise BadRequest(
            f"{name} costs {told_price(order.price, unit)}, more than your {told_price(most, unit)};"
            " see: prosumer-agent orders"
        )


def check_means(call: MarketCall, cost_wei: int, means: Means, spoken: Pledged, unit: Settlement) -> None:
    """Whether the household has what a call takes, beside all that it has pledged.

    Args:
        call: what is asked.
        cost_wei: what it takes from the account at most, fee included.
        means: what the household has.
        spoken: what is pledged already.
        unit: what money is called.

    Raises:
        BadRequest: it has not, or the outbox holds the same already.
    """
    if isinstance(call, CancelCall) and spoken.cancels(call.number):
        raise BadRequest(f"order {call.number} is being taken back already; see: prosumer-agent orders --mine")
    if isinstance(call, OfferCall | RedeemCall):
        free = means.tokens_wh - spoken.tokens_wh
        if call.energy_wh > free:
            raise BadRequest(
                f"{told_kwh(call.energy_wh)} is asked for, and {_held(means.tokens_wh, spoken.tokens_wh)};"
                f" {told_kwh(max(0, free))} or less is right"
            )
    if isinstance(call, RedeemCall):
        free = means.redeemable_wh - spoken.redeemed_wh
        if call.energy_wh > free:
            raise BadRequest(
                f"{told_kwh(call.energy_wh)} is asked for, and {told_kwh(max(0, free))} of your consumption can still"
                " be redeemed; readings that are mined raise it"
            )
    free = means.money_wei - spoken.money_wei
    if cost_wei > free:
        queued = (
            f", {told_money(spoken.money_wei, unit)} of it for what waits in the outbox" if spoken.money_wei else ""
        )
        raise BadRequest(
            f"this may cost {told_money(cost_wei, unit)} with its fee, and the account holds"
            f" {told_money(means.money_wei, unit)}{queued}; send funds, or ask for less"
        )


def _held(tokens_wh: int, pledged_wh: int) -> str:
    queued = f", {told_kwh(pledged_wh)} of it on its way already" if pledged_wh else ""
    return f"the household holds {told_kwh(tokens_wh)}{queued}"
