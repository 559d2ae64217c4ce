"""Registers: what is booked, what is held, when an epoch ends (faults 22 to 26; I2)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.registers import (
    Discontinuity,
    Observation,
    RegisterRules,
    RegisterState,
    Verdict,
    observe,
    set_back,
)

RULES = RegisterRules(rated_power_w=11_000, confirmations=3)
ROLLING = replace(RULES, modulus_wh=2**32)
KNOWN = RegisterState(raw_wh=1000, at_ms=0, serial="A")

Told = tuple[Verdict, Discontinuity | None]


def after(state: RegisterState, *seen: Observation, rules: RegisterRules = RULES) -> tuple[RegisterState, list[Told]]:
    told: list[Told] = []
    for one in seen:
        state, verdict, kind = observe(state, one, rules)
        told.append((verdict, kind))
    return state, told


def every_second(*raws: int, start_ms: int = 1000, serial: str | None = None) -> list[Observation]:
    return [Observation(raw, start_ms + index * 1000, serial) for index, raw in enumerate(raws)]


def test_a_rise_within_the_rating_is_booked() -> None:
    state, told = after(KNOWN, *every_second(1001, 1004))

    assert told == [(Verdict.BOOKED, None)] * 2
    assert state == replace(KNOWN, raw_wh=1004, at_ms=2000)


def test_the_first_register_is_believed_when_it_has_repeated() -> None:
    state, told = after(RegisterState(), *every_second(5000, 5001, 5001))

    assert told == [
        (Verdict.HELD, Discontinuity.UNKNOWN),
        (Verdict.HELD, Discontinuity.UNKNOWN),
        (Verdict.BOOKED, Discontinuity.UNKNOWN),
    ]
    assert state.register_wh(RULES) == 5001


@pytest.mark.parametrize("bad", [0, 9_113_000])
def test_a_bad_first_register_ends_no_epoch_later(bad: int) -> None:
    state, told = after(RegisterState(), *every_second(bad, 5000, 5000, 5001))

    assert Verdict.NEW_EPOCH not in [verdict for verdict, _ in told]
    assert state.register_wh(RULES) == 5001


@pytest.mark.parametrize(("bad", "kind"), [(0, Discontinuity.FELL), (1_000_000, Discontinuity.JUMPED)])
def test_fewer_sightings_than_confirmations_book_nothing(bad: int, kind: Discontinuity) -> None:
    state, told = after(KNOWN, *every_second(bad, bad, 1002))

    assert told == [(Verdict.HELD, kind), (Verdict.HELD, kind), (Verdict.BOOKED, None)]
    assert state.raw_wh == 1002
    assert state.suspicion is None


def test_suspicion_begins_anew_after_a_good_register() -> None:
    state, told = after(KNOWN, *every_second(0, 0, 1001, 0, 0))

    assert [verdict for verdict, _ in told][-1] is Verdict.HELD
    assert state.suspicion is not None
    assert state.suspicion.sightings == 2


@pytest.mark.parametrize(
    "seen",
    [
        every_second(0, 500, 0, 500, 0, 500),  # goes up and down
        every_second(0, 10**7, 0, 10**7, 0),  # another kind each time
        [Observation(0, 1000, "A"), Observation(0, 2000), Observation(0, 3000, "A")],  # another identity
    ],
)
def test_what_does_not_continue_itself_is_never_believed(seen: list[Observation]) -> None:
    state, told = after(KNOWN, *seen)

    assert {verdict for verdict, _ in told} == {Verdict.HELD}
    assert state.raw_wh == 1000


def test_a_reset_that_stays_ends_the_epoch_and_books_nothing() -> None:
    state, told = after(replace(KNOWN, rollovers=2), *every_second(0, 1, 2))

    assert told[-1] == (Verdict.NEW_EPOCH, Discontinuity.FELL)
    assert state == RegisterState(raw_wh=2, at_ms=3000, rollovers=0, serial="A")


def test_a_jump_that_stays_ends_the_epoch() -> None:
    _, told = after(KNOWN, *every_second(10**6, 10**6 + 1, 10**6 + 1))

    assert told[-1] == (Verdict.NEW_EPOCH, Discontinuity.JUMPED)


def test_another_serial_number_ends_the_epoch_even_with_a_plausible_register() -> None:
    state, told = after(KNOWN, *every_second(1000, 1001, 1001, serial="B"))

    assert told == [(Verdict.HELD, Discontinuity.SWAPPED)] * 2 + [(Verdict.NEW_EPOCH, Discontinuity.SWAPPED)]
    assert state.serial == "B"


def test_a_serial_number_that_is_not_stated_is_not_another() -> None:
    state, told = after(KNOWN, Observation(1001, 1000, None), Observation(1001, 2000, ""))

    assert told == [(Verdict.BOOKED, None)] * 2
    assert state.serial == "A"


def test_rollover_counts_on() -> None:
    known = RegisterState(raw_wh=2**32 - 5, at_ms=0)
    state, told = after(known, *every_second(3, 3, 3), rules=ROLLING)

    assert told[-1] == (Verdict.ROLLED_OVER, Discontinuity.FELL)
    register, before = state.register_wh(ROLLING), known.register_wh(ROLLING)
    assert register is not None
    assert before is not None
    assert register - before == 8


def test_rollover_after_rollover() -> None:
    state, _ = after(RegisterState(raw_wh=95, at_ms=0), *every_second(2, 2, 2), rules=replace(RULES, modulus_wh=100))
    state, _ = after(replace(state, raw_wh=98), *every_second(1, 1, 1), rules=replace(RULES, modulus_wh=100))

    assert state.register_wh(replace(RULES, modulus_wh=100)) == 201


def test_a_fall_that_no_rollover_explains_is_a_reset() -> None:
    """2^31 Wh would have to have passed in three seconds."""
    _, told = after(RegisterState(raw_wh=2**31, at_ms=0), *every_second(3, 3, 3), rules=ROLLING)

    assert told[-1] == (Verdict.NEW_EPOCH, Discontinuity.FELL)


def test_float_rounding_steps_back_and_nothing_is_taken_back() -> None:
    coarse = replace(RULES, resolution_wh=8)
    state, told = after(KNOWN, *every_second(992, 1000, 993), rules=coarse)

    assert told == [(Verdict.BOOKED, None)] * 3
    assert state.raw_wh == 1000
    assert state.at_ms == 3000


def test_a_fall_beyond_the_rounding_is_held() -> None:
    _, told = after(KNOWN, *every_second(991), rules=replace(RULES, resolution_wh=8))

    assert told == [(Verdict.HELD, Discontinuity.FELL)]


def test_a_long_absence_allows_what_the_connection_carries_meanwhile() -> None:
    day_ms = 24 * 3_600_000
    most = RULES.most_wh(day_ms)

    assert 11_000 * 24 * 11 // 10 <= most <= 11_000 * 24 * 11 // 10 + 20
    assert after(KNOWN, Observation(1000 + most, day_ms))[1] == [(Verdict.BOOKED, None)]
    assert after(KNOWN, Observation(1000 + most + 1, day_ms))[1] == [(Verdict.HELD, Discontinuity.JUMPED)]


def test_a_clock_that_goes_back_allows_no_more_and_no_less_than_rounding() -> None:
    assert RULES.most_wh(-5) == RULES.most_wh(0) == 16


def test_times_follow_a_clock_that_was_set_back() -> None:
    held, _ = after(KNOWN, *every_second(0))
    state = set_back(held, 400)

    assert state.at_ms == -400
    assert state.suspicion is not None
    assert (state.suspicion.since_ms, state.suspicion.seen_ms) == (600, 600)
    assert set_back(KNOWN, 1).suspicion is None


raws = st.one_of(st.integers(0, 5000), st.integers(0, 2**33), st.just(0), st.integers(2**32 - 50, 2**32 - 1))
observations = st.lists(
    st.tuples(raws, st.integers(0, 5000), st.sampled_from([None, "A", "B"]), st.integers(1, 4)), max_size=30
)


@given(observations, st.sampled_from([None, 2**32, 1000]), st.sampled_from([1, 8]))
def test_never_books_a_fall_or_an_impossible_jump(
    plan: list[tuple[int, int, str | None, int]], modulus: int | None, resolution: int
) -> None:
    rules = RegisterRules(11_000, 3, modulus, resolution)
    state, at_ms = RegisterState(), 0
    booked: list[tuple[int, int]] = []
    for raw, elapsed, serial, times in plan:
        for _ in range(times):
            at_ms += elapsed
            state, verdict, _ = observe(state, Observation(raw, at_ms, serial), rules)
            register = state.register_wh(rules)
            if verdict is Verdict.NEW_EPOCH:
                booked.clear()
            if verdict is not Verdict.HELD:
                assert register is not None
                booked.append((register, at_ms))
    for (before, since), (now, at) in pairwise(booked):
        assert 0 <= now - before <= rules.most_wh(at - since)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_a_true_counter_is_followed_through_its_rollover_to_the_watt_hour(start: int, steps: list[int]) -> None:
    true, at_ms = start, 0
    state = RegisterState(raw_wh=start, at_ms=0)
    for step in [*steps, 0, 0, 0]:
        true, at_ms = true + step, at_ms + 1000
        state, verdict, _ = observe(state, Observation(true % 2**32, at_ms), ROLLING)
        assert verdict is not Verdict.NEW_EPOCH
    assert state.register_wh(ROLLING) == true
