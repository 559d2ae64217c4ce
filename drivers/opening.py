"""Where a meter comes from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from drivers.modbus_meter import ModbusMeter

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.line import Line
    from drivers.meter import Counts, Meter
    from drivers.profile import Profile


def open_meter(
    line: Line,
    profile: Profile,
    unit: int,
    counts: Counts,
    serial: str | None = None,
    *,
    name: str = "",
    monotonic: Callable[[], float] = time.monotonic,
) -> Meter:
    """Make a meter ready to be read; nothing is sent before its first `read`.

    Args:
        line: from a `LinePool`, so that meters on one line share it.
        profile: from a `Catalogue`.
        unit: Modbus unit number.
        counts: which cumulative register is this household's; the installer's `direction` decides.
        serial: the serial number that must answer, as `probe` shows it; `None` to take any.
        name: what messages call it, such as "production".
        monotonic: seconds of a clock that never goes back; paces attempts.

    Raises:
        ConfigurationError: the profile has no such counter, or no serial number to compare with.
    """
    return ModbusMeter(line, profile, unit, counts, serial, name=name, monotonic=monotonic)
