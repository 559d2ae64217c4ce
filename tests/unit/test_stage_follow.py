"""Follow: what the contract says takes effect here, and a clock that the chain contradicts signs nothing (fault 10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import Home
from tests.fakes.world import FakeClock


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    clock = FakeClock()
    home = Home(tmp_path, Chain(clock), clock)
    home.chain.mine()
    yield home
    home.journal.close()


def test_nothing_is_numbered_or_sent_before_the_chain_was_asked(home: Home) -> None:
    assert home.follow.reporting_period_s() is None
    assert not home.follow.may_number()
    assert not home.follow.may_submit()
    home.turns("follow")

    assert home.follow.reporting_period_s() == 900
    assert home.follow.may_number()
    assert home.follow.may_submit()


def test_a_fresh_journal_may_number_but_not_submit(home: Home) -> None:
    home.fresh = True
    home.kill()
    home.start()

    assert home.follow.may_number()
    assert not home.follow.may_submit()


def test_a_changed_period_takes_effect_and_outlives_a_restart_without_a_network(home: Home) -> None:
    home.turns("follow")
    home.chain.market = replace(home.chain.market, reporting_period_s=300)
    assert home.turn("follow")
    assert not home.turn("follow")
    home.kill()
    home.start()

    assert home.follow.reporting_period_s() == 300
    assert home.events.names().count("parameters.changed") == 2


def test_a_clock_behind_the_chain_signs_nothing_until_it_agrees(home: Home) -> None:
    home.turns("follow")
    home.clock.step(-61)
    home.turns("follow", "follow")
    assert not home.follow.may_number()
    assert not home.follow.may_submit()
    home.clock.step(61)
    home.turns("follow")

    assert home.follow.may_number()
    assert [name for name in home.events.names() if name.startswith("clock.")] == ["clock.contradicted", "clock.agrees"]


def test_a_clock_ahead_of_a_living_chain_signs_nothing_until_it_agrees(home: Home) -> None:
    home.turns("follow")
    assert home.follow.may_number(), "an old block alone may be a chain that stands still"
    home.chain.mine()  # the validators' clocks are right
    home.clock.step(30 * 86_400)
    home.turns("follow", "follow")
    assert not home.follow.may_number()
    assert not home.follow.may_submit()
    home.clock.step(-30 * 86_400)
    home.turns("follow")

    assert home.follow.may_number()
    told = [name for name in home.events.names() if name.startswith("clock.")]
    assert told == ["clock.contradicted", "clock.agrees"]


@pytest.mark.parametrize("days", [30, -30])
def test_a_step_is_compared_before_anything_is_numbered(home: Home, days: int) -> None:
    """One reading that was signed a month ahead kept every right one out for a month."""
    for _ in range(2):
        home.interval()
    home.clock.step(days * 86_400)
    assert not home.follow.may_number()
    assert not home.follow.may_submit()
    home.turns("poll", "poll", "record", "seal", "submit", "follow", "record", "seal", "submit")
    assert ReadingState.SEALED not in home.states()
    home.clock.step(-days * 86_400)
    for _ in range(2):
        home.interval()
    home.settle()

    assert set(home.states()) == {ReadingState.FINAL}
    assert home.chain.booked()[-1].taken_at > home.clock.now_s - 1800


def test_some_drift_is_no_fault(home: Home) -> None:
    home.clock.step(-60)
    home.turns("follow")

    assert home.follow.may_number()


def test_a_chain_that_stands_still_is_said_once(home: Home) -> None:
    home.clock.advance(601)
    home.turns("follow", "follow")

    assert home.events.names().count("chain.stale") == 1
    assert home.follow.may_submit()


def test_a_suspension_is_said_when_it_begins_and_when_it_ends(home: Home) -> None:
    home.turns("follow")
    home.chain.office(active=False)
    home.turns("follow", "follow")
    home.chain.office(active=True)
    home.turns("follow", "follow")

    told = [name for name in home.events.names() if name.startswith("household.")]
    assert told == ["household.active", "household.suspended", "household.active"]


def test_an_old_copy_leaps_also_when_only_the_nonce_shows_it(home: Home) -> None:
    """Transactions of the newer life wait in a pool: their numbers are not on the chain yet."""
    home.chain.stranger()
    home.turns("follow")

    assert home.readings.next_sequence(1) == 1001
    assert home.outbox.next_nonce() == 1
    assert home.events.names().count("journal.behind_chain") == 1


def test_what_was_closed_for_times_to_come_is_discarded_unless_it_is_signed(home: Home) -> None:
    """A clock that was a month ahead must not stop the household for a month once it is right."""
    home.interval()
    signed = home.states()
    home.clock.step(30 * 86_400)
    home.turns("poll", "record")
    home.pass_time(1)
    home.turns("poll", "record")
    assert len(home.states()) == len(signed) + 1
    home.clock.step(-30 * 86_400)
    home.interval()
    home.interval()

    ends = [row[0] for row in home.journal.query("SELECT interval_end FROM reading ORDER BY interval_end")]
    assert ends[-1] <= home.clock.now_s
    assert len(ends) >= len(signed) + 2
    assert "interval.discarded" in home.events.names()
