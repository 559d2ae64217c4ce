"""The market's events as several nodes tell them: who is believed, in which pieces, and the order book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters import node_votes
from agent.adapters.market_logs import MarketLogs
from agent.adapters.node_events import MOST_BLOCKS, EventReader, NodeEvents, first_block_since, pieces
from agent.domain.attested import ProvenBlock
from agent.domain.errors import AnswerTooLong, NodesDisagree, NodeUnavailable
from agent.domain.market_events import Cancelled, MarketEvent, Offered, Redeemed, TariffSet, Traded, Wanted
from agent.domain.order_book import LOOK_BACK_S
from agent.domain.orders import Order, Trade
from contracts import load_artifact
from tests.fakes.logs import ACCOUNTS, MARKET, log_of, place, transfer_of
from tests.unit.node_script import House, ScriptedNode

LOGS = MarketLogs(load_artifact().abi, MARKET)
US, OTHER = ACCOUNTS[:2]
OURS = Wanted.of_household(US)
STORY: list[MarketEvent] = [
    TariffSet(place(10), 5, 9),
    Offered(place(20), Order(US, 1, 100, 7, 10**9)),
    Redeemed(place(30, 1), OTHER, 5),
    Traded(place(40), Trade(1, OTHER, US, 3, 50, 350, 0, 1040)),
    Redeemed(place(40, 2), US, 20),
]
OF_US = (STORY[0], STORY[1], STORY[3], STORY[4])


class Market(House):
    """Nodes that all tell the same story, and what is made of it."""

    def __init__(self, count: int, agreement: int, story: Sequence[MarketEvent] = STORY) -> None:
        super().__init__(count)
        for rpc in self.rpcs:
            rpc.logs = [log_of(event) for event in story]
        self.events = NodeEvents(self.pool, LOGS, agreement=agreement)

    def ours(self, first: int = 0, last: int = 100) -> tuple[MarketEvent, ...]:
        return tuple(self.events.events(OURS, first, last))


def test_an_accounts_events_come_in_the_chains_order_with_their_blocks_times() -> None:
    assert Market(2, 2).ours() == OF_US
    assert Market(2, 2).ours(21, 40) == OF_US[2:]


def test_a_stretch_names_the_block_before_it_and_its_last() -> None:
    market = Market(1, 1)
    stretch = market.events.stretch(OURS, 30, 50)
    assert (stretch.before, stretch.last.block_hash) == (market.rpcs[0].block_hash(29), market.rpcs[0].block_hash(50))
    assert market.events.stretch(OURS, 0, 50).before == ""


@pytest.mark.parametrize(
    "lie",
    [
        lambda rpc: rpc.logs.clear(),
        lambda rpc: rpc.logs.append(log_of(Redeemed(place(50), US, 1))),
        lambda rpc: rpc.logs.__setitem__(4, log_of(Redeemed(place(40, 2), US, 21))),
        lambda rpc: setattr(rpc, "fork", "bb"),
    ],
    ids=["hides", "invents", "changes", "is on another branch"],
)
def test_one_node_that_says_something_else_is_outvoted_by_two_and_stops_one(lie: Any) -> None:  # noqa: ANN401 - one of the above
    three, two = Market(3, 2), Market(2, 2)
    lie(three.rpcs[1])
    lie(two.rpcs[1])
    assert three.ours() == OF_US
    with pytest.raises(NodesDisagree, match="no 2 of 2 full nodes say the same"):
        two.ours()


def test_one_nodes_word_is_enough_only_where_the_configuration_says_so() -> None:
    assert Market(1, 1).ours() == OF_US
    with pytest.raises(NodeUnavailable, match="believed when 2"):
        Market(1, 2).ours()


def test_each_node_says_by_itself_what_it_has_and_one_that_is_left_is_enough() -> None:
    market = Market(3, 2)
    market.rpcs[1].logs.clear()
    said = dict(market.events.said(OURS, 0, 100))
    assert {name: stretch.events for name, stretch in said.items()} == {"n0": OF_US, "n1": (), "n2": OF_US}
    for name in ("n0", "n1"):
        market.pool.caught(name, "it lied", [])
    assert [name for name, _ in market.events.said(OURS, 0, 100)] == ["n2"]
    market.pool.caught("n2", "it lied", [])
    with pytest.raises(NodeUnavailable):
        market.events.said(OURS, 0, 100)


@pytest.mark.parametrize(
    "lie",
    [
        lambda rpc: rpc.logs.clear(),
        lambda rpc: rpc.logs.append(log_of(Redeemed(place(40, 5), US, 1))),
        lambda rpc: rpc.logs.__setitem__(4, log_of(Redeemed(place(40, 2), US, 21))),
    ],
    ids=["hides", "invents", "changes"],
)
def test_who_says_of_a_proven_block_what_it_disproves_is_caught_and_nobody_else(lie: Any) -> None:  # noqa: ANN401 - one of the above
    market = Market(3, 2)
    proven = ProvenBlock(40, market.rpcs[0].block_hash(40), (STORY[3], STORY[4]))
    market.events.expose(OURS, proven)
    assert "node.lied" not in market.log.events()
    lie(market.rpcs[1])
    market.rpcs[2].fork = "bb"  # of another chain it says nothing about this one's block
    market.events.expose(OURS, proven)
    assert [source.name for source in market.pool.sources()] == ["n0", "n2"]


def test_a_node_that_has_not_reached_the_last_block_has_no_say_and_is_not_lost() -> None:
    market = Market(2, 2)
    market.rpcs[1].head = 99
    with pytest.raises(NodeUnavailable, match="1 full node"):
        market.ours()
    assert market.ours(0, 99) == OF_US
    assert market.log.events() == []
    assert market.events.agreed_head() == 99


def test_the_agreed_head_is_not_that_of_one_node_ahead() -> None:
    market = Market(3, 2)
    market.rpcs[1].head = 105
    market.rpcs[2].head = 98
    assert market.events.agreed_head() == 100


def test_a_node_that_refuses_the_range_is_asked_for_half_and_again_half() -> None:
    market = Market(1, 1)
    market.rpcs[0].most_blocks = 30
    assert market.ours() == OF_US
    # 101 refused, 50 refused, then 25 at a time, for each of the three filters.
    widths = [last - first + 1 for first, last in market.rpcs[0].ranges]
    assert widths == [101, 50, *[25, 25, 25, 25, 1] * 3]


def test_a_node_whose_answer_is_too_long_is_asked_for_less() -> None:
    market = Market(1, 1)
    node = market.rpcs[0]

    def once(params: list[Any]) -> object:
        del node.special["eth_getLogs"]
        node.ranges.append((int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)))
        raise AnswerTooLong("its answer is longer than 2097152 bytes")

    node.special["eth_getLogs"] = once
    assert market.ours() == OF_US
    assert node.ranges[:3] == [(0, 100), (0, 49), (50, 99)]


def test_a_node_that_refuses_even_one_block_gives_no_answer() -> None:
    market = Market(1, 1)
    market.rpcs[0].most_blocks = 0
    with pytest.raises(NodeUnavailable, match="some words"):
        market.ours()
    assert len(market.rpcs[0].ranges) == 7  # 101, 50, 25, 12, 6, 3, 1


def test_long_ranges_are_asked_in_pieces() -> None:
    market = Market(1, 1)
    market.rpcs[0].head = 12_000
    assert market.ours(0, 12_000) == OF_US
    assert sorted(set(market.rpcs[0].ranges)) == [(0, 4999), (5000, 9999), (10_000, 12_000)]


@given(st.integers(0, 30_000), st.integers(0, 30_000))
def test_pieces_cover_a_range_once(first: int, length: int) -> None:
    parts = list(pieces(first, first + length))
    assert [block for one, other in parts for block in (one, other + 1)][1:-1:2] == [one for one, _ in parts[1:]]
    assert (parts[0][0], parts[-1][1]) == (first, first + length)
    assert all(0 <= last - begin < MOST_BLOCKS for begin, last in parts)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"blockHash": "0x" + "99" * 32}, "another block"),
        ({"blockTimestamp": "0x1"}, "another block"),
        ({"address": OTHER}, "address"),
    ],
)
def test_a_log_that_is_not_of_the_nodes_own_chain_is_no_answer(changed: dict[str, object], said: str) -> None:
    market = Market(1, 1)
    market.rpcs[0].special["eth_getLogs"] = lambda _: [
        {**log_of(STORY[4]), "blockHash": market.rpcs[0].block_hash(40), **changed}
    ]
    with pytest.raises(NodeUnavailable, match=said):
        market.events.stretch(Wanted(frozenset({Redeemed})), 0, 100)


@pytest.mark.parametrize(("block", "at"), [(20, 1 << 32), (40, 1019)])
def test_a_block_of_an_impossible_time_is_no_answer(block: int, at: int) -> None:
    market = Market(1, 1)
    true = market.rpcs[0].eth_getBlockByNumber

    def told(params: list[object]) -> object:
        found = true(str(params[0]), False)
        return {**found, "timestamp": hex(at)} if params[0] == hex(block) and isinstance(found, dict) else found

    market.rpcs[0].special["eth_getBlockByNumber"] = told
    with pytest.raises(NodeUnavailable, match=f"block {block} is of {at}"):
        market.ours()


def test_a_block_that_the_node_gives_for_another_is_no_answer() -> None:
    market = Market(1, 1)
    true = market.rpcs[0].eth_getBlockByNumber
    market.rpcs[0].special["eth_getBlockByNumber"] = lambda params: true(
        "0x1" if params[0] == "0x64" else params[0], False
    )  # type: ignore[arg-type] # JSON
    with pytest.raises(NodeUnavailable, match="block 1 for block 100"):
        market.ours()


def test_a_time_that_comes_with_the_log_saves_a_header_where_that_will_do() -> None:
    node = ScriptedNode()
    node.logs = [{**log_of(event), "blockTimestamp": hex(event.place.at)} for event in STORY]
    house = House(1)
    house.rpcs[0].logs = node.logs
    quick, proper = EventReader(LOGS, headers=False), EventReader(LOGS, headers=True)
    wanted = Wanted(frozenset({Offered, Redeemed, Traded}))
    both = []
    for reader, headers in ((quick, 1), (proper, 4)):
        house.rpcs[0].asked.clear()
        # When its identity is looked at, two more blocks are asked for: the newest and the first.
        both += house.pool.answers(lambda one, reader=reader: reader.read(one, wanted, 0, 100))  # type: ignore[misc] # bound now
        assert house.rpcs[0].asked["eth_getBlockByNumber"] - house.rpcs[0].asked["eth_getCode"] * 2 == headers
    assert both[0] == both[1]


def test_a_tokens_transfer_in_everybodys_logs_is_left_out() -> None:
    market = Market(1, 1)
    market.rpcs[0].logs.append(transfer_of(20, 7))
    everything = Wanted(OURS.kinds)
    assert market.events.events(everything, 0, 100) == STORY


@given(st.lists(st.integers(0, 3), max_size=7), st.integers(1, 4))
def test_what_is_agreed_has_the_most_votes_and_enough_of_them(told: list[int], agreement: int) -> None:
    found = node_votes.agreed(told, agreement)
    counts = sorted((told.count(one) for one in set(told)), reverse=True)
    enough = bool(counts) and counts[0] >= agreement
    tied = len(counts) > 1 and counts[0] == counts[1]
    if not enough or (tied and agreement > 1):
        assert found is None
    else:
        assert found == next(one for one in told if told.count(one) == counts[0])


# The order book.


def offered(block: int, number: int, wh: int = 100, price: int = 7, life: int = 10**6) -> Offered:
    return Offered(place(block), Order(OTHER, number, wh, price, 1000 + block + life))


def test_open_orders_are_what_is_left_of_each_cheapest_first() -> None:
    story: list[MarketEvent] = [
        offered(10, 1, price=9),
        offered(20, 2),
        Traded(place(30), Trade(1, OTHER, US, 2, 60, 1, 0, 1030)),
        offered(40, 3),
        Cancelled(place(50), OTHER, 3, 100),
    ]
    orders = Market(2, 2, story).events.open_orders(2000)
    assert [(order.number, order.energy_wh) for order in orders] == [(2, 40), (1, 100)]


def test_only_new_blocks_are_read_again() -> None:
    market = Market(1, 1, [offered(10, 1)])
    node = market.rpcs[0]
    node.head = 200
    assert len(market.events.open_orders(2000)) == 1
    assert node.ranges == [(0, 136), (137, 200)]
    node.ranges.clear()
    market.later(11)
    node.head = 210
    node.logs += [log_of(offered(205, 2)), log_of(Cancelled(place(207), OTHER, 1, 100))]
    assert [order.number for order in market.events.open_orders(2000)] == [2]
    assert node.ranges == [(137, 146), (147, 210)]


def test_a_long_book_is_read_in_several_calls_and_each_goes_on() -> None:
    market = Market(1, 1, [offered(10, 1, life=10**9), offered(14_000, 2, life=10**9)])
    node = market.rpcs[0]
    node.head = 3 * MOST_BLOCKS + 100
    events = NodeEvents(market.pool, LOGS, agreement=1, pieces_at_once=2)
    with pytest.raises(NodeUnavailable, match="up to block 9999 of 15036; it goes on"):
        events.standing_orders()
    read = len(node.ranges)
    assert [order.number for order in events.standing_orders()] == [1, 2]
    assert node.ranges[read:] == [(10_000, 14_999), (15_000, 15_036), (15_037, 15_100)]


def test_a_shallow_reorganisation_changes_the_book() -> None:
    market = Market(1, 1, [offered(190, 1)])
    node = market.rpcs[0]
    node.head = 200
    assert [order.number for order in market.events.open_orders(2000)] == [1]
    node.logs = [log_of(offered(191, 2))]
    assert [order.number for order in market.events.open_orders(2000)] == [2]


def test_a_deep_reorganisation_begins_the_book_anew() -> None:
    market = Market(1, 1, [offered(10, 1)])
    node = market.rpcs[0]
    node.head = 200
    assert [order.number for order in market.events.open_orders(2000)] == [1]
    node.fork, node.logs = "bb", [log_of(offered(11, 2))]
    market.pool.answers(lambda one: one.distrust())
    assert [order.number for order in market.events.open_orders(2000)] == [2]


def test_the_book_begins_five_weeks_back() -> None:
    # Blocks are a second apart here.
    market = Market(1, 1, [offered(10, 1, life=10**9), offered(4_000_000, 2, life=10**9)])
    node = market.rpcs[0]
    node.head = 4_000_100
    orders = market.events.open_orders(1000 + node.head)
    assert [order.number for order in orders] == [2]
    assert node.ranges[0][0] == node.head - LOOK_BACK_S


def test_an_expired_order_is_not_open_but_stands_until_it_is_taken_back() -> None:
    market = Market(1, 1, [offered(10, 1, life=90)])
    assert len(market.events.open_orders(1099)) == 1
    assert market.events.open_orders(1100) == []
    assert [order.number for order in market.events.standing_orders()] == [1]


@given(st.integers(0, 2000))
def test_the_first_block_since_a_time(at: int) -> None:
    house = House(1)
    (found,) = house.pool.answers(lambda node: first_block_since(node, at))
    assert found == min(100, max(0, at - 1000))
