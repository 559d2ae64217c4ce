"""Back-off, fees, liveness, minute sums, errors: the small arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import ConfigurationInvalid, Rejected
from agent.domain.fees import Fee, FeeQuote, bump, offer, report_gas
from agent.domain.liveness import Liveness
from agent.domain.samples import MeterRole, MinuteSum, Quality, Sample

wei = st.integers(0, 2**60)


@given(st.integers(1, 100_000), st.floats(0, 1, exclude_max=True), st.floats(0.1, 10), st.floats(10, 3600))
def test_backoff_spreads_over_half_its_delay(failures: int, chance: float, first: float, most: float) -> None:
    backoff = BackOff(first, most)
    full = min(most, first * 2.0 ** min(failures - 1, 30))

    assert full / 2 <= backoff.delay(failures, lambda: chance) <= full


def test_backoff_doubles_up_to_its_most() -> None:
    delays = [BackOff(1, 5).delay(failures, lambda: 0.999999) for failures in (1, 2, 3, 4, 5)]

    assert [round(delay) for delay in delays] == [1, 2, 4, 5, 5]


def test_patience() -> None:
    patience = Patience(BackOff(2, 60), lambda: 0.5)

    assert patience.ready(0)
    assert not patience.succeeded()
    patience.failed(100)
    assert not patience.ready(101)
    assert patience.ready(101.5)
    patience.failed(101.5)
    assert not patience.ready(103)
    assert patience.succeeded()
    assert patience.ready(0)


@given(wei, wei, st.integers(0, 2**62))
def test_an_offer_never_exceeds_the_household_limit(base: int, priority: int, most: int) -> None:
    fee = offer(FeeQuote(base, priority), most)

    assert 0 <= fee.priority_fee <= fee.max_fee <= most
    assert fee.max_fee in (most, 2 * base + priority)


@given(st.integers(1, 2**60), st.data())
def test_a_bump_is_at_least_an_eighth_on_both_caps_and_within_the_limit(last_max: int, data: st.DataObject) -> None:
    last = Fee(last_max, data.draw(st.integers(0, last_max)))
    quote, most = FeeQuote(data.draw(wei), data.draw(wei)), data.draw(st.integers(last_max, 2**62))
    raised = bump(last, quote, most)

    if raised is None:
        assert last.max_fee * 9 // 8 + 1 > most
    else:
        assert raised.max_fee * 8 >= last.max_fee * 9
        assert raised.priority_fee * 8 >= last.priority_fee * 9
        assert raised.priority_fee <= raised.max_fee <= most


def test_where_gas_is_free_nothing_is_bumped() -> None:
    assert bump(Fee(0, 0), FeeQuote(7, 7), 100) is None


def test_report_gas_covers_what_was_measured() -> None:
    """CHAIN.md's figures: 26,942 for one with its checks, 103,569 for 96; both far below."""
    assert report_gas(1) > 2 * 36_000
    assert report_gas(96) > 2 * 96 * 2_500


def test_liveness_names_the_overdue_longest_first() -> None:
    liveness = Liveness()
    liveness.expect("slow", 10, now=0)
    liveness.expect("fast", 1, now=0)
    liveness.expect("fine", 100, now=0)

    assert liveness.stalled(1) == []
    liveness.beat("slow", 1)
    assert liveness.stalled(11.5) == ["fast", "slow"]
    liveness.beat("fast", 11.5)
    assert liveness.stalled(11.6) == ["slow"]


def sample(register: int | None, power: int | None, quality: Quality = Quality.GOOD) -> Sample:
    return Sample(MeterRole.PRODUCTION, 0, register, power, quality=quality)


def test_a_minute_adds_up() -> None:
    total = MinuteSum(MeterRole.PRODUCTION, 60)
    for one in (sample(10, 100), sample(11, 300), sample(None, 50, Quality.HELD), sample(None, None, Quality.UNKNOWN)):
        total.add(one)
    total.miss()
    row = total.row()

    assert (row.minute, row.register_wh, row.good, row.bad) == (60, 11, 2, 3)
    assert (row.power_min_w, row.power_mean_w, row.power_max_w) == (50, 150, 300)


def test_a_minute_of_nothing_is_unknown_and_not_zero() -> None:
    total = MinuteSum(MeterRole.CONSUMPTION, 60)
    total.miss()
    row = total.row()

    assert (row.register_wh, row.power_min_w, row.power_mean_w, row.power_max_w) == (None, None, None, None)


def test_errors_say_what_they_carry() -> None:
    assert str(Rejected("RegisterFell", {"last": 5, "got": 3})) == (
        "the contract rejects it: RegisterFell(last=5, got=3)"
    )
    assert Rejected("Bare").facts == {}
    assert str(ConfigurationInvalid(["a is wrong", "b is missing"])) == "a is wrong\nb is missing"


@pytest.mark.parametrize("failures", [0, 1])
def test_patience_counts(failures: int) -> None:
    patience = Patience(BackOff(1, 2), lambda: 0.0)
    for _ in range(failures):
        patience.failed(0)

    assert patience.succeeded() is bool(failures)
