"""What a command answers with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from agent.cli import table
from agent.domain.amounts import told_kwh, told_money, told_price
from agent.domain.market import WEI, Settlement

Told = dict[str, object]

# What a fact is counted in, by the last part of its name. Programs read integers; a person reads the unit.
_COUNTED: dict[str, Callable[[int, Settlement], str]] = {
    "WeiPerKWh": told_price,
    "Wei": told_money,
    "Wh": lambda wh, _: told_kwh(wh),
    "W": lambda watts, _: f"{watts} W",
    "S": lambda seconds, _: f"{seconds} s",
    "At": lambda at, _: table.moment(at),
}
_LAST = re.compile(rf"(?<=[a-z])({'|'.join(_COUNTED)})$")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command has to tell.

    Attributes:
        told: what ``--json`` prints.
        text: what a person reads; None for a line a field of ``told``.
        unit: what money is called in those lines.
    """

    told: Told
    text: str | None = None
    unit: Settlement = WEI

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        return table.facts([_line(name, value, self.unit) for name, value in self.told.items()])


def _line(name: str, value: object, unit: Settlement) -> tuple[str, object]:
    """A fact for a person: its name in words, and its value in the unit that the name ends with."""
    counted = _LAST.search(name)
    if counted is None or not isinstance(value, int | None):
        return _words(name), _cell(value)
    return _words(_LAST.sub("", name)), None if value is None else _COUNTED[counted[1]](value, unit)


def _words(name: str) -> str:
    return _WORD.sub(" ", name).lower()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else value
