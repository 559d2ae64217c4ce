"""What every meter offers, whatever wire and protocol it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from decimal import Decimal


class Counts(StrEnum):
    """Which cumulative register of the meter belongs to the household's account.

    A production meter wired the usual way counts in its export register, one wired the other way round in
    its import register: the installer's `direction` decides, the driver only obeys.
    """

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One guarded read of one meter. `None` means unknown, never zero.

    Attributes:
        register_wh: the counted cumulative register in Wh, as the meter states it.
        power_w: active power in W, positive in the counted direction.
        voltage_v: voltage of the first phase in V.
        current_a: current of the first phase in A.
        frequency_hz: grid frequency in Hz.
        serial: the serial number read in this very cycle, where the profile has one.
        raw_register: the counted register's words as they came over the wire, big-endian bytes in a word.
        unknown: names of the profile's points that held "not available", NaN or an impossible value.
    """

    register_wh: int | None
    power_w: int | None
    voltage_v: float | None
    current_a: float | None
    frequency_hz: float | None
    serial: str | None
    raw_register: bytes
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PointView:
    """One point of the profile as a person checks it: what came, and what it is taken to mean.

    Attributes:
        name: the profile's name of the point.
        datasheet_name: what the maker calls it, empty when the profile does not say.
        function: Modbus function code, 3 or 4.
        address: wire address, counted from 0.
        raw: the words as they came; empty when the meter refused.
        value: the scaled value, `None` when unknown or refused.
        unit: unit of `value`: W, kW, Wh, kWh, V, A, Hz or 1.
        confidence: A, B or C: how well the fact in the profile is known.
        remark: why there is no value, or what to verify; empty when there is nothing to say.
    """

    name: str
    datasheet_name: str
    function: int
    address: int
    raw: bytes
    value: Decimal | str | None
    unit: str
    confidence: str
    remark: str


@dataclass(frozen=True, slots=True)
class SettingVerdict:
    """What a setting inside the meter is, and whether values can be trusted with it.

    Attributes:
        name: the profile's name of the setting.
        address: wire address, counted from 0.
        found: the value in words, "refused" when the meter does not have it.
        expected: what is right, empty when a person has to judge.
        ok: `False` stops the start; `None` asks a person.
        sentence: the verdict in words.
    """

    name: str
    address: int
    found: str
    expected: str
    ok: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything a meter says, for `check` and `probe`.

    Attributes:
        profile: name of the profile that was used.
        line: the line in words.
        unit: Modbus unit number.
        serial: serial number, `None` when the meter has none.
        points: every point of the profile.
        settings: every setting that the profile watches, the model code among them.
    """

    profile: str
    line: str
    unit: int
    serial: str | None
    points: tuple[PointView, ...]
    settings: tuple[SettingVerdict, ...]

    @property
    def objections(self) -> tuple[str, ...]:
        """The sentences that must stop a start; empty when there is nothing against it."""
        return tuple(verdict.sentence for verdict in self.settings if verdict.ok is False)


class Meter(Protocol):
    """One physical meter, read for one cumulative register."""

    @property
    def modulus_wh(self) -> int | None:
        """The register starts again from 0 at this many Wh; `None` when that is not known."""
        ...

    def resolution_wh(self, register_wh: int) -> float:
        """The smallest step, in Wh, that the register can make at this value."""
        ...

    def read(self) -> Measurement:
        """Read one guarded cycle.

        Raises:
            MeterError: nothing was read; see `drivers.errors` for who acts on which.
        """
        ...

    def inspect(self) -> Inspection:
        """Read every point and every watched setting.

        Raises:
            MeterError: the meter could not be asked.
        """
        ...

    def close(self) -> None:
        """Let go of the line; the meter may be read again afterwards."""
        ...
