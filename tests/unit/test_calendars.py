"""Days and months, Gregorian and Jalali, in their time zones."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.calendars import days, jalali, local, month, month_of, time_zone
from agent.domain.errors import BadRequest

TEHRAN, BERLIN, UTC_ZONE = time_zone("Asia/Tehran"), time_zone("Europe/Berlin"), time_zone("UTC")
DAY = 86_400
# As the Iranian calendar centre has them: these years have 30 days in Esfand.
LEAP_YEARS = {1354, 1358, 1362, 1366, 1370, 1375, 1379, 1383, 1387, 1391, 1395, 1399, 1403, 1408, 1412, 1416, 1420}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2026-11", "2026-11-01T00:00+00:00", "2026-12-01T00:00+00:00"),
        ("2026-12", "2026-12-01T00:00+00:00", "2027-01-01T00:00+00:00"),
        ("1405-08", "2026-10-23T00:00+00:00", "2026-11-22T00:00+00:00"),
        ("1405-12", "2027-02-20T00:00+00:00", "2027-03-21T00:00+00:00"),
        ("1403-12", "2025-02-19T00:00+00:00", "2025-03-21T00:00+00:00"),
        ("1405-1", "2026-03-21T00:00+00:00", "2026-04-21T00:00+00:00"),
    ],
)
def test_a_month_is_in_the_calendar_that_its_year_says(name: str, first: str, last: str) -> None:
    found = month(name, UTC_ZONE)

    assert (found.first, found.last) == (at(first), at(last))


def test_a_month_begins_at_midnight_of_its_zone() -> None:
    assert month("1405-08", TEHRAN).first == at("2026-10-23T00:00+03:30")
    assert month("2026-11", TEHRAN).first == at("2026-11-01T00:00+03:30")


def test_a_day_without_midnight_begins_when_the_clock_is_changed() -> None:
    # On 1401/01/02 (22 March 2022) Tehran's clocks went from 00:00 to 01:00.
    found = days("1401-01-02", "1401-01-02", TEHRAN)

    assert found.first == at("2022-03-22T01:00+04:30")
    assert found.last - found.first == DAY - 3_600
    assert local(found.first, TEHRAN).isoformat() == "2022-03-22T01:00:00+04:30"


def test_a_month_in_which_the_clock_is_changed_has_its_hour_more() -> None:
    found = month("2026-10", BERLIN)

    assert found.last - found.first == 31 * DAY + 3_600


def test_the_month_of_a_moment_is_that_of_its_zone() -> None:
    moment = at("2026-10-22T20:30+00:00")

    assert month_of(moment, TEHRAN, in_jalali=True) == month("1405-08", TEHRAN)
    assert month_of(moment - 1, TEHRAN, in_jalali=True) == month("1405-07", TEHRAN)
    assert month_of(moment, TEHRAN, in_jalali=False) == month("2026-10", TEHRAN)


def test_days_are_both_included() -> None:
    found = days("2026-11-01", "2026-11-01", UTC_ZONE)

    assert (found.first, found.last) == (at("2026-11-01T00:00+00:00"), at("2026-11-02T00:00+00:00"))
    assert days("1405-08-10", "2026-11-01", UTC_ZONE) == found


@pytest.mark.parametrize(
    "text",
    [
        "2026",
        "2026-13",
        "2026-00",
        "11-2026",
        "1405-8-1",
        "",
        "\uff12\uff10\uff12\uff16-11",
        "2026-11\n",
        "1969-12",
        "9000-01",
        "2105-12",
    ],
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"no month|outside the years"):
        month(text, UTC_ZONE)


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-11-02", "2026-11-01", "before the first"),
        ("2026-02-29", "2026-03-01", "no day 2026-02-29"),
        ("1405-12-30", "1405-12-30", "no day 1405-12-30"),
        ("1405-13-01", "1405-13-01", "no day"),
        ("yesterday", "2026-11-01", "is no day"),
    ],
)
def test_what_is_no_day_is_refused(first: str, last: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        days(first, last, UTC_ZONE)


@pytest.mark.parametrize("name", ["Asia/Teheran", "", "../../etc/passwd", "/etc/passwd", "Europe", "\0"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="is no time zone"):
        time_zone(name)


@pytest.mark.parametrize("year", range(1354, 1421))
def test_leap_years_are_those_of_the_calendar_centre(year: int) -> None:
    esfand = month(f"{year}-12", UTC_ZONE)

    assert (esfand.last - esfand.first) // DAY == (30 if year in LEAP_YEARS else 29)


@given(st.dates(date(1970, 1, 2), date(2105, 12, 30)))
def test_a_jalali_day_comes_back_as_the_day_it_was(day: date) -> None:
    year, number, of_month = jalali(day)
    found = days(f"{year}-{number}-{of_month}", day.isoformat(), UTC_ZONE)

    assert datetime.fromtimestamp(found.first, UTC).date() == day
    assert found.last - found.first == DAY
    after = jalali(day + timedelta(days=1))
    assert after > (year, number, of_month)


@given(st.integers(1_349, 1_480), st.sampled_from(["Asia/Tehran", "UTC", "Europe/Berlin", "Pacific/Apia"]))
def test_months_abut_in_every_zone(year: int, zone: str) -> None:
    found = [month(f"{year}-{number:02}", time_zone(zone)) for number in range(1, 13)]

    assert all(before.last == after.first for before, after in itertools.pairwise(found))
    assert found[-1].last == month(f"{year + 1}-01", time_zone(zone)).first
