"""What a bad line does to a reply: each fault a pure function from request and reply to emissions."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulators.frames import READ_HOLDING, READ_INPUT, Framing, Request, words_pdu
from simulators.serving import Emission

_UNITS: Final = 247
_TCP_GUARDED: Final = 4
"""Transaction and protocol number: the bytes of a TCP frame that a client can find wrong."""
BABBLE: Final = b" Busy "
"""What a serial modem or a babbling slave says over and over."""


class Fault(StrEnum):
    """What may befall a reply."""

    NONE = "none"
    LATE = "late"
    """The right reply, after the client has given up."""
    SHORT = "short"
    """The reply's beginning only."""
    CORRUPT = "corrupt"
    """One bit is turned over (on TCP, which has no checksum of its own, in the transaction or protocol number)."""
    FOREIGN = "foreign"
    """A whole, valid reply meant for another master comes first, then the right one."""
    INSTEAD = "instead"
    """Only the foreign reply comes."""
    WRONG_UNIT = "wrong-unit"
    """The right data under another unit's number."""
    WRONG_FUNCTION = "wrong-function"
    """The right data under another function code."""
    SILENT = "silent"
    """Nothing comes."""
    DRIP = "drip"
    """The right reply, one byte at a time."""
    BABBLE = "babble"
    """Meaningless text, over and over, and no reply."""
    HANG_UP = "hang-up"
    """The connection breaks in the middle of the reply (on a serial line: the reply stops there)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long each fault takes, in seconds.

    Attributes:
        late_s: Delay of a late reply: longer than the client's timeout, or it is none.
        drip_s: Time between the bytes of a dripping reply.
        babble_s: Time between two babbles.
        babbles: How many of them answer one request.
    """

    late_s: float = 0.5
    drip_s: float = 0.03
    babble_s: float = 0.05
    babbles: int = 10


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each fault comes.

    Attributes:
        weights: Relative frequency by fault; `Fault.NONE` is the good reply.
    """

    weights: Mapping[Fault, float] = field(default_factory=lambda: {Fault.NONE: 1.0})

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights.values()) < 0 or sum(self.weights.values()) <= 0:
            raise ValueError(f"weights {dict(self.weights)}: give each fault 0 or more, and one of them more than 0")

    def draw(self, rng: random.Random) -> Fault:
        """Draw the next fault."""
        return rng.choices(list(self.weights), list(self.weights.values()))[0]


def bad_line(share: float = 0.5) -> Mix:
    """Mix every fault evenly into good replies.

    Args:
        share: Share of replies that are spoiled, 0 to 1.
    """
    spoiled = [fault for fault in Fault if fault is not Fault.NONE]
    return Mix({Fault.NONE: 1 - share} | dict.fromkeys(spoiled, share / len(spoiled)))


def spoil(
    fault: Fault, request: Request, reply: bytes, rng: random.Random, timing: Timing | None = None
) -> list[Emission]:
    """Work out what a client sees of one reply.

    Args:
        fault: What befalls it.
        request: What was asked.
        reply: The meter's reply as a PDU.
        rng: Where and how, where that is open.
        timing: How long things take.

    Returns:
        What goes on the wire, and when.
    """
    return _SPOILERS[fault](_Case(request, reply, rng, Timing() if timing is None else timing))


@dataclass(frozen=True, slots=True)
class _Case:
    request: Request
    reply: bytes
    rng: random.Random
    timing: Timing

    @property
    def whole(self) -> bytes:
        return self.request.frame(self.reply)


def _good(case: _Case) -> list[Emission]:
    return [Emission(case.whole)]


def _late(case: _Case) -> list[Emission]:
    return [Emission(case.whole, case.timing.late_s)]


def _short(case: _Case) -> list[Emission]:
    return [Emission(case.whole[: case.rng.randrange(1, len(case.whole))])]


def _corrupted(case: _Case) -> list[Emission]:
    return [Emission(_corrupt(case.request, case.whole, case.rng))]


def _foreign_first(case: _Case) -> list[Emission]:
    return [*_foreign_only(case), Emission(case.whole)]


def _foreign_only(case: _Case) -> list[Emission]:
    return [Emission(_foreign(case.request, case.reply, case.rng))]


def _wrong_unit(case: _Case) -> list[Emission]:
    return [Emission(case.request.frame(case.reply, unit=_another_unit(case.request)))]


def _wrong_function(case: _Case) -> list[Emission]:
    other = case.reply[0] ^ READ_HOLDING ^ READ_INPUT  # 3 becomes 4 and 4 becomes 3
    return [Emission(case.request.frame(bytes((other,)) + case.reply[1:]))]


def _silence(_: _Case) -> list[Emission]:
    return []


def _drip(case: _Case) -> list[Emission]:
    return [Emission(bytes((byte,)), at * case.timing.drip_s) for at, byte in enumerate(case.whole)]


def _babble(case: _Case) -> list[Emission]:
    return [Emission(BABBLE, at * case.timing.babble_s) for at in range(case.timing.babbles)]


def _broken_off(case: _Case) -> list[Emission]:
    return [Emission(case.whole[: len(case.whole) // 2], hang_up=True)]


_SPOILERS: Final[Mapping[Fault, Callable[[_Case], list[Emission]]]] = {
    Fault.NONE: _good,
    Fault.LATE: _late,
    Fault.SHORT: _short,
    Fault.CORRUPT: _corrupted,
    Fault.FOREIGN: _foreign_first,
    Fault.INSTEAD: _foreign_only,
    Fault.WRONG_UNIT: _wrong_unit,
    Fault.WRONG_FUNCTION: _wrong_function,
    Fault.SILENT: _silence,
    Fault.DRIP: _drip,
    Fault.BABBLE: _babble,
    Fault.HANG_UP: _broken_off,
}


def _corrupt(request: Request, whole: bytes, rng: random.Random) -> bytes:
    # Nothing guards a PDU on TCP but TCP itself: only what a client can notice is spoiled there.
    reach = len(whole) if request.framing is Framing.RTU else _TCP_GUARDED
    at = rng.randrange(reach)
    spoiled = bytearray(whole)
    spoiled[at] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _foreign(request: Request, reply: bytes, rng: random.Random) -> bytes:
    """Make a valid reply that answers somebody else: another unit, another length or another transaction."""
    count = max(1, len(reply) // 2 - 1)
    if request.framing is Framing.TCP:
        words = [rng.randrange(1 << 16) for _ in range(count)]
        return request.frame(words_pdu(reply[0], words), transaction=(request.transaction + 7) & 0xFFFF)
    if rng.random() < 0.5:  # noqa: PLR2004 - heads or tails
        words = [rng.randrange(1 << 16) for _ in range(count)]
        return request.frame(words_pdu(reply[0], words), unit=_another_unit(request))
    words = [rng.randrange(1 << 16) for _ in range(count + 2)]
    return request.frame(words_pdu(reply[0], words))


def _another_unit(request: Request) -> int:
    return request.unit % _UNITS + 1
