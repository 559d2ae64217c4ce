"""What several full nodes' answers come to together. Pure: no single node, lagging or lying, decides alone.

The answer that more nodes give counts. Where as many say one thing as another, the choice falls on the side that does
no harm if it is wrong: an entry stays where it is, a household is believed to have reported less, a call is tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from agent.domain.errors import NotYet, Rejected
from agent.domain.fees import FeeQuote
from agent.domain.market import Head, HouseholdState, Parameters
from agent.domain.outbox import MOST_IN_FLIGHT, Entry, Inclusion, Sighting

T = TypeVar("T")

# A node one block late is in order: blocks need a moment to travel. Ten is a node that lost its peers or still syncs.
_BEHIND_BLOCKS = 10
# On a chain with slow blocks ten are too many to wait for: two blocks and two minutes are enough to be left out.
_BEHIND_FEW_BLOCKS = 2
_BEHIND_S = 120
# Clocks of a validator and of this machine, both in order, are not further apart. One that is behind by more makes the
# highest head need a second node, as without seals.
_AHEAD_S = 900

H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Look:
    """What one node says of one entry.

    Attributes:
        head: its newest block.
        mined_nonce: how many of the account's transactions it holds mined.
        inclusion: where one of the attempts is mined on its chain.
        pooled: whether it holds one of the attempts, waiting.
    """

    head: Head
    mined_nonce: int
    inclusion: Inclusion | None
    pooled: bool


def _near(head: Head, best: Head) -> bool:
    blocks = best.number - head.number
    if blocks > _BEHIND_BLOCKS:
        return False
    return blocks < _BEHIND_FEW_BLOCKS or best.timestamp - head.timestamp <= _BEHIND_S


def out_of_line(heads: Mapping[str, Head], proven_by: int | None = None) -> dict[str, str]:
    """Which nodes' heads cannot be used, and why, in words.

    The best head is the highest that a second node comes near; where no two are near each other, the highest. So one
    node that claims to be far ahead does not put all others out, and one that lags is left out.

    Heads whose seals were checked cannot be invented, only be old: then the highest is the best, and needs no second
    node. Those it puts out must be old by its time, and it may not be from the future: else one validator's key, in
    wrong hands, would seal a number out of nothing that puts out every other node of a Clique chain.

    Args:
        heads: each node's newest block, by the node's name.
        proven_by: the time now, UTC epoch seconds, where seals were checked; None where they were not.
    """
    falling = sorted(heads.values(), key=lambda head: head.number, reverse=True)
    if not falling:
        return {}
    best = next((higher for higher, lower in pairwise(falling) if _near(lower, higher)), falling[0])
    if proven_by is not None:
        best = next((head for head in falling if _stands_alone(head, best, proven_by)), best)
    wrong: dict[str, str] = {}
    for name, head in heads.items():
        if head.number < best.number and not _near(head, best):
            wrong[name] = f"it is {best.number - head.number} blocks behind block {best.number}, which another node has"
        elif head.number > best.number and not _near(best, head):
            wrong[name] = f"it claims block {head.number}, and no other node comes near that"
    return wrong


def _stands_alone(head: Head, agreed: Head, now_s: int) -> bool:
    """Whether a proven head shows that the one which two nodes agree on is old."""
    return head.number > agreed.number and agreed.timestamp + _BEHIND_S < head.timestamp <= now_s + _AHEAD_S


def sighting(entry: Entry, looks: Sequence[Look]) -> Sighting:
    """What the nodes say of an entry together.

    Args:
        entry: as the journal has it; where the nodes are split, it stays where it is.
        looks: one or more nodes' words.
    """
    votes = Counter(look.inclusion for look in looks)
    most = max(votes.values())
    # The entry's own place wins a tie; after it "not mined", whose worst is that the same bytes are sent again.
    order: dict[Inclusion | None, int] = {None: 1, entry.inclusion: 0}
    tied = [said for said, count in votes.items() if count == most]
    chosen = min(tied, key=lambda said: order.get(said, len(order)))
    agreeing = [look for look in looks if look.inclusion == chosen]
    return Sighting(
        head=min(look.head.number for look in agreeing),
        mined_nonce=min(look.mined_nonce for look in agreeing),
        inclusion=chosen,
        agreeing=len(agreeing),
        pooled=any(look.pooled for look in looks),
    )


def household(told: Sequence[HouseholdState]) -> HouseholdState:
    """The state that most nodes tell; on a tie the one with less reported, since the contract refuses a replay."""
    return least_of_most(told, _reported)


def _reported(state: HouseholdState) -> tuple[int, int, int]:
    return state.epoch, state.sequence, state.taken_at


def least_of_most(told: Sequence[T], key: Callable[[T], Any]) -> T:
    """What most nodes tell; on a tie the least of it, so that a household is believed to have less.

    Args:
        told: one or more nodes' words.
        key: what is compared on a tie.
    """
    votes = Counter(told)
    most = max(votes.values())
    return min((said for said, count in votes.items() if count == most), key=key)


def parameters(told: Sequence[Parameters], last: Parameters | None) -> Parameters:
    """The parameters that most nodes tell; on a tie those of before, else the first, which are the own area's.

    Args:
        told: the own area's node first.
        last: what the nodes agreed on before; None if nothing.
    """
    votes = Counter(told)
    most = max(votes.values())
    return last if last is not None and votes[last] == most else votes.most_common(1)[0][0]


def pending_nonce(told: Sequence[int]) -> int:
    """The highest that a second node comes near; where no two are near each other, the lowest.

    The highest, since a transaction may wait in one node's mempool only. Near, since a nonce far above is a lie that
    would open a hole which nothing ever fills, while one too low is found out: its transaction is refused.
    """
    falling = sorted(told, reverse=True)
    pairs = pairwise(falling)
    return next((higher for higher, lower in pairs if higher - lower <= MOST_IN_FLIGHT), falling[-1])


def fee_quote(told: Sequence[FeeQuote]) -> FeeQuote:
    """The middle of what nodes say, the lower of two: an offer too low is raised later, one too high is paid."""
    middle = (len(told) - 1) // 2
    return FeeQuote(
        base_fee=sorted(quote.base_fee for quote in told)[middle],
        priority_fee=sorted(quote.priority_fee for quote in told)[middle],
    )


def verdict(told: Sequence[Rejected | NotYet | None]) -> Rejected | NotYet | None:
    """What a rehearsal on several nodes comes to; on a tie the mildest, since a refusal is for good.

    Args:
        told: for each node None if the call would pass, else what it would be refused with.
    """
    counts = Counter(type(said) for said in told)
    most = max(counts.values())
    for kind in (type(None), NotYet, Rejected):
        if counts[kind] == most:
            return next(said for said in told if type(said) is kind)
    raise AssertionError("a verdict of no known kind")


def agreed(told: Sequence[H], agreement: int) -> H | None:
    """What at least so many nodes say identically; None where they do not.

    Where two camps are as large, neither is believed, unless one node is enough: then the first is, which is the own
    area's.

    Args:
        told: what each node said, the own area's first.
        agreement: how many must say the same.
    """
    ranked = Counter(told).most_common(2)
    if not ranked or ranked[0][1] < agreement:
        return None
    tied = len(ranked) > 1 and ranked[1][1] == ranked[0][1]
    return None if tied and agreement > 1 else ranked[0][0]
