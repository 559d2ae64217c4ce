"""One simulated meter: a counter that follows a household, and what may befall it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from simulators.eastron import Electricity, Model, Words, float32, input_words
from simulators.frames import READ_INPUT, Request, exception_pdu
from simulators.serving import Emission

_SPIKE: Final = 1_000
_IMPORT: Final = 0x0048
_EXPORT: Final = 0x004A


class Counts(StrEnum):
    """Which of a meter's two registers its wiring makes rise."""

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Flow:
    """What the household does at a moment, seen by one meter.

    Attributes:
        energy_wh: Whole Wh since the installation; never falls.
        power_w: W, never negative.
    """

    energy_wh: int
    power_w: float


@dataclass(frozen=True, slots=True)
class Standing:
    """The meter's counted register exactly as a client would read it now.

    Attributes:
        register_wh: Whole Wh, None while the meter answers "not available".
        wire_kwh: The float32 on the wire, kWh; None as above.
        words: Its two registers in hexadecimal, in the order of the wire.
        power_w: W, positive in the counted direction.
        serial: The serial number as the meter shows it.
    """

    register_wh: int | None
    wire_kwh: float | None
    words: str
    power_w: float
    serial: str

    def as_dict(self) -> dict[str, object]:
        """Give the fields for JSON."""
        return asdict(self)


class Instrument:
    """A meter that can be read on any wire, and broken in the ways meters break.

    Each method may be called from any thread.

    Args:
        model: What it is.
        unit: Its address on its line.
        serial: Serial number, 32 bits.
        counts: Which register rises.
        flow: Tells what the household has done by now.
        opening_wh: What the register shows when the household's energy is 0.

    Raises:
        ValueError: A serial number or an opening register that the meter cannot hold.
    """

    def __init__(
        self,
        model: Model,
        *,
        unit: int,
        serial: int,
        counts: Counts,
        flow: Callable[[], Flow],
        opening_wh: int = 0,
    ) -> None:
        self.model = model
        self.unit = unit
        self.counts = counts
        self._flow = flow
        self._lock = threading.Lock()
        self._serial = _checked_serial(serial)
        self._offset_wh = _checked_register(opening_wh)
        self._silent = False
        self._nan = False
        self._zeros_left = 0
        self._spikes_left = 0
        self._swapped = False
        self._exception: int | None = None
        self._frozen: Flow | None = None
        self.requests = 0

    def handle(self, request: Request) -> Iterable[Emission]:
        """Answer one request for this unit; nothing while silenced."""
        with self._lock:
            self.requests += 1
            if self._silent:
                return []
            if self._exception is not None:
                return [Emission(request.frame(exception_pdu(request.function, self._exception)))]
            points = self._points()
            inputs = input_words(points, swapped=self._swapped)
            holding = self.model.holding(self._serial, self.unit, swapped=self._swapped)
            reply = self.model.answer(request.pdu, inputs, holding)
            if self._touches_register(request):
                self._zeros_left = max(0, self._zeros_left - 1)
                self._spikes_left = max(0, self._spikes_left - 1)
            return [Emission(request.frame(reply))]

    def standing(self) -> Standing:
        """Give the counted register exactly as it would be read now (a spike waiting to be read included)."""
        with self._lock:
            kwh = self._points()[self._register_address]
            words: Words = input_words({0: kwh}, swapped=self._swapped)[0]
            known = not math.isnan(kwh)
            power = self._current_flow().power_w
            return Standing(
                register_wh=round(float32(kwh) * 1_000) if known else None,
                wire_kwh=float32(kwh) if known else None,
                words="".join(f"{word:04x}" for word in words),
                power_w=round(power, 3),
                serial=str(self._serial),
            )

    def silence(self) -> None:
        """Answer nothing until `restore`."""
        with self._lock:
            self._silent = True

    def restore(self) -> None:
        """Undo silence, NaN, exception, zeros, spikes, swapped words and freezing; the register goes on."""
        with self._lock:
            self._silent = self._nan = self._swapped = False
            self._zeros_left = self._spikes_left = 0
            self._exception = self._frozen = None

    def reset(self, register_wh: int = 0) -> None:
        """Set the register, as a meter does that lost its memory."""
        with self._lock:
            self._offset_wh = _checked_register(register_wh) - self._current_flow().energy_wh

    def swap(self, serial: int, register_wh: int) -> None:
        """Put another meter of the same model in this one's place."""
        checked = _checked_serial(serial)
        with self._lock:
            self._offset_wh = _checked_register(register_wh) - self._current_flow().energy_wh
            self._serial = checked

    def freeze(self) -> None:
        """Stop the register and the power where they are. The register jumps on at `restore`."""
        with self._lock:
            self._frozen = self._current_flow()

    def nan(self) -> None:
        """Answer "not available" for the energy registers and the power until `restore`."""
        with self._lock:
            self._nan = True

    def zero(self, reads: int = 1) -> None:
        """Show 0 in the register for so many reads of it."""
        with self._lock:
            self._zeros_left = reads

    def spike(self, reads: int = 1) -> None:
        """Show a thousand times the register for so many reads of it."""
        with self._lock:
            self._spikes_left = reads

    def refuse(self, code: int) -> None:
        """Answer every request with a Modbus exception until `restore`."""
        with self._lock:
            self._exception = code

    def swap_words(self) -> None:
        """Send the low word first until `restore`, as a meter whose word order was changed."""
        with self._lock:
            self._swapped = True

    @property
    def _register_address(self) -> int:
        return _IMPORT if self.counts is Counts.IMPORT else _EXPORT

    def _current_flow(self) -> Flow:
        return self._flow() if self._frozen is None else self._frozen

    def _points(self) -> dict[int, float]:
        flow = self._current_flow()
        shown = flow.energy_wh + self._offset_wh
        if self._zeros_left:
            shown = 0
        elif self._spikes_left:
            shown *= _SPIKE
        if self.counts is Counts.IMPORT:
            now = Electricity(import_wh=shown, export_wh=0, power_w=flow.power_w)
        else:
            now = Electricity(import_wh=0, export_wh=shown, power_w=0.0 - flow.power_w)  # -0.0 is a bit pattern
        points = self.model.input_points(now)
        if self._nan:
            for address in (0x000C, 0x0034, _IMPORT, _EXPORT):
                if address in points:
                    points[address] = math.nan
        return points

    def _touches_register(self, request: Request) -> bool:
        first = request.address
        return request.function == READ_INPUT and first <= self._register_address < first + request.count


def _checked_serial(serial: int) -> int:
    if not 0 < serial < 1 << 32:
        raise ValueError(f"serial number {serial}: a meter holds 1 to {(1 << 32) - 1}")
    return serial


def _checked_register(register_wh: int) -> int:
    if register_wh < 0:
        raise ValueError(f"register {register_wh} Wh: a meter's register is 0 or more")
    return register_wh
