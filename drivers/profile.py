"""A meter's registers and habits, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from drivers.blocks import PROTOCOL_LIMIT, Block
from drivers.meter import Counts
from drivers.values import (
    TEXTS,
    UNSIGNED,
    WH_PER,
    Kind,
    WordOrder,
    number,
    registers_of,
    text,
)

if TYPE_CHECKING:
    from pathlib import Path

# What a cycle reads, by the profile's own point names, beside the counted register.
POWER, VOLTAGE, CURRENT, FREQUENCY = "active_power", "voltage_l1", "current_l1", "frequency"
LIVE = (POWER, VOLTAGE, CURRENT, FREQUENCY)


@dataclass(frozen=True, slots=True)
class Point:
    """One value of the meter.

    Attributes:
        name: our name of it; the key in the file.
        address: wire address, counted from 0.
        kind: how it is written.
        registers: how many registers it takes.
        function: 3 holding, 4 input registers.
        word_order: which word comes first.
        scale: value = raw * scale.
        scale_factor: name of the point that holds the power of ten to scale by, read in the same request.
        unit: W, kW, Wh, kWh, V, A, Hz or 1.
        invalid: further bit patterns, as unsigned numbers, that mean "not available".
        limits: lowest and highest possible value, after scaling.
        optional: some meters with this profile refuse it.
        confidence: A, B or C.
        datasheet_name: what the maker calls it.
        note: what an installer should know.
        never_bill: why this counter must not be billed on; empty where it may.
    """

    name: str
    address: int
    kind: Kind
    registers: int
    function: int
    word_order: WordOrder = WordOrder.HIGH_FIRST
    scale: Decimal = Decimal(1)
    scale_factor: str | None = None
    unit: str = "1"
    invalid: frozenset[int] = frozenset()
    limits: tuple[Decimal, Decimal] | None = None
    optional: bool = False
    confidence: str = "A"
    datasheet_name: str = ""
    note: str = ""
    never_bill: str = ""

    @property
    def is_energy(self) -> bool:
        """Whether it is a cumulative counter."""
        return self.unit in WH_PER

    def block(self) -> Block:
        """The registers of this point alone."""
        return Block(self.function, self.address, self.registers, (self.name,), optional=self.optional)

    def value(self, raw: bytes, exponent: int = 0) -> Decimal | None:
        """Scale the point's own words.

        Args:
            raw: exactly the point's registers, as they came.
            exponent: what its scale factor point held, 0 where it has none.

        Returns:
            The exact value in `unit`; `None` for "not available", NaN and the impossible.
        """
        counted = number(raw, self.kind, self.word_order, self.invalid)
        if counted is None:
            return None
        scaled = counted * self.scale * Decimal(10) ** exponent
        if self.is_energy and scaled < 0:
            return None
        if self.limits is not None and not self.limits[0] <= scaled <= self.limits[1]:
            return None
        return scaled

    def words(self, raw: bytes) -> str | None:
        """The point as text: a serial number, a model code, a setting.

        Numbers are shown without a fraction where they have none.
        """
        if self.kind in TEXTS:
            return text(raw, self.kind)  # texts stand in address order, also where numbers do not
        value = self.value(raw)
        if value is None:
            return None
        return str(int(value)) if value == value.to_integral_value() else str(value.normalize())


@dataclass(frozen=True, slots=True)
class Setting:
    """Something inside the meter that decides what its values mean.

    Attributes:
        point: where it is.
        expect: values that are right, as `Point.words` shows them; empty when a person has to judge.
        expect_prefix: beginnings that are right, for texts.
        sentence: what it means and what to do when it is wrong.
    """

    point: Point
    expect: tuple[str, ...]
    sentence: str
    expect_prefix: tuple[str, ...] = ()

    @property
    def demands(self) -> bool:
        """Whether the profile knows what is right, so that anything else stops a start."""
        return bool(self.expect or self.expect_prefix)

    def judge(self, found: str | None) -> bool | None:
        """Whether a found value is right; `None` when nothing was found or nothing is expected."""
        if found is None or not self.demands:
            return None
        return found in self.expect or found.startswith(self.expect_prefix or ("\0",))


@dataclass(frozen=True, slots=True)
class SerialDefaults:
    """How the maker delivers a meter, and what else it can be set to. `None` means not known.

    Attributes:
        baud: bits a second from the factory.
        parity: `N`, `E` or `O` from the factory.
        stop: stop bits from the factory.
        unit: unit number from the factory.
        bauds: what it can be set to, for scanning.
        parities: what it can be set to, for scanning.
        note: what an installer should know.
    """

    baud: int | None = None
    parity: str | None = None
    stop: int | None = None
    unit: int = 1
    bauds: tuple[int, ...] = ()
    parities: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of meter.

    Attributes:
        id: the name that a configuration gives.
        maker: who makes it.
        models: what is printed on it.
        phases: 1 or 3.
        confidence: of facts that do not say otherwise: A, B or C.
        path: the file it came from.
        points: every value, by name.
        counts: which counter stands for import and which for export, by point name.
        function: the default function.
        max_registers: the most registers in one reply.
        holes: whether registers between wanted ones may be read.
        gap_s: silence wanted before a request, in seconds.
        timeout_s: shortest and longest sensible timeout, in seconds.
        power_positive: the direction in which active power is positive.
        modulus_wh: where the counters start again, `None` to derive it from their kind.
        serials: alternatives for the serial number; the first that the meter has is used.
        model: the model code with what it must read, if there is one.
        settings: what to look at before values are trusted.
        serial_line: defaults for RS-485, `None` for meters without it.
        tcp: port and unit number on Ethernet, `None` for meters without it.
        traps: sentences for people.
        sources: where the facts come from.
    """

    id: str
    maker: str
    models: tuple[str, ...]
    phases: int
    confidence: str
    path: Path
    points: dict[str, Point]
    counts: dict[Counts, str]
    function: int
    max_registers: int = PROTOCOL_LIMIT
    holes: bool = True
    gap_s: float = 0.0
    timeout_s: tuple[float, float] = (0.1, 1.0)
    power_positive: Counts = Counts.IMPORT
    modulus_wh: int | None = None
    serials: tuple[Point, ...] = ()
    model: Setting | None = None
    settings: tuple[Setting, ...] = ()
    serial_line: SerialDefaults | None = None
    tcp: tuple[int, int] | None = None
    traps: tuple[str, ...] = ()
    sources: tuple[str, ...] = field(default=())

    def span(self, point: Point) -> Block:
        """The registers that must come in one request for a point's value: its own and its scale factor's."""
        own = point.block()
        if point.scale_factor is None:
            return own
        factor = self.points[point.scale_factor].block()
        first, end = min(own.address, factor.address), max(own.end, factor.end)
        return Block(own.function, first, end - first, own.names, optional=own.optional)

    def value(self, point: Point, block: Block, raw: bytes) -> Decimal | None:
        """Cut a point out of a block's words and scale it."""
        exponent = Decimal(0)
        if point.scale_factor is not None:
            factor = self.points[point.scale_factor]
            found = number(cut(factor, block, raw), factor.kind, factor.word_order)
            if found is None:
                return None
            exponent = found
        return point.value(cut(point, block, raw), int(exponent))

    def counter_modulus_wh(self, counts: Counts) -> int | None:
        """Where the counted register starts again, in Wh; `None` for floats and when it is not known."""
        if self.modulus_wh is not None:
            return self.modulus_wh
        point = self.points[self.counts[counts]]
        if point.kind not in UNSIGNED or point.scale_factor is not None:
            return None
        registers = registers_of(point.kind) or 0
        modulus = point.scale * WH_PER[point.unit] * 2 ** (16 * registers)
        return int(modulus) if modulus == modulus.to_integral_value() else None


def cut(point: Point, block: Block, raw: bytes) -> bytes:
    """The point's own words out of a block's."""
    start = 2 * (point.address - block.address)
    return raw[start : start + 2 * point.registers]
