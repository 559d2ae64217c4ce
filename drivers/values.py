"""From the words of a register to a value: exact, or unknown."""

from __future__ import annotations

import math
import struct
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_WORD = 2


class Kind(StrEnum):
    """How a point is written into registers."""

    I16 = "i16"
    U16 = "u16"
    I32 = "i32"
    U32 = "u32"
    I64 = "i64"
    U64 = "u64"
    ACC32 = "acc32"
    F32 = "f32"
    F64 = "f64"
    SF = "sf"
    STR = "str"
    HEX = "hex"


class WordOrder(StrEnum):
    """Which of several registers holds the most significant word."""

    HIGH_FIRST = "high_first"
    LOW_FIRST = "low_first"


FORMATS = {
    Kind.I16: ">h",
    Kind.U16: ">H",
    Kind.I32: ">i",
    Kind.U32: ">I",
    Kind.I64: ">q",
    Kind.U64: ">Q",
    Kind.ACC32: ">I",
    Kind.F32: ">f",
    Kind.F64: ">d",
    Kind.SF: ">h",
}
TEXTS = frozenset({Kind.STR, Kind.HEX})
FLOATS = frozenset({Kind.F32, Kind.F64})
UNSIGNED = frozenset({Kind.U16, Kind.U32, Kind.U64, Kind.ACC32})

# All ones and "the most negative" are what makers and SunSpec use for "not available". For floats the bit
# pattern of -0.0 is among them: no counter and no grid value needs it. A profile adds its own patterns.
NOT_AVAILABLE: dict[Kind, frozenset[int]] = {
    Kind.I16: frozenset({0x8000}),
    Kind.U16: frozenset({0xFFFF}),
    Kind.I32: frozenset({0x8000_0000}),
    Kind.U32: frozenset({0xFFFF_FFFF}),
    Kind.I64: frozenset({0x8000_0000_0000_0000}),
    Kind.U64: frozenset({0xFFFF_FFFF_FFFF_FFFF}),
    Kind.ACC32: frozenset({0xFFFF_FFFF}),
    Kind.F32: frozenset({0x8000_0000}),
    Kind.F64: frozenset({0x8000_0000_0000_0000}),
    Kind.SF: frozenset({0x8000}),
}
SCALE_FACTOR_LIMIT = 10  # SunSpec allows -10 to 10; anything else is not a scale factor

WH_PER = {"Wh": Decimal(1), "kWh": Decimal(1000)}
W_PER = {"W": Decimal(1), "kW": Decimal(1000)}


def registers_of(kind: Kind) -> int | None:
    """How many registers a kind takes; `None` for texts, whose length the profile gives."""
    return None if kind in TEXTS else struct.calcsize(FORMATS[kind]) // _WORD


def high_first(raw: bytes, order: WordOrder) -> bytes:
    """Put words most significant first; the bytes inside a word are big-endian on every Modbus meter."""
    if order is WordOrder.HIGH_FIRST:
        return raw
    return b"".join(raw[at : at + _WORD] for at in range(len(raw) - _WORD, -1, -_WORD))


def number(raw: bytes, kind: Kind, order: WordOrder, invalid: Collection[int] = ()) -> Decimal | None:
    """Decode a numeric point without scaling.

    Args:
        raw: exactly the point's registers, as they came.
        kind: a numeric kind.
        order: the meter's word order.
        invalid: further bit patterns, read as an unsigned number, that mean "not available".

    Returns:
        The exact value, or `None` for NaN, infinities and "not available".
    """
    ordered = high_first(raw, order)
    pattern = int.from_bytes(ordered, "big")
    if pattern in NOT_AVAILABLE[kind] or pattern in invalid:
        return None
    (value,) = struct.unpack(FORMATS[kind], ordered)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if kind is Kind.SF and abs(value) > SCALE_FACTOR_LIMIT:
        return None
    return Decimal(value)


def text(raw: bytes, kind: Kind) -> str | None:
    """Decode a text point; `None` when it is empty or holds what is not printable ASCII."""
    if kind is Kind.HEX:
        return raw.hex() if any(raw) and any(byte != 0xFF for byte in raw) else None  # noqa: PLR2004 - all ones
    stripped = raw.replace(b"\0", b" ").strip()
    if not stripped.isascii():
        return None
    decoded = stripped.decode("ascii")
    return decoded if decoded and decoded.isprintable() else None


def whole(value: Decimal) -> int:
    """Round to a whole number, halves to even, so that a long series has no drift."""
    return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))


def float_step(value: float, kind: Kind) -> float:
    """The distance from `value` to the next number that a float register can hold."""
    mantissa_bits = 23 if kind is Kind.F32 else 52
    if value <= 0:
        return 0.0
    return math.ldexp(1.0, math.frexp(value)[1] - 1 - mantissa_bits)
