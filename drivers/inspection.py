"""Everything a meter says, side by side, for a person to confirm before anything is signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.admission import serial_of, setting_words, swapped_sentence, verdict_sentence
from drivers.errors import NoReplyError, RefusedRequestError
from drivers.meter import Inspection, PointView, SettingVerdict
from drivers.profile import cut
from drivers.values import TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.blocks import Block
    from drivers.profile import Point, Profile, Setting

    Ask = Callable[[Block], bytes]

_UNCONFIRMED = "C"


def inspect_meter(profile: Profile, line: str, unit: int, serial: str | None, ask: Ask) -> Inspection:
    """Read every point by itself, so that one that is missing does not hide its neighbours.

    Args:
        profile: the meter's profile.
        line: the line in words.
        unit: Modbus unit number.
        serial: the serial number that is expected, `None` for any.
        ask: reads a block.

    Raises:
        MeterError: the meter could not be asked.
    """
    verdicts = [_verdict(setting, ask) for setting in profile.settings]
    if profile.model is not None:
        verdicts.insert(0, _verdict(profile.model, ask))
    swapped = swapped_sentence(profile, ask)
    if swapped:
        verdicts.append(SettingVerdict("word_order", 0, "swapped", "", ok=False, sentence=swapped))
    point, stated = serial_of(profile, ask)
    if serial is not None and stated != serial:
        verdicts.append(
            SettingVerdict(
                "serial",
                point.address if point else 0,
                stated or "none",
                serial,
                ok=False,
                sentence=f"The serial number is {stated or 'not stated'}, expected {serial}: this is another meter.",
            )
        )
    return Inspection(
        profile=profile.id,
        line=line,
        unit=unit,
        serial=stated,
        points=tuple(_view(profile, point, ask) for point in profile.points.values()),
        settings=tuple(verdicts),
    )


def _view(profile: Profile, point: Point, ask: Ask) -> PointView:
    block = profile.span(point)
    raw, remark, value = b"", point.note, None
    try:
        words = ask(block)
    except RefusedRequestError as error:
        missing = "not on this meter" if point.optional else "refused: is this the right profile?"
        remark = f"{missing} (exception {error.code})"
    else:
        raw = cut(point, block, words)
        value = point.words(raw) if point.kind in TEXTS else profile.value(point, block, words)
        if value is None:
            remark = 'unknown: the meter holds "not available", NaN or an impossible value'
        elif point.confidence == _UNCONFIRMED:
            remark = f"unconfirmed in the profile, compare with the meter's display. {remark}".strip()
    return PointView(
        name=point.name,
        datasheet_name=point.datasheet_name,
        function=point.function,
        address=point.address,
        raw=raw,
        value=value,
        unit=point.unit,
        confidence=point.confidence,
        remark=remark,
    )


def _verdict(setting: Setting, ask: Ask) -> SettingVerdict:
    point = setting.point
    found: str | None
    try:
        found = setting_words(setting, ask)
        ok = setting.judge(found)
    except RefusedRequestError:
        # what must be checked and cannot be is an objection; without an expectation it only informs
        found, ok = None, False if setting.demands else None
    except NoReplyError:
        if not point.optional:
            raise
        found, ok = None, None  # some meters are silent about registers that they do not have
    return SettingVerdict(
        name=point.name,
        address=point.address,
        found="refused" if found is None else found,
        expected=" or ".join(setting.expect or setting.expect_prefix),
        ok=ok,
        sentence=verdict_sentence(setting, found),
    )
