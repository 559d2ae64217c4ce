"""Whether a counter's value needs a second look before it leaves the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# More than any household connection carries; a jump beyond it is only read twice, never refused here.
SURPRISING_W = 100_000
SLACK_WH = 10  # two reads of one cycle are less than a second apart, and counters step
# No household moves this much between two reads: either the counter is another one, or it is read wrongly.
ALARMING_WH = 1_000_000
_HOUR_S = 3600


class Register:
    """Remembers the last believed value of one counter.

    What a lasting fall or jump means (reset, rollover, swap) is not decided here: the driver only makes sure
    that the meter really says it.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last_wh: int | None = None
        self._at = 0.0
        self._unknown = False

    def surprises(self, register_wh: int) -> bool:
        """Whether the value falls, or rises faster than any connection can carry."""
        if self._last_wh is None:
            return False
        elapsed_s = self._monotonic() - self._at
        risen_wh = register_wh - self._last_wh
        return not 0 <= risen_wh <= SLACK_WH + SURPRISING_W * elapsed_s / _HOUR_S

    def alarms(self, register_wh: int | None) -> bool:
        """Whether model and settings are to be looked at again: the value fell, leapt, or became unknown."""
        if self._last_wh is None:
            return False
        if register_wh is None:
            return not self._unknown
        return not 0 <= register_wh - self._last_wh <= ALARMING_WH

    def agrees(self, first_wh: int, again_wh: int, step_wh: float) -> bool:
        """Whether a second read confirms a surprising first one.

        Args:
            first_wh: the surprising value.
            again_wh: what the meter said right after it.
            step_wh: the counter's resolution there.
        """
        slack_wh = SLACK_WH + 2 * step_wh
        if self._last_wh is not None and first_wh > self._last_wh:
            # a simulated household may run hours in a second: the second read may rise as fast as the first
            slack_wh = max(slack_wh, first_wh - self._last_wh)
        if self._last_wh is not None and first_wh < self._last_wh <= again_wh:
            return False  # it did not fall after all
        return 0 <= again_wh - first_wh <= slack_wh

    def believed(self, register_wh: int | None) -> None:
        """Remember a value that left the driver; unknown ones leave the last known in place."""
        self._unknown = register_wh is None
        if register_wh is not None:
            self._last_wh = register_wh
            self._at = self._monotonic()
