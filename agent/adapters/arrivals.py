"""What paho's threads leave for the caller of ``agent.adapters.mqtt``."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

# What arrives and is not fetched: newer acknowledgements contain the older ones, so the oldest are dropped.
_MOST_HEARD = 64

_Kind = TypeVar("_Kind")


class Arrivals:
    """Three queues; deques take both sides without a lock.

    Attributes:
        taken: numbers of the messages that the broker confirmed.
        refused: number and the broker's words for those that it refused.
        heard: payloads that it sent us.
    """

    def __init__(self) -> None:
        self.taken: deque[int] = deque()
        self.refused: deque[tuple[int, str]] = deque()
        self.heard: deque[bytes] = deque(maxlen=_MOST_HEARD)


def drain(queue: deque[_Kind]) -> list[_Kind]:
    """Take out what is there now; more may arrive meanwhile."""
    return [queue.popleft() for _ in range(len(queue))]
