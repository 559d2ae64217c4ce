"""The market's events, as the full nodes tell them together.

A question about a long range is asked in pieces, and a node that refuses a piece is asked for half of it. What the
nodes said of a piece counts only where enough of them said the very same, down to the hash of its last block: so a
node on another branch, one that hides an event and one that invents one are all outvoted in the same way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from agent.adapters import node_answers, node_votes
from agent.adapters.full_node import FullNode
from agent.adapters.market_logs import Log, MarketLogs, Topics
from agent.adapters.node_faults import RpcRefused
from agent.domain.attested import ProvenBlock
from agent.domain.errors import AnswerTooLong, NodesDisagree, NodeUnavailable
from agent.domain.market import Head
from agent.domain.market_events import ORDERS, MarketEvent, Stretch, Wanted
from agent.domain.order_book import LOOK_BACK_S, OrderBook
from agent.domain.orders import MOST_TIME, Order

# Besu's own limit, and the others have none or a higher one: half a day of blocks of ten seconds.
MOST_BLOCKS = 5_000
# The order book is read again from here back: a reorganisation deeper than this makes it begin anew.
_UNSETTLED_BLOCKS = 64

T = TypeVar("T")


class Widths:
    """How many blocks at once each node answers for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._most: dict[str, int] = {}

    def of(self, node: FullNode) -> int:
        """Blocks to ask for at once, 1 or more."""
        with self._lock:
            return self._most.get(node.name, MOST_BLOCKS)

    def refused(self, node: FullNode, blocks: int) -> None:
        """The node did not answer for so many; it is asked for half from now on."""
        with self._lock:
            self._most[node.name] = max(1, blocks // 2)


class EventReader:
    """Reads one node's logs of the market.

    Args:
        logs: the contract's events.
        headers: take each block's time from its header, and hold the log's block against it. Without, a time that the
            node gives with the log does, which is as much the node's own word but not shown to be of its chain.
    """

    def __init__(self, logs: MarketLogs, *, headers: bool) -> None:
        self._logs = logs
        self._headers = headers
        self._widths = Widths()

    def read(self, node: FullNode, wanted: Wanted, first_block: int, last_block: int) -> Stretch | None:
        """What the node says of a range; None where it does not have the last block.

        Raises:
            NodeUnavailable: it gave no usable answer.
        """
        last = block_of(node, last_block)
        if last is None:
            return None
        before = "" if first_block == 0 else _held(node, first_block - 1).block_hash
        found: dict[tuple[int, int], Log] = {}
        for topics in self._logs.filters(wanted):
            for log in self._asked(node, topics, first_block, last_block):
                if found.setdefault((log.block, log.index), log) != log:
                    raise NodeUnavailable(f"it says two things about log {log.index} of block {log.block}")
        events = [self._logs.event(log, at) for log, at in self._dated(node, [found[place] for place in sorted(found)])]
        kept = tuple(event for event in events if event is not None and type(event) in wanted.kinds)
        return Stretch(before, last.head, kept)

    def _asked(self, node: FullNode, topics: Topics, first_block: int, last_block: int) -> Iterator[Log]:
        """Logs of a range, in pieces that the node answers for."""
        block = first_block
        while block <= last_block:
            to = min(last_block, block + self._widths.of(node) - 1)
            try:
                answer = node.call("eth_getLogs", [self._logs.asked(topics, block, to)])
            except (RpcRefused, AnswerTooLong):
                if to == block:
                    raise
                self._widths.refused(node, to - block + 1)
                continue
            yield from self._logs.read(answer, topics, block, to)
            block = to + 1

    def _dated(self, node: FullNode, logs: list[Log]) -> Iterator[tuple[Log, int]]:
        """Each log with its block's time."""
        seen: Head | None = None
        for log in logs:
            if seen is None or seen.number != log.block:
                before = 0 if seen is None else seen.timestamp
                seen = self._block(node, log)
                if not before <= seen.timestamp <= MOST_TIME:
                    raise NodeUnavailable(
                        f"block {log.block} is of {seen.timestamp}, where {before} to {MOST_TIME} belongs: no older"
                        " than the one before it, and a time that the contract can hold"
                    )
            if log.block_hash != seen.block_hash or log.at not in {None, seen.timestamp}:
                raise NodeUnavailable(f"log {log.index} of block {log.block} is of another block, by its hash or time")
            yield log, seen.timestamp

    def _block(self, node: FullNode, log: Log) -> Head:
        if log.at is not None and not self._headers:
            return Head(log.block, log.block_hash, log.at)
        return _held(node, log.block)


def block_of(node: FullNode, number: int) -> node_answers.Block | None:
    """A block of one node by its number; None if it has none.

    Raises:
        NodeUnavailable: it gave no usable answer, or another block.
    """
    found = node_answers.block(node.call("eth_getBlockByNumber", [hex(number), False]), "block")
    if found is not None and found.head.number != number:
        raise NodeUnavailable(f"it gives block {found.head.number} for block {number}")
    return found


def _held(node: FullNode, number: int) -> Head:
    """A block that the node must have, since it told of it or of a later one."""
    found = block_of(node, number)
    if found is None:
        raise NodeUnavailable(f"it does not have block {number}, though it tells of it or of later ones")
    return found.head


def first_block_since(node: FullNode, at: int) -> int:
    """The first block at or after a time, UTC epoch seconds; the newest where all are older.

    Raises:
        NodeUnavailable: it gave no usable answer.
    """
    low, high = 0, node.head().number
    while low < high:
        middle = (low + high) // 2
        if _held(node, middle).timestamp < at:
            low = middle + 1
        else:
            high = middle
    return low


class Pool(Protocol):
    """The full nodes together (``NodePool``)."""

    def answers(self, work: Callable[[FullNode], T], witnesses: int = 1) -> list[T]:
        """What the usable nodes say, the own area's first."""

    def head(self) -> Head:
        """The highest newest block of a usable node."""

    def caught(self, name: str, why: str, told: object) -> None:
        """A node said what cannot be true."""


class NodeEvents:
    """What happened in the market, for the household: said by enough nodes.

    Args:
        pool: the nodes.
        logs: the contract's events.
        agreement: how many nodes must say the same before it counts as final.
        pieces_at_once: how much of the order book one call reads at most, in pieces of ``MOST_BLOCKS`` blocks; what is
            left is for the next call. None reads it whole, however long that takes.
    """

    def __init__(self, pool: Pool, logs: MarketLogs, *, agreement: int, pieces_at_once: int | None = None) -> None:
        self._pool = pool
        self._agreement = agreement
        self._pieces_at_once = pieces_at_once
        self._proper = EventReader(logs, headers=True)
        self._quick = EventReader(logs, headers=False)
        self._lock = threading.Lock()
        self._book: OrderBook | None = None
        self._settled = (0, "")

    def agreed_head(self) -> int:
        """The highest block number that as many nodes have reached as must agree.

        Not the highest of all: one node that is, or claims to be, ahead would have us ask for what no other has.

        Raises:
            NodeUnavailable: too few nodes gave a usable answer.
        """
        heads = sorted((head.number for head in self._pool.answers(FullNode.head, self._agreement)), reverse=True)
        return heads[self._agreement - 1]

    def stretch(self, wanted: Wanted, first_block: int, last_block: int) -> Stretch:
        """Events of a range of at most ``MOST_BLOCKS`` blocks, as enough nodes say them.

        Args:
            wanted: which.
            first_block: first block of the range.
            last_block: last block of the range; one that may still change is for the caller to leave out.

        Raises:
            NodesDisagree: too few nodes say the same.
            NodeUnavailable: too few nodes gave a usable answer.
        """
        return self._agreed(self._proper, wanted, first_block, last_block, self._agreement)

    def said(self, wanted: Wanted, first_block: int, last_block: int) -> list[tuple[str, Stretch]]:
        """What each node says by itself of a range of at most ``MOST_BLOCKS`` blocks, by its name.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

        def ask(node: FullNode) -> tuple[str, Stretch | None]:
            return node.name, self._proper.read(node, wanted, first_block, last_block)

        try:
            answers = self._pool.answers(ask, self._agreement)
        except NodeUnavailable:  # the only one that is left may be the one that tells the truth
            answers = self._pool.answers(ask)
        return [(name, stretch) for name, stretch in answers if stretch is not None]

    def expose(self, wanted: Wanted, proven: ProvenBlock) -> None:
        """Put those aside who say of a proven block what it disproves.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        for name, stretch in self.said(wanted, proven.block, proven.block):
            if stretch.last.block_hash == proven.block_hash and stretch.events != proven.events:
                why = (
                    f"of block {proven.block} it tells {len(stretch.events)} events of this household or of prices that"
                    f" are not the {len(proven.events)} that its receipts prove"
                )
                self._pool.caught(name, why, [repr(event) for event in stretch.events])

    def events(self, wanted: Wanted, first_block: int, last_block: int) -> list[MarketEvent]:
        """Events of a range of any length, in the chain's order, as enough nodes say them.

        Raises:
            NodesDisagree: too few nodes say the same of some part, or the chain was rewritten meanwhile.
            NodeUnavailable: too few nodes gave a usable answer.
        """
        found: list[MarketEvent] = []
        before = None
        for first, last in pieces(first_block, last_block):
            part = self.stretch(wanted, first, last)
            before = _goes_on(part, before)
            found += part.events
        return found

    def standing_orders(self) -> list[Order]:
        """Every order with something left in it, those that are over too, in the chain's order, as it stands now.

        Nothing of it is final, and the contract has the last word when one buys: so most nodes' word does. Only the
        book as it stood some blocks ago is kept, in memory: the first call reads the blocks of five weeks.

        Raises:
            NodeUnavailable: no node gave a usable answer, or there is more to read than one call reads.
        """
        return self._newest_book().unfinished()

    def open_orders(self, now: int) -> list[Order]:
        """The orders that can be bought from, the cheapest first.

        Args:
            now: UTC epoch seconds.

        Raises:
            NodeUnavailable: as for ``standing_orders``.
        """
        return self._newest_book().open_at(now)

    def _newest_book(self) -> OrderBook:
        with self._lock:
            try:
                return self._read_book()
            except NodesDisagree:
                # The chain is no longer the one that the book was made of: a deep reorganisation.
                self._book = None
                return self._read_book()

    def _read_book(self) -> OrderBook:
        head = self._pool.head()
        if self._book is None:
            since = head.timestamp - LOOK_BACK_S
            started = sorted(self._pool.answers(lambda node: first_block_since(node, since)))
            # The lower of two: too early costs a few requests, too late would hide orders.
            self._book, self._settled = OrderBook(), (started[(len(started) - 1) // 2] - 1, "")
        self._settle(self._book, head.number - _UNSETTLED_BLOCKS)
        settled, before = self._settled
        newest = self._book.copy()
        for first, last in pieces(settled + 1, head.number):
            before = self._feed(newest, first, last, before)
        return newest

    def _settle(self, book: OrderBook, to: int) -> None:
        """Read on to a block, and keep how far that came: a call that breaks off does not begin anew."""
        for count, (first, last) in enumerate(pieces(self._settled[0] + 1, to)):
            if count == self._pieces_at_once:
                raise NodeUnavailable(f"the order book is read up to block {self._settled[0]} of {to}; it goes on")
            self._settled = last, self._feed(book, first, last, self._settled[1])

    def _feed(self, book: OrderBook, first: int, last: int, before: str) -> str:
        part = self._agreed(self._quick, Wanted(ORDERS), first, last, 1)
        before = _goes_on(part, before)
        book.feed(part.events)
        return before

    def _agreed(self, reader: EventReader, wanted: Wanted, first: int, last: int, agreement: int) -> Stretch:
        answers = self._pool.answers(lambda node: reader.read(node, wanted, first, last), agreement)
        told = [said for said in answers if said is not None]
        if (agreed := node_votes.agreed(told, agreement)) is not None:
            return agreed
        if len(told) < agreement:
            raise NodeUnavailable(f"{len(told)} full node(s) have block {last}; it is believed when {agreement} say it")
        raise NodesDisagree(
            f"of blocks {first} to {last} no {agreement} of {len(told)} full nodes say the same:"
            f" {', '.join(f'{len(said.events)} events up to {said.last.block_hash[:10]}…' for said in told)}"
        )


def _goes_on(part: Stretch, before: str | None) -> str:
    """The hash that the next stretch must follow; an empty or no ``before`` follows anything."""
    if before and part.before != before:
        raise NodesDisagree(f"the blocks up to {part.last.number} do not go on where those before them ended")
    return part.last.block_hash


def pieces(first_block: int, last_block: int) -> Iterator[tuple[int, int]]:
    """A range of blocks in pieces of at most ``MOST_BLOCKS``, both ends included."""
    for first in range(first_block, last_block + 1, MOST_BLOCKS):
        yield first, min(last_block, first + MOST_BLOCKS - 1)
