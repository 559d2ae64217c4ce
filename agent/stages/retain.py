"""Retain: what is older than the household wants to keep leaves the journal, a little at a time."""

from __future__ import annotations

from typing import Protocol

from agent.domain.errors import JournalBusy
from agent.stages.ports import Clock

_DAY_S = 86_400
_YEAR_S = 365 * _DAY_S
# The standing rule knows by its decisions which orders it has made, and none of them lives longer.
_DECISIONS_LEAST_S = 31 * _DAY_S
# No reorganisation brings a transaction back after so long, and a full node tells it to whoever wants it exported.
_SIGNED_S = 90 * _DAY_S


class MeterRows(Protocol):
    """The journal's rows about meters."""

    def prune_minutes(self, before: int) -> int:
        """Delete minute rows older than ``before``; returns how many."""


class ReadingRows(Protocol):
    """The journal's rows about readings."""

    def prune(self, before: int) -> int:
        """Delete ended readings older than ``before``; returns how many."""


class OutboxRows(Protocol):
    """The journal's rows of the outbox."""

    def forget_signed(self, before: int) -> int:
        """Delete the signed bytes of what became final before ``before``; returns how many."""


class EventRows(Protocol):
    """The journal's rows of events."""

    def prune(self, before: int) -> int:
        """Delete events older than ``before``; returns how many."""


class DecisionRows(Protocol):
    """The journal's rows of what the standing rule decided."""

    def prune(self, before: int) -> int:
        """Delete those of intervals that ended before ``before``, but never the last; returns how many."""


class MarketRows(Protocol):
    """The journal's rows of the contract's events."""

    def prune(self, before: int) -> int:
        """Delete readings that were booked before ``before``, all but the newest of them; returns how many."""


class Retain:
    """Deletes what is old enough.

    Args:
        minute_rows_days: how long minute rows, events and decisions are kept, days; decisions for 31 at least.
        readings_years: how long readings are kept, years, and those that the contract booked; what has not ended is
            kept however old it is.
    """

    def __init__(
        self,
        *,
        meters: MeterRows,
        readings: ReadingRows,
        outbox: OutboxRows,
        events: EventRows,
        decisions: DecisionRows,
        market: MarketRows,
        clock: Clock,
        minute_rows_days: int,
        readings_years: int,
    ) -> None:
        self._meters = meters
        self._readings = readings
        self._outbox = outbox
        self._events = events
        self._market = market
        self._decisions = decisions
        self._clock = clock
        self._minutes_s = minute_rows_days * _DAY_S
        self._readings_s = readings_years * _YEAR_S

    def run_once(self) -> bool:
        """Delete; returns whether anything was."""
        if not self._clock.trusted():  # a clock that is ahead would delete everything
            return False
        now = self._clock.now_ms() // 1000
        try:
            gone = self._meters.prune_minutes(now - self._minutes_s)
            gone += self._outbox.forget_signed(now - _SIGNED_S)
            gone += self._events.prune(now - self._minutes_s)
            gone += self._decisions.prune(now - max(self._minutes_s, _DECISIONS_LEAST_S))
            gone += self._readings.prune(now - self._readings_s)
            gone += self._market.prune(now - self._readings_s)
        except JournalBusy:  # the record stage says so; tomorrow is early enough
            return False
        return gone > 0
