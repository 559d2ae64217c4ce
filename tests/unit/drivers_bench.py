"""A meter on a wire in memory, for tests of what it makes of its registers."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.catalogue import Catalogue
from drivers.line import Line, TcpSettings
from drivers.meter import Counts, Measurement
from drivers.modbus_meter import ModbusMeter
from tests.integration.drivers_slave import SERIAL, Registers

if TYPE_CHECKING:
    from drivers.profile import Profile

PLACE = TcpSettings("192.0.2.7")


class MemoryWire:
    """Answers Modbus TCP at once from registers, or not at all."""

    reopen_on_silence = True

    def __init__(self, units: dict[int, Registers]) -> None:
        self.units = units
        self.asked: list[tuple[int, int, int]] = []
        self.silent = False
        self.opened = 0
        self.is_open = False
        self._buffer = b""

    def open(self) -> None:
        self.opened += 1
        self.is_open = True
        self._buffer = b""

    def close(self) -> None:
        self.is_open = False

    def send(self, data: bytes) -> None:
        tid, _, _, unit, function, address, count = struct.unpack(">HHHBBHH", data)
        self.asked.append((function, address, count))
        if not self.silent and unit in self.units:
            pdu = self.units[unit].answer(function, address, count)
            self._buffer += struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu

    def receive(self, limit: int, until: float) -> bytes:  # noqa: ARG002 - answers are there at once or never
        data, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return data


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def shipped(name: str) -> Profile:
    return replace(Catalogue().profile(name), timeout_s=(0.001, 0.002))


class Bench:
    """A meter, its wire and its clock."""

    def __init__(
        self,
        registers: Registers,
        profile: Profile,
        counts: Counts = Counts.IMPORT,
        serial: str | None = str(SERIAL),
    ) -> None:
        self.registers = registers
        self.wire = MemoryWire({1: registers})
        self.clock = Clock()
        self.meter = ModbusMeter(
            Line(PLACE, self.wire), profile, 1, counts, serial, name="production", monotonic=self.clock
        )

    def read_again(self) -> Measurement:
        self.clock.now += 30
        return self.meter.read()
