"""What was measured, its limit, and how both are shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

_WIDE: Final = 100
_COLUMNS: Final = ("figure", "measured", "limit", "holds", "remark")


class BenchError(Exception):
    """Something could not be measured; the text says what happened and where."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What was measured.
        value: How much; None where it could not be measured, and `remark` says why.
        unit: Of value and limit.
        limit: The most that is promised; None where nothing is.
        remark: How it was measured, as far as the name does not tell.
    """

    name: str
    value: float | None
    unit: str
    limit: float | None = None
    remark: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the limit holds; None where there is no limit or no value."""
        if self.limit is None or self.value is None:
            return None
        return self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Section:
    """Figures that were measured together.

    Attributes:
        name: What `--only` calls it.
        how: The conditions, in a sentence.
        figures: In the order in which they are shown.
    """

    name: str
    how: str
    figures: list[Figure] = field(default_factory=list)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank).

    Args:
        values: At least one, in any order.
        share: Above 0, at most 1; 0.5 is the median.

    Raises:
        ValueError: There is no value, or no such share.
    """
    if not values or not 0 < share <= 1:
        raise ValueError(f"{len(values)} values and a share of {share}: give at least one, and a share of 0 to 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def broken(sections: Sequence[Section]) -> list[Figure]:
    """The figures whose limit does not hold."""
    return [figure for section in sections for figure in section.figures if figure.holds is False]


def as_json(sections: Sequence[Section]) -> list[dict[str, object]]:
    """Every figure with its section and verdict, for JSON."""
    return [
        {"section": section.name, **asdict(figure), "holds": figure.holds}
        for section in sections
        for figure in section.figures
    ]


def table(sections: Sequence[Section]) -> Iterator[str]:
    """The lines of one table, with a heading for each section."""
    rows = {section.name: [_row(figure) for figure in section.figures] for section in sections}
    widths = [
        max(len(cell) for cell in column)
        for column in zip(_COLUMNS, *(row for told in rows.values() for row in told), strict=True)
    ]
    for section in sections:
        yield ""
        yield f"{section.name}: {section.how}"
        yield _line(_COLUMNS, widths)
        yield _line(["-" * min(width, _WIDE) for width in widths[:-1]] + ["-" * len(_COLUMNS[-1])], widths)
        for row in rows[section.name]:
            yield _line(row, widths)


def _row(figure: Figure) -> tuple[str, ...]:
    verdict = {True: "yes", False: "NO", None: ""}[figure.holds]
    limit = "" if figure.limit is None else _number(figure.limit, figure.unit)
    measured = "not measured" if figure.value is None else _number(figure.value, figure.unit)
    return figure.name, measured, limit, verdict, figure.remark


def _number(value: float, unit: str) -> str:
    # Three digits that count are as many as a noisy machine can give; whole things are counted to the last.
    text = f"{value:,.0f}" if abs(value) >= _WIDE or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, measured, limit, holds, remark = cells
    sized = (first.ljust(widths[0]), measured.rjust(widths[1]), limit.rjust(widths[2]), holds.ljust(widths[3]), remark)
    return ("  " + "  ".join(sized)).rstrip()
