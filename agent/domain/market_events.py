"""What the contract says has happened: its events, each with its place in the chain.

A household follows those that name its own account, and the few that concern everybody (tariff, service cost). An
invoice is a function of them, so that the operator and the household work out the same figure.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.market import Head
from agent.domain.orders import Order, Trade
from agent.domain.readings import Reading
from agent.domain.samples import MeterRole


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stands in the chain; places are in the chain's order.

    Attributes:
        block: the block's number.
        log_index: the event's index in the block.
        tx_hash: of the transaction that made it, ``0x`` hex.
        at: the block's time, UTC epoch seconds.
    """

    block: int
    log_index: int
    tx_hash: str
    at: int


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The registration office enrolled a household, from these registers on.

    ``area_hash`` is the keccak-256 of the area's name, ``0x`` hex, as the contract has it; None where nobody asked.
    """

    place: Place
    household: str
    taken_at: int
    produced_wh: int
    consumed_wh: int
    rated_power_w: int
    area_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ReadingBooked:
    """The contract booked a reading."""

    place: Place
    reading: Reading


@dataclass(frozen=True, slots=True)
class MeterReplaced:
    """A meter was replaced, or its register began anew: the old one is booked up to ``closing_wh``."""

    place: Place
    household: str
    meter: MeterRole
    closing_wh: int
    opening_wh: int
    epoch: int
    taken_at: int


@dataclass(frozen=True, slots=True)
class Offered:
    """A seller put an order in; its energy is in escrow."""

    place: Place
    order: Order


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A seller took an order back, or an expired one's energy returned."""

    place: Place
    seller: str
    number: int
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Traded:
    """A purchase was concluded."""

    place: Place
    trade: Trade


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A household burned tokens against its own consumption."""

    place: Place
    household: str
    energy_wh: int


@dataclass(frozen=True, slots=True)
class TariffSet:
    """The band in which trades make sense, from here on; wei for each kWh."""

    place: Place
    feed_in: int
    retail: int


@dataclass(frozen=True, slots=True)
class ServiceCostSet:
    """What carrying a kWh costs from here on, wei."""

    place: Place
    service_cost: int


MarketEvent = (
    Enrolled | ReadingBooked | MeterReplaced | Offered | Cancelled | Traded | Redeemed | TariffSet | ServiceCostSet
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in a range of blocks.

    Attributes:
        before: hash of the block before the first, ``0x`` hex; empty where the first is block 0. It tells whether this
            range goes on where another ended.
        last: the range's last block.
        events: those that were asked for, in the chain's order.
    """

    before: str
    last: Head
    events: tuple[MarketEvent, ...]


PARAMETERS: frozenset[type] = frozenset({TariffSet, ServiceCostSet})
"""What concerns everybody and names no account."""
ORDERS: frozenset[type] = frozenset({Offered, Cancelled, Traded})
"""What the order book is made of."""
OWN: frozenset[type] = frozenset({Enrolled, ReadingBooked, MeterReplaced, Redeemed}) | ORDERS
"""What names an account."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for.

    Attributes:
        kinds: their types.
        account: only those that name it, as household, seller or buyer; None for everybody's. ``PARAMETERS`` name
            nobody and come either way.
    """

    kinds: frozenset[type]
    account: str | None = None

    @classmethod
    def of_household(cls, account: str) -> Wanted:
        """All that an account's ledger and invoice are made of: its own events and the parameters."""
        return cls(OWN | PARAMETERS, account)


def concerned(event: MarketEvent) -> tuple[str, ...]:
    """The accounts that an event names, checksummed; none for a parameter."""
    match event:
        case Enrolled() | MeterReplaced() | Redeemed():
            return (event.household,)
        case ReadingBooked():
            return (event.reading.household,)
        case Offered():
            return (event.order.seller,)
        case Cancelled():
            return (event.seller,)
        case Traded():
            return (event.trade.seller, event.trade.buyer)
        case TariffSet() | ServiceCostSet():
            return ()


def concluded(event: Traded, account: str) -> dict[str, object]:
    """What an account is told of a trade of its own.

    Args:
        event: the trade.
        account: its seller or buyer, checksummed.
    """
    trade = event.trade
    sold = trade.seller == account
    return {
        "tx_hash": event.place.tx_hash,
        "trade": trade.id,
        "side": "sold" if sold else "bought",
        "other": trade.buyer if sold else trade.seller,
        "order": trade.number,
        "energy_wh": trade.energy_wh,
        "price_wei": trade.price_wei,
        "service_cost_wei": trade.service_cost_wei,
        "at": trade.at,
    }
