"""What a command answers with."""

from __future__ import annotations

from dataclasses import dataclass

Told = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command has to tell.

    Attributes:
        told: what ``--json`` prints.
        text: what a person reads; None for a line a field of ``told``.
    """

    told: Told
    text: str | None = None

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        width = max(map(len, self.told), default=0)
        return "\n".join(f"{name:<{width}}  {_cell(value)}" for name, value in self.told.items())


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
