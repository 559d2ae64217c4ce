"""Meters as a person looks at them: everything a meter says, and what answers on a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.adapters.line_settings import line_of, line_settings
from agent.adapters.meters import DriverMeter, errors_of_ours
from agent.domain.lines import Line
from agent.domain.samples import Measured
from drivers.catalogue import Catalogue
from drivers.meter import Inspection, Meter
from drivers.scan import scan


class MeterView:
    """One configured meter, to be looked at."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def inspect(self) -> Inspection:
        """Every point, raw and scaled, and every setting that matters.

        Raises:
            MeterSilent: it did not answer.
            MeterMisconfigured: it can never answer as it is configured.
        """
        with errors_of_ours():
            return self._meter.inspect()

    def read(self) -> Measured:
        """One guarded cycle, as the daemon reads it.

        Raises:
            MeterSilent: it did not answer.
            MeterMisconfigured: a setting or an identity is wrong.
        """
        return DriverMeter(self._meter).read()

    def close(self) -> None:
        """Let go of the line."""
        self._meter.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """A meter that answered on a line.

    Attributes:
        line: the line as it was set when the meter answered.
        unit: its Modbus unit number.
        profile: a profile that fits what it said.
        certain: its model register said so; without one, only its registers exist.
        inspection: every value, for a person to compare with the meter's display.
    """

    line: Line
    unit: int
    profile: str
    certain: bool
    inspection: Inspection


def look_for_meters(line: Line, catalogue: Catalogue, *, thorough: bool) -> Iterator[Answer]:
    """Ask for meters on a line and yield them as they answer.

    Raises:
        MeterSilent: the device or the host itself is not there.
        MeterMisconfigured: the line's settings are impossible.
    """
    with errors_of_ours():
        for found in scan(line_settings(line), list(catalogue), thorough=thorough):
            yield Answer(line_of(found.settings), found.unit, found.profile.id, found.certain, found.inspection)
