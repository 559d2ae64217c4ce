"""What several stages need of the world. A port that one stage alone needs is declared beside that stage."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from agent.domain.outbox import Attempt, Entry, Inclusion, State


class Clock(Protocol):
    """Time, and how far it may be trusted."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never step, from an arbitrary start."""

    def trusted(self) -> bool:
        """Whether ``now_ms`` may be signed: synchronised, not before this program was built, no step just now."""


class Events(Protocol):
    """Where a stage says what happened: the log, and the journal for the household and telemetry.

    Names are stable (``meter.lost``), and a fault's ``advice`` says what the installer can do. A stage says a thing
    once when it begins and once when it ends, not at each turn.
    """

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""

    def error(self, event: str, **facts: object) -> None:
        """A fault that a person must end."""


class Together(Protocol):
    """A journal whose writes can be made one."""

    def transaction(self) -> AbstractContextManager[object]:
        """All writes inside are committed together, or none is.

        Raises:
            JournalBusy: nothing was written; try again later.
        """


class Outbox(Protocol):
    """The outbox's rows, as far as both submit and confirm use them. Every method may raise JournalBusy."""

    def open_entries(self) -> list[Entry]:
        """Entries that have not ended, oldest first."""

    def sent(self, entry_id: int, tx_hash: str, now: int, *, accepted: bool) -> None:
        """Note that bytes left, and whether a node took them."""

    def move(self, entry_id: int, to: State, now: int, inclusion: Inclusion | None = None, why: str = "") -> None:
        """Change an entry's state; the readings that it carries follow."""

    def bump(self, entry_id: int, attempt: Attempt) -> None:
        """Keep signed bytes with a higher fee beside the earlier ones."""

    def halt(self, why: str) -> None:
        """Stop submission until a person resumes it."""

    def halted(self) -> str | None:
        """Why submission is stopped, or None."""
