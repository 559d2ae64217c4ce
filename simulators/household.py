"""A household whose every watt-hour is a pure function of its seed and the time.

Production and consumption are metered apart and gross: the production meter counts all that the panel
gives, the consumption meter all that the household draws. There is no battery.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from simulators.load import Load
from simulators.sun import DAY_S, clear_sky_on_panel, cloud_transmission

CELL_S: Final = 60
"""Power is constant within a minute, so that energy is an exact sum and not an approximation."""
_CELLS: Final = DAY_S // CELL_S
_MICROJOULES_PER_WH: Final = 3_600_000_000
"""One Wh in mW.ms: energy is kept in integers, since adding floats would depend on the order of adding."""
_TEST_CONDITIONS: Final = 1_000.0
"""Panels are rated at an irradiance of 1000 W/m2."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a household stands and what is on its roof. The defaults are a prosumer in Tehran.

    Attributes:
        latitude_deg: Degrees north.
        longitude_deg: Degrees east.
        utc_offset_s: Local time minus UTC, seconds (Iran: +3:30 all year).
        panel_w: Rated power of the panels, W.
        tilt_deg: Tilt of the panels towards the equator, degrees.
        performance: Share of the rated power left after inverter, heat, dust and wiring.
        mean_cover: Mean cloud cover, 0 to 1.
    """

    latitude_deg: float = 35.69
    longitude_deg: float = 51.39
    utc_offset_s: int = 12_600
    panel_w: float = 5_000.0
    tilt_deg: float = 30.0
    performance: float = 0.82
    mean_cover: float = 0.35
    load: Load = field(default_factory=Load)


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """Maps a clock that only moves forward to the household's time, which may run faster.

    Attributes:
        start_epoch: Simulated UTC seconds at the moment of making this.
        speed: Simulated seconds a real second; 0 stands still.
        clock: Monotonic seconds; injected by tests.
        origin: What `clock` said at the start.
    """

    start_epoch: float
    speed: float = 1.0
    clock: Callable[[], float] = time.monotonic
    origin: float = field(default=-1.0)

    def __post_init__(self) -> None:
        if self.speed < 0:
            raise ValueError(f"speed is {self.speed}: time runs forward, so it must be 0 or more")
        if self.origin < 0:
            object.__setattr__(self, "origin", self.clock())

    def now(self) -> float:
        """Give the household's time as UTC seconds since 1970."""
        return self.start_epoch + (self.clock() - self.origin) * self.speed


class Household:
    """Power and cumulative energy of one household at any time, in any order of asking.

    Args:
        seed: The same seed gives the same household.
        site: Where it stands.
        installed_at: UTC seconds at which both cumulative energies are 0.
    """

    def __init__(self, seed: int = 1, site: Site | None = None, installed_at: float = 0.0) -> None:
        self.seed = seed
        self.site = Site() if site is None else site
        self.installed_at = installed_at
        self._first_day = int(installed_at // DAY_S)
        self._production = _Ledger(self.production_w, self._first_day)
        self._consumption = _Ledger(self.consumption_w, self._first_day)
        self._production_before = self._production.up_to(installed_at)
        self._consumption_before = self._consumption.up_to(installed_at)

    def production_w(self, epoch: float) -> float:
        """Give what the panels produce at a UTC second, W."""
        site = self.site
        light = clear_sky_on_panel(epoch, site.latitude_deg, site.longitude_deg, site.tilt_deg)
        if light == 0.0:
            return 0.0
        passed = light * cloud_transmission(epoch, self.seed, site.mean_cover)
        return min(site.panel_w, site.panel_w * site.performance * passed / _TEST_CONDITIONS)

    def consumption_w(self, epoch: float) -> float:
        """Give what the household draws at a UTC second, W."""
        return self.site.load.power_w(epoch, self.seed, self.site.utc_offset_s)

    def produced_wh(self, epoch: float) -> int:
        """Give the whole Wh produced since the installation."""
        return self._since(self._production, self._production_before, epoch)

    def consumed_wh(self, epoch: float) -> int:
        """Give the whole Wh drawn since the installation."""
        return self._since(self._consumption, self._consumption_before, epoch)

    def metered_production_w(self, epoch: float) -> float:
        """Give the power whose integral `produced_wh` is (constant within a minute), W."""
        return self._production.cell_mw(epoch) / 1_000

    def metered_consumption_w(self, epoch: float) -> float:
        """Give the power whose integral `consumed_wh` is (constant within a minute), W."""
        return self._consumption.cell_mw(epoch) / 1_000

    def _since(self, ledger: _Ledger, before: int, epoch: float) -> int:
        if epoch < self.installed_at:
            raise ValueError(f"time {epoch} is before the installation at {self.installed_at}")
        return (ledger.up_to(epoch) - before) // _MICROJOULES_PER_WH


class _Ledger:
    """Cumulative energy in microjoules from midnight of the first day, one total a day and one day in detail."""

    def __init__(self, power_w: Callable[[float], float], first_day: int) -> None:
        self._power_w = power_w
        self._first_day = first_day
        self._totals = [0]
        self._detail: dict[int, tuple[list[int], list[int]]] = {}

    def up_to(self, epoch: float) -> int:
        milliseconds = int(epoch * 1_000)
        day, within = divmod(milliseconds, DAY_S * 1_000)
        while len(self._totals) <= day - self._first_day:
            done = self._first_day + len(self._totals) - 1
            self._totals.append(self._totals[-1] + self._day(done)[1][-1])
        cell, rest = divmod(within, CELL_S * 1_000)
        powers, sums = self._day(day)
        return self._totals[day - self._first_day] + sums[cell] + powers[cell] * rest

    def cell_mw(self, epoch: float) -> int:
        day, within = divmod(int(epoch * 1_000), DAY_S * 1_000)
        return self._day(day)[0][within // (CELL_S * 1_000)]

    def _day(self, day: int) -> tuple[list[int], list[int]]:
        """Powers of a day's cells in mW, and the energy before each cell (one more: the day's total)."""
        known = self._detail.get(day)
        if known is None:
            # The middle of a cell stands for the cell; mW as integers make the sum exact.
            middles = (day * DAY_S + cell * CELL_S + CELL_S / 2 for cell in range(_CELLS))
            powers = [round(self._power_w(middle) * 1_000) for middle in middles]
            sums = [0, *accumulate(power * CELL_S * 1_000 for power in powers)]
            if len(self._detail) > 1:  # today and its neighbour are all that is asked for again
                del self._detail[next(iter(self._detail))]
            known = self._detail[day] = (powers, sums)
        return known
