"""Decisions of the standing rule: what it did or left after an interval, and why.

One is kept for each interval, so that the rule acts once, can say what it did, and knows what the bounds of a day still
allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.domain.outbox import Kind

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Redeem:
    """Burn tokens against own consumption, Wh."""

    energy_wh: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Put an order in.

    Attributes:
        energy_wh: Wh.
        price: wei for each kWh.
        expires_at: UTC epoch seconds.
        number: the order's, once it has one.
    """

    energy_wh: int
    price: int
    expires_at: int
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an own order back.

    Attributes:
        number: the order's.
        energy_wh: what is left in it, Wh.
    """

    number: int
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Buy:
    """Buy all or part of another's order.

    Attributes:
        seller: checksummed.
        number: the order's.
        energy_wh: Wh.
        price: wei for each kWh, service cost not included.
        cost_wei: what all of it costs, service cost included, wei.
    """

    seller: str
    number: int
    energy_wh: int
    price: int
    cost_wei: int


Act = Redeem | Offer | Cancel | Buy


def kind_of(act: Act) -> Kind:
    """Of the outbox entry that carries an act."""
    match act:
        case Redeem():
            return Kind.REDEEM
        case Offer():
            return Kind.OFFER
        case Cancel():
            return Kind.CANCEL
        case Buy():
            return Kind.BUY


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done or left.

    Attributes:
        act: what is done; None if it is left.
        why: the reason in words.
        facts: the numbers that led to it: energy in Wh, money in wei, prices in wei for each kWh, by name.
    """

    act: Act | None
    why: str
    facts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided after one interval.

    Attributes:
        interval_end: the interval's end, UTC epoch seconds.
        decided_at: UTC epoch seconds.
        steps: what was done or left, in order.
    """

    interval_end: int
    decided_at: int
    steps: tuple[Step, ...]

    @property
    def acts(self) -> tuple[Act, ...]:
        """What was done."""
        return tuple(step.act for step in self.steps if step.act is not None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in words alone: two decisions with the same reasons differ in numbers only."""
        return tuple(step.why for step in self.steps)


@dataclass(frozen=True, slots=True)
class Today:
    """What the rule itself has done on this day.

    Attributes:
        offered_wh: offered and not returned unsold, Wh.
        bought_wh: bought, Wh.
        spent_wei: paid for it at most, service cost included, wei.
    """

    offered_wh: int = 0
    bought_wh: int = 0
    spent_wei: int = 0


def day_began(now: int) -> int:
    """The beginning of the day (UTC) in which ``now`` lies, UTC epoch seconds."""
    return now // _DAY_S * _DAY_S


def done_on_day(decisions: Iterable[Decision], now: int) -> Today:
    """What the rule has done on the day of ``now``.

    An order that had expired when it was taken back does not count with what was left in it. One that was taken back
    earlier does: it may have been bought in the same moment. What the chain refused later counts, too. So a bound is
    reached early, and never late.

    Args:
        decisions: in order; those of other days are passed over.
        now: UTC epoch seconds.
    """
    offers: dict[int | None, Offer] = {}
    returned_wh = bought_wh = spent_wei = 0
    for decision in decisions:
        if day_began(decision.decided_at) != day_began(now):
            continue
        for act in decision.acts:
            match act:
                case Offer():
                    offers[act.number] = act
                case Cancel(number=number) if number in offers and decision.decided_at >= offers[number].expires_at:
                    returned_wh += min(act.energy_wh, offers[number].energy_wh)
                case Buy():
                    bought_wh, spent_wei = bought_wh + act.energy_wh, spent_wei + act.cost_wei
                case _:
                    pass
    return Today(sum(offer.energy_wh for offer in offers.values()) - returned_wh, bought_wh, spent_wei)


def numbers_offered(decisions: Iterable[Decision]) -> frozenset[int]:
    """The numbers of the orders that these decisions made."""
    acts = (act for decision in decisions for act in decision.acts)
    return frozenset(act.number for act in acts if isinstance(act, Offer) and act.number is not None)
