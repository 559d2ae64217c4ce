"""What several stages need of the world. A port that one stage alone needs is declared beside that stage."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, and how far it may be trusted."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""

    def monotonic(self) -> float:
        """Seconds that never step, from an arbitrary start."""

    def trusted(self) -> bool:
        """Whether ``now_ms`` may be signed: synchronised, not before this program was built, no step just now."""


class Log(Protocol):
    """Structured events; every event has a stable name and says what the installer can do (structlog fits)."""

    def info(self, event: str, **facts: object) -> None:
        """Something that happens in good order."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""

    def error(self, event: str, **facts: object) -> None:
        """A fault that a person must end."""
