"""Which loops still make progress: what the watchdog's ping depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Beat:
    budget_s: float
    last: float


class Liveness:
    """Keeps the last sign of progress of each loop.

    A loop that waits for its next turn makes progress; one that began a turn and does not come back stalls.
    Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._beats: dict[str, _Beat] = {}

    def expect(self, loop: str, budget_s: float, now: float) -> None:
        """Expect ``loop`` to beat at least every ``budget_s`` seconds from ``now`` on."""
        self._beats[loop] = _Beat(budget_s, now)

    def beat(self, loop: str, now: float) -> None:
        """Note that ``loop`` finished a turn."""
        self._beats[loop].last = now

    def resume(self, now: float) -> None:
        """Give every loop its whole time anew: the process itself stood still until ``now``."""
        for beat in self._beats.values():
            beat.last = now

    def stalled(self, now: float) -> list[str]:
        """The loops that are overdue, longest first."""
        overdue = [(now - beat.last, loop) for loop, beat in self._beats.items() if now - beat.last > beat.budget_s]
        return [loop for _, loop in sorted(overdue, reverse=True)]
