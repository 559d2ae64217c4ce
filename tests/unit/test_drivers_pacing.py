"""How long to wait for a meter, how long to leave it alone, and when to look twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import BackingOffError
from drivers.pacing import LONGEST_PAUSE_S, BackOff, Pace
from drivers.plausible import Register


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_unknown_meter_gets_the_longest_timeout() -> None:
    assert Pace(0.1, 1.0).timeout_s == 1.0


def test_the_timeout_settles_at_four_times_the_latency() -> None:
    pace = Pace(0.01, 1.0)
    for _ in range(100):
        pace.answered(0.05)

    assert pace.timeout_s == pytest.approx(0.2)


def test_a_meter_that_became_slow_is_waited_for_longer() -> None:
    pace = Pace(0.01, 1.0)
    pace.answered(0.01)
    for _ in range(5):
        pace.missed()

    assert pace.timeout_s == 1.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=50))
def test_the_timeout_never_leaves_the_profiles_bounds(latencies: list[float | None]) -> None:
    pace = Pace(0.1, 1.0)
    for latency in latencies:
        if latency is None:
            pace.missed()
        else:
            pace.answered(latency)
        assert 0.1 <= pace.timeout_s <= 1.0


def test_one_lost_frame_costs_no_pause_and_a_dead_meter_ever_longer_ones() -> None:
    clock = Clock()
    back_off = BackOff("meter x unit 1", clock)
    back_off.check()
    back_off.failed()
    back_off.check()
    pauses = []
    for _ in range(8):
        back_off.failed()
        with pytest.raises(BackingOffError, match="meter x unit 1: not asked") as caught:
            back_off.check()
        pauses.append(caught.value.remaining_s)
        clock.now += caught.value.remaining_s
        back_off.check()

    assert pauses == [1, 2, 4, 8, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_success_ends_the_back_off() -> None:
    clock = Clock()
    back_off = BackOff("m", clock)
    for _ in range(5):
        back_off.failed()
    back_off.succeeded()
    back_off.failed()

    back_off.check()


def test_the_first_value_and_an_ordinary_rise_are_no_surprise() -> None:
    clock = Clock()
    register = Register(clock)
    assert not register.surprises(5_000_000)
    register.believed(5_000_000)
    clock.now += 1

    assert not register.surprises(5_000_003)


@pytest.mark.parametrize("next_wh", [0, 4_999_999, 86_250_000])
def test_zero_a_fall_and_an_absurd_jump_are_looked_at_twice(next_wh: int) -> None:
    clock = Clock()
    register = Register(clock)
    register.believed(5_000_000)
    clock.now += 1

    assert register.surprises(next_wh)
    assert register.agrees(next_wh, next_wh, 1.0)
    assert not register.agrees(next_wh, 5_000_001, 1.0)


def test_an_unknown_value_is_not_what_the_next_is_compared_with() -> None:
    register = Register(Clock())
    register.believed(700)
    register.believed(None)

    assert register.surprises(3)


def test_a_counter_that_falls_leaps_or_is_lost_has_its_settings_looked_at_again() -> None:
    register = Register(Clock())
    assert not register.alarms(None)
    register.believed(700)

    assert register.alarms(None)
    assert register.alarms(699)
    assert register.alarms(2_000_000)
    assert not register.alarms(100_000)
    register.believed(None)
    assert not register.alarms(None)
