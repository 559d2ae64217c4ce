"""Orders and trades: a household's offer of energy, and the purchase of all or part of one.

The paper's Table 8 names a trade's fields: ``P_PublicKey`` (seller), ``C_PublicKey`` (buyer), ``Token`` (price),
``Amount`` (energy), ``ServiceCost``, ``ContractID`` (the trade's id) and ``Time``.
"""

from __future__ import annotations

from dataclasses import dataclass

WH_PER_KWH = 1_000
# The contract's widths: uint40 for a number and for energy, uint80 for a price, uint32 for a time.
MOST_NUMBER = (1 << 40) - 1
MOST_ENERGY_WH = (1 << 40) - 1
MOST_PRICE = (1 << 80) - 1
MOST_TIME = (1 << 32) - 1
# A seller has so many places, and an order lies in the place that its number names, modulo.
PLACES = 256


@dataclass(frozen=True, slots=True)
class Order:
    """A seller's offer of energy.

    Attributes:
        seller: the household that offers, checksummed.
        number: the seller's own, rising; seller and number name the order.
        energy_wh: what is left of it, Wh; 0 when nothing is.
        price: wei for each kWh.
        expires_at: UTC epoch seconds from which on nobody can buy.
    """

    seller: str
    number: int
    energy_wh: int
    price: int
    expires_at: int

    def open_at(self, now: int) -> bool:
        """Whether it can be bought from at ``now``, UTC epoch seconds."""
        return self.energy_wh > 0 and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Trade:
    """A concluded purchase of all or part of an order: the paper's Table 8, and the order that it was of.

    Attributes:
        id: the contract's number for it, from 1.
        seller: account that was paid, checksummed.
        buyer: account that received the energy, checksummed.
        number: the seller's order.
        energy_wh: Wh bought.
        price_wei: wei that the seller received, for all of it.
        service_cost_wei: wei that the distribution company received, for all of it.
        at: when, UTC epoch seconds, as the block says.
    """

    id: int
    seller: str
    buyer: str
    number: int
    energy_wh: int
    price_wei: int
    service_cost_wei: int
    at: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a purchase costs, wei."""

    price_wei: int
    service_cost_wei: int

    @property
    def total_wei(self) -> int:
        """What the buyer pays, fee for the transaction not included."""
        return self.price_wei + self.service_cost_wei


def money_for(energy_wh: int, wei_per_kwh: int) -> int:
    """What energy costs at a price, wei; a fraction is rounded up, as the contract does.

    Args:
        energy_wh: Wh.
        wei_per_kwh: wei for each kWh.
    """
    return -(-energy_wh * wei_per_kwh // WH_PER_KWH)


def cost_of(energy_wh: int, price: int, service_cost: int) -> Cost:
    """What buying energy costs.

    Args:
        energy_wh: Wh.
        price: the order's, wei for each kWh.
        service_cost: the market's, wei for each kWh.
    """
    return Cost(money_for(energy_wh, price), money_for(energy_wh, service_cost))
