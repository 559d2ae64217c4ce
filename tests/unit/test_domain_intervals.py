"""Intervals: when one is closed, with what, and how it is flagged (faults 9 to 12)."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.intervals import Close, Register, grace_ms, last_boundary, late_after_s
from agent.domain.readings import Flags
from tests.fakes.world import MIDNIGHT_S

B = MIDNIGHT_S + 900
MS = B * 1000


def register(wh: int, after_ms: int) -> Register:
    return Register(wh, MS + after_ms, b"raw")


CLOSE = Close(B, 900, 1, B - 900, register(10, 200), register(20, 700), stated=(3, 4))


def test_both_fresh_closes_at_once() -> None:
    closed = CLOSE.at(MS + 800)

    assert closed is not None
    assert (closed.interval_end, closed.period_s, closed.epoch) == (B, 900, 1)
    assert (closed.produced_wh, closed.consumed_wh, closed.taken_at) == (10, 20, B)
    assert (closed.flags, closed.gap_s) == (Flags.NONE, 0)
    assert (closed.raw_production, closed.raw_consumption) == (b"raw", b"raw")


def test_taken_at_is_the_later_of_the_two() -> None:
    closed = replace(CLOSE, production=register(10, 3200)).at(MS + 5000)

    assert closed is not None
    assert closed.taken_at == B + 3


@pytest.mark.parametrize("missing", ["production", "consumption"])
def test_a_meter_that_never_spoke_leaves_nothing_to_state(missing: str) -> None:
    assert replace(CLOSE, **{missing: None}).at(MS + 100_000) is None


def test_nothing_before_the_boundary() -> None:
    assert CLOSE.at(MS - 1) is None


@pytest.mark.parametrize(
    ("silent", "flag"), [("production", Flags.PRODUCTION_HELD), ("consumption", Flags.CONSUMPTION_HELD)]
)
def test_one_silent_meter_is_held_after_the_grace_time(silent: str, flag: Flags) -> None:
    close = replace(CLOSE, **{silent: register(5, -4000)})

    assert close.at(MS + 29_999) is None
    closed = close.at(MS + 30_000)
    assert closed is not None
    assert closed.flags == flag
    assert getattr(closed, f"raw_{silent}") == b""
    assert closed.taken_at == B
    # What it said between the two boundaries waits: the contract takes a held register only as it was stated last.
    stated = {"production": (3, 20), "consumption": (10, 4)}[silent]
    assert (closed.produced_wh, closed.consumed_wh) == stated


def test_a_meter_of_which_nothing_was_ever_stated_cannot_be_held() -> None:
    close = replace(CLOSE, production=register(5, -4000), stated=None)

    assert close.at(MS + 100_000) is None
    assert replace(CLOSE, stated=None).at(MS + 800) is not None


def test_an_interval_that_was_kept_waiting_over_the_next_boundary_is_left_to_that() -> None:
    late = replace(CLOSE, production=register(10, 900_100), consumption=register(20, 900_200))

    assert late.at(MS + 900_300) is None


def test_both_silent_states_nothing_however_long() -> None:
    assert replace(CLOSE, production=register(1, -1), consumption=register(2, -1)).at(MS + 800_000) is None


@pytest.mark.parametrize(("after_ms", "flags"), [(9999, Flags.NONE), (10_000, Flags.LATE)])
def test_late_is_more_than_a_hundredth_of_the_period(after_ms: int, flags: Flags) -> None:
    closed = replace(CLOSE, production=register(10, after_ms)).at(MS + after_ms)

    assert closed is not None
    assert closed.flags == flags


def test_a_restart_after_the_boundary_takes_a_late_reading() -> None:
    closed = replace(CLOSE, production=register(10, 400_000), consumption=register(20, 400_500)).at(MS + 401_000)

    assert closed is not None
    assert closed.flags == Flags.LATE


@pytest.mark.parametrize(
    ("previous", "gap"), [(None, 0), (B - 900, 0), (B - 1800, 900), (B - 9000, 8100), (B - 300, 0)]
)
def test_the_gap_is_what_no_interval_covers(previous: int | None, gap: int) -> None:
    closed = replace(CLOSE, previous_end=previous).at(MS + 1000)

    assert closed is not None
    assert closed.gap_s == gap


def test_a_register_from_the_future_is_not_fresh() -> None:
    """The clock was set back, and the dead meter's last register bears a time that has not come yet."""
    close = replace(CLOSE, production=register(10, 30 * 86_400_000))
    closed = close.at(MS + 30_000)

    assert close.at(MS + 1000) is None
    assert closed is not None
    assert closed.flags == Flags.PRODUCTION_HELD
    assert closed.taken_at == B


@given(st.integers(0, 2**32), st.integers(1, 86_400))
def test_the_last_boundary_is_the_latest_that_is_not_in_the_future(now: int, period: int) -> None:
    boundary = last_boundary(now, period)

    assert boundary % period == 0
    assert boundary <= now < boundary + period


@given(st.integers(1, 86_400))
def test_grace_and_lateness_are_parts_of_the_period(period: int) -> None:
    assert late_after_s(period) == period // 100
    assert grace_ms(period) == min(30_000, period * 100)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tehran", "Europe/Berlin", "America/St_Johns"])
def test_96_intervals_a_utc_day_whatever_the_time_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        # 2026-03-29 and 2026-10-25 are the days of European clock changes.
        for day in (1_774_742_400, 1_792_886_400, MIDNIGHT_S):
            assert len({last_boundary(day + second, 900) for second in range(0, 86_400, 30)}) == 96
    finally:
        monkeypatch.undo()
        time.tzset()
