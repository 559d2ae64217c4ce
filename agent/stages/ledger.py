"""Ledger: what the contract says of this household, and of its prices, is written down once it is final.

Each event is kept once, in the chain's order, together with the block up to which everything is there. An invoice and
the household's own figures are worked out from these rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.domain.errors import JournalBusy, NodesDisagree, NodeUnavailable
from agent.domain.market_events import MarketEvent, Stretch, Traded, Wanted, concluded
from agent.stages.ports import Clock, Together

# A piece of the chain that one question covers. A node that refuses so many is asked for less, which is the adapter's
# business; where no answer comes in time, over a slow line with many events, the stage itself asks for less.
_MOST_BLOCKS = 5_000
_LEAST_BLOCKS = 50
# A turn ends after this long, and another comes at once: a first start has months to read, and the watchdog a limit.
_TURN_S = 10.0
# Where nothing happens the mark alone is no reason for a commit, which wears the card. After a crash so much is asked
# again: four questions.
_MARK_EVERY_BLOCKS = 20_000

# Later than any block.
_ALWAYS = 1 << 62


class Nodes(Protocol):
    """The full nodes together. Every method raises NodeUnavailable."""

    def agreed_head(self) -> int:
        """The highest block number that as many nodes have reached as must agree."""

    def stretch(self, wanted: Wanted, first_block: int, last_block: int) -> Stretch:
        """Events of a range of blocks, as enough nodes say them; raises NodesDisagree where they do not."""


class Rows(Protocol):
    """The journal's rows of the contract's events. What writes may raise JournalBusy."""

    def add(self, events: Sequence[MarketEvent], block: int, block_hash: str) -> list[MarketEvent]:
        """Keep events, and that everything up to a block is there; returns those that were not there."""

    def mark(self) -> tuple[int, str] | None:
        """Number and hash of the block up to which everything is there; None before the first."""

    def clear(self) -> None:
        """Forget everything."""

    def events(self, first_at: int, last_at: int) -> list[MarketEvent]:
        """Events of blocks from one time to another, UTC epoch seconds, in the chain's order."""


class Events(Protocol):
    """The log, and the journal for the household and telemetry."""

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""

    def kept(self, event: str, **facts: object) -> None:
        """Something whose row is part of the transaction under way."""


@dataclass(frozen=True, slots=True)
class Start:
    """What is followed, and from where.

    Attributes:
        account: the household, checksummed.
        deployed_at: number of the block in which the contract was made; 0 where that is not known.
        depth: blocks on top before an event is final.
    """

    account: str
    deployed_at: int
    depth: int


class Ledger:
    """Keeps the journal's rows of the contract's events up to date.

    Args:
        nodes: the full nodes together.
        rows: the journal's rows.
        journal: what makes several writes one.
        start: whose events, from which block, and how deep.
        clock: for how long a turn takes.
        events: told of trades, and of full nodes that contradict each other.
    """

    def __init__(
        self, *, nodes: Nodes, rows: Rows, journal: Together, start: Start, clock: Clock, events: Events
    ) -> None:
        self._nodes = nodes
        self._rows = rows
        self._journal = journal
        self._start = start
        self._clock = clock
        self._events = events
        self._wanted = Wanted.of_household(start.account)
        # Up to where everything is known, and up to where the journal says so.
        self._at = self._marked = rows.mark()
        self._disputed = False
        # Trades that were told of before everything was read anew, by transaction and number.
        self._told: set[tuple[str, int]] = set()
        self._blocks = _MOST_BLOCKS

    def run_once(self) -> bool:
        """Read on from the last block; returns whether there is more to read at once."""
        try:
            return self._read_on(self._nodes.agreed_head() - self._start.depth)
        except NodesDisagree as error:
            if not self._disputed:
                self._events.warning(
                    "ledger.disputed",
                    problem=str(error),
                    advice="nothing is written down until enough full nodes agree; ask who runs them if it stays",
                )
            self._disputed = True
        except NodeUnavailable:  # the pool says so
            self._blocks = max(_LEAST_BLOCKS, self._blocks // 2)
        except JournalBusy:  # the record stage says so
            pass
        return False

    def _read_on(self, final: int) -> bool:
        began = self._clock.monotonic()
        while (first := self._next()) <= final:
            if self._clock.monotonic() - began >= _TURN_S:
                return True
            stretch = self._nodes.stretch(self._wanted, first, min(final, first + self._blocks - 1))
            self._blocks = min(_MOST_BLOCKS, self._blocks * 2)
            if self._disputed:
                self._events.info("ledger.agreed", block=stretch.last.number)
                self._disputed = False
            if self._at is not None and stretch.before != self._at[1]:
                self._begin_anew()
                return True
            self._take(stretch)
        return False

    def reached(self) -> tuple[int, str] | None:
        """Number and hash of the block up to which everything is there; None before the first."""
        return self._at

    def _next(self) -> int:
        return self._start.deployed_at if self._at is None else self._at[0] + 1

    def _take(self, stretch: Stretch) -> None:
        to = stretch.last.number, stretch.last.block_hash
        marked = self._start.deployed_at if self._marked is None else self._marked[0]
        if stretch.events or to[0] - marked >= _MARK_EVERY_BLOCKS:
            with self._journal.transaction():
                # After a crash blocks are read again in which the attest stage has found, and told, what was left out.
                for event in self._rows.add(stretch.events, *to):
                    if isinstance(event, Traded):
                        self._tell(event)
            self._marked = to
        self._at = to

    def _tell(self, event: Traded) -> None:
        if (event.place.tx_hash, event.trade.id) not in self._told:
            self._events.kept("trade.concluded", **concluded(event, self._start.account))

    def _begin_anew(self) -> None:
        """The block that was read up to is gone: a reorganisation deeper than the depth, or another copy of the chain.

        How deep it went is not known, so everything is read again; the chain has it all.
        """
        kept, read = self._rows.events(0, _ALWAYS), (self._at, self._marked)
        try:
            with self._journal.transaction():
                self._rows.clear()
                self._at = self._marked = None  # before another stage's transaction can put back what goes
        except JournalBusy:
            self._at, self._marked = read
            raise
        self._told |= {(event.place.tx_hash, event.trade.id) for event in kept if isinstance(event, Traded)}
        if read[0] is not None:
            self._events.warning(
                "ledger.rewritten",
                block=read[0][0],
                advice="the chain was rewritten deeper than chain.depth: what it says of this household is read anew;"
                " raise chain.depth if this happens again",
            )
