"""What one read of one meter says, and what a minute of reads adds up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MINUTE_S = 60


class MeterRole(StrEnum):
    """Which of the household's two meters."""

    PRODUCTION = "production"
    CONSUMPTION = "consumption"


class Quality(StrEnum):
    """How far a sample's register may be trusted."""

    GOOD = "good"
    UNKNOWN = "unknown"
    """the meter gave no value, or one that its datasheet calls 'not available'"""
    HELD = "held"
    """a value that has not repeated often enough to be believed, or one that was read before the clock was set"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one meter stated in one cycle; None is unknown, never 0.

    Attributes:
        raw_wh: counter as the meter states it, Wh.
        power_w: active power in the counted direction, W.
        serial: serial number, if this meter states one in its cycle.
        raw: the counter's words as they came over the wire.
        resolution_wh: the counter's step at this value, Wh.
    """

    raw_wh: int | None
    power_w: int | None
    voltage_v: float | None
    current_a: float | None
    frequency_hz: float | None
    serial: str | None
    raw: bytes
    resolution_wh: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One read of one meter.

    Attributes:
        role: which meter.
        taken_ms: when the reply arrived, UTC epoch milliseconds.
        register_wh: cumulative register, Wh, rollovers added; None unless ``quality`` is good.
        power_w: active power in the counted direction, W; None if unknown.
        voltage_v: volts, for the live view only.
        current_a: amperes, for the live view only.
        frequency_hz: hertz, for the live view only.
        raw: the register's words as they came over the wire.
        quality: whether ``register_wh`` may be booked.
    """

    role: MeterRole
    taken_ms: int
    register_wh: int | None
    power_w: int | None
    voltage_v: float | None = None
    current_a: float | None = None
    frequency_hz: float | None = None
    raw: bytes = b""
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class MinuteRow:
    """One minute of one meter, as the journal keeps it.

    Attributes:
        minute: UTC epoch seconds of the minute's start.
        register_wh: the last good register in the minute, Wh; None if there was none.
        power_min_w: lowest power seen, W; None if no sample had one.
        power_mean_w: mean power, W, rounded.
        power_max_w: highest power seen, W.
        good: how many samples had a good register.
        bad: how many reads failed, were unknown or held.
    """

    role: MeterRole
    minute: int
    register_wh: int | None
    power_min_w: int | None
    power_mean_w: int | None
    power_max_w: int | None
    good: int
    bad: int


@dataclass(slots=True)
class MinuteSum:
    """Adds up the samples of one meter's current minute."""

    role: MeterRole
    minute: int
    register_wh: int | None = None
    good: int = 0
    bad: int = 0
    _powers: list[int] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Count one sample in; its time must lie in this minute."""
        if sample.quality is Quality.GOOD and sample.register_wh is not None:
            self.good += 1
            self.register_wh = sample.register_wh
        else:
            self.bad += 1
        if sample.power_w is not None:
            self._powers.append(sample.power_w)

    def miss(self) -> None:
        """Count a read that failed."""
        self.bad += 1

    def row(self) -> MinuteRow:
        """The minute as it stands."""
        powers = self._powers
        return MinuteRow(
            role=self.role,
            minute=self.minute,
            register_wh=self.register_wh,
            power_min_w=min(powers) if powers else None,
            power_mean_w=round(sum(powers) / len(powers)) if powers else None,
            power_max_w=max(powers) if powers else None,
            good=self.good,
            bad=self.bad,
        )
