"""What a collector holds of one household, what is missing of it, and what it may acknowledge.

A household sends its readings in order, and states with each which one it follows and up to where it sends nothing
again. A broker may lose, double and reorder them. So nothing is inferred from numbers that seem to be missing: what
lies between a reading and the one that it follows does not exist, and everything else that is not held is still to
come, or, where the household takes it for delivered, never will.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from agent.domain.replay import NOTHING, Mark

# An honest household sends 32 readings beyond what is acknowledged. What is dropped beyond this is sent again.
_MOST_AHEAD = 1_000


class Why(StrEnum):
    """Why readings will never come."""

    NEVER_WAS = "never_was"
    """the household has none: its numbers leapt when its journal was restored, or it deleted them after years"""
    DELIVERED = "delivered"
    """it takes them for delivered: another collector's database, or the broker without acknowledgements, had them"""


@dataclass(frozen=True, slots=True)
class Hole:
    """Sequences that will not come; some of them may have come before or after.

    Attributes:
        epoch: of all of them.
        first: the first sequence.
        last: the last one; None if the epoch's end is not known.
        why: why not.
    """

    epoch: int
    first: int
    last: int | None
    why: Why


@dataclass(slots=True)
class Holding:
    """How far one household's readings are held.

    Attributes:
        mark: every reading up to here is held or will never come.
        acknowledged: the last reading that is held with everything before it; what is published.
        ahead: readings held beyond the mark, each with the earliest reading that it was said to follow.
    """

    mark: Mark = NOTHING
    acknowledged: Mark = NOTHING
    ahead: dict[Mark, Mark] = field(default_factory=dict)

    def take(self, mark: Mark, follows: Mark, delivered: Mark) -> list[Hole]:
        """Note a reading that is stored.

        Args:
            mark: its place.
            follows: the household has none between this one and that.
            delivered: the household sends nothing again up to here.

        Returns:
            What has turned out never to come.
        """
        holes: list[Hole] = []
        if mark > self.mark:
            self.ahead[mark] = min(follows, self.ahead.get(mark, follows))
            self._advance(holes)
        if delivered > self.mark:
            holes += _between(self.mark, delivered, Why.DELIVERED)
            self.mark = delivered
            self._forget()
            self._advance(holes)
        while len(self.ahead) > _MOST_AHEAD:
            del self.ahead[max(self.ahead)]
        return holes

    @property
    def incomplete(self) -> bool:
        """Whether something is held beyond something that is still to come."""
        return bool(self.ahead)

    def missing(self) -> list[tuple[Mark, Mark]]:
        """What is still to come, as pairs: something after the first place, up to and including the second."""
        found, before = [], self.mark
        for mark in sorted(self.ahead):
            if self.ahead[mark] > before:
                found.append((before, self.ahead[mark]))
            before = mark
        return found

    def _advance(self, holes: list[Hole]) -> None:
        # One reading may reach beyond others that wait: a restored journal knows nothing of those.
        while reached := [mark for mark, follows in self.ahead.items() if follows <= self.mark < mark]:
            nearest = min(reached)
            holes += _skipped(self.mark, nearest)
            self.mark = self.acknowledged = nearest
            self._forget()

    def _forget(self) -> None:
        for mark in [mark for mark in self.ahead if mark <= self.mark]:
            self.acknowledged = max(self.acknowledged, mark)
            del self.ahead[mark]


def _skipped(before: Mark, after: Mark) -> list[Hole]:
    """The sequences between two readings of which the second follows the first: there never were any."""
    first = before[1] + 1 if before[0] == after[0] else 1
    return [Hole(after[0], first, after[1] - 1, Why.NEVER_WAS)] if after[1] > first else []


def _between(before: Mark, upto: Mark, why: Why) -> list[Hole]:
    if before[0] == upto[0]:
        return [Hole(upto[0], before[1] + 1, upto[1], why)]
    rest = [Hole(before[0], before[1] + 1, None, why)] if before != NOTHING else []
    return [*rest, Hole(upto[0], 1, upto[1], why)] if upto[1] else rest
