"""Gas of orders and trades: what a household's offer, purchase, cancellation and redemption use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulators.bench.figures import Figure
from simulators.bench.market import SERVICE_COST, GasMarket, House

TRADE_LIMIT: Final = 120_000
"""For offering an order and concluding all of it, together."""

_PLACE: Final = 5
_PLACES: Final = 256
_ENERGY_WH: Final = 131
_PART_WH: Final = 67
_PRICE: Final = 123_456_789_012_345_678
"""Wei for each kWh; no byte of it is 0."""
_LASTS_S: Final = 86_400
_WH_PER_KWH: Final = 1_000


class Trader:
    """A seller and a buyer who have traded before: their slots and the order's place have been written.

    Args:
        market: Where they trade.
        seller: Has at least 300 Wh.
        buyer: Has consumed at least 100 Wh since its enrolment.

    Raises:
        BenchError: A transaction reverted.
    """

    def __init__(self, market: GasMarket, seller: House, buyer: House) -> None:
        self._market = market
        self._seller = seller
        self._buyer = buyer
        self._number = _PLACES + _PLACE
        self.first_offer_gas = self._offer()
        self._buy(_ENERGY_WH)

    def figures(self, measured: Callable[[Callable[[], int]], int]) -> list[Figure]:
        """What each function uses.

        Args:
            measured: Runs something, takes it back and gives the gas that it said.
        """
        offered, whole = measured(self._offer), measured(lambda: self._after_offer(self._buy, _ENERGY_WH))
        part = measured(lambda: self._after_offer(self._buy, _PART_WH))
        surplus = measured(lambda: self._after_offer(self._buy, _ENERGY_WH, 1))
        return [
            Figure("offer", offered, "gas", remark="steady state: its place was used before"),
            Figure("offer in a new place", self.first_offer_gas, "gas", remark="256 times in a seller's life"),
            Figure("buy, whole order", whole, "gas", remark="steady state; exact money"),
            Figure("offer and buy, whole order", offered + whole, "gas", TRADE_LIMIT, "steady state; exact money"),
            Figure("buy, part of an order", part, "gas", remark="exact money"),
            Figure("buy, surplus returned", surplus, "gas", remark="whole order"),
            Figure("cancel", measured(lambda: self._after_offer(self._cancel)), "gas", remark="whole order"),
            Figure("redeem", measured(self._redeem), "gas", remark="steady state"),
        ]

    def _after_offer(self, act: Callable[..., int], *arguments: int) -> int:
        self._offer()
        return act(*arguments)

    def _offer(self) -> int:
        self._number += _PLACES
        expires_at = self._market.now + _LASTS_S
        return self._market.transact(self._seller.account, "offer", self._number, _ENERGY_WH, _PRICE, expires_at)

    def _buy(self, energy_wh: int, surplus_wei: int = 0) -> int:
        price, service = (-(-energy_wh * each // _WH_PER_KWH) for each in (_PRICE, SERVICE_COST))
        return self._market.transact(
            self._buyer.account,
            "buy",
            self._seller.address,
            self._number,
            energy_wh,
            _PRICE,
            value=price + service + surplus_wei,
        )

    def _cancel(self) -> int:
        return self._market.transact(self._seller.account, "cancel", self._number)

    def _redeem(self) -> int:
        return self._market.transact(self._buyer.account, "redeem", _PART_WH)
