"""What the distribution agent supervises: open orders and the history, as they were asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.market_events import Enrolled, MarketEvent, Offered, Traded
from agent.domain.orders import Order, Trade
from agent.domain.trade_history import Selection, Supervision, supervise
from tests.fakes.logs import ACCOUNTS, place

A, B, C, D = ACCOUNTS
NORTH, SOUTH = "0x" + "01" * 32, "0x" + "02" * 32
NOW = 5000


def enrolled(block: int, account: str, area: str) -> Enrolled:
    return Enrolled(place(block), account, 1, 2, 3, 4, area_hash=area)


def offered(block: int, seller: str, number: int, price: int = 5) -> Offered:
    return Offered(place(block), Order(seller, number, 100, price, 9000))


def traded(block: int, seller: str, buyer: str, wh: int = 40) -> Traded:
    at = place(block)
    return Traded(at, Trade(block, seller, buyer, 1, wh, 200, 10, at.at))


STORY: list[MarketEvent] = [
    enrolled(1, A, NORTH),
    enrolled(2, B, SOUTH),
    enrolled(3, C, SOUTH),
    offered(10, A, 1),
    offered(11, B, 1, price=4),
    traded(20, A, C),
    traded(30, B, C),
    traded(40, B, D, wh=60),
]


def ids(found: Supervision) -> list[int]:
    return [event.trade.id for event in found.trades]


def test_open_orders_are_what_is_left_and_the_history_is_everything() -> None:
    found = supervise(STORY, Selection(), NOW)
    assert [(order.seller, order.energy_wh) for order in found.orders] == [(A, 60)]
    assert ids(found) == [20, 30, 40]


def test_an_order_that_is_over_at_the_newest_block_is_not_open() -> None:
    assert supervise(STORY, Selection(), 9000).orders == ()


def test_a_households_part_is_what_it_sold_and_bought() -> None:
    assert ids(supervise(STORY, Selection(household=C), NOW)) == [20, 30]
    assert supervise(STORY, Selection(household=C), NOW).orders == ()
    assert len(supervise(STORY, Selection(household=A), NOW).orders) == 1


def test_both_ends_of_the_time_count() -> None:
    assert ids(supervise(STORY, Selection(first_at=1030, last_at=1040), NOW)) == [30, 40]
    assert ids(supervise(STORY, Selection(first_at=1031), NOW)) == [40]
    assert ids(supervise(STORY, Selection(last_at=1029), NOW)) == [20]


def test_an_areas_part_is_what_a_household_of_it_is_in() -> None:
    assert ids(supervise(STORY, Selection(area=NORTH), NOW)) == [20]
    assert ids(supervise(STORY, Selection(area=SOUTH), NOW)) == [20, 30, 40]
    assert ids(supervise(STORY, Selection(area="0x" + "03" * 32), NOW)) == []
    assert ids(supervise(STORY, Selection(area=SOUTH, household=A), NOW)) == [20]


@given(st.sampled_from([None, *ACCOUNTS]), st.integers(990, 1050), st.integers(990, 1050))
def test_what_is_chosen_is_part_of_the_whole(household: str | None, first_at: int, last_at: int) -> None:
    whole, part = (
        supervise(STORY, selection, NOW) for selection in (Selection(), Selection(household, first_at, last_at))
    )
    expected = [
        event
        for event in whole.trades
        if household in {None, event.trade.seller, event.trade.buyer} and first_at <= event.trade.at <= last_at
    ]
    assert list(part.trades) == expected
