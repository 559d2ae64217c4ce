"""Following a meter's cumulative register: what is booked, what is held, and when an epoch ends.

A meter's counter only rises, and never faster than the connection can carry. A value that falls or jumps is *held*:
nothing is booked until it goes away (it was a bad read) or has repeated for so long that the counter itself must have
changed. Then it is either a rollover, which is booked, or the end of the epoch, which is never booked. The very first
value is held too, since a bad one would make every good one after it look like the end of an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

_MS_PER_HOUR = 3_600_000


class Verdict(StrEnum):
    """What became of one observed register."""

    BOOKED = "booked"
    HELD = "held"
    ROLLED_OVER = "rolled_over"
    NEW_EPOCH = "new_epoch"


class Discontinuity(StrEnum):
    """Why a register cannot simply be booked."""

    UNKNOWN = "unknown"
    """nothing is known yet that it could be compared with"""
    FELL = "fell"
    JUMPED = "jumped"
    SWAPPED = "swapped"
    """the meter states another serial number than before"""


@dataclass(frozen=True, slots=True)
class RegisterRules:
    """What is plausible for one meter.

    Attributes:
        rated_power_w: the most that the connection carries, W.
        confirmations: how many consistent observations make a discontinuity believed.
        modulus_wh: the counter starts again at 0 after this many Wh; None if it does not roll over.
        resolution_wh: the counter's step, Wh; a fall within it is rounding.
    """

    rated_power_w: int
    confirmations: int
    modulus_wh: int | None = None
    resolution_wh: int = 1

    def most_wh(self, elapsed_ms: int) -> int:
        """The most energy that can have passed in ``elapsed_ms``, Wh: rating plus a tenth, plus rounding steps."""
        carried = self.rated_power_w * max(elapsed_ms, 0) * 11 // (10 * _MS_PER_HOUR)
        return carried + 8 * self.resolution_wh + 8


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A register that is held, and how often it has been seen."""

    kind: Discontinuity
    raw_wh: int
    serial: str | None
    since_ms: int
    seen_ms: int
    sightings: int


@dataclass(frozen=True, slots=True)
class RegisterState:
    """What is known of one meter's register.

    Attributes:
        raw_wh: the last booked counter value as the meter states it, Wh; None before the first.
        at_ms: when that was, UTC epoch milliseconds.
        rollovers: how often the counter has started again at 0 within this epoch.
        serial: the meter's serial number, if it states one.
        suspicion: what is being held, if anything.
    """

    raw_wh: int | None = None
    at_ms: int = 0
    rollovers: int = 0
    serial: str | None = None
    suspicion: Suspicion | None = None

    def register_wh(self, rules: RegisterRules) -> int | None:
        """The register with rollovers added, Wh; None before the first booked value."""
        if self.raw_wh is None:
            return None
        return self.raw_wh + self.rollovers * (rules.modulus_wh or 0)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one read says of the register."""

    raw_wh: int
    at_ms: int
    serial: str | None = None


def observe(
    state: RegisterState, seen: Observation, rules: RegisterRules
) -> tuple[RegisterState, Verdict, Discontinuity | None]:
    """Take one observation in.

    Args:
        state: what is known so far.
        seen: a register that the meter stated as valid.
        rules: what is plausible.

    Returns:
        The new state, what became of the observation, and the reason if it was not simply booked.
    """
    kind = _discontinuity(state, seen, rules)
    if kind is None:
        # Rounding may show a step back; what was booked stays booked.
        kept = max(seen.raw_wh, state.raw_wh or 0)
        return _booked(state, replace(seen, raw_wh=kept)), Verdict.BOOKED, None
    suspicion = _suspect(state.suspicion, seen, kind, rules)
    if suspicion.sightings < rules.confirmations:
        return replace(state, suspicion=suspicion), Verdict.HELD, kind
    if kind is Discontinuity.UNKNOWN:
        return _booked(state, seen), Verdict.BOOKED, kind
    if kind is Discontinuity.FELL and _rolled_over(state, suspicion, rules):
        rolled = replace(_booked(state, seen), rollovers=state.rollovers + 1)
        return rolled, Verdict.ROLLED_OVER, kind
    fresh = RegisterState(raw_wh=seen.raw_wh, at_ms=seen.at_ms, serial=seen.serial or state.serial)
    return fresh, Verdict.NEW_EPOCH, kind


def set_back(state: RegisterState, by_ms: int) -> RegisterState:
    """The same state in the time of a clock that was set back by ``by_ms``.

    Without it no time would seem to have passed since the last value, and an ordinary rise would look like a jump.
    """
    held = state.suspicion
    if held is not None:
        held = replace(held, since_ms=held.since_ms - by_ms, seen_ms=held.seen_ms - by_ms)
    return replace(state, at_ms=state.at_ms - by_ms, suspicion=held)


def _booked(state: RegisterState, seen: Observation) -> RegisterState:
    return replace(state, raw_wh=seen.raw_wh, at_ms=seen.at_ms, serial=seen.serial or state.serial, suspicion=None)


def _discontinuity(state: RegisterState, seen: Observation, rules: RegisterRules) -> Discontinuity | None:
    known = state.raw_wh
    if known is None:
        return Discontinuity.UNKNOWN
    if seen.serial and state.serial and seen.serial != state.serial:
        return Discontinuity.SWAPPED
    if seen.raw_wh < known - rules.resolution_wh:
        return Discontinuity.FELL
    if seen.raw_wh - known > rules.most_wh(seen.at_ms - state.at_ms):
        return Discontinuity.JUMPED
    return None


def _suspect(held: Suspicion | None, seen: Observation, kind: Discontinuity, rules: RegisterRules) -> Suspicion:
    """Count the sighting if it continues what is held; else begin anew."""
    if held is not None and held.kind is kind and held.serial == seen.serial:
        rise = seen.raw_wh - held.raw_wh
        if -rules.resolution_wh <= rise <= rules.most_wh(seen.at_ms - held.seen_ms):
            return replace(held, raw_wh=max(seen.raw_wh, held.raw_wh), seen_ms=seen.at_ms, sightings=held.sightings + 1)
    return Suspicion(kind, seen.raw_wh, seen.serial, seen.at_ms, seen.at_ms, 1)


def _rolled_over(state: RegisterState, suspicion: Suspicion, rules: RegisterRules) -> bool:
    """Whether counting on past the modulus explains the fall with a plausible amount of energy."""
    if rules.modulus_wh is None or state.raw_wh is None:
        return False
    passed = rules.modulus_wh - state.raw_wh + suspicion.raw_wh
    return 0 <= passed <= rules.most_wh(suspicion.seen_ms - state.at_ms)
