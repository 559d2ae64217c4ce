"""Intervals ``[k·P, (k+1)·P)`` in UTC epoch seconds, and closing one when both meters have spoken."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.readings import ClosedReading, Flags

_MS = 1000
# Later than this part of the period after the boundary, a reading is flagged late.
_LATE_PARTS = 100
# This part of the period is waited for a meter that is slow to answer, but never longer than the second figure.
_GRACE_PARTS = 10
_GRACE_MOST_MS = 30_000


@dataclass(frozen=True, slots=True)
class Register:
    """One meter's register as it may enter a reading.

    Attributes:
        register_wh: Wh.
        taken_ms: when it was read, UTC epoch milliseconds.
        raw: the words as they came over the wire.
    """

    register_wh: int
    taken_ms: int
    raw: bytes = b""


def last_boundary(now_s: int, period_s: int) -> int:
    """The latest interval's end that is not in the future, UTC epoch seconds."""
    return now_s // period_s * period_s


def late_after_s(period_s: int) -> int:
    """How long after the boundary a reading may be taken before it is flagged late, seconds, as readings state time."""
    return period_s // _LATE_PARTS


def grace_ms(period_s: int) -> int:
    """How long after the boundary a silent meter is waited for, ms."""
    return min(period_s * _MS // _GRACE_PARTS, _GRACE_MOST_MS)


@dataclass(frozen=True, slots=True)
class Close:
    """What closing one interval needs.

    Attributes:
        boundary: the interval's end, UTC epoch seconds.
        period_s: reporting period, seconds.
        epoch: the epoch in force.
        previous_end: the last closed boundary, or None if this is the first.
        production: the production meter's newest good register, None if there never was one.
        consumption: the consumption meter's newest good register.
        stated: production and consumption register as they were stated last in the epoch, Wh; None if they never were.
    """

    boundary: int
    period_s: int
    epoch: int
    previous_end: int | None
    production: Register | None
    consumption: Register | None
    stated: tuple[int, int] | None

    def at(self, now_ms: int) -> ClosedReading | None:
        """The reading, or None while there is reason to wait or nothing new to state.

        A meter that stays silent through the grace time is held: the register that was stated last is repeated and
        flagged, so that the other meter's energy is booked on time. What the silent one said since then is not stated:
        the contract takes a held register only where it has not moved. With both silent there is nothing to state;
        since registers are cumulative, the next reading carries the energy.

        Args:
            now_ms: UTC epoch milliseconds.
        """
        boundary_ms = self.boundary * _MS
        if self.production is None or self.consumption is None or now_ms < boundary_ms:
            return None
        if now_ms >= boundary_ms + self.period_s * _MS:
            # Kept waiting over the next boundary: two readings of one second would be one too many for the contract.
            return None
        # A register from the future was read before the clock was set back: nobody knows on which side of the boundary.
        both = (self.production, self.consumption)
        fresh = [register for register in both if boundary_ms <= register.taken_ms <= now_ms]
        if not fresh or (len(fresh) == 1 and now_ms < boundary_ms + grace_ms(self.period_s)):
            return None
        if len(fresh) == 1 and self.stated is None:
            return None
        taken_ms = max(register.taken_ms for register in fresh)
        produced_wh, consumed_wh = self.production.register_wh, self.consumption.register_wh
        flags = Flags.NONE
        if self.stated is not None and self.production not in fresh:
            flags, produced_wh = flags | Flags.PRODUCTION_HELD, self.stated[0]
        if self.stated is not None and self.consumption not in fresh:
            flags, consumed_wh = flags | Flags.CONSUMPTION_HELD, self.stated[1]
        if taken_ms // _MS - self.boundary > late_after_s(self.period_s):
            flags |= Flags.LATE
        start = self.boundary - self.period_s
        return ClosedReading(
            interval_end=self.boundary,
            period_s=self.period_s,
            epoch=self.epoch,
            taken_at=taken_ms // _MS,
            produced_wh=produced_wh,
            consumed_wh=consumed_wh,
            flags=flags,
            gap_s=max(0, start - self.previous_end) if self.previous_end is not None else 0,
            raw_production=b"" if Flags.PRODUCTION_HELD in flags else self.production.raw,
            raw_consumption=b"" if Flags.CONSUMPTION_HELD in flags else self.consumption.raw,
        )
