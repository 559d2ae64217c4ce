"""The schedule without its threads: alignment, clock steps, wakes and what is reported (faults 9, 12, 13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.schedule import Aligned, Loop, Schedule

AT = datetime(2026, 11, 22, 12, 0, 7, 300_000, tzinfo=UTC)


def test_turns_fall_on_whole_periods() -> None:
    assert Aligned(1, 0).get_next_fire_time(None, AT) == AT.replace(second=8, microsecond=0)
    assert Aligned(900, 0).get_next_fire_time(None, AT) == datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
    assert Aligned(10, 0.5).get_next_fire_time(None, AT) == AT.replace(second=10, microsecond=500_000)


def test_a_turn_that_was_woken_early_or_late_does_not_move_the_others() -> None:
    woken = AT.replace(microsecond=370_000)

    assert Aligned(1, 0).get_next_fire_time(woken, AT) == AT.replace(second=8, microsecond=0)


@pytest.mark.parametrize("step", [timedelta(days=30), timedelta(days=20_000)])
def test_a_clock_that_steps_forward_gives_one_turn_and_not_millions(step: timedelta) -> None:
    """A Pi wakes up in 1970; the library asks for every turn between the last and now."""
    before = AT - step

    assert Aligned(1, 0).get_next_fire_time(before, AT) > AT


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 # hypothesis wants naive bounds
    st.sampled_from([0.1, 0.5, 1.0, 2.0, 10.0, 60.0, 900.0]),
    st.sampled_from([0.0, 0.05, 0.25]),
)
def test_the_next_turn_is_the_first_aligned_one(now: datetime, every: float, offset: float) -> None:
    now = now.replace(tzinfo=UTC)
    turn = Aligned(every, offset).get_next_fire_time(None, now)

    assert now < turn <= now + timedelta(seconds=every)
    micros = (turn - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert (micros - round(offset * 1e6)) % round(every * 1e6) == 0
    assert Aligned(every, offset).get_next_fire_time(turn, turn) == turn + timedelta(seconds=every)


@dataclass
class Ended:
    """What the library tells of an ended turn."""

    job_id: str
    retval: object = None
    exception: BaseException | None = None


@dataclass
class Bench:
    now: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        loops = [
            Loop("record", lambda: True, 1, wakes=("seal",)),
            Loop("seal", lambda: True, 10, wakes=("submit", "publish")),
            Loop("submit", lambda: True, 10),
            Loop("publish", lambda: True, 10),
        ]
        self.schedule = Schedule(loops, lambda: self.now, lambda name, error: self.failures.append((name, str(error))))
        self.schedule.wake = self.woken.append
        for loop in loops:
            self.schedule._liveness.expect(loop.name, loop.every_s + 30, self.now)


def test_what_did_something_wakes_the_next() -> None:
    bench = Bench()
    bench.schedule._ended(Ended("record", retval=False))
    assert bench.woken == []
    bench.schedule._ended(Ended("record", retval=True))
    bench.schedule._ended(Ended("seal", retval=True))

    assert bench.woken == ["seal", "submit", "publish"]


def test_a_turn_that_was_missed_comes_as_soon_as_the_one_under_way_ends() -> None:
    bench = Bench()
    bench.schedule._missed_turn(Ended("submit"))
    bench.schedule._ended(Ended("submit", retval=False))
    bench.schedule._ended(Ended("submit", retval=False))

    assert bench.woken == ["submit"]


def test_the_first_turn_that_raised_is_reported_and_no_other() -> None:
    bench = Bench()
    bench.schedule._ended(Ended("seal", exception=ValueError("one")))
    bench.schedule._ended(Ended("seal", exception=ValueError("two")))
    bench.schedule._ended(Ended("record", exception=ValueError("three")))

    assert bench.failures == [("seal", "one")]
    assert bench.woken == []


def test_a_loop_that_does_not_come_back_stalls() -> None:
    bench = Bench()
    bench.now = 31.5
    assert bench.schedule.stalled() == ["record"]
    bench.schedule._ended(Ended("record", retval=False))
    bench.now = 40.5

    assert sorted(bench.schedule.stalled()) == ["publish", "seal", "submit"]


def test_after_the_stop_nothing_is_woken() -> None:
    bench = Bench()
    bench.schedule.stop(wait=True)
    bench.schedule._ended(Ended("record", retval=True))

    assert bench.woken == []
