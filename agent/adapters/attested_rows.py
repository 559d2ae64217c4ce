"""What of the journal's events of the contract is proven, and what is not."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agent.adapters.journal import Journal
from agent.adapters.market_rows import ATTESTED, event_of, insert
from agent.domain.attested import Attested, ProvenBlock
from agent.domain.market_events import MarketEvent, Offered, Place, ReadingBooked

_TOLD, _OPEN, _SHOWN = 0, 1, 2
# The household's own transactions are looked for among the newest: an older one was, when it was new.
_NEWEST = 200
# With the index's own condition: a query without it reads every row.
_TOLD_EVENTS = "FROM market_event WHERE shown < 2 AND name <> 'reading' AND shown = 0"


class AttestedRows:
    """What shows each event, beside the event; readings are proven by the household's slot and are none of it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def told_blocks(self) -> list[int]:
        """Numbers of the blocks with events that are only told, newest first."""
        rows = self._journal.query(f"SELECT DISTINCT block {_TOLD_EVENTS} ORDER BY block DESC")
        return [row["block"] for row in rows]

    def lacking_blocks(self, to: int) -> list[int]:
        """Numbers of the blocks that carried out an own order, purchase or redemption whose event is not here.

        Args:
            to: number of the block up to which the ledger has read.
        """
        rows = self._journal.query(
            "SELECT DISTINCT included_number AS block FROM entry WHERE id > (SELECT max(id) FROM entry) - ?"
            " AND state = 'final' AND included_ok = 1 AND kind IN ('offer', 'cancel', 'buy', 'redeem')"
            " AND included_number <= ? AND NOT EXISTS (SELECT 1 FROM market_event WHERE block = included_number"
            " AND tx_hash = included_hash AND name <> 'reading')",
            (_NEWEST, to),
        )
        return [row["block"] for row in rows]

    def of_block(self, block: int) -> tuple[MarketEvent, ...]:
        """A block's events, readings left out, in their order."""
        rows = self._journal.query(
            "SELECT * FROM market_event WHERE block = ? AND name <> 'reading' ORDER BY log_index", (block,)
        )
        return tuple(event_of(row) for row in rows)

    def order_events(self) -> list[MarketEvent]:
        """Orders of which something may yet be sold, and what became of them, in the chain's order."""
        # Of years' rows a few are of these, and only those are read: an order is open until it is taken back.
        rows = self._journal.query(
            "WITH live AS (SELECT block, json_extract(facts, '$.order.number') AS number FROM market_event"
            " WHERE shown < 2 AND name <> 'reading' AND name = 'offered')"
            " SELECT * FROM market_event WHERE block >= (SELECT min(block) FROM live)"
            " AND name IN ('offered', 'cancelled', 'traded') AND CASE name"
            " WHEN 'offered' THEN json_extract(facts, '$.order.number')"
            " WHEN 'traded' THEN json_extract(facts, '$.trade.number')"
            " ELSE json_extract(facts, '$.number') END IN (SELECT number FROM live)"
            " ORDER BY block, log_index"
        )
        return [event_of(row) for row in rows]

    def prove(self, proven: ProvenBlock) -> None:
        """A block's events are these, in place of whatever was told of it. Raises JournalBusy."""
        with self._journal.transaction() as journal:
            # Its readings too: one that was made up would keep the place of an event that is proven.
            journal.execute("DELETE FROM market_event WHERE block = ?", (proven.block,))
            for event in proven.events:
                insert(journal, event, _shown(event))

    def settle(self, orders: Sequence[Place]) -> None:
        """Of these orders, which are proven themselves, nothing can be sold any more. Raises JournalBusy."""
        with self._journal.transaction() as journal:
            for place in orders:
                journal.execute(
                    "UPDATE market_event SET shown = 2 WHERE block = ? AND log_index = ? AND shown = 1",
                    (place.block, place.log_index),
                )

    def attested(self) -> Attested:
        """How far the ledger is proven."""
        kept = self._journal.fact(ATTESTED)
        sales_to, wrong = (None, "") if kept is None else json.loads(kept)
        told = [event_of(row) for row in self._journal.query(f"SELECT * {_TOLD_EVENTS}")]
        return Attested(frozenset(event.place for event in told), sales_to, wrong)

    def set_sales(self, sales_to: int | None, wrong: str) -> None:
        """Keep up to where every sale is there, and what is not. Raises JournalBusy."""
        with self._journal.transaction() as journal:
            journal.set_fact(ATTESTED, json.dumps([sales_to, wrong]))


def _shown(event: MarketEvent) -> int:
    """What is kept of a proven event."""
    if isinstance(event, ReadingBooked):
        return _TOLD
    return _OPEN if isinstance(event, Offered) else _SHOWN
