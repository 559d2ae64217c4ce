"""The journal's rows of the contract's events: what concerns this household, once it is final."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from agent.adapters.journal import Journal, Row
from agent.domain.market_events import (
    Cancelled,
    Enrolled,
    MarketEvent,
    MeterReplaced,
    Offered,
    Place,
    ReadingBooked,
    Redeemed,
    ServiceCostSet,
    TariffSet,
    Traded,
)
from agent.domain.orders import Order, Trade
from agent.domain.readings import Flags, Reading
from agent.domain.samples import MeterRole

_MARK = "market_events_to"
ATTESTED = "attested"
"""Name of the fact that says how far sales are proven."""
# The names in the table; they stay when a class is renamed.
_NAMES: Mapping[str, type[MarketEvent]] = {
    "enrolled": Enrolled,
    "reading": ReadingBooked,
    "meter_replaced": MeterReplaced,
    "offered": Offered,
    "cancelled": Cancelled,
    "traded": Traded,
    "redeemed": Redeemed,
    "tariff": TariffSet,
    "service_cost": ServiceCostSet,
}
_KINDS = {kind: name for name, kind in _NAMES.items()}


class MarketRows:
    """Events in the chain's order, and up to which block all are there."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, events: Sequence[MarketEvent], block: int, block_hash: str) -> list[MarketEvent]:
        """Keep events, and that everything up to a block is there, in one commit; an event that is there stays.

        Args:
            events: of blocks up to ``block``.
            block: number of the last block that was read.
            block_hash: its hash, ``0x`` hex.

        Returns:
            Those in whose places nothing was.

        Raises:
            JournalBusy: nothing was written.
        """
        with self._journal.transaction() as journal:
            new = [event for event in events if insert(journal, event)]
            journal.set_fact(_MARK, json.dumps([block, block_hash]))
        return new

    def mark(self) -> tuple[int, str] | None:
        """Number and hash of the block up to which everything is there; None before the first."""
        kept = self._journal.fact(_MARK)
        if kept is None:
            return None
        block, block_hash = json.loads(kept)
        return block, block_hash

    def clear(self) -> None:
        """Forget everything: the chain that it was read from is no longer the chain.

        Raises:
            JournalBusy: nothing was written.
        """
        with self._journal.transaction() as journal:
            journal.execute("DELETE FROM market_event")
            journal.set_fact(_MARK, None)
            journal.set_fact(ATTESTED, None)

    def prune(self, before: int) -> int:
        """Delete booked readings of blocks before a time, UTC epoch seconds; returns how many.

        Trades, redemptions, prices and meters stay: they are few, and figures of today rest on them. So does the newest
        of the old readings, from which the next one's energy is counted.
        """
        with self._journal.transaction() as journal:
            return journal.execute(
                "DELETE FROM market_event WHERE name = 'reading' AND at < ? AND block < coalesce("
                "(SELECT max(block) FROM market_event WHERE name = 'reading' AND at < ?), 0)",
                (before, before),
            )

    def events(self, first_at: int, last_at: int) -> list[MarketEvent]:
        """Events of a time, in the chain's order.

        Args:
            first_at: UTC epoch seconds of a block, the first that counts.
            last_at: the last that counts.
        """
        rows = self._journal.query(
            "SELECT * FROM market_event WHERE at BETWEEN ? AND ? ORDER BY block, log_index", (first_at, last_at)
        )
        return [event_of(row) for row in rows]


def insert(journal: Journal, event: MarketEvent, shown: int = 0) -> bool:
    """Write an event down, inside a transaction; one that is there stays. Returns whether it was written.

    Args:
        journal: the open one.
        event: which.
        shown: what shows it (``attested_rows``).
    """
    place = event.place
    written = journal.execute(
        "INSERT INTO market_event (block, log_index, tx_hash, at, name, facts, shown) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (block, log_index) DO NOTHING",
        (place.block, place.log_index, place.tx_hash, place.at, _KINDS[type(event)], _facts(event), shown),
    )
    return written > 0


def _facts(event: MarketEvent) -> str:
    told = asdict(event)
    del told["place"]
    return json.dumps(told, separators=(",", ":"), sort_keys=True)


def event_of(row: Row) -> MarketEvent:
    """The event that a row holds."""
    place = Place(row["block"], row["log_index"], row["tx_hash"], row["at"])
    kind, told = _NAMES[row["name"]], json.loads(row["facts"])
    return kind(place, **{field.name: _value(field.name, told[field.name]) for field in fields(kind)[1:]})


def _value(name: str, told: Any) -> Any:  # noqa: ANN401 - whatever the field holds
    match name:
        case "order":
            return Order(**told)
        case "trade":
            return Trade(**told)
        case "reading":
            return Reading(**{**told, "flags": Flags(told["flags"])})
        case "meter":
            return MeterRole(told)
        case _:
            return told
