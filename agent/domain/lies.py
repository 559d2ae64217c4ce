"""Full nodes that were caught saying what cannot be true: what is kept of it, and how long they are left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.domain.backoff import BackOff

MOST_TOLD = 64 * 1024
"""Characters that are kept of what a node said: five proofs, or a header many times over."""

MOST_AWAY_S = 86_400
"""The longest that a node is left alone for one lie, seconds."""

# An hour or two at first, half a day to a day at most: what it said was no fault that passes in a moment. Not for ever:
# its operator may have put it right, and a household with two nodes needs both. Half of it is random, as ever, so that
# households do not come back at once.
QUARANTINE = BackOff(first_s=7_200.0, most_s=float(MOST_AWAY_S))


@dataclass(frozen=True, slots=True)
class Lie:
    """What a full node said that cannot be true.

    Attributes:
        at: when it was caught, UTC epoch seconds.
        until: it is not asked before, UTC epoch seconds.
        node: its name.
        area: the distribution area that runs it.
        why: why it cannot be true, in words.
        told: what it said, as canonical JSON of at most ``MOST_TOLD`` characters.
    """

    at: int
    until: int
    node: str
    area: str
    why: str
    told: str

    @property
    def problem(self) -> str:
        """Why the node is not used, in words."""
        return f"caught lying at {_moment(self.at)}: {self.why}; not asked until {_moment(self.until)}"


def words(told: object) -> str:
    """What a node said, in the form in which it is kept."""
    return json.dumps(told, sort_keys=True, separators=(",", ":"), default=repr)[:MOST_TOLD]


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
