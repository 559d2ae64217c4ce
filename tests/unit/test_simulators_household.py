"""The simulated household: sun, load and exact energy."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.household import CELL_S, Household, SimulatedTime, Site
from simulators.load import Load
from simulators.sun import DAY_S, chance, clear_sky_on_panel, cloud_transmission, position

pytestmark = pytest.mark.no_cover  # nothing of the agent runs here


TEHRAN = Site()
JUNE = datetime(2026, 6, 21, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 21, tzinfo=UTC).timestamp()


def day_of(household: Household, start: float) -> int:
    return household.produced_wh(start + DAY_S) - household.produced_wh(start)


def test_the_sun_stands_highest_over_tehran_at_local_solar_noon_in_june() -> None:
    # Solar noon at 51.39 E is 12:00 UTC - 3:25:34, and the equation of time is -1.8 minutes on 21 June.
    heights = {minute: position(JUNE + minute * 60, 35.69, 51.39).zenith_cosine for minute in range(0, 24 * 60, 2)}
    highest = max(heights, key=heights.__getitem__)
    assert highest == pytest.approx(8 * 60 + 36, abs=4)
    # 90 degrees - (latitude - 23.44) = 77.75 degrees of elevation: its sine is 0.9772.
    assert heights[highest] == pytest.approx(0.9772, abs=0.002)


@pytest.mark.parametrize(("start", "hours"), [(JUNE, 14.5), (DECEMBER, 9.6)])
def test_the_day_is_as_long_as_the_almanac_says(start: float, hours: float) -> None:
    light = sum(position(start + minute * 60, 35.69, 51.39).zenith_cosine > 0 for minute in range(24 * 60))
    assert light / 60 == pytest.approx(hours, abs=0.35)


def test_clear_sky_at_noon_is_about_the_rated_irradiance() -> None:
    assert 900 < max(clear_sky_on_panel(JUNE + s, 35.69, 51.39, 30) for s in range(0, DAY_S, 600)) < 1_150


def test_the_southern_half_has_its_summer_in_december() -> None:
    south = Site(latitude_deg=-33.9, longitude_deg=18.4, mean_cover=0)
    summer, winter = (Household(site=south, installed_at=start) for start in (DECEMBER, JUNE))
    assert day_of(summer, DECEMBER) > 1.2 * day_of(winter, JUNE)


def test_nothing_is_produced_at_night() -> None:
    household = Household(installed_at=JUNE)
    midnight = JUNE + 20.5 * 3_600  # 00:00 in Tehran
    assert household.production_w(midnight) == 0
    assert household.produced_wh(midnight) == household.produced_wh(midnight + 3 * 3_600)
    assert household.consumed_wh(midnight) < household.consumed_wh(midnight + 3 * 3_600)


@pytest.mark.parametrize("seed", range(3))
def test_a_june_day_gives_more_than_a_december_day(seed: int) -> None:
    summer, winter = Household(seed, installed_at=JUNE), Household(seed, installed_at=DECEMBER)
    june = sum(day_of(summer, JUNE + day * DAY_S) for day in range(5)) / 5_000
    december = sum(day_of(winter, DECEMBER + day * DAY_S) for day in range(5)) / 5_000
    assert december < june
    assert 15 < june < 40  # kWh of 5 kWp in a sunny place
    assert 5 < december < 25


def test_a_december_day_gives_less_for_the_same_clouds() -> None:
    clear = Site(mean_cover=0)
    june, december = Household(site=clear, installed_at=JUNE), Household(site=clear, installed_at=DECEMBER)
    assert day_of(june, JUNE) > 1.2 * day_of(december, DECEMBER)


def test_more_panels_give_more() -> None:
    small = Household(site=Site(panel_w=3_000), installed_at=JUNE)
    large = Household(site=Site(panel_w=6_000), installed_at=JUNE)
    assert day_of(large, JUNE) == pytest.approx(2 * day_of(small, JUNE), abs=2)


def test_the_load_has_a_morning_and_a_higher_evening() -> None:
    hours = [
        sum(Load().power_w(JUNE + hour * 3_600 + s - 12_600, 1, 12_600) for s in range(0, 3_600, 300)) / 12
        for hour in range(24)
    ]
    assert hours[3] < hours[7] < hours[20]
    assert hours[13] < hours[7]
    assert min(hours) > 50


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1_000_000), st.lists(st.floats(0, 1.5 * DAY_S), min_size=2, max_size=20))
def test_registers_never_fall_in_any_order_of_asking(seed: int, offsets: list[float]) -> None:
    household = Household(seed, installed_at=JUNE)
    asked = {offset: household.produced_wh(JUNE + offset) for offset in offsets}
    drawn = {offset: household.consumed_wh(JUNE + offset) for offset in offsets}
    for values in (asked, drawn):
        in_order = [values[offset] for offset in sorted(values)]
        assert in_order == sorted(in_order)
        assert in_order[0] >= 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000_000), st.floats(0, 2 * DAY_S))
def test_the_same_seed_and_time_give_the_same_energy(seed: int, offset: float) -> None:
    asked_late = Household(seed, installed_at=JUNE)
    asked_late.produced_wh(JUNE + 3 * DAY_S)  # whatever was asked before
    assert Household(seed, installed_at=JUNE).produced_wh(JUNE + offset) == asked_late.produced_wh(JUNE + offset)


def test_seeds_differ() -> None:
    assert len({day_of(Household(seed, installed_at=JUNE), JUNE) for seed in range(5)}) == 5


def test_energy_is_the_sum_of_the_metered_power() -> None:
    household = Household(installed_at=JUNE)
    cells = range(0, DAY_S, CELL_S)
    produced = sum(round(household.metered_production_w(JUNE + cell) * 1_000) for cell in cells) * CELL_S
    consumed = sum(round(household.metered_consumption_w(JUNE + cell) * 1_000) for cell in cells) * CELL_S
    assert household.produced_wh(JUNE + DAY_S) == produced // 3_600_000
    assert household.consumed_wh(JUNE + DAY_S) == consumed // 3_600_000


def test_energy_rises_within_a_minute_too() -> None:
    noon = JUNE + 8.5 * 3_600  # installed there, so that the first minute begins at 0
    household = Household(installed_at=noon, site=Site(panel_w=50_000_000, mean_cover=0))
    kw = household.metered_production_w(noon) / 1_000
    for seconds in (1, 15, 59.5):
        assert household.produced_wh(noon + seconds) == pytest.approx(kw * seconds / 3.6, abs=1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 2 * DAY_S), min_size=1, max_size=10))
def test_the_energy_of_intervals_adds_up_to_the_difference(cuts: list[float]) -> None:
    household = Household(installed_at=JUNE)
    ends = [JUNE, *(JUNE + cut for cut in sorted(cuts))]
    parts = [household.consumed_wh(b) - household.consumed_wh(a) for a, b in itertools.pairwise(ends)]
    assert sum(parts) == household.consumed_wh(ends[-1])


def test_before_the_installation_there_is_no_register() -> None:
    with pytest.raises(ValueError, match="before the installation"):
        Household(installed_at=JUNE).produced_wh(JUNE - 1)


def test_an_installation_within_a_day_starts_at_zero() -> None:
    noon = JUNE + 8.5 * 3_600 + 17.25
    household = Household(installed_at=noon)
    assert household.produced_wh(noon) == household.consumed_wh(noon) == 0
    assert household.produced_wh(noon + 3_600) > 0


@settings(deadline=None)
@given(st.integers(0, 1 << 40), st.integers(0, 10), st.integers(0, 1 << 40))
def test_chance_stays_between_0_and_1(seed: int, stream: int, index: int) -> None:
    assert 0 <= chance(seed, stream, index) < 1


def test_chance_is_spread_evenly() -> None:
    drawn = [chance(7, 1, index) for index in range(2_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert len(set(drawn)) == len(drawn)


@settings(deadline=None)
@given(st.floats(0, 4e9), st.integers(0, 1_000), st.floats(0, 1))
def test_clouds_let_a_share_through(epoch: float, seed: int, cover: float) -> None:
    assert 0.25 <= cloud_transmission(epoch, seed, cover) <= 1


def test_time_runs_faster_from_its_start() -> None:
    clock = iter([100.0, 100.0, 101.5])
    simulated = SimulatedTime(JUNE, 60, lambda: next(clock))
    assert simulated.now() == JUNE
    assert simulated.now() == JUNE + 90


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        SimulatedTime(JUNE, -1)
