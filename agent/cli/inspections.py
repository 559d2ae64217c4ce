"""What a meter says, as a table: raw and scaled side by side."""

from __future__ import annotations

from decimal import Decimal

from agent.cli import table
from agent.cli.ports import Inspection

_HEADS = ("point", "register", "raw", "value", "unit", "sure", "remark")


def points(inspection: Inspection) -> str:
    """Every point of a meter for a person, who compares it with the meter's display."""
    return table.grid(
        _HEADS,
        [
            (
                point.name,
                f"{point.function}:0x{point.address:04X}",
                point.raw.hex(" ", 2),
                _value(point.value),
                "" if point.unit == "1" else point.unit,
                point.confidence,
                point.remark,
            )
            for point in inspection.points
        ],
        right=(3,),
    )


def _value(value: Decimal | str | None) -> str | None:
    """A float32 has seven digits; a hundredth of a watt is noise, a thousandth of a kWh is not."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return None if value is None else str(value)
    return f"{value:.3f}"


def settings(inspection: Inspection) -> str:
    """The verdicts on the meter's settings, one a line; empty if nothing is watched."""
    marks = {True: "ok", False: "WRONG", None: "judge"}
    return "\n".join(f"[{marks[verdict.ok]:^5}] {verdict.sentence}" for verdict in inspection.settings)


def as_facts(inspection: Inspection) -> dict[str, object]:
    """The same for a program."""
    return {
        "profile": inspection.profile,
        "line": inspection.line,
        "unit": inspection.unit,
        "serial": inspection.serial,
        "points": [
            {
                "name": point.name,
                "function": point.function,
                "address": point.address,
                "raw": point.raw,
                "value": point.value,
                "unit": point.unit,
                "confidence": point.confidence,
                "remark": point.remark,
            }
            for point in inspection.points
        ],
        "settings": [
            {"name": verdict.name, "found": verdict.found, "ok": verdict.ok, "sentence": verdict.sentence}
            for verdict in inspection.settings
        ],
    }
