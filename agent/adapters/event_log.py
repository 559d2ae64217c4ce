"""Events: one line in the log, one row in the journal, one message over telemetry; never a flood."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from agent.domain.errors import JournalBusy

# The same event about the same thing is said once in this many seconds. What came between is counted, and the last of
# it is said when the time is over: a meter that was lost, back and lost again must not stay "back" in the log.
_EVERY_S = 60.0
# Events wait in memory while the journal takes none.
_MOST_WAITING = 1_000
# What tells one subject from another in an event's facts.
_SUBJECTS = ("meter", "node", "entry", "tx_hash", "interval_end", "row", "joined", "left")


@dataclass(slots=True)
class _Said:
    """When a subject was last said (monotonic seconds), how often since, and the last that was not: time and facts."""

    last: float
    swallowed: int = 0
    unsaid: tuple[int, str, str, dict[str, object]] | None = None


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

    def add(self, events: Sequence[tuple[int, str, str, dict[str, object]]]) -> None:
        """Keep events, each with its time, name, level and facts, in one commit; raises JournalBusy."""


class EventLog:
    """Where the stages say what happened."""

    def __init__(self, *, logger: Logger, rows: Rows, clock: Clock) -> None:
        self._logger = logger
        self._rows = rows
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, str, str, dict[str, object]]] = deque(maxlen=_MOST_WAITING)
        self._said: dict[tuple[str, ...], _Said] = {}

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""
        self._hear(event, "info", facts)

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""
        self._hear(event, "warning", facts)

    def error(self, event: str, **facts: object) -> None:
        """A fault that a person must end."""
        self._hear(event, "error", facts)

    def kept(self, event: str, **facts: object) -> None:
        """Something in good order that must be in the journal exactly once: its row is part of a transaction.

        To be called inside one. Should that fail, the line is in the log already, and comes again with the next try.

        Raises:
            JournalBusy: the journal takes nothing now.
        """
        self._rows.add([(self._clock.now_ms() // 1000, event, "info", facts)])
        with suppress(OSError):
            self._logger.info(event, **facts)

    def flush(self, *, last: bool = False) -> bool:
        """Move what waits into the journal, and say what was held back; returns whether there was anything.

        Args:
            last: the process ends, so what was held back is said however new it is.
        """
        self._catch_up(everything=last)
        with self._lock:
            waiting = list(self._waiting)
        if not waiting:
            return False
        try:
            self._rows.add(waiting)
        except JournalBusy:  # the record stage says so; the events wait, bounded
            return False
        kept = {id(event) for event in waiting}
        with self._lock:
            while self._waiting and id(self._waiting[0]) in kept:
                self._waiting.popleft()
        return True

    def _hear(self, event: str, level: str, facts: Mapping[str, object]) -> None:
        subject = (event, level, *(str(facts[name]) for name in _SUBJECTS if name in facts))
        now, at = self._clock.monotonic(), self._clock.now_ms() // 1000
        with self._lock:
            said = self._said.get(subject)
            if said is not None and now - said.last < _EVERY_S:
                said.swallowed += 1
                said.unsaid = (at, event, level, dict(facts))
                return
            self._said[subject] = _Said(now)  # this one speaks for what was held back, too
        self._catch_up()
        self._say(at, event, level, dict(facts) | ({"repeated": said.swallowed} if said and said.swallowed else {}))

    def _catch_up(self, *, everything: bool = False) -> None:
        """Say the last of what was held back, in its order; forget subjects that have been quiet."""
        now = self._clock.monotonic()
        late: list[tuple[int, str, str, dict[str, object]]] = []
        with self._lock:
            over = [(key, one) for key, one in self._said.items() if everything or now - one.last >= _EVERY_S]
            for subject, said in over:
                del self._said[subject]
                if said.unsaid is not None:
                    at, event, level, facts = said.unsaid
                    late.append((at, event, level, facts | {"repeated": said.swallowed}))
                    self._said[subject] = _Said(now)
        for one in sorted(late, key=lambda one: one[0]):
            self._say(*one)

    def _say(self, at: int, event: str, level: str, facts: dict[str, object]) -> None:
        with self._lock:
            self._waiting.append((at, event, level, facts))
        tell = {"info": self._logger.info, "warning": self._logger.warning, "error": self._logger.error}[level]
        # A log that cannot be written (its disk is full, its reader is gone) ends no loop: the journal has the event.
        with suppress(OSError):
            tell(event, **facts)
