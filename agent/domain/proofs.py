"""What is to be proven of an outbox entry before it is final, and what then proves it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.outbox import Entry, Inclusion
from agent.domain.readings import Reading


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be proven.

    Attributes:
        entry: what was sent.
        found: where and how it was carried out, as full nodes tell it; nothing is believed of that.
        readings: those that it carries, in order.
    """

    entry: Entry
    found: Inclusion
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves it.

    Attributes:
        inclusion: where and how it was carried out, as proven.
        block: number of the block whose state or tries show it.
        file: the evidence file to keep with the entry; None where the household's slot shows it, whose newest
            evidence covers every entry before.
    """

    inclusion: Inclusion
    block: int
    file: str | None = None
