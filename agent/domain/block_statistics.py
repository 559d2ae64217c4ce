"""Who built which blocks, when, and whose turn was missed: what can be counted from headers alone. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class Origin(StrEnum):
    """How a block's builder is known."""

    STATED = "stated"
    """the header names it, and nothing that is looked at here proves it"""
    SEALED = "sealed"
    """recovered from its signature in the header, which the block's hash covers"""


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """One block, as its header has it.

    Attributes:
        number: the block's.
        at: its time, UTC epoch seconds.
        producer: who built it, checksummed.
        origin: how that is known.
        in_turn: whether the header itself says that it was built in turn; None where it says nothing.
    """

    number: int
    at: int
    producer: str
    origin: Origin
    in_turn: bool | None = None


class Rotation(StrEnum):
    """By which rule a missed turn is told."""

    ONE_PRODUCER = "one producer"
    """nobody takes turns"""
    AFTER_THE_LAST = "after the last"
    """a block's builder is expected to follow the last block's in the order of addresses; whom it passes over missed"""
    BY_NUMBER = "by number"
    """the header says whether it was in turn; whose turn it was says the block's number, in the order of addresses"""
    NONE_SEEN = "none seen"
    """the blocks come at no fixed time, or in no order, so no turn can be called missed"""


@dataclass(frozen=True, slots=True)
class Share:
    """One producer's part.

    Attributes:
        producer: the account, checksummed.
        blocks: how many it built.
        last_block: the number of its newest.
        last_at: its newest's time, UTC epoch seconds.
        longest_gap: the most blocks in a row that others built, among those looked at.
        missed: turns that it missed; None where there is no telling.
    """

    producer: str
    blocks: int
    last_block: int
    last_at: int
    longest_gap: int
    missed: int | None


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between blocks.

    Attributes:
        shortest: the least.
        median: of an even number the lower of the two in the middle.
        longest: the most.
        fixed: the interval that at least half of the blocks keep; None if there is no such one above 0.
    """

    shortest: int
    median: int
    longest: int
    fixed: int | None


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the headers of a range of blocks say together.

    Attributes:
        blocks: how many were looked at.
        intervals: between them; None for a single one.
        rotation: the rule by which turns were told.
        shares: the producers', the largest first.
    """

    blocks: int
    intervals: Intervals | None
    rotation: Rotation
    shares: tuple[Share, ...]


def consensus(blocks: Sequence[BuiltBlock]) -> Consensus:
    """What the headers of consecutive blocks say together.

    Those who built none of them are not known to exist, so a producer that was silent all the time misses no turn here.

    Args:
        blocks: consecutive, in the chain's order.
    """
    intervals = _intervals(blocks)
    order = sorted({block.producer for block in blocks}, key=str.lower)
    rotation, missed = _missed(blocks, order, fixed=intervals is not None and intervals.fixed is not None)
    shares = []
    for producer in order:
        own = [place for place, block in enumerate(blocks) if block.producer == producer]
        last = blocks[own[-1]]
        shares.append(
            Share(
                producer=producer,
                blocks=len(own),
                last_block=last.number,
                last_at=last.at,
                longest_gap=max(later - earlier - 1 for earlier, later in pairwise([-1, *own, len(blocks)])),
                missed=None if missed is None else missed[producer],
            )
        )
    shares.sort(key=lambda share: -share.blocks)
    return Consensus(len(blocks), intervals, rotation, tuple(shares))


def _intervals(blocks: Sequence[BuiltBlock]) -> Intervals | None:
    between = sorted(later.at - earlier.at for earlier, later in pairwise(blocks))
    if not between:
        return None
    median = between[(len(between) - 1) // 2]
    keeps = 2 * between.count(median) >= len(between) and median > 0
    return Intervals(between[0], median, between[-1], median if keeps else None)


def _missed(blocks: Sequence[BuiltBlock], order: Sequence[str], *, fixed: bool) -> tuple[Rotation, Counter[str] | None]:
    if len(order) < 2:  # noqa: PLR2004 - two are needed to take turns
        return Rotation.ONE_PRODUCER, None
    if not fixed:
        return Rotation.NONE_SEEN, None
    if any(block.in_turn is not None for block in blocks):
        return _by_number(blocks, order)
    return _after_the_last(blocks, order)


def _by_number(blocks: Sequence[BuiltBlock], order: Sequence[str]) -> tuple[Rotation, Counter[str] | None]:
    missed: Counter[str] = Counter()
    for block in blocks:
        expected = order[block.number % len(order)]
        if (expected == block.producer) is not block.in_turn:
            # Somebody takes turns who built none of these blocks, so nobody's turn can be told from the number.
            return Rotation.NONE_SEEN, None
        if not block.in_turn:
            missed[expected] += 1
    return Rotation.BY_NUMBER, missed


def _after_the_last(blocks: Sequence[BuiltBlock], order: Sequence[str]) -> tuple[Rotation, Counter[str] | None]:
    places = {producer: place for place, producer in enumerate(order)}
    missed: Counter[str] = Counter()
    kept = 0
    for last, block in pairwise(blocks):
        expected = places[last.producer] + 1
        passed = (places[block.producer] - expected) % len(order)
        kept += passed == 0
        for place in range(expected, expected + passed):
            missed[order[place % len(order)]] += 1
    if 2 * kept <= len(blocks) - 1:
        return Rotation.NONE_SEEN, None
    return Rotation.AFTER_THE_LAST, missed
