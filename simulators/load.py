"""What a household draws: a base, a refrigerator, a morning peak and a higher evening one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from simulators.sun import DAY_S, chance

_SLOT_S: Final = 300
"""Appliances go on and off about every five minutes."""
_COMPRESSOR_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Load:
    """The shape of a household's day; every field is a fact that a test may change.

    Attributes:
        base_w: What is always on, W.
        refrigerator_w: W while its compressor runs, which it does two fifths of the time.
        morning_w: Height of the morning peak, W.
        morning_hour: Its centre, local hours.
        evening_w: Height of the evening peak, W.
        evening_hour: Its centre, local hours.
        flicker: Share by which appliances vary around the shape, 0 to 1.
    """

    base_w: float = 110.0
    refrigerator_w: float = 120.0
    morning_w: float = 900.0
    morning_hour: float = 7.0
    evening_w: float = 1_700.0
    evening_hour: float = 20.5
    flicker: float = 0.35

    def power_w(self, epoch: float, seed: int, utc_offset_s: int) -> float:
        """Work out the power drawn at a moment.

        Args:
            epoch: UTC seconds since 1970.
            seed: The household's seed.
            utc_offset_s: Local time minus UTC, seconds; the peaks are those of the local day.

        Returns:
            W, always above 0.
        """
        local = epoch + utc_offset_s
        hour = (local % DAY_S) / 3_600
        slot = int(local // _SLOT_S)
        peaks = self.morning_w * _bump(hour, self.morning_hour, 1.1) + self.evening_w * _bump(
            hour, self.evening_hour, 2.0
        )
        flicker = 1 + self.flicker * (2 * chance(seed, 3, slot) - 1)
        compressor = self.refrigerator_w if chance(seed, 4, slot) < _COMPRESSOR_SHARE else 0.0
        return (self.base_w + peaks) * flicker + compressor


def _bump(hour: float, centre: float, width: float) -> float:
    # The day is a circle: an evening peak reaches into the small hours.
    apart = abs(hour - centre)
    apart = min(apart, 24 - apart)
    return math.exp(-((apart / width) ** 2) / 2)
