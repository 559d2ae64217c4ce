"""The order book against a plain list of everything that happened."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.market_events import Cancelled, MarketEvent, Offered, Redeemed, TariffSet, Traded
from agent.domain.order_book import OrderBook, open_orders
from agent.domain.orders import Order, Trade
from tests.fakes.logs import ACCOUNTS, place

A, B, C = ACCOUNTS[:3]


def offered(  # noqa: PLR0917 - an order's terms, in their order
    block: int, seller: str, number: int, wh: int, price: int = 10, expires_at: int = 5000
) -> Offered:
    return Offered(place(block), Order(seller, number, wh, price, expires_at))


def traded(block: int, seller: str, number: int, wh: int) -> Traded:
    at = place(block)
    return Traded(at, Trade(block, seller, C, number, wh, 1, 0, at.at))


def names(orders: list[Order]) -> list[tuple[str, int, int]]:
    return [(order.seller, order.number, order.energy_wh) for order in orders]


def test_the_cheapest_comes_first_then_the_one_that_waits_longest() -> None:
    events = [offered(1, A, 1, 100, 12), offered(2, B, 1, 100, 11), offered(3, A, 2, 100, 11)]
    assert names(open_orders(events, 2000)) == [(B, 1, 100), (A, 2, 100), (A, 1, 100)]


def test_a_trade_leaves_the_rest_and_the_last_one_nothing() -> None:
    events: list[MarketEvent] = [offered(1, A, 1, 100), traded(2, A, 1, 60)]
    assert names(open_orders(events, 2000)) == [(A, 1, 40)]
    assert open_orders([*events, traded(3, A, 1, 40)], 2000) == []


def test_a_number_that_a_node_says_was_used_again_is_the_later_order() -> None:
    book = OrderBook()
    book.feed([offered(1, A, 1, 100), offered(2, A, 2, 50), offered(3, A, 1, 70)])
    assert names(book.unfinished()) == [(A, 2, 50), (A, 1, 70)]


def test_an_order_ends_with_its_time_but_its_energy_is_still_in_escrow() -> None:
    book = OrderBook()
    book.feed([offered(1, A, 1, 100, expires_at=2000)])
    assert len(book.open_at(1999)) == 1
    assert book.open_at(2000) == []
    assert names(book.unfinished()) == [(A, 1, 100)]
    book.feed([Cancelled(place(9), A, 1, 100)])
    assert book.unfinished() == []


def test_what_concerns_an_order_from_before_the_first_event_changes_nothing() -> None:
    events = [traded(1, A, 1, 60), Cancelled(place(2), B, 3, 10), Redeemed(place(3), A, 5), TariffSet(place(4), 1, 2)]
    assert open_orders(events, 2000) == []


@dataclass
class Model:
    """Every order ever offered, with what is left; a walk over all that happened."""

    orders: list[tuple[int, Order, list[int]]]

    def open_at(self, now: int) -> list[tuple[str, int, int]]:
        live = [
            (order.price, block, (order.seller, order.number, left[0]))
            for block, order, left in self.orders
            if left[0] > 0 and now < order.expires_at
        ]
        return [found for _, _, found in sorted(live)]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[MarketEvent], Model]:
    """What a contract would let happen: nothing is taken from an order that has not so much left."""
    model = Model([])
    history: list[MarketEvent] = []
    numbers = dict.fromkeys(ACCOUNTS, 0)
    for block in range(1, draw(st.integers(1, 25)) + 1):
        kind = draw(st.sampled_from(["offer", "trade", "cancel"]))
        live = [(order, left) for _, order, left in model.orders if left[0] > 0]
        if kind == "offer" or not live:
            seller = draw(st.sampled_from(ACCOUNTS))
            numbers[seller] += draw(st.integers(1, 3))
            terms = (draw(st.integers(1, 50)), draw(st.integers(1, 3)), draw(st.integers(1000, 1050)))
            event = offered(block, seller, numbers[seller], *terms)
            model.orders.append((block, event.order, [event.order.energy_wh]))
            history.append(event)
            continue
        order, left = draw(st.sampled_from(live))
        if kind == "trade":
            wh = draw(st.integers(1, left[0]))
            left[0] -= wh
            history.append(traded(block, order.seller, order.number, wh))
        else:
            history.append(Cancelled(place(block), order.seller, order.number, left[0]))
            left[0] = 0
    return history, model


@given(histories(), st.integers(990, 1060))
def test_the_book_is_what_a_walk_over_everything_finds(story: tuple[list[MarketEvent], Model], now: int) -> None:
    history, model = story
    assert names(open_orders(history, now)) == model.open_at(now)


@given(histories(), st.data())
def test_feeding_in_pieces_and_again_changes_nothing(
    story: tuple[list[MarketEvent], Model], draw: st.DataObject
) -> None:
    history, _ = story
    book, whole = OrderBook(), OrderBook()
    whole.feed(history)
    cut = draw.draw(st.integers(0, len(history)))
    book.feed(history[:cut])
    book.feed(history[draw.draw(st.integers(0, cut)) :])
    assert book.open_at(1000) == whole.open_at(1000)
    assert book.unfinished() == whole.unfinished()


@given(histories())
def test_energy_is_neither_made_nor_lost(story: tuple[list[MarketEvent], Model]) -> None:
    history, _ = story
    book = OrderBook()
    book.feed(history)
    put_in = sum(event.order.energy_wh for event in history if isinstance(event, Offered))
    taken = sum(event.trade.energy_wh for event in history if isinstance(event, Traded))
    returned = sum(event.energy_wh for event in history if isinstance(event, Cancelled))
    assert sum(order.energy_wh for order in book.unfinished()) == put_in - taken - returned
    assert all(order.energy_wh > 0 for order in book.unfinished())
