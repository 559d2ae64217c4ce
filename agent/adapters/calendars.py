"""Days and months as people name them, Gregorian or Jalali (Solar Hijri), in their time zone.

A day begins at its first second there, also where a change of the clock leaves out midnight.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from persiantools.jdatetime import JalaliDate

from agent.domain.errors import BadRequest
from agent.domain.invoices import Period

# Nobody has a reading of before 1970; in Jalali years that is 1348, and 1700 is Gregorian 2321.
_JALALI_BELOW = 1_700
_LEAST_YEAR, _MOST_YEAR = 1970, 2105  # times are uint32 in the contract
_MONTHS = 12
_MONTH = re.compile(r"(\d{4})-(\d{1,2})", re.ASCII)
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)


def time_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name, such as Asia/Tehran.

    Raises:
        BadRequest: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(f"{name!r} is no time zone; a name such as UTC or Asia/Tehran is right") from error


def month(text: str, zone: ZoneInfo) -> Period:
    """A month: ``2026-11`` (Gregorian) or ``1405-08`` (Jalali).

    Raises:
        BadRequest: it is none, or its year is beyond 1970 to 2105.
    """
    found = _MONTH.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= _MONTHS:
        raise BadRequest(f"{text!r} is no month; 2026-11 (Gregorian) or 1405-08 (Jalali) is right")
    year, number = int(found[1]), int(found[2])
    after = (year + number // _MONTHS, number % _MONTHS + 1)
    return Period(_first_second(_day(year, number, 1), zone), _first_second(_day(*after, 1), zone))


def month_of(at: int, zone: ZoneInfo, *, in_jalali: bool) -> Period:
    """The month in which a moment lies.

    Args:
        at: UTC epoch seconds.
        zone: where.
        in_jalali: a Jalali month; else a Gregorian one.
    """
    return month(month_name(at, zone, in_jalali=in_jalali), zone)


def month_name(at: int, zone: ZoneInfo, *, in_jalali: bool) -> str:
    """The month in which a moment lies, as a person types it: ``2026-11`` or ``1405-08``; arguments as above."""
    day = local(at, zone)
    year, number, _ = jalali(day) if in_jalali else (day.year, day.month, day.day)
    return f"{year}-{number:02}"


def is_jalali(text: str) -> bool:
    """Whether a month or a day that a person typed is one of the Jalali calendar."""
    return int(text.partition("-")[0]) < _JALALI_BELOW


def days(first: str, last: str, zone: ZoneInfo) -> Period:
    """From a day to a day, both included: ``2026-11-01`` (Gregorian) or ``1405-08-10`` (Jalali).

    Raises:
        BadRequest: one is no day, or the last is before the first.
    """
    begins, ends = _read_day(first), _read_day(last)
    if ends < begins:
        raise BadRequest(f"the last day, {last}, is before the first, {first}")
    return Period(_first_second(begins, zone), _first_second(ends + timedelta(days=1), zone))


def local(at: int, zone: ZoneInfo) -> datetime:
    """A moment in a time zone.

    Args:
        at: UTC epoch seconds.
        zone: where.
    """
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


def jalali(day: date) -> tuple[int, int, int]:
    """Year, month and day in the Jalali calendar."""
    found = JalaliDate.to_jalali(day.year, day.month, day.day)  # type: ignore[no-untyped-call]  # untyped in the library
    return found.year, found.month, found.day


def _first_second(day: date, zone: ZoneInfo) -> int:
    # fold=0: of a midnight that comes twice, the first; one that is left out counts in the old time, which makes it
    # the very moment of the change.
    return int(datetime.combine(day, time.min, zone).timestamp())


def _read_day(text: str) -> date:
    found = _DAY.fullmatch(text)
    if found is None:
        raise BadRequest(f"{text!r} is no day; 2026-11-01 (Gregorian) or 1405-08-10 (Jalali) is right")
    return _day(int(found[1]), int(found[2]), int(found[3]))


def _day(year: int, number: int, day: int) -> date:
    of: Callable[[int, int, int], date] = _from_jalali if year < _JALALI_BELOW else date
    try:
        made = of(year, number, day)
    except ValueError as error:
        raise BadRequest(f"there is no day {year}-{number:02}-{day:02}: {error}") from error
    if not _LEAST_YEAR <= made.year <= _MOST_YEAR:
        raise BadRequest(f"{year}-{number:02}-{day:02} is outside the years {_LEAST_YEAR} to {_MOST_YEAR}")
    return made


def _from_jalali(year: int, number: int, day: int) -> date:
    return JalaliDate(year, number, day).to_gregorian()  # type: ignore[no-untyped-call]  # as above
