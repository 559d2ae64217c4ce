"""How much of what the household's ledger holds is proven, and how much is only what enough full nodes say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agent.domain.invoices import Invoice
from agent.domain.market_events import Cancelled, MarketEvent, Offered, Place, ReadingBooked, Traded
from agent.domain.orders import PLACES


@dataclass(frozen=True, slots=True)
class Attested:
    """How far the ledger is proven.

    Attributes:
        told: events that are not proven: only what enough full nodes say. Readings are none of them, since the
            household's slot proves them all at once.
        sales_to: number of the block up to which every sale of the household's orders is there, by what the contract is
            proven to hold of them; None where that was never shown.
        wrong: what is proven to be otherwise and was not found yet, in words; empty in good order.
    """

    told: frozenset[Place]
    sales_to: int | None
    wrong: str

    def of(self, invoice: Invoice) -> Attested:
        """The same of an invoice alone: which of the events that it is made of are not proven."""
        named = {point.place for entry in invoice.registers for point in (entry.opening, entry.closing)}
        named |= {place for line in invoice.redemptions for place in (line.place, line.tariff)}
        named |= {line.place for line in (*invoice.sold, *invoice.bought)}
        named |= {line.tariff for line in invoice.consumption}
        return replace(self, told=self.told & named)


@dataclass(frozen=True, slots=True)
class ProvenBlock:
    """All that a block says of the household and of prices, proven.

    Attributes:
        block: its number.
        block_hash: its hash, ``0x`` hex.
        events: in their order.
    """

    block: int
    block_hash: str
    events: tuple[MarketEvent, ...]

    @property
    def receipts(self) -> tuple[MarketEvent, ...]:
        """The events that are proven by their receipts alone: all but readings."""
        return tuple(event for event in self.events if not isinstance(event, ReadingBooked))


@dataclass(frozen=True, slots=True)
class OrderWord:
    """What the market keeps in one of a seller's places.

    Attributes:
        number: of the newest order there; 0 if there never was one.
        left_wh: what is left of it, Wh; 0 when it is over.
    """

    number: int
    left_wh: int


@dataclass(frozen=True, slots=True)
class ProvenOrders:
    """What the market keeps of some of the household's orders, proven.

    Attributes:
        block: number of the block after which it was so.
        block_hash: its hash, ``0x`` hex.
        words: by the orders' numbers; orders that share a place have one word.
    """

    block: int
    block_hash: str
    words: Mapping[int, OrderWord]

    def left_wh(self, number: int) -> int | None:
        """What is left of an order, Wh; None where the market does not know it.

        A place takes the next order only when nothing is left of the one before.
        """
        word = self.words[number]
        if word.number > number and word.number % PLACES == number % PLACES:
            return 0
        return word.left_wh if word.number == number else None


@dataclass(frozen=True, slots=True)
class Kept:
    """What the ledger says of one of the household's orders.

    Attributes:
        place: the event by which it was put in.
        number: the order's.
        left_wh: what is left of it, Wh; negative where more was sold than was offered.
        events: places of the events that say so, that one first.
    """

    place: Place
    number: int
    left_wh: int
    events: tuple[Place, ...]


def own_orders(events: Iterable[MarketEvent], seller: str) -> dict[int, Kept]:
    """What the ledger says of a seller's orders, by their numbers.

    Args:
        events: the ledger's, in the chain's order; sales of an order that was put in before them are passed over.
        seller: the household, checksummed.
    """
    found: dict[int, Kept] = {}
    for event in events:
        match event:
            case Offered(place=place, order=order) if order.seller == seller:
                found[order.number] = Kept(place, order.number, order.energy_wh, (place,))
            case Cancelled(place=place) if event.seller == seller:
                _take(found, event.number, event.energy_wh, place)
            case Traded(place=place, trade=trade) if trade.seller == seller:
                _take(found, trade.number, trade.energy_wh, place)
            case _:
                pass
    return found


def _take(found: dict[int, Kept], number: int, energy_wh: int, place: Place) -> None:
    if (kept := found.get(number)) is not None:
        found[number] = replace(kept, left_wh=kept.left_wh - energy_wh, events=(*kept.events, place))
