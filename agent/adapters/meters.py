"""The drivers' meters as the poll stage wants them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from agent.domain.errors import MeterMisconfigured, MeterSilent
from agent.domain.samples import Measured
from drivers.errors import MeterError, RetryableError
from drivers.meter import Meter


@contextmanager
def errors_of_ours() -> Iterator[None]:
    """The drivers' errors become ours, by who handles them.

    Raises:
        MeterSilent: it may be tried again.
        MeterMisconfigured: a person must put something right.
    """
    try:
        yield
    except RetryableError as error:
        raise MeterSilent(str(error)) from error
    except MeterError as error:
        raise MeterMisconfigured(str(error)) from error


class DriverMeter:
    """One meter behind its driver: its errors become ours, by who handles them."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def read(self) -> Measured:
        """One guarded cycle.

        Raises:
            MeterSilent: no answer, or one that does not fit.
            MeterMisconfigured: a person must put something right: a setting, a profile, another meter on the wire.
        """
        with errors_of_ours():
            measured = self._meter.read()
        raw_wh = measured.register_wh
        return Measured(
            raw_wh=raw_wh,
            power_w=measured.power_w,
            voltage_v=measured.voltage_v,
            current_a=measured.current_a,
            frequency_hz=measured.frequency_hz,
            serial=measured.serial,
            raw=measured.raw_register,
            resolution_wh=1 if raw_wh is None else max(1, math.ceil(self._meter.resolution_wh(raw_wh))),
        )

    def close(self) -> None:
        """Let go of the line."""
        self._meter.close()
