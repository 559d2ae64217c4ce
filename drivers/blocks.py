"""Which registers to ask for together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# One RTU transaction costs 8 characters of request and 5 of reply around its data.
OVERHEAD_CHARACTERS = 13
PROTOCOL_LIMIT = 125  # a reply's byte count is one byte, and the Modbus specification stops at 125 registers


@dataclass(frozen=True, slots=True)
class Block:
    """Registers read in one request.

    Attributes:
        function: 3 holding, 4 input registers.
        address: first wire address, counted from 0.
        count: number of registers.
        names: points that lie in it.
        optional: the meter may not have them, so a refusal is an answer.
    """

    function: int
    address: int
    count: int
    names: tuple[str, ...]
    optional: bool = False

    @property
    def end(self) -> int:
        """The first address after the block."""
        return self.address + self.count

    @property
    def shape(self) -> tuple[int, int]:
        """All that an RTU reply tells about the request it belongs to."""
        return (self.function, self.count)


def hole_limit(character_s: float, frame_gap_s: float, latency_s: float) -> int:
    """The longest run of unwanted registers that is cheaper to read than to ask around.

    Source: a second request costs its 13 characters, two frame gaps and the meter's latency; an unwanted
    register costs two characters.

    Args:
        character_s: time of one character on the wire in seconds, 0 where the wire is not the limit.
        frame_gap_s: silence between frames in seconds.
        latency_s: the meter's measured latency in seconds.
    """
    if character_s <= 0:
        return PROTOCOL_LIMIT
    saved_s = OVERHEAD_CHARACTERS * character_s + 2 * frame_gap_s + latency_s
    return min(PROTOCOL_LIMIT, int(saved_s / (2 * character_s)))


def plan(spans: Iterable[Block], *, max_registers: int, holes: int) -> tuple[Block, ...]:
    """Join spans into as few requests as is worth it.

    A span is never split: a value and its scale factor, or the words of one counter, read in two requests
    could belong to two moments. Optional spans are kept apart from the others and from one another, so that
    a meter's refusal tells which one it does not have.

    Args:
        spans: what is wanted; each fits `max_registers`.
        max_registers: the most registers the meter gives in one reply.
        holes: the longest run of unwanted registers to read through, 0 for meters that forbid it.
    """
    joined: list[Block] = []
    for span in sorted(spans, key=lambda block: (block.optional, block.function, block.address, block.count)):
        last = joined[-1] if joined else None
        if (
            last is None
            or span.optional
            or last.function != span.function
            or span.address - last.end > holes
            or max(last.end, span.end) - last.address > max_registers
        ):
            joined.append(span)
            continue
        joined[-1] = replace(last, count=max(last.end, span.end) - last.address, names=last.names + span.names)
    return tuple(joined)
