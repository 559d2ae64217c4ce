"""What a household asks of the market by hand or by rule: one class for each call of the contract."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.fees import BUY_GAS, CANCEL_GAS, OFFER_GAS, REDEEM_GAS
from agent.domain.outbox import Kind


@dataclass(frozen=True, slots=True)
class OfferCall:
    """Put an order in, its energy into escrow.

    Attributes:
        number: the household's own, rising.
        energy_wh: Wh.
        price: wei for each kWh.
        expires_at: UTC epoch seconds.
    """

    number: int
    energy_wh: int
    price: int
    expires_at: int

    @property
    def kind(self) -> Kind:
        """Of the outbox entry that carries it."""
        return Kind.OFFER


@dataclass(frozen=True, slots=True)
class CancelCall:
    """Take an order of one's own back."""

    number: int

    @property
    def kind(self) -> Kind:
        """Of the outbox entry that carries it."""
        return Kind.CANCEL


@dataclass(frozen=True, slots=True)
class BuyCall:
    """Buy all or part of another's order; the price pins its terms.

    Attributes:
        seller: checksummed.
        number: the seller's.
        energy_wh: Wh.
        price: wei for each kWh.
    """

    seller: str
    number: int
    energy_wh: int
    price: int

    @property
    def kind(self) -> Kind:
        """Of the outbox entry that carries it."""
        return Kind.BUY


@dataclass(frozen=True, slots=True)
class RedeemCall:
    """Burn tokens against the household's own consumption, Wh."""

    energy_wh: int

    @property
    def kind(self) -> Kind:
        """Of the outbox entry that carries it."""
        return Kind.REDEEM


MarketCall = OfferCall | CancelCall | BuyCall | RedeemCall

# Gas limits by kind of entry.
MARKET_GAS = {Kind.OFFER: OFFER_GAS, Kind.CANCEL: CANCEL_GAS, Kind.BUY: BUY_GAS, Kind.REDEEM: REDEEM_GAS}
