"""A Modbus meter, read so that a value is either this meter's, now, or is not returned.

A cycle is: the data blocks, then one closing read of another shape (the serial number where the meter has
one). An RTU reply carries no transaction number, so a late or foreign frame that happened to fit one request
pushes every later reply one place back, and the closing read then gets a frame that cannot be its own. After
a failure the next cycle begins with a fence: a read whose shape differs from everything still unanswered.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.admission import Admission, admit
from drivers.blocks import Block, hole_limit, plan
from drivers.errors import (
    BackingOffError,
    ConfigurationError,
    GarbledReplyError,
    GatewayError,
    MeterBusyError,
    MeterError,
    NoReplyError,
    RefusedRequestError,
    WrongMeterError,
)
from drivers.inspection import inspect_meter
from drivers.meter import Counts, Inspection, Measurement
from drivers.modbus import Request
from drivers.pacing import BackOff, Pace
from drivers.plausible import Register
from drivers.profile import CURRENT, FREQUENCY, LIVE, POWER, VOLTAGE, Profile, cut
from drivers.values import FLOATS, W_PER, WH_PER, float_step, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from drivers.line import Line, Session

# How long a reply may still be under way, in longest timeouts: gateways queue, meters do not.
LATE_TIMEOUTS = 10
HOLE_STEP = 4  # the plan follows the measured latency in steps, so that noise does not change it each second


class ModbusMeter:
    """One meter on a line; see `drivers.meter.Meter`."""

    def __init__(
        self,
        line: Line,
        profile: Profile,
        unit: int,
        counts: Counts,
        serial: str | None = None,
        *,
        name: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a meter; nothing is sent before the first read.

        Args:
            line: the line it is on, shared with others.
            profile: its registers.
            unit: Modbus unit number.
            counts: the cumulative register that is this household's.
            serial: the serial number that must answer, as `probe` shows it; `None` to take any.
            name: what messages call it, such as "production".
            monotonic: seconds of a clock that never goes back; paces attempts.

        Raises:
            ConfigurationError: the profile has no such counter, or no serial number to compare with.
        """
        self.label = f"{name} meter ({profile.id})" if name else f"meter {profile.id}"
        if counts not in profile.counts:
            raise ConfigurationError(
                f"{self.label}: has no {counts} counter; its profile offers {', '.join(profile.counts)}"
            )
        if serial and not profile.serials:
            raise ConfigurationError(f"{self.label}: a serial number is configured, but this kind of meter states none")
        self._line = line
        self._profile = profile
        self._unit = unit
        self._counts = counts
        self._serial = serial
        self._monotonic = monotonic
        self._counter = profile.points[profile.counts[counts]]
        self._pace = Pace(*profile.timeout_s, gap_s=profile.gap_s)
        self._back_off = BackOff(f"{self.label} unit {unit} on {line}", monotonic)
        self._register = Register(monotonic)
        self._admission: Admission | None = None
        self._absent: set[str] = set()
        self._planned: tuple[tuple[int, int], tuple[Block, ...]] | None = None
        self._unanswered = line.unanswered(unit)
        line.join()

    @property
    def modulus_wh(self) -> int | None:
        """The register starts again from 0 at this many Wh; `None` for floats and where it is not known."""
        return self._profile.counter_modulus_wh(self._counts)

    def resolution_wh(self, register_wh: int) -> float:
        """The smallest step, in Wh, that the register can make at this value."""
        point = self._counter
        unit_wh = float(WH_PER[point.unit] * point.scale)
        if point.kind not in FLOATS:
            return unit_wh
        return float_step(register_wh / unit_wh, point.kind) * unit_wh

    def read(self) -> Measurement:
        """Read one guarded cycle; see `drivers.meter.Meter.read`."""
        self._back_off.check()
        try:
            with self._line.session(self._pace) as session:
                measurement = self._cycle(session)
        except MeterError:
            self._back_off.failed()
            raise
        self._back_off.succeeded()
        return measurement

    def inspect(self) -> Inspection:
        """Read every point and every watched setting; see `drivers.meter.Meter.inspect`."""
        with self._line.session(self._pace) as session:
            self._fence(session)
            return inspect_meter(
                self._profile,
                str(self._line),
                self._unit,
                self._serial,
                lambda block: self._ask(session, block),
            )

    def close(self) -> None:
        """Let go of the line; the last meter on it closes it."""
        self._admission = None
        self._line.leave()

    def _cycle(self, session: Session) -> Measurement:
        self._fence(session)
        admission = self._admitted(session)
        read = self._data(session)
        found = self._closing(session, admission)
        values = {name: self._profile.value(self._profile.points[name], *read[name]) for name in read}
        energy = values.get(self._counter.name)
        register_wh = None if energy is None else whole(energy * WH_PER[self._counter.unit])
        if register_wh is not None and self._register.surprises(register_wh):
            self._confirm(session, register_wh)
        if self._register.alarms(register_wh):
            self._admission = None  # somebody may have changed the meter, or a setting in it
            self._admitted(session)
        self._register.believed(register_wh)
        return Measurement(
            register_wh=register_wh,
            power_w=self._power(values.get(POWER)),
            voltage_v=_rounded(values.get(VOLTAGE)),
            current_a=_rounded(values.get(CURRENT)),
            frequency_hz=_rounded(values.get(FREQUENCY)),
            serial=found,
            raw_register=cut(self._counter, *read[self._counter.name]),
            unknown=tuple(name for name, value in values.items() if value is None),
        )

    def _data(self, session: Session) -> dict[str, tuple[Block, bytes]]:
        """Read what a measurement needs: for each point its block and the block's words."""
        read: dict[str, tuple[Block, bytes]] = {}
        for block in self._plan():
            try:
                words = self._ask(session, block)
            except RefusedRequestError:
                if not block.optional or self._counter.name in block.names:
                    raise
                self._absent.update(block.names)
                continue
            read.update(dict.fromkeys(block.names, (block, words)))
        return read

    def _plan(self) -> tuple[Block, ...]:
        """The blocks of a measurement; worked out anew only when latency or absences call for others."""
        settings = self._line.settings
        limit = hole_limit(settings.character_s, settings.frame_gap_s, self._pace.latency_s or 0.0)
        holes = limit - limit % HOLE_STEP if self._profile.holes else 0
        if self._planned is None or self._planned[0] != (holes, len(self._absent)):
            names = {self._counter.name, *LIVE} & self._profile.points.keys() - self._absent
            spans = [self._profile.span(self._profile.points[name]) for name in sorted(names)]
            blocks = plan(spans, max_registers=self._profile.max_registers, holes=holes)
            self._planned = ((holes, len(self._absent)), blocks)
        return self._planned[1]

    def _admitted(self, session: Session) -> Admission:
        """Check model and settings once for each opening of the line: what is behind it may have changed."""
        known = self._admission
        if known is None or known.opening != session.opening:
            known = admit(
                self._profile, self.label, self._serial, session.opening, lambda block: self._ask(session, block)
            )
            self._admission = known
            self._absent.clear()
        return known

    def _closing(self, session: Session, admission: Admission) -> str | None:
        """Read last what cannot be mistaken for data; return the serial number where there is one."""
        point = admission.serial_point
        if point is None:
            if self._counter.block().shape not in {block.shape for block in self._plan()}:
                self._ask(session, self._counter.block())
            return None
        expected = self._serial or admission.serial
        found = point.words(self._ask(session, point.block()))
        if found == expected:
            return found
        again = point.words(self._ask(session, point.block()))
        where = f"{self.label} unit {self._unit} on {self._line}"
        if again != found or found is None:
            raise GarbledReplyError(f"{where}: serial number read as {found}, then as {again}; expected {expected}")
        if self._serial is None:
            self._admission = replace(admission, serial=found)  # the caller decides what a swap means
            return found
        raise WrongMeterError(
            f"{where}: serial number is {found}, expected {self._serial}: another meter is connected",
            self._serial,
            found,
        )

    def _confirm(self, session: Session, register_wh: int) -> None:
        """Read a surprising counter once more: a frame that was not its own does not come twice."""
        block = self._profile.span(self._counter)
        energy = self._profile.value(self._counter, block, self._ask(session, block))
        again_wh = None if energy is None else whole(energy * WH_PER[self._counter.unit])
        if again_wh is None or not self._register.agrees(register_wh, again_wh, self.resolution_wh(register_wh)):
            raise GarbledReplyError(
                f"{self.label} unit {self._unit} on {self._line}: {self._counter.name} read as "
                f"{register_wh} Wh, then as {again_wh} Wh; the first was not its own"
            )

    def _fence(self, session: Session) -> None:
        """After a failure, ask for something of another shape until the meter answers just that.

        A meter answers in order. Once the fence is answered, no older reply is under way any more.

        Raises:
            BackingOffError: every shape is unanswered; only time helps.
            MeterError: the fence was not answered.
        """
        if not self._unanswered:
            return
        now = self._monotonic()
        late_s = LATE_TIMEOUTS * self._profile.timeout_s[1]
        if now - max(self._unanswered.values()) >= late_s:
            self._unanswered.clear()
            return
        for block in self._fences():
            if block.shape in self._unanswered:
                continue
            try:
                self._ask(session, block)
            except (RefusedRequestError, MeterBusyError) as error:
                # an exception carries no count: it may answer the request that was given up
                raise GarbledReplyError(f"late or refused: {error}") from error
            self._unanswered.clear()
            return
        remaining_s = late_s - (now - max(self._unanswered.values()))
        raise BackingOffError(
            f"{self.label} unit {self._unit} on {self._line}: waiting until no late reply can come, "
            f"{remaining_s:.1f} s",
            remaining_s,
        )

    def _fences(self) -> list[Block]:
        """Reads that this meter is known to answer, the shortest first."""
        names = [name for name in LIVE if name in self._profile.points and name not in self._absent]
        candidates = [self._counter.block(), *self._plan()]
        candidates += [self._profile.points[name].block() for name in names]
        if self._admission is not None and self._admission.serial_point is not None:
            candidates.append(self._admission.serial_point.block())
        return sorted((block for block in candidates if not block.optional), key=lambda block: block.count)

    def _ask(self, session: Session, block: Block) -> bytes:
        request = Request(self.label, self._unit, block.function, block.address, block.count)
        try:
            return session.ask(request, self._pace)
        except (NoReplyError, GarbledReplyError, GatewayError) as error:
            self._unanswered[request.shape] = self._monotonic()
            if isinstance(error, NoReplyError):
                self._pace.missed()
            raise

    def _power(self, value: Decimal | None) -> int | None:
        if value is None:
            return None
        watts = whole(value * W_PER[self._profile.points[POWER].unit])
        return watts if self._counts is self._profile.power_positive else -watts


def _rounded(value: Decimal | None) -> float | None:
    # a float32 shown with all its digits pretends to more than it knows
    return None if value is None else round(float(value), 4)
