"""Events: one line in the log, one row in the journal, one message over telemetry; never a flood."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from agent.domain.errors import JournalBusy

# The same event about the same thing is said once in this many seconds; what came between is counted.
_EVERY_S = 60.0
# Events wait in memory while the journal takes none.
_MOST_WAITING = 1_000
# What tells one subject from another in an event's facts.
_SUBJECTS = ("meter", "node", "entry", "tx_hash", "interval_end", "row")


class Logger(Protocol):
    """A structured log (structlog's bound logger fits)."""

    def info(self, event: str, **facts: object) -> object:
        """Something in good order."""

    def warning(self, event: str, **facts: object) -> object:
        """A fault that ends by itself."""

    def error(self, event: str, **facts: object) -> object:
        """A fault that a person must end."""


class Clock(Protocol):
    """Time."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never step."""


class Rows(Protocol):
    """The journal's event rows."""

    def add(self, at: int, name: str, level: str, facts: dict[str, object]) -> None:
        """Keep one event; raises JournalBusy."""


class EventLog:
    """Where the stages say what happened."""

    def __init__(self, *, logger: Logger, rows: Rows, clock: Clock) -> None:
        self._logger = logger
        self._rows = rows
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, str, str, dict[str, object]]] = deque(maxlen=_MOST_WAITING)
        self._said: dict[tuple[str, ...], tuple[float, int]] = {}

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""
        if (told := self._admit(event, "info", facts)) is not None:
            self._logger.info(event, **told)

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""
        if (told := self._admit(event, "warning", facts)) is not None:
            self._logger.warning(event, **told)

    def error(self, event: str, **facts: object) -> None:
        """A fault that a person must end."""
        if (told := self._admit(event, "error", facts)) is not None:
            self._logger.error(event, **told)

    def flush(self) -> bool:
        """Move what waits into the journal; returns whether there was anything."""
        moved = False
        while True:
            with self._lock:
                if not self._waiting:
                    return moved
                event = self._waiting[0]
            try:
                self._rows.add(*event)
            except JournalBusy:  # the record stage says so; the events wait, bounded
                return moved
            moved = True
            with self._lock:
                if self._waiting and self._waiting[0] is event:
                    self._waiting.popleft()

    def _admit(self, event: str, level: str, facts: Mapping[str, object]) -> dict[str, object] | None:
        """The facts to tell, or None if it was said only just now."""
        subject = (event, level, *(str(facts[name]) for name in _SUBJECTS if name in facts))
        now = self._clock.monotonic()
        with self._lock:
            last, swallowed = self._said.get(subject, (float("-inf"), 0))
            if now - last < _EVERY_S:
                self._said[subject] = (last, swallowed + 1)
                return None
            self._forget(now, keep=subject)
            self._said[subject] = (now, 0)
            told = dict(facts) | ({"repeated": swallowed} if swallowed else {})
            self._waiting.append((self._clock.now_ms() // 1000, event, level, told))
        return told

    def _forget(self, now: float, keep: tuple[str, ...]) -> None:
        """Drop subjects that have been quiet, so that the memory of them stays bounded."""
        for subject in [key for key, (last, _) in self._said.items() if now - last >= _EVERY_S and key != keep]:
            del self._said[subject]
