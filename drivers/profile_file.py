"""Reading a profile file: every mistake at once, each with its key and what would be right."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING

from drivers.blocks import PROTOCOL_LIMIT
from drivers.errors import ProfileError
from drivers.meter import Counts
from drivers.profile import LIVE, Point, Profile, SerialDefaults, Setting
from drivers.toml_table import Table
from drivers.values import TEXTS, W_PER, WH_PER, Kind, WordOrder, registers_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION = 1
CONFIDENCES = ("A", "B", "C")
UNITS = (*W_PER, *WH_PER, "V", "A", "Hz", "1")
PARITIES = ("N", "E", "O")
_LONGEST_TIMEOUT_MS = 10_000
_LAST_ADDRESS = 0xFFFF
_LONGEST_TEXT = 64
_LIVE_UNITS = {LIVE[0]: tuple(W_PER), LIVE[1]: ("V",), LIVE[2]: ("A",), LIVE[3]: ("Hz",)}


def load_profile(path: Path) -> Profile:
    """Read one profile.

    Raises:
        ProfileError: the file cannot be read, is no TOML, or has mistakes; all are listed.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ProfileError(path, (f"cannot be read: {error.strerror}",)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(path, (f"is not TOML: {error}",)) from error
    problems: list[str] = []
    profile = _profile(Table(document, "", problems), path, problems)
    if problems:
        raise ProfileError(path, tuple(problems))
    return profile


def _profile(top: Table, path: Path, problems: list[str]) -> Profile:
    top.choice("schema", (SCHEMA_VERSION,))
    confidence = top.choice("confidence", CONFIDENCES, "A")
    read = top.table("read")
    function = read.choice("function", (3, 4), 3)
    order = WordOrder(read.choice("word_order", tuple(WordOrder), WordOrder.HIGH_FIRST))
    facts = _Facts(function, order, confidence, _patterns(top.table("invalid")))
    limits = read.numbers("timeout_ms", 2, (Decimal(100), Decimal(1000)), low=1, high=_LONGEST_TIMEOUT_MS)
    if limits[0] > limits[1]:
        read.complain("timeout_ms", "the shortest comes first, then the longest")
    identity = top.table("identity")
    model = identity.table("model") if "model" in identity else None
    profile = Profile(
        id=top.text("id", required=True),
        maker=top.text("maker", required=True),
        models=top.texts("models", required=True),
        phases=top.choice("phases", (1, 3), 1),
        confidence=confidence,
        path=path,
        points=_points(top.table("points", required=True), facts),
        counts=_counts(top.table("counts", required=True)),
        function=function,
        max_registers=read.whole("max_registers", PROTOCOL_LIMIT, low=2, high=PROTOCOL_LIMIT),
        holes=read.flag("holes", default=True),
        gap_s=read.whole("gap_ms", 0, low=0, high=_LONGEST_TIMEOUT_MS) / 1000,
        timeout_s=(float(limits[0]) / 1000, float(limits[1]) / 1000),
        power_positive=Counts(read.choice("power_positive", tuple(Counts), Counts.IMPORT)),
        modulus_wh=read.whole("modulus_wh", 0, low=1, high=2**80) or None,
        serials=tuple(_point("serial", table, facts) for table in identity.tables("serial")),
        model=_setting(model, facts, "model") if model else None,
        settings=tuple(_setting(table, facts) for table in top.tables("settings")),
        serial_line=_serial_line(top.table("serial_line")) if "serial_line" in top else None,
        tcp=_tcp(top.table("tcp")) if "tcp" in top else None,
        traps=top.texts("traps"),
        sources=top.texts("sources", required=True),
    )
    even = read.flag("even_counts", default=False)
    identity.finish()
    read.finish()
    top.finish()
    if not problems:  # what depends on several keys makes sense only once each is right
        problems.extend(_contradictions(profile, even=even))
    return profile


class _Facts:
    """What a file's points inherit."""

    def __init__(self, function: int, order: WordOrder, confidence: str, patterns: dict[Kind, frozenset[int]]) -> None:
        self.function = function
        self.order = order
        self.confidence = confidence
        self.patterns = patterns


def _patterns(table: Table) -> dict[Kind, frozenset[int]]:
    found = {
        kind: frozenset(table.wholes(kind.value, low=0, high=2**64 - 1))
        for kind in Kind
        if kind.value in table and kind not in TEXTS
    }
    table.finish()
    return found


def _points(table: Table, facts: _Facts) -> dict[str, Point]:
    return {name: _point(name, table.table(name), facts) for name in table.keys_left()}


def _point(name: str, table: Table, facts: _Facts) -> Point:
    kind = Kind(table.choice("type", tuple(Kind), Kind.U16, required=True))
    registers = registers_of(kind)
    if registers is None:
        registers = table.whole("registers", 1, low=1, high=_LONGEST_TEXT, required=True)
    limits = table.numbers("limits", 2, ()) if "limits" in table else ()
    point = Point(
        name=name,
        address=table.whole("address", 0, low=0, high=_LAST_ADDRESS, required=True),
        kind=kind,
        registers=registers,
        function=table.choice("function", (3, 4), facts.function),
        word_order=WordOrder(table.choice("word_order", tuple(WordOrder), facts.order)),
        scale=table.number("scale", Decimal(1)),
        scale_factor=table.text("scale_factor") or None,
        unit=table.choice("unit", UNITS, "1"),
        invalid=facts.patterns.get(kind, frozenset()) | set(table.wholes("invalid", low=0, high=2**64 - 1)),
        limits=(limits[0], limits[1]) if limits else None,
        optional=table.flag("optional", default=False),
        confidence=table.choice("confidence", CONFIDENCES, facts.confidence),
        datasheet_name=table.text("datasheet_name"),
        note=table.text("note"),
        never_bill=table.text("never_bill"),
    )
    if point.address + point.registers > _LAST_ADDRESS + 1:
        table.complain("address", "the point ends after the last address, 0xFFFF")
    if point.scale <= 0:
        table.complain("scale", "must be above 0; a wrong direction is set with `direction`, not here")
    table.finish()
    return point


def _setting(table: Table, facts: _Facts, name: str | None = None) -> Setting:
    name = name or table.text("name", required=True)
    expect = table.anything("expect")
    prefixes = table.texts("expect_prefix")
    sentence = table.text("sentence", required=True)
    point = _point(name, table, facts)
    values = expect if isinstance(expect, list) else [] if expect is None else [expect]
    if not all(isinstance(value, int | Decimal | str) and not isinstance(value, bool) for value in values):
        table.complain("expect", f"is {expect!r}, expected a number, a text, or a list of them")
    return Setting(point, tuple(_shown(value) for value in values), sentence, prefixes)


def _shown(value: object) -> str:
    """An expected value as `Point.words` would show it."""
    if isinstance(value, Decimal):
        return str(int(value)) if value == value.to_integral_value() else str(value.normalize())
    return str(value)


def _counts(table: Table) -> dict[Counts, str]:
    found = {counts: table.text(counts.value) for counts in Counts if counts.value in table}
    if not found:
        table.complain("import", "name the counter of at least one direction: import or export")
    table.finish()
    return found


def _serial_line(table: Table) -> SerialDefaults:
    defaults = SerialDefaults(
        baud=table.whole("baud", 0, low=300, high=4_000_000) or None,
        parity=table.choice("parity", PARITIES, "") or None,
        stop=table.choice("stop", (1, 2), 0) or None,
        unit=table.whole("unit", 1, low=1, high=247),
        bauds=tuple(table.wholes("bauds", low=300, high=4_000_000)),
        parities=tuple(parity for parity in table.texts("parities") if _is_parity(parity, table)),
        note=table.text("note"),
    )
    table.finish()
    return defaults


def _is_parity(value: str, table: Table) -> bool:
    if value not in PARITIES:
        table.complain("parities", f"{value!r} is no parity; right are {', '.join(PARITIES)}")
    return value in PARITIES


def _tcp(table: Table) -> tuple[int, int]:
    found = (table.whole("port", 502, low=1, high=65535), table.whole("unit", 1, low=0, high=255))
    table.finish()
    return found


def _contradictions(profile: Profile, *, even: bool) -> list[str]:
    return [*_counter_contradictions(profile), *_point_contradictions(profile, even=even)]


def _counter_contradictions(profile: Profile) -> Iterator[str]:
    for counts, name in profile.counts.items():
        point = profile.points.get(name)
        if point is None:
            yield (f"counts.{counts}: there is no point {name!r}")
        elif not point.is_energy or point.kind in TEXTS:
            yield (f"counts.{counts}: {name!r} is no energy counter; its unit must be Wh or kWh")
        elif point.never_bill:
            yield (f"counts.{counts}: {name!r} must never be billed on: {point.never_bill}")


def _point_contradictions(profile: Profile, *, even: bool) -> Iterator[str]:
    for point in profile.points.values():
        here = f"points.{point.name}"
        units = _LIVE_UNITS.get(point.name)
        if units and point.unit not in units:
            yield (f"{here}.unit: is {point.unit!r}, right for this name is {' or '.join(units)}")
        if even and (point.address % 2 or point.registers % 2):
            yield (f"{here}: even_counts is set, so address and length must be even")
        factor = profile.points.get(point.scale_factor or point.name)
        if factor is None or (point.scale_factor and factor.kind is not Kind.SF):
            yield (f"{here}.scale_factor: {point.scale_factor!r} is no point of type sf")
        elif factor.function != point.function:
            yield (f"{here}.scale_factor: is read with another function, so never in the same request")
        elif profile.span(point).count > profile.max_registers:
            yield (f"{here}: takes {profile.span(point).count} registers, max_registers is {profile.max_registers}")
