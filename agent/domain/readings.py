"""Readings: what the household states, signs and is paid by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum

from agent.domain.errors import BadReading

# Bit widths of the packed word, from the lowest bit up; the contract unpacks the same layout.
_CONSUMED_BITS = 40
_PRODUCED_BITS = 40
_TAKEN_BITS = 32
_SEQUENCE_BITS = 24
_EPOCH_BITS = 8
_FLAGS_BITS = 8

_LAYOUT = (
    ("consumed_wh", _CONSUMED_BITS),
    ("produced_wh", _PRODUCED_BITS),
    ("taken_at", _TAKEN_BITS),
    ("sequence", _SEQUENCE_BITS),
    ("epoch", _EPOCH_BITS),
    ("flags", _FLAGS_BITS),
)


class Flags(IntFlag):
    """What a reader of a reading must know about how it was taken."""

    NONE = 0
    PRODUCTION_HELD = 1
    """the production meter gave no good register: its last one is repeated"""
    CONSUMPTION_HELD = 2
    """the consumption meter gave no good register: its last one is repeated"""
    LATE = 4
    """taken more than 1 % of the period after the interval's end"""


_KNOWN_FLAGS = int(Flags.PRODUCTION_HELD | Flags.CONSUMPTION_HELD | Flags.LATE)


@dataclass(frozen=True, slots=True)
class Reading:
    """Both registers at the end of an interval.

    Attributes:
        household: the account's address, checksummed ``0x`` hex.
        epoch: counts meter swaps and register resets, from 1.
        sequence: counts readings within the epoch, from 1, without holes.
        taken_at: UTC epoch seconds of the later of the two samples.
        produced_wh: production register, Wh.
        consumed_wh: consumption register, Wh.
        flags: how it was taken.
    """

    household: str
    epoch: int
    sequence: int
    taken_at: int
    produced_wh: int
    consumed_wh: int
    flags: Flags = Flags.NONE

    def packed(self) -> int:
        """The reading as the contract's one-word form, household left out.

        Raises:
            BadReading: a field does not fit its width.
        """
        word, shift = 0, 0
        for name, bits in _LAYOUT:
            value = int(getattr(self, name))
            if not 0 <= value < 1 << bits:
                raise BadReading(f"{name} is {value}; a reading holds 0 to {(1 << bits) - 1}")
            word |= value << shift
            shift += bits
        return word

    @classmethod
    def from_packed(cls, household: str, word: int) -> Reading:
        """The reading that ``packed`` made.

        Raises:
            BadReading: the word has bits beyond the layout or unknown flags.
        """
        rest = word
        fields: dict[str, int] = {}
        for name, bits in _LAYOUT:
            fields[name] = rest & ((1 << bits) - 1)
            rest >>= bits
        flags = fields.pop("flags")
        if rest or flags & ~_KNOWN_FLAGS:
            raise BadReading(f"word {word:#x} is not a packed reading: it has bits outside the layout")
        return cls(household=household, flags=Flags(flags), **fields)


@dataclass(frozen=True, slots=True)
class SignedReading:
    """A reading and the household's EIP-712 signature over it: the unit of evidence.

    Attributes:
        reading: what was signed.
        signature: 65 bytes, r ‖ s ‖ v with v 27 or 28.
    """

    reading: Reading
    signature: bytes


class ReadingState(StrEnum):
    """How far a reading has come."""

    CLOSED = "closed"
    """both registers are known; neither numbered nor signed yet"""
    SEALED = "sealed"
    """numbered and signed; waits for a transaction"""
    BUNDLED = "bundled"
    """in a transaction of the outbox"""
    FINAL = "final"
    """on the chain for good"""
    COVERED = "covered"
    """the chain already holds a later one: its energy is booked, it is not sent"""
    REFUSED = "refused"
    """the contract will never take it; its energy is in the next one"""


@dataclass(frozen=True, slots=True)
class ClosedReading:
    """The registers at one interval's end, before the reading is numbered and signed.

    Attributes:
        interval_end: UTC epoch seconds of the boundary that it states, a multiple of ``period_s``.
        period_s: the reporting period then in force, seconds.
        gap_s: seconds between the previous closed interval's end and this interval's start; 0 if nothing is missing.
        raw_production: the register's words as they came over the wire; empty if held.
        raw_consumption: the same for the consumption meter.
    """

    interval_end: int
    period_s: int
    epoch: int
    taken_at: int
    produced_wh: int
    consumed_wh: int
    flags: Flags
    gap_s: int = 0
    raw_production: bytes = b""
    raw_consumption: bytes = b""
