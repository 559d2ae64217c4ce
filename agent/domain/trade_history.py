"""What the distribution agent supervises: the orders that are open now, and every trade that was concluded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.domain.market_events import Enrolled, MarketEvent, Traded
from agent.domain.order_book import OrderBook
from agent.domain.orders import Order


@dataclass(frozen=True, slots=True)
class Selection:
    """Which orders and trades are looked at.

    Attributes:
        household: only what it is in, as seller or buyer; None for all.
        first_at: trades from this time on, UTC epoch seconds.
        last_at: trades up to this time; None for no end.
        area: hash of an area's name: only what a household of it is in; None for all.
    """

    household: str | None = None
    first_at: int = 0
    last_at: int | None = None
    area: str | None = None


@dataclass(frozen=True, slots=True)
class Supervision:
    """What there is to see.

    Attributes:
        orders: open at the time that was asked about, cheapest first; each with what is left of it.
        trades: concluded, in the chain's order, each with its place.
    """

    orders: tuple[Order, ...]
    trades: tuple[Traded, ...]


def supervise(events: Sequence[MarketEvent], selection: Selection, now: int) -> Supervision:
    """Open orders and the history of trades.

    Args:
        events: every order's from the market's beginning on, and for an area every enrolment, in the chain's order.
        selection: which.
        now: the newest block's time, UTC epoch seconds.
    """
    members = None if selection.area is None else _members(events, selection.area)

    def chosen(*accounts: str) -> bool:
        ours = selection.household is None or selection.household in accounts
        return ours and (members is None or any(account in members for account in accounts))

    book = OrderBook()
    book.feed(events)
    trades = (event for event in events if isinstance(event, Traded))
    last_at = now if selection.last_at is None else selection.last_at
    return Supervision(
        orders=tuple(order for order in book.open_at(now) if chosen(order.seller)),
        trades=tuple(
            event
            for event in trades
            if selection.first_at <= event.trade.at <= last_at and chosen(event.trade.seller, event.trade.buyer)
        ),
    )


def _members(events: Iterable[MarketEvent], area: str) -> frozenset[str]:
    return frozenset(event.household for event in events if isinstance(event, Enrolled) and event.area_hash == area)
