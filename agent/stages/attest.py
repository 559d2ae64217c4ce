"""Attest: what the ledger has from full nodes' words is proven, event by event, and what is not so is put right.

The ledger writes down what enough full nodes say alike. Here each block with an event of the household's, or a price,
is proven by its receipts; and what the contract is proven to hold of the household's orders shows whether a sale was
left out. What is proven counts, not what was told: who told otherwise is put aside, and what was left out is looked for
at each node by itself, since one that tells the truth is enough to prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from agent.domain.attested import Attested, Kept, ProvenBlock, ProvenOrders, own_orders
from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import JournalBusy, NodeUnavailable
from agent.domain.market_events import ORDERS, MarketEvent, Place, Stretch, Traded, Wanted, concluded
from agent.stages.ports import Clock, Together

# A turn proves so many blocks, and another comes at once: a first start has all there ever were.
_BLOCKS_AT_ONCE = 4
# A block that nobody proves now: before a change of validators that was not followed nobody ever does.
_BLOCK_BACKOFF = BackOff(first_s=60.0, most_s=21_600.0)
# What is left of open orders is looked at so often, and whenever the ledger says something new of them.
_ORDERS_EVERY_S = 3_600.0
# That nothing is open needs no proof: it is noted, and each commit wears the card.
_NOTHING_OPEN_EVERY_S = 86_400.0
_ORDERS_BACKOFF = BackOff(first_s=60.0, most_s=1_800.0)
# What was left out is looked for in pieces that one question covers, a few a turn.
_PIECE_BLOCKS = 5_000
_PIECES_AT_ONCE = 4
_MOST_FOUND = 16
# Two megabytes of made-up events are no line of a log.
_MOST_SHOWN = 8
# Each node may name so many blocks that are none, and prove nothing of them for as long as it can: a turn ends sooner.
_SEARCH_S = 120.0


class Nodes(Protocol):
    """The full nodes, each by itself. Every method raises NodeUnavailable."""

    def said(self, wanted: Wanted, first_block: int, last_block: int) -> list[tuple[str, Stretch]]:
        """What each node says by itself of a range of blocks, by its name."""

    def expose(self, wanted: Wanted, proven: ProvenBlock) -> None:
        """Put those aside who say of a proven block what it disproves."""


class Proofs(Protocol):
    """What is proven by the word of no node. Every method raises NodeUnavailable where nobody may be asked just now."""

    def events(self, block: int) -> ProvenBlock | None:
        """All that a block says of the household and of prices; None if nobody proves it now."""

    def orders(self, numbers: Sequence[int], block: int) -> ProvenOrders | None:
        """What the market keeps of some of the household's orders after a block; None if nobody proves it now."""


class Rows(Protocol):
    """The journal's rows of the contract's events, and what shows them. What writes may raise JournalBusy."""

    def told_blocks(self) -> list[int]:
        """Numbers of the blocks with events that are only told, newest first."""

    def lacking_blocks(self, to: int) -> list[int]:
        """Numbers of the blocks up to one that carried out an own transaction whose event the ledger does not have."""

    def of_block(self, block: int) -> tuple[MarketEvent, ...]:
        """A block's events, readings left out, in their order."""

    def order_events(self) -> list[MarketEvent]:
        """Orders of which something may yet be sold, and what became of them, in the chain's order."""

    def prove(self, proven: ProvenBlock) -> None:
        """A block's events are these, in place of whatever was told of it."""

    def settle(self, orders: Sequence[Place]) -> None:
        """Of these orders nothing can be sold any more."""

    def attested(self) -> Attested:
        """How far the ledger is proven."""

    def set_sales(self, sales_to: int | None, wrong: str) -> None:
        """Keep up to where every sale is there, and what is not."""


class Events(Protocol):
    """The log, and the journal for the household and telemetry."""

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""

    def error(self, event: str, **facts: object) -> None:
        """A fault that a person must end."""

    def kept(self, event: str, **facts: object) -> None:
        """Something whose row is part of the transaction under way."""


@dataclass(slots=True)
class _Search:
    """How far back it was looked for what the ledger lacks, from which block on down, and to which."""

    down_to: int
    lowest: int


