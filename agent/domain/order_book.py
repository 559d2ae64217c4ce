"""The order book: which orders are open, worked out from the contract's events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agent.domain.market_events import Cancelled, MarketEvent, Offered, Traded
from agent.domain.order_rules import LONGEST_EXPIRY_S
from agent.domain.orders import Order

# No order lives longer than that; a reader looks back a week more, in which a seller takes back what nobody can
# buy any more.
LOOK_BACK_S = LONGEST_EXPIRY_S + 7 * 24 * 3600


class OrderBook:
    """What is left of each order, kept up to date event by event.

    The events may begin anywhere: a trade or a cancellation of an order that was offered before them changes nothing.
    Feeding an event twice, or an older one after a newer, does no harm either: each place in the chain counts once and
    only forward.
    """

    def __init__(self) -> None:
        # In the order in which they were offered.
        self._left: dict[tuple[str, int], Order] = {}
        self._last: tuple[int, int] | None = None

    def feed(self, events: Iterable[MarketEvent]) -> None:
        """Take in events, in the chain's order; those that are no order's change nothing."""
        for event in events:
            place = event.place.block, event.place.log_index
            if self._last is not None and place <= self._last:
                continue
            self._last = place
            match event:
                case Offered(order=order):
                    # A number is never used twice; should a node say so, the later order stands, at the end.
                    self._left.pop((order.seller, order.number), None)
                    self._left[order.seller, order.number] = order
                case Traded(trade=trade):
                    self._take(trade.seller, trade.number, trade.energy_wh)
                case Cancelled(seller=seller, number=number):
                    self._left.pop((seller, number), None)
                case _:
                    pass

    def _take(self, seller: str, number: int, energy_wh: int) -> None:
        order = self._left.get((seller, number))
        if order is None:
            return
        if (left := order.energy_wh - energy_wh) > 0:
            self._left[seller, number] = replace(order, energy_wh=left)
        else:
            del self._left[seller, number]

    def copy(self) -> OrderBook:
        """A book that goes its own way from here."""
        other = OrderBook()
        other._left, other._last = dict(self._left), self._last
        return other

    def open_at(self, now: int) -> list[Order]:
        """Orders that can be bought from at ``now``, UTC epoch seconds; the cheapest first, then the longest waiting.

        Each order's ``energy_wh`` is what is left of it.
        """
        return sorted((order for order in self._left.values() if order.open_at(now)), key=lambda order: order.price)

    def unfinished(self) -> list[Order]:
        """Orders with something left, the expired ones too, in the chain's order."""
        return list(self._left.values())


def open_orders(events: Iterable[MarketEvent], now: int) -> list[Order]:
    """The orders that can be bought from at ``now``, cheapest first.

    Args:
        events: in the chain's order, from before the oldest order that may still be open.
        now: UTC epoch seconds.
    """
    book = OrderBook()
    book.feed(events)
    return book.open_at(now)
