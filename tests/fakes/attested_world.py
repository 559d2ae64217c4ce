"""What attests a household's ledger, over a journal: a chain as it is, and nodes that each tell their own of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.adapters.attested_rows import AttestedRows
from agent.adapters.event_log import EventLog
from agent.adapters.event_rows import EventRows
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.market_rows import MarketRows
from agent.domain.attested import OrderWord, ProvenBlock, ProvenOrders, own_orders
from agent.domain.errors import NodeUnavailable
from agent.domain.market import Head
from agent.domain.market_events import MarketEvent, Offered, Redeemed, Stretch, TariffSet, Traded, Wanted
from agent.domain.orders import PLACES, Order, Trade
from agent.stages.attest import Attest
from tests.fakes.logs import ACCOUNTS, block_hash, place
from tests.fakes.world import FakeClock, HeardEvents

US, OTHER = ACCOUNTS[:2]
HEAD = 60


def offered(block: int, number: int, wh: int, index: int = 0) -> Offered:
    return Offered(place(block, index), Order(US, number, wh, 2_000, 9_999))


def sold(block: int, number: int, wh: int, *, price: int | None = None, index: int = 0) -> Traded:
    at = place(block, index)
    return Traded(at, Trade(block, US, OTHER, number, wh, wh * 2 if price is None else price, 10, at.at))


TRUTH: list[MarketEvent] = [
    TariffSet(place(5), 1_000, 9_000),
    offered(20, 7, 1_000),
    sold(30, 7, 600),
    Redeemed(place(35), US, 50),
    offered(40, 8, 500),
    sold(50, 7, 150),
    sold(50, 8, 500, index=1),
]


@dataclass
class World:
    """The chain as it is, nodes that tell their own, and a journal."""

    folder: Path
    truth: list[MarketEvent] = field(default_factory=lambda: list(TRUTH))
    nodes: dict[str, list[MarketEvent]] = field(default_factory=dict)
    lies: list[str] = field(default_factory=list)
    unproven_before: int = 0
    """What is proven of the blocks from here on alone."""
    other_branch: bool = False
    asked: list[object] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    head: int = HEAD
    read: bool = False

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / FILE_NAME)
        self.journal.migrate()
        self.market, self.rows = MarketRows(self.journal), AttestedRows(self.journal)
        self.clock, self.log = FakeClock(), HeardEvents()
        self.stage = self.started()

    def started(self) -> Attest:
        return Attest(
            household=US,
            nodes=self,
            proofs=self,
            rows=self.rows,
            journal=self.journal,
            reached=lambda: (self.head, block_hash(self.head)) if self.read else None,
            clock=self.clock,
            events=EventLog(logger=self.log, rows=EventRows(self.journal), clock=self.clock),
            random=lambda: 0.5,
        )

    def reads(self, told: Sequence[MarketEvent]) -> None:
        """The ledger writes down what enough nodes say."""
        self.read = True
        if told:  # the ledger's own mark stays where something happened last
            self.market.add(told, self.head, block_hash(self.head))

    def attest(self, turns: int = 20) -> None:
        while turns and self.stage.run_once():
            turns -= 1
        assert turns, "it never comes to an end"

    def levels(self, name: str) -> list[str]:
        return [level for level, heard, _ in self.log.heard if heard == name]

    def kept(self) -> list[MarketEvent]:
        return self.market.events(0, 1 << 40)

    # The nodes.

    def said(self, wanted: Wanted, first_block: int, last_block: int) -> list[tuple[str, Stretch]]:
        self.asked.append((first_block, last_block))
        self.wanted.append(wanted)
        telling = {name: told for name, told in self.nodes.items() if name not in self.lies}
        if not telling:
            raise NodeUnavailable("no full node gave a usable answer")
        return [
            (
                name,
                Stretch(
                    "",
                    Head(last_block, block_hash(last_block), 0),
                    tuple(
                        event
                        for event in told
                        if type(event) in wanted.kinds and first_block <= event.place.block <= last_block
                    ),
                ),
            )
            for name, told in telling.items()
        ]

    def expose(self, wanted: Wanted, proven: ProvenBlock) -> None:
        for name, stretch in self.said(wanted, proven.block, proven.block):
            if stretch.events != proven.events:
                self.lies.append(name)

    # The proofs.

    def events(self, block: int) -> ProvenBlock | None:
        self.asked.append(block)
        if block < self.unproven_before:
            return None
        found = tuple(event for event in self.truth if event.place.block == block)
        return ProvenBlock(block, block_hash(block), found)

    def orders(self, numbers: Sequence[int], block: int) -> ProvenOrders | None:
        self.asked.append(tuple(numbers))
        words: dict[int, OrderWord] = {}
        before = [event for event in self.truth if event.place.block <= block]
        for number, kept in own_orders(before, US).items():
            words[number % PLACES] = OrderWord(number, kept.left_wh)
        named = block_hash(block + 1_000 if self.other_branch else block)
        return ProvenOrders(block, named, {one: words.get(one % PLACES, OrderWord(0, 0)) for one in numbers})


def sent(world: World, event: MarketEvent) -> None:
    """The household's own outbox has the order, final and proven."""
    world.journal.execute(
        "INSERT INTO entry (key, kind, target, data, gas, state, created_at, included_hash, included_number,"
        " included_block, included_ok, changed_at)"
        " VALUES (?, 'offer', '', x'', 0, 'final', 0, ?, ?, '', 1, 0)",
        (f"o-{event.place.block}", event.place.tx_hash, event.place.block),
    )


def liars(world: World, told: Sequence[MarketEvent], *, honest: bool = True) -> None:
    """Two nodes tell this, which is enough to be written down, and one the truth."""
    world.nodes = {"liar-1": list(told), "liar-2": list(told)}
    if honest:
        world.nodes["honest"] = world.truth
    world.reads(told)