class Attest:
    """Proves the ledger.

    Args:
        household: the account, checksummed.
        nodes: the full nodes.
        proofs: what proves.
        rows: the journal's rows.
        journal: what makes several writes one.
        reached: number and hash of the block up to which the ledger has read; None before the first.
        clock: monotonic time.
        events: told of what was told wrongly or left out, and when it is there.
        random: gives a number in [0, 1).
    """

    def __init__(
        self,
        *,
        household: str,
        nodes: Nodes,
        proofs: Proofs,
        rows: Rows,
        journal: Together,
        reached: Callable[[], tuple[int, str] | None],
        clock: Clock,
        events: Events,
        random: Callable[[], float],
    ) -> None:
        self._household = household
        self._wanted = Wanted.of_household(household)
        self._nodes = nodes
        self._proofs = proofs
        self._rows = rows
        self._journal = journal
        self._reached = reached
        self._clock = clock
        self._events = events
        self._random = random
        self._blocks: dict[int, Patience] = {}
        self._orders = Patience(_ORDERS_BACKOFF, random)
        self._looked: tuple[float, list[Kept]] | None = None
        self._search: _Search | None = None

    def run_once(self) -> bool:
        """Prove what is only told, then look whether a sale was left out; returns whether to come again at once."""
        try:
            at = self._reached()
            return at is not None and (self._prove_blocks(at[0]) or self._compare_orders(*at))
        except (NodeUnavailable, JournalBusy):  # the pool and the record stage say so
            return False

    # --- Events, block by block ---

    def _prove_blocks(self, to: int) -> bool:
        """Whether there are blocks left that may be proven now."""
        waiting = dict.fromkeys([*self._rows.told_blocks(), *self._rows.lacking_blocks(to)])
        self._blocks = {block: patience for block, patience in self._blocks.items() if block in waiting}
        ready = [block for block in waiting if self._ready(block)]
        for block in ready[:_BLOCKS_AT_ONCE]:
            try:
                proven = self._prove(block)
            except NodeUnavailable:  # nobody was asked, so this block waits no longer, and orders are looked at
                return False
            # A reorganisation may have moved an own transaction: its old block is proven, and lacks it all the same.
            if proven is None or block in self._rows.lacking_blocks(to):
                self._blocks.setdefault(block, Patience(_BLOCK_BACKOFF, self._random)).failed(self._clock.monotonic())
        return len(ready) > _BLOCKS_AT_ONCE

    def _has_read(self, block: int) -> bool:
        """Whether the ledger is as far as a block."""
        at = self._reached()
        return at is not None and block <= at[0]

    def _ready(self, block: int) -> bool:
        patience = self._blocks.get(block)
        return patience is None or patience.ready(self._clock.monotonic())

    def _prove(self, block: int) -> ProvenBlock | None:
        """Put down what a block is proven to hold; None if it was not."""
        proven = self._proofs.events(block)
        if proven is None:
            return None
        with self._journal.transaction():
            if not self._has_read(block):  # it is read anew meanwhile
                return None
            told = self._rows.of_block(block)
            self._rows.prove(proven)
            for event in proven.receipts:
                if isinstance(event, Traded) and event not in told:
                    self._events.kept("trade.concluded", **concluded(event, self._household))
        if told != proven.receipts:
            self._tell_disproved(proven, told)
            self._nodes.expose(self._wanted, proven)
        return proven

    def _tell_disproved(self, proven: ProvenBlock, told: Sequence[MarketEvent]) -> None:
        first = next(iter((*told, *proven.receipts)))
        self._events.error(
            "ledger.disproved",
            block=proven.block,
            tx_hash=first.place.tx_hash,
            told=[repr(event) for event in told if event not in proven.receipts][:_MOST_SHOWN],
            proven=[repr(event) for event in proven.receipts if event not in told][:_MOST_SHOWN],
            advice="enough full nodes told this household's events falsely; what is proven stands in their place: tell"
            " the distribution company",
        )

    # --- Orders: whether a sale was left out ---

    def _compare_orders(self, block: int, block_hash: str) -> bool:
        """Whether the next look may come at once.

        Args:
            block: number of the block up to which the ledger has read.
            block_hash: its hash, ``0x`` hex.
        """
        now = self._clock.monotonic()
        if not self._orders.ready(now):
            return False
        open_ones = self._open_orders(block)
        since = None if self._looked is None or self._looked[1] != open_ones else self._looked[0]
        every_s = _ORDERS_EVERY_S if open_ones else _NOTHING_OPEN_EVERY_S
        if self._search is None and since is not None and now - since < every_s:
            return False
        proven = self._proofs.orders([one.number for one in open_ones], block) if open_ones else None
        if open_ones and (proven is None or proven.block_hash != block_hash):
            # The ledger ends in a block that is not the proven chain's: it is read anew, or its tellers are caught.
            self._orders.failed(now)
            return False
        wrong = [] if proven is None else [one for one in open_ones if proven.left_wh(one.number) != one.left_wh]
        if wrong and proven is not None:
            return self._look_for(wrong, proven)
        self._adds_up(block, open_ones)
        self._looked = now, self._open_orders(block)
        return False

    def _open_orders(self, block: int) -> list[Kept]:
        """Those that were put in up to a block, and what the ledger leaves of them after it."""
        events = (event for event in self._rows.order_events() if event.place.block <= block)
        return list(own_orders(events, self._household).values())

    def _adds_up(self, block: int, open_ones: Sequence[Kept]) -> None:
        self._orders.succeeded()
        self._search = None
        before = self._rows.attested()
        if self._rows.lacking_blocks(block):  # an order or a purchase is missing whole, and nobody proves its block yet
            return
        with self._journal.transaction():
            if not self._has_read(block):  # it is read anew meanwhile
                return
            # A sale that is only told may be made up in place of one that was left out.
            over = [one for one in open_ones if one.left_wh == 0 and before.told.isdisjoint(one.events)]
            self._rows.settle([one.place for one in over])
            self._rows.set_sales(block, "")
        if before.wrong:
            self._events.info("ledger.complete", block=block)

    def _look_for(self, wrong: Sequence[Kept], proven: ProvenOrders) -> bool:
        """Look at each node by itself for what the ledger lacks, the newest blocks first; whether to go on at once."""
        now = self._clock.monotonic()
        if not self._has_read(proven.block):
            return False  # it is read anew meanwhile
        before = self._rows.attested()
        what = "; ".join(
            f"of order {one.number} the ledger leaves {one.left_wh} Wh and the contract {proven.left_wh(one.number)} Wh"
            for one in wrong
        )
        if before.wrong != what:
            self._rows.set_sales(before.sales_to, what)
        if not before.wrong:
            self._events.error(
                "ledger.incomplete",
                block=proven.block,
                problem=what,
                advice="full nodes left out or made up a sale: it is looked for at each of them; tell the distribution"
                " company if this stays",
            )
        if self._search is None:
            self._search = _Search(proven.block, min(one.place.block for one in wrong))
        found, until = False, now + _SEARCH_S
        for _ in range(_PIECES_AT_ONCE):
            last = self._search.down_to
            if found or last < self._search.lowest or self._clock.monotonic() >= until:
                break
            first = max(self._search.lowest, last - _PIECE_BLOCKS + 1)
            found = self._found(first, last, until)
            self._search.down_to = first - 1
        if found or self._search.down_to < self._search.lowest:
            self._search = None  # from the newest on again, if it still does not add up
        if not found and self._search is None:
            self._orders.failed(now)
        return found or self._search is not None

    def _found(self, first: int, last: int, until: float) -> bool:
        """Whether a node names a block that is proven to hold what the ledger does not have."""
        found = False
        for block in self._named(first, last):
            if self._clock.monotonic() >= until:
                break
            before = self._rows.of_block(block)
            proven = self._prove(block)
            if proven is not None and proven.receipts != before:
                found = True
            elif proven is not None:  # who named more than there is made it up
                self._nodes.expose(self._wanted, proven)
        return found

    def _named(self, first: int, last: int) -> list[int]:
        """Blocks of which a node tells what the ledger does not have.

        Of each node the newest, and the nodes take turns: who makes up thousands hides nothing of what another tells.
        """
        by_node = []
        for _, stretch in self._nodes.said(Wanted(ORDERS, self._household), first, last):
            blocks = {
                event.place.block for event in stretch.events if event not in self._rows.of_block(event.place.block)
            }
            by_node.append(sorted(blocks, reverse=True)[:_MOST_FOUND])
        return list(dict.fromkeys(block for turn in zip_longest(*by_node) for block in turn if block is not None))
