"""How long to wait before trying again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Doubling delays with jitter, so that a thousand households do not come back at once.

    Attributes:
        first_s: the delay after the first failure, seconds, before jitter.
        most_s: the longest delay, seconds, before jitter.
    """

    first_s: float
    most_s: float

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """Seconds to wait after ``failures`` failures in a row.

        The upper half of the delay is random: the spread is 50 % of it, and a retry never comes at once.

        Args:
            failures: 1 or more.
            random: gives a number in [0, 1).
        """
        # The exponent is bounded, since 2.0 ** failures overflows after a thousand failures (a day offline).
        full = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * random())


@dataclass(slots=True)
class Patience:
    """One counterpart's failures in a row and the time before which it is left alone."""

    backoff: BackOff
    random: Callable[[], float]
    failures: int = 0
    not_before: float = 0.0

    def ready(self, now: float) -> bool:
        """Whether it may be tried at monotonic time ``now``."""
        return now >= self.not_before

    def failed(self, now: float) -> None:
        """Note a failure at monotonic time ``now``."""
        self.failures += 1
        self.not_before = now + self.backoff.delay(self.failures, self.random)

    def succeeded(self) -> bool:
        """Note a success; returns whether failures came before it."""
        had = self.failures > 0
        self.failures = 0
        self.not_before = 0.0
        return had
