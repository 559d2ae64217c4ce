"""How things look on a screen. Decimal points exist only here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, Flag
from pathlib import Path

NOTHING = "-"
"""Stands where a value is unknown, so that it is not taken for 0."""
LAST_S = 253_402_300_799
"""The end of year 9999, the last that the calendar has, UTC epoch seconds."""


def kwh(wh: int | None) -> str:
    """Energy in kWh with three decimals."""
    if wh is None:
        return NOTHING
    sign = "-" if wh < 0 else ""
    return f"{sign}{abs(wh) // 1000}.{abs(wh) % 1000:03d}"


def moment(epoch_s: int | None) -> str:
    """UTC date and time; what lies beyond the calendar's last year, as others may write it, as the number it is."""
    if epoch_s is None:
        return NOTHING
    if not 0 <= epoch_s <= LAST_S:
        return f"{epoch_s} s"
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def age(seconds: int) -> str:
    """How long ago, in the largest fitting unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def flags(value: Flag) -> str:
    """The names of the flags that are set."""
    return ", ".join(str(flag.name).lower() for flag in type(value) if flag in value) or NOTHING


def grid(heads: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[int] = ()) -> str:
    """A table.

    Args:
        heads: one for each column.
        rows: cells; None is shown as unknown.
        right: numbers of the columns that are aligned to the right.
    """
    lines = [list(heads), *([NOTHING if cell is None or cell == "" else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    aligned = set(right)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in aligned else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and values, one a line."""
    listed = [(name, NOTHING if value is None or value == "" else str(value)) for name, value in pairs]
    width = max((len(name) for name, _ in listed), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in listed)


def as_json(value: object) -> str:
    """The same facts for a program: integers in their units, bytes in hex, times as UTC epoch seconds.

    Names are those of telemetry's messages, so that a program needs to know one kind.
    """
    return json.dumps(plain(value), indent=2)


def plain(value: object) -> object:  # noqa: PLR0911 - one kind of value a line
    """What JSON can hold of a value.

    Raises:
        TypeError: it is of a kind that has no plain form.
    """
    match value:
        case None | bool() | float() | str() if not isinstance(value, Enum):
            return value
        case Enum() if not isinstance(value, int):
            return plain(value.value)
        case int():
            return int(value)
        case bytes():
            return value.hex()
        case Decimal() | Path():
            return str(value)
        case Mapping():
            return {str(plain(key)): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case frozenset():
            return [plain(inner) for inner in sorted(value)]
        case _ if dataclasses.is_dataclass(value):
            return _named({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
        case _:
            raise TypeError(f"{type(value).__name__} has no plain form")


def _named(fields: Mapping[str, object]) -> dict[str, object]:
    """A dataclass's fields under the names that telemetry and enrolment requests use: ``intervalEnd``."""
    named: dict[str, object] = {}
    for field, value in fields.items():
        first, *rest = field.split("_")
        named[first + "".join(part.capitalize() for part in rest)] = plain(value)
        if isinstance(value, Flag):
            named[f"{first.removesuffix('s')}Names"] = [str(flag.name).lower() for flag in type(value) if flag in value]
    return named


def note(*, unproven: bool) -> str:
    """What stands under every screen of a chain that proves nothing."""
    return "\n\nunproven: a development chain, on the word of its nodes" if unproven else ""
