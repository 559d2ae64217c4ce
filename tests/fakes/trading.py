"""The fake contract's orders: what the Solidity one checks of offer, cancel, buy and redeem, in the same order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from agent.domain.market import HouseholdState, Parameters, Settlement
from agent.domain.market_calls import BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.orders import PLACES, Order, cost_of

NEIGHBOUR = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
UNIT = Settlement("Toman", "TOM", 4)
_CALLS = {made.__name__: made for made in (OfferCall, CancelCall, BuyCall, RedeemCall)}

Refusal = tuple[str, dict[str, object]]


def encoded(call: MarketCall) -> bytes:
    return json.dumps({type(call).__name__: asdict(call)}).encode()


def understood(data: bytes) -> MarketCall | None:
    told = json.loads(data) if data else []
    return next((_CALLS[name](**fields) for name, fields in told.items()), None) if isinstance(told, dict) else None


@dataclass(frozen=True)
class Trading:
    """What the contract holds of orders, and what the household paid and burned.

    Attributes:
        orders: what is left of each, by seller and place.
        paid_wei: what left the household's account for energy.
        redeemed_wh: burned by the household.
        done: the household's calls that took effect, in order.
    """

    orders: Mapping[tuple[str, int], Order] = field(default_factory=dict)
    paid_wei: int = 0
    redeemed_wh: int = 0
    done: tuple[MarketCall, ...] = ()

    def order(self, seller: str, number: int) -> Order:
        found = self.orders.get((seller, number % PLACES))
        if found is None or found.number != number or not found.energy_wh:
            return Order(seller, number, 0, 0, 0)
        return found

    def standing(self) -> list[Order]:
        return [order for order in self.orders.values() if order.energy_wh]

    def put(self, order: Order) -> Trading:
        return replace(self, orders={**self.orders, (order.seller, order.number % PLACES): order})

    def taken(self, seller: str, number: int, energy_wh: int) -> Trading:
        order = self.order(seller, number)
        return self.put(replace(order, energy_wh=order.energy_wh - energy_wh))

    def after(
        self, call: MarketCall, sender: str, value: int, now: int, *, state: HouseholdState, market: Parameters
    ) -> tuple[Trading, HouseholdState] | Refusal:
        """What a call of the household leaves, or the name and facts of the error that it reverts with."""
        if market.paused:
            return "MarketPaused", {}
        wrong = self._wrong(call, sender, value, now, state=state, market=market)
        if wrong is not None:
            return wrong
        made = replace(self, done=(*self.done, call))
        match call:
            case OfferCall(number, energy_wh, price, expires_at):
                tokens = -energy_wh
                made = made.put(Order(sender, number, energy_wh, price, expires_at))
            case CancelCall(number):
                tokens = self.order(sender, number).energy_wh
                made = made.taken(sender, number, tokens)
            case BuyCall(seller, number, energy_wh, price):
                tokens = energy_wh
                paid = cost_of(energy_wh, price, market.service_cost).total_wei
                made = replace(made.taken(seller, number, energy_wh), paid_wei=self.paid_wei + paid)
            case RedeemCall(energy_wh):
                tokens = -energy_wh
                made = replace(made, redeemed_wh=self.redeemed_wh + energy_wh)
        return made, replace(state, tokens_wh=state.tokens_wh + tokens)

    def _wrong(
        self, call: MarketCall, sender: str, value: int, now: int, *, state: HouseholdState, market: Parameters
    ) -> Refusal | None:
        short: Refusal = ("ERC20InsufficientBalance", {"balance": state.tokens_wh})
        inactive: Refusal = ("HouseholdNotActive", {"household": sender})
        match call:
            case OfferCall(number, energy_wh, price, expires_at):
                place = self.orders.get((sender, number % PLACES))
                checks: list[tuple[bool, Refusal]] = [
                    (expires_at <= now, ("OrderExpired", {"number": number})),
                    (not market.feed_in_tariff <= price <= market.retail_tariff, ("PriceOutsideTariff", {})),
                    (place is not None and number <= place.number, ("NumberNotRising", {"got": number})),
                    (place is not None and place.energy_wh > 0, ("PlaceTaken", {"number": number})),
                    (not state.active, inactive),
                    (energy_wh > state.tokens_wh, short),
                ]
            case CancelCall(number):
                checks = [(not self.order(sender, number).energy_wh, ("OrderGone", {"number": number}))]
            case BuyCall(seller, number, energy_wh, price):
                order, cost = self.order(seller, number), cost_of(energy_wh, price, market.service_cost)
                checks = [
                    (seller == sender, ("OwnOrder", {"number": number})),
                    (not order.energy_wh, ("OrderGone", {"number": number})),
                    (order.expires_at <= now, ("OrderExpired", {"number": number})),
                    (order.price != price, ("PriceChanged", {"expectedWeiPerKWh": order.price})),
                    (order.energy_wh < energy_wh, ("NotEnoughLeft", {"leftWh": order.energy_wh})),
                    (not state.active, inactive),
                    (value < cost.total_wei, ("Underpaid", {"neededWei": cost.total_wei})),
                ]
            case RedeemCall(energy_wh):
                allowed = state.consumed_wh - self.redeemed_wh
                checks = [
                    (not state.active, inactive),
                    (energy_wh > allowed, ("ExceedsConsumption", {"allowedWh": allowed})),
                    (energy_wh > state.tokens_wh, short),
                ]
        return next((refusal for failed, refusal in checks if failed), None)
