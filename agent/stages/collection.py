"""What the collect stage needs of the world: the broker, the database, the chain's register."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from agent.domain.collecting import Kept, Key, Lost, Message, Refusal
from agent.domain.standing import Standing
from agent.domain.telemetry import Link


class Source(Protocol):
    """The subscription at the broker. Nothing here blocks, and nothing raises because the broker is away."""

    def tend(self) -> Link:
        """Begin an attempt to connect if it is time for one; say how the connection stands."""

    def fetch(self, most: int) -> list[Message]:
        """Up to ``most`` messages that have come, oldest first. The broker holds back more than it may send."""

    def confirm(self, receipts: Iterable[int]) -> None:
        """These messages are done with: the broker need not send them again, and may send others."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """Hand one message over; None if it cannot be taken just now. Raises BadRequest if it is too large."""

    def dropped(self) -> int:
        """How many messages were dropped unread since the start: those that a broker cannot be made to hold back."""

    def close(self, deadline_s: float) -> None:
        """Say goodbye and end, within ``deadline_s`` seconds."""


class Rows(Protocol):
    """The database, inside one transaction."""

    def add(self, readings: Sequence[Kept]) -> Mapping[Key, tuple[int, bool]]:
        """Store readings, of which no two have the same key.

        Returns:
            For each key the packed reading that is stored under it, and whether it is new: an earlier one stays.
        """

    def put(self, standings: Iterable[Standing]) -> None:
        """Store how households stand."""

    def lose(self, lost: Sequence[Lost]) -> None:
        """Store what will not come; the same twice is once."""

    def count(self, refused: Mapping[tuple[str, Refusal], int], at: int) -> None:
        """Add to what was refused, by household (empty: one that is not known) and reason."""


class Store(Protocol):
    """The relational database."""

    def transaction(self) -> AbstractContextManager[Rows]:
        """Everything inside is stored together when it ends, or nothing is.

        Raises:
            Retry: it could not be stored; whether some of it was shows at the next attempt.
        """

    def standings(self) -> list[Standing]:
        """How every household stands.

        Raises:
            Retry: the database cannot be read just now.
        """


class Register(Protocol):
    """Who is enrolled, by the chain."""

    def enrolled(self, household: str) -> bool:
        """Whether the market knows the household; raises NodeUnavailable."""
