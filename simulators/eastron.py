"""What an Eastron SDM120 and SDM630 answer: two register tables and their encoding, this simulator's own.

Source: Eastron "SDM120 Modbus protocol v2.5" and "SDM630 Modbus protocol v2.0". Measured values are
float32 with the high word first in input registers; settings and identity are holding registers.
Registers between two points read 0, as on the meters; those beyond the table are an illegal address.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from simulators.frames import READ_HOLDING, READ_INPUT, exception_pdu, words_pdu

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3

_READ_LENGTH: Final = 5
_NOMINAL_V: Final = 230.0
_NOMINAL_HZ: Final = 50.0
_POWER_FACTOR: Final = 0.98
_BYTE_ORDER_MARK: Final = 2141.0
"""SDM630's register 0x0028 reads this when its word order is the expected one."""

Words = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Electricity:
    """What a meter measures at a moment.

    Attributes:
        import_wh: Energy taken from the grid since the register was 0, whole Wh.
        export_wh: Energy given to the grid, whole Wh.
        power_w: Active power, positive for import, W.
    """

    import_wh: int
    export_wh: int
    power_w: float

    @property
    def current_a(self) -> float:
        """Current of all phases together, A."""
        return abs(self.power_w) / (_NOMINAL_V * _POWER_FACTOR)


def f32_words(value: float, *, swapped: bool = False) -> Words:
    """Put a float32 into two registers.

    Args:
        value: The value, rounded to the nearest float32 as the meter does.
        swapped: Low word first: what a misconfigured meter sends.
    """
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return (low, high) if swapped else (high, low)


def float32(value: float) -> float:
    """Round to the nearest float32, which is what arrives at the other end of the wire."""
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


def u32_words(value: int) -> Words:
    """Put an unsigned 32-bit number into two registers, high word first."""
    return (value >> 16) & 0xFFFF, value & 0xFFFF


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of meter.

    Attributes:
        name: The kind's name on the command line and in reports.
        phases: 1 or 3.
        largest_block: Registers that one request may ask for.
    """

    name: str
    phases: int
    largest_block: int
    _last_input: int = field(default=0x0157)

    def input_points(self, now: Electricity) -> dict[int, float]:
        """Give the measured values by register address (V, A, W, Hz, kWh)."""
        points = {
            0x0046: _NOMINAL_HZ,
            0x0048: now.import_wh / 1_000,
            0x004A: now.export_wh / 1_000,
            0x0156: (now.import_wh + now.export_wh) / 1_000,
        }
        share = self.phases
        for phase in range(share):
            step = 2 * phase
            points |= {
                0x0000 + step: _NOMINAL_V,
                0x0006 + step: now.current_a / share,
                0x000C + step: now.power_w / share,
                0x001E + step: _POWER_FACTOR,
            }
        if share > 1:
            points |= {0x0034: now.power_w, 0x003E: _POWER_FACTOR}
            for phase in range(share):
                step = 2 * phase
                points |= {
                    0x015A + step: now.import_wh / share / 1_000,
                    0x0160 + step: now.export_wh / share / 1_000,
                }
        return points

    def holding(self, serial: int, unit: int, *, swapped: bool) -> dict[int, Words]:
        """Give identity and settings by register address.

        Args:
            serial: The meter's serial number, 32 bits.
            unit: Its address on the line.
            swapped: Whether its word order is the unexpected one.
        """
        registers: dict[int, Words] = {
            0x0014: f32_words(unit, swapped=swapped),
            0xFC00: u32_words(serial),
        }
        if self.phases == 1:
            # Mode 2, total = import + export, is how they leave the maker: nobody may bill on the total.
            registers |= {0xF920: (2,), 0xFC02: (0x0020,)}
        else:
            registers |= {
                0x001E: f32_words(0.0, swapped=swapped),
                0x0028: f32_words(_BYTE_ORDER_MARK, swapped=swapped),
                0x002A: f32_words(serial >> 16, swapped=swapped),
                0x002C: f32_words(serial & 0xFFFF, swapped=swapped),
            }
        return registers

    def answer(self, pdu: bytes, inputs: Mapping[int, Words], holding: Mapping[int, Words]) -> bytes:
        """Answer a request as the meter does.

        Args:
            pdu: The request's function and data.
            inputs: Input registers by address of each point.
            holding: Holding registers by address of each point.

        Returns:
            The reply's function and data; an exception for what the meter does not do.
        """
        function = pdu[0]
        if function not in {READ_INPUT, READ_HOLDING}:
            return exception_pdu(function, ILLEGAL_FUNCTION)
        if len(pdu) != _READ_LENGTH:
            return exception_pdu(function, ILLEGAL_VALUE)
        address, count = struct.unpack(">HH", pdu[1:])
        single = function == READ_HOLDING and count == 1 and len(holding.get(address, ())) == 1
        if not single and (count % 2 or not 0 < count <= self.largest_block):
            return exception_pdu(function, ILLEGAL_VALUE)
        points = inputs if function == READ_INPUT else holding
        words = _words_of(points, address, count)
        known = any(start < address + count and start + len(held) > address for start, held in points.items())
        beyond = function == READ_INPUT and address + count > self._last_input + 1
        if not known or beyond:
            return exception_pdu(function, ILLEGAL_ADDRESS)
        return words_pdu(function, words)


def _words_of(points: Mapping[int, Words], address: int, count: int) -> list[int]:
    words = [0] * count
    for start, held in points.items():
        for offset, word in enumerate(held, start - address):
            if 0 <= offset < count:
                words[offset] = word
    return words


def input_words(points: Mapping[int, float], *, swapped: bool) -> dict[int, Words]:
    """Encode measured values; a NaN stays one (quiet, as the meters send it)."""
    return {
        address: (0x7FC0, 0) if math.isnan(value) else f32_words(value, swapped=swapped)
        for address, value in points.items()
    }


SDM120: Final = Model("eastron_sdm120", phases=1, largest_block=80)
SDM630: Final = Model("eastron_sdm630", phases=3, largest_block=80, _last_input=0x0165)
MODELS: Final[Mapping[str, Model]] = {model.name: model for model in (SDM120, SDM630)}
