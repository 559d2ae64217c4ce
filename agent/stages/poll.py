"""Poll: one read of one meter becomes a sample, a minute's sum, and the newest good register.

Each meter has a Poll of its own, so that a dead one never stalls the other. Nothing here touches the journal: what a
minute adds up to waits in memory, bounded, until the record stage has committed it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import Protocol

from agent.domain.errors import MeterMisconfigured, MeterSilent
from agent.domain.intervals import Register
from agent.domain.registers import Discontinuity, Observation, RegisterRules, RegisterState, Verdict, observe, set_back
from agent.domain.samples import MINUTE_S, Measured, MeterRole, MinuteRow, MinuteSum, Quality, Sample
from agent.stages.ports import Clock, Events

# Two days of minutes wait in memory while the disk takes none; what is beyond is counted and dropped, oldest first.
_MOST_MINUTES = 2 * 24 * 60


class Meter(Protocol):
    """One meter."""

    def read(self) -> Measured:
        """One guarded cycle.

        Raises:
            MeterSilent: no answer, or one that does not fit.
            MeterMisconfigured: a person must put something right.
        """


class Poll:
    """Polls one meter.

    Args:
        role: which of the two meters.
        meter: where to read it.
        clock: time.
        events: where to say what happened.
        rules: what is plausible for its register; the resolution is taken from each read.
        state: what the journal kept of its register.
    """

    def __init__(
        self,
        *,
        role: MeterRole,
        meter: Meter,
        clock: Clock,
        events: Events,
        rules: RegisterRules,
        state: RegisterState,
    ) -> None:
        self.role = role
        self._meter = meter
        self._clock = clock
        self._events = events
        self._rules = rules
        self._lock = threading.Lock()
        self._state = state
        self._latest: Sample | None = None
        self._newest: Register | None = _register(state, rules)
        self._sum: MinuteSum | None = None
        self._minutes: deque[MinuteRow] = deque(maxlen=_MOST_MINUTES)
        self._dropped = 0
        self._ended_epochs = 0
        self._lost = ""
        self._held = False
        self._observed_at: tuple[int, float] | None = None

    def run_once(self) -> bool:
        """Read the meter once; returns whether there was a good register."""
        try:
            measured = self._meter.read()
        except (MeterSilent, MeterMisconfigured) as error:
            self._missed(error)
            return False
        self._answered()
        return self._take(measured)

    def latest(self) -> Sample | None:
        """The newest sample, good or not; None before the first."""
        with self._lock:
            return self._latest

    def newest(self) -> Register | None:
        """The newest register that may be booked; None if there never was one."""
        with self._lock:
            return self._newest

    def state(self) -> RegisterState:
        """What is known of the register."""
        with self._lock:
            return self._state

    def ended_epochs(self) -> int:
        """How many epochs this meter's discontinuities have ended since the process began."""
        with self._lock:
            return self._ended_epochs

    def minutes(self) -> list[MinuteRow]:
        """Minutes that are over and not yet forgotten, oldest first."""
        with self._lock:
            if self._sum is not None and self._minute() > self._sum.minute:
                self._end_minute()
            return list(self._minutes)

    def forget(self, count: int) -> None:
        """Forget the ``count`` oldest minutes: they are in the journal."""
        with self._lock:
            for _ in range(min(count, len(self._minutes))):
                self._minutes.popleft()

    def _minute(self) -> int:
        return self._clock.now_ms() // 1000 // MINUTE_S * MINUTE_S

    def _current(self) -> MinuteSum | None:
        """The running minute's sum; None while the clock is not trusted, since a minute row states a time."""
        if not self._clock.trusted():
            return None
        minute = self._minute()
        if self._sum is not None and self._sum.minute != minute:
            self._end_minute()
        if self._sum is None:
            self._sum = MinuteSum(self.role, minute)
        return self._sum

    def _end_minute(self) -> None:
        if self._sum is None:
            return
        if len(self._minutes) == _MOST_MINUTES:
            self._dropped += 1
            self._events.error(
                "minutes.dropped",
                meter=self.role,
                count=self._dropped,
                advice="the journal has taken nothing for two days: free space on the disk; readings are not affected",
            )
        self._minutes.append(self._sum.row())
        self._sum = None

    def _missed(self, error: MeterSilent | MeterMisconfigured) -> None:
        with self._lock:
            current = self._current()
            if current is not None:
                current.miss()
        kind = type(error).__name__
        if self._lost == kind:
            return
        self._lost = kind
        if isinstance(error, MeterMisconfigured):
            self._events.error(
                "meter.misconfigured",
                meter=self.role,
                problem=str(error),
                advice="run 'prosumer-agent check' and put right what it names",
            )
        else:
            self._events.warning(
                "meter.lost",
                meter=self.role,
                problem=str(error),
                advice="check its supply, the wiring (A and B, termination) and that nothing else uses the line",
            )

    def _answered(self) -> None:
        if self._lost:
            self._lost = ""
            self._events.info("meter.back", meter=self.role)

    def _take(self, measured: Measured) -> bool:
        now_ms = self._clock.now_ms()
        if measured.raw_wh is None:
            self._keep(measured, now_ms, None, Quality.UNKNOWN)
            return False
        if not self._clock.trusted():
            # Whether a rise is plausible depends on the time that passed, and after a power cut nobody knows that yet.
            self._keep(measured, now_ms, None, Quality.HELD)
            return False
        rules = replace(self._rules, resolution_wh=measured.resolution_wh)
        seen = Observation(measured.raw_wh, now_ms, measured.serial)
        before = self._in_this_time(now_ms)
        state, verdict, kind = observe(before, seen, rules)
        held = verdict is Verdict.HELD
        with self._lock:
            self._state = state
            if not held:
                register_wh = state.register_wh(rules)
                if register_wh is not None:
                    self._newest = Register(register_wh, now_ms, measured.raw)
            if verdict is Verdict.NEW_EPOCH:
                self._ended_epochs += 1
        if held:
            self._keep(measured, now_ms, None, Quality.HELD)
        else:
            self._keep(measured, now_ms, state.register_wh(rules), Quality.GOOD)
        self._tell(verdict, kind, before, seen)
        return not held

    def _in_this_time(self, now_ms: int) -> RegisterState:
        """The state, in the time of a clock that may have been set back since the last observation.

        A step forward is left alone: it may as well be a suspended machine, whose monotonic clock stood still.
        """
        monotonic = self._clock.monotonic()
        last, self._observed_at = self._observed_at, (now_ms, monotonic)
        if last is None:
            return self._state
        back_ms = last[0] + round((monotonic - last[1]) * 1000) - now_ms
        return set_back(self._state, back_ms) if back_ms > 0 else self._state

    def _keep(self, measured: Measured, now_ms: int, register_wh: int | None, quality: Quality) -> None:
        sample = Sample(
            role=self.role,
            taken_ms=now_ms,
            register_wh=register_wh,
            power_w=measured.power_w,
            voltage_v=measured.voltage_v,
            current_a=measured.current_a,
            frequency_hz=measured.frequency_hz,
            raw=measured.raw,
            quality=quality,
        )
        with self._lock:
            self._latest = sample
            current = self._current()
            if current is not None:
                current.add(sample)

    def _tell(self, verdict: Verdict, kind: Discontinuity | None, before: RegisterState, seen: Observation) -> None:
        facts = {"meter": self.role, "kind": str(kind or ""), "booked_wh": before.raw_wh, "stated_wh": seen.raw_wh}
        # That the first register waits for its confirmation is no fault.
        held = verdict is Verdict.HELD and kind is not Discontinuity.UNKNOWN
        if held and not self._held:
            self._events.warning(
                "register.held",
                **facts,
                advice="nothing is booked until it repeats; if it stays, look at the meter's display",
            )
        elif verdict is Verdict.ROLLED_OVER:
            self._events.info("register.rolled_over", **facts)
        elif verdict is Verdict.NEW_EPOCH:
            self._events.error(
                "register.new_epoch",
                **facts,
                serial_before=before.serial,
                serial=seen.serial,
                advice="tell the registration office: it must confirm the meter before readings are settled again",
            )
        self._held = held


def _register(state: RegisterState, rules: RegisterRules) -> Register | None:
    register_wh = state.register_wh(rules)
    return None if register_wh is None else Register(register_wh, state.at_ms)
