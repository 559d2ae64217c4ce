"""How long to wait for a meter, and how long to leave it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

from drivers.errors import BackingOffError

PATIENCE = 4.0  # times the filtered latency: what field daemons found to pass jitter and still be quick
SMOOTHING = 0.125  # the weight of one new latency: TCP's choice, an outlier fades in about ten reads


@dataclass(slots=True)
class Pace:
    """The timeout that follows a meter's measured latency.

    Attributes:
        floor_s: never wait less, in seconds.
        ceiling_s: never wait longer, in seconds.
        gap_s: silence the meter wants before each request, in seconds.
        latency_s: filtered latency in seconds, `None` before the first reply.
        timeout_s: what to wait now, in seconds.
    """

    floor_s: float
    ceiling_s: float
    gap_s: float = 0.0
    latency_s: float | None = None
    timeout_s: float = 0.0

    def __post_init__(self) -> None:
        self.timeout_s = self.ceiling_s  # nothing is known yet

    def answered(self, latency_s: float) -> None:
        """Learn from a reply that took `latency_s` seconds beside the time on the wire."""
        known = self.latency_s
        self.latency_s = latency_s if known is None else known + SMOOTHING * (latency_s - known)
        self.timeout_s = min(self.ceiling_s, max(self.floor_s, PATIENCE * self.latency_s))

    def missed(self) -> None:
        """Wait twice as long after a silence: a meter that became slow must not stay unread for ever."""
        self.timeout_s = min(self.ceiling_s, 2 * self.timeout_s)


FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0  # an unplugged adapter is to be back within 30 s of its return
FREE_FAILURES = 1  # one lost frame is ordinary: the next cycle asks again


class BackOff:
    """Leaves a failing meter alone, longer each time, so that the others on its line are not delayed."""

    def __init__(self, label: str, monotonic: Callable[[], float]) -> None:
        self._label = label
        self._monotonic = monotonic
        self._failures = 0
        self._not_before = 0.0

    def check(self) -> None:
        """Raise while the pause lasts.

        Raises:
            BackingOffError: the meter is not to be asked yet.
        """
        remaining_s = self._not_before - self._monotonic()
        if self._failures > FREE_FAILURES and remaining_s > 0:
            raise BackingOffError(
                f"{self._label}: not asked, it failed {self._failures} times in a row; "
                f"next attempt in {remaining_s:.1f} s",
                remaining_s,
            )

    def failed(self) -> None:
        """Count a failure and begin the next pause."""
        self._failures += 1
        doublings = min(self._failures - FREE_FAILURES - 1, 10)
        pause_s = 0.0 if doublings < 0 else min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**doublings)
        self._not_before = self._monotonic() + pause_s

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self._failures = 0
