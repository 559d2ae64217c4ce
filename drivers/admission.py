"""What a meter must show before its first value counts, each time its line was opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drivers.errors import ConfigurationError, RefusedRequestError, WrongMeterError, WrongSettingError
from drivers.profile import FREQUENCY, VOLTAGE
from drivers.values import WordOrder

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from drivers.blocks import Block
    from drivers.profile import Point, Profile, Setting

    Ask = Callable[[Block], bytes]

_GRID = {FREQUENCY: (40, 70), VOLTAGE: (80, 500)}
_OTHER = {
    WordOrder.HIGH_FIRST: WordOrder.LOW_FIRST,
    WordOrder.LOW_FIRST: WordOrder.HIGH_FIRST,
}


@dataclass(frozen=True, slots=True)
class Admission:
    """The outcome for one opening of the line.

    Attributes:
        opening: which opening of the line it holds for.
        serial_point: where this meter states its serial number, `None` when it does not.
        serial: what it stated there.
    """

    opening: int
    serial_point: Point | None
    serial: str | None


def admit(profile: Profile, label: str, serial: str | None, opening: int, ask: Ask) -> Admission:
    """Read model code, watched settings and where the serial number is.

    Args:
        profile: the meter's profile.
        label: the meter, for messages.
        serial: the serial number that is expected, `None` for any.
        opening: which opening of the line this is.
        ask: reads a block.

    Raises:
        WrongMeterError: the model code belongs to another kind of meter.
        WrongSettingError: settings are wrong; all are listed.
        ConfigurationError: a serial number is expected and the meter states none.
        MeterError: the meter could not be asked.
    """
    if profile.model is not None:
        found = setting_words(profile.model, ask)
        if profile.model.judge(found) is False:
            expected = " or ".join(profile.model.expect or profile.model.expect_prefix)
            raise WrongMeterError(
                f"{label}: model code is {found}, expected {expected}. {profile.model.sentence}",
                expected,
                found or "",
            )
    wrong = tuple(
        verdict_sentence(setting, found)
        for setting in profile.settings
        if setting.demands
        if setting.judge(found := setting_words(setting, ask)) is False
    )
    swapped = swapped_sentence(profile, ask)
    wrong += (swapped,) if swapped else ()
    if wrong:
        raise WrongSettingError(f"{label}: " + " ".join(wrong), wrong)
    point, stated = serial_of(profile, ask)
    if serial is not None and point is None:
        raise ConfigurationError(f"{label}: expected serial number {serial}, but this meter states none")
    return Admission(opening, point, stated)


def serial_of(profile: Profile, ask: Ask) -> tuple[Point | None, str | None]:
    """The first of the profile's alternatives that this meter answers, and the serial number it stated."""
    for point in profile.serials:
        stated = optional_words(point, ask)
        if stated is not None:
            return point, stated
    return None, None


def swapped_sentence(profile: Profile, ask: Ask) -> str:
    """What to say when the words of the meter's values arrive the other way round; empty when they do not.

    Frequency and voltage are known within a factor of two anywhere on a grid. Only when such a value is
    impossible as the profile reads it, and right with the words exchanged, is the order wrong for sure.
    """
    for name, (low, high) in _GRID.items():
        point = profile.points.get(name)
        if point is None or point.registers == 1 or point.optional or point.scale_factor:
            continue
        raw = ask(point.block())
        if _within(point.value(raw), low, high):
            return ""
        if _within(replace(point, word_order=_OTHER[point.word_order]).value(raw), low, high):
            return (
                f"Word order is wrong: {name} (0x{point.address:04X}) is {raw.hex()}, a {point.unit} value of "
                f"{low} to {high} only when read {_OTHER[point.word_order]}; set the order back on the meter, "
                "or word_order in the profile."
            )
    return ""


def _within(value: Decimal | None, low: int, high: int) -> bool:
    return value is not None and low <= value <= high


def optional_words(point: Point, ask: Ask) -> str | None:
    """A point in words, `None` when the meter does not have it."""
    try:
        return point.words(ask(point.block()))
    except RefusedRequestError:
        return None


def setting_words(setting: Setting, ask: Ask) -> str | None:
    """A setting in words. A swapped word order must show, so even an impossible value becomes words.

    Returns:
        The value, the raw words in hexadecimal when they are no value, `None` for an optional setting that
        this meter does not have.

    Raises:
        RefusedRequestError: the meter does not have a setting that it must have.
    """
    point = setting.point
    try:
        raw = ask(point.block())
    except RefusedRequestError:
        if point.optional:
            return None
        raise
    return point.words(raw) or f"0x{raw.hex()}"


def verdict_sentence(setting: Setting, found: str | None) -> str:
    """What a found setting means, in words."""
    expected = " or ".join((*setting.expect, *(f"{prefix}..." for prefix in setting.expect_prefix)))
    here = f"{setting.point.name} (0x{setting.point.address:04X})"
    if found is None:
        return f"{here} is not there on this meter. {setting.sentence}"
    if not expected:
        return f"{here} is {found}. {setting.sentence}"
    verb = "is right" if setting.judge(found) else "is wrong"
    return f"{here} {verb}: {found}, expected {expected}. {setting.sentence}"
