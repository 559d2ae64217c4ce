"""How one household stands with the collector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from agent.domain.holding import Holding, Hole
from agent.domain.replay import NOTHING, Mark
from agent.domain.silence import Quiet

# Until a reading has told the household's own.
_PERIOD_S = 900


@dataclass(slots=True)
class Standing:
    """What a collector knows of a household beside its readings.

    Attributes:
        household: the account's address, checksummed.
        area: the distribution area on whose topic it was heard last.
        enrolled: whether the chain said that it is enrolled; False if nobody asked.
        holding: what is held of its readings.
        highest: the place of the last reading that is stored; beyond ``holding.mark`` while something is missing.
        newest: UTC epoch seconds at which the newest reading was taken; None before the first.
        heard_at: UTC epoch seconds at which its last new reading came; None before the first.
        period_s: its reporting period, seconds, as its last reading told it.
        online: what its status says; None if it never said.
        online_at: UTC epoch seconds since when it says so.
        quiet: why it counts as silent; None if it does not.
        quiet_at: UTC epoch seconds at which it was found to be silent.
    """

    household: str
    area: str
    enrolled: bool = False
    holding: Holding = field(default_factory=Holding)
    highest: Mark = NOTHING
    newest: int | None = None
    heard_at: int | None = None
    period_s: int = _PERIOD_S
    online: bool | None = None
    online_at: int | None = None
    quiet: Quiet | None = None
    quiet_at: int | None = None

    def copy(self) -> Standing:
        """One that changes by itself."""
        return replace(self, holding=replace(self.holding, ahead=dict(self.holding.ahead)))


@dataclass(frozen=True, slots=True)
class Account:
    """What there is to report of one household.

    Attributes:
        standing: how it stands.
        missing: sequences still to come, as ``(epoch, first, last)``.
        never: what will not come and is not stored, the rest of the epoch where the last is None.
        refused: how many messages were refused, by reason.
    """

    standing: Standing
    missing: list[tuple[int, int, int]]
    never: list[Hole]
    refused: dict[str, int]


def ranges_left_out(first: int, last: int, held: Iterable[int]) -> list[tuple[int, int]]:
    """The sequences of ``first`` to ``last`` that are not held, as first and last of each run.

    Args:
        first: of the range.
        last: of the range.
        held: sequences in ascending order, all of them in the range.
    """
    left, at = [], first
    for sequence in held:
        if sequence > at:
            left.append((at, sequence - 1))
        at = sequence + 1
    return [*left, (at, last)] if at <= last else left
