"""Record: what concerns a boundary is one transaction; a busy journal loses nothing (I1, I2; faults 4, 8, 9, 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.journal import Journal
from agent.adapters.meter_rows import MeterRows
from agent.adapters.reading_rows import ReadingRows
from agent.domain.errors import JournalBusy
from agent.domain.readings import Flags
from agent.domain.registers import RegisterRules, RegisterState
from agent.domain.samples import MeterRole
from agent.stages.poll import Poll
from agent.stages.record import Record
from tests.fakes.world import HOUSEHOLD, MIDNIGHT_S, FakeClock, FakeMeter, HeardEvents


class TouchyJournal(Journal):
    """A journal that can be busy, and lets something happen between gathering and writing."""

    busy = False
    meanwhile: Callable[[], object] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Journal]:
        if self.busy:
            raise JournalBusy("held by a test")
        if self.meanwhile is not None:
            happen, self.meanwhile = self.meanwhile, None
            happen()
        with super().transaction() as journal:
            yield journal


class House:
    """Two polls and the record stage over a journal file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal.sqlite"
        self.clock, self.events = FakeClock(), HeardEvents()
        self.production, self.consumption = FakeMeter(5000.0), FakeMeter(9000.0)
        self.period: int | None = 900
        journal = Journal(self.path)
        journal.migrate()
        for role, meter in zip(MeterRole, (self.production, self.consumption), strict=True):
            MeterRows(journal).save_register(role, RegisterState(meter.raw(), self.clock.wall_ms, serial="A1"))
        MeterRows(journal).follow_epoch(1, 0)
        ReadingRows(journal, HOUSEHOLD).raise_end(MIDNIGHT_S)
        journal.close()
        self.open()

    def open(self) -> None:
        self.journal = TouchyJournal(self.path)
        self.journal.migrate()
        self.meters, self.readings = MeterRows(self.journal), ReadingRows(self.journal, HOUSEHOLD)
        self.polls = [
            Poll(
                role=role,
                meter=meter,
                clock=self.clock,
                events=self.events,
                rules=RegisterRules(11_000, 2),
                state=self.meters.register(role),
            )
            for role, meter in zip(MeterRole, (self.production, self.consumption), strict=True)
        ]
        self.record = Record(
            production=self.polls[0],
            consumption=self.polls[1],
            meters=self.meters,
            readings=self.readings,
            journal=self.journal,
            contract=self,
            clock=self.clock,
            events=self.events,
        )

    def reporting_period_s(self) -> int | None:
        return self.period

    def booked(self, epoch: int) -> tuple[int, int] | None:
        return (4900, 8800) if epoch == 1 else None

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.production.pass_time(seconds)
        self.consumption.pass_time(seconds)

    def turn(self, seconds: float = 1, times: int = 1) -> bool:
        closed = False
        for _ in range(times):
            self.pass_time(seconds)
            for poll in self.polls:
                poll.run_once()
            closed |= self.record.run_once()
        return closed


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.journal.close()


def test_each_boundary_is_closed_once(house: House) -> None:
    assert [house.turn(30) for _ in range(60)].count(True) == 2

    closed = [reading for _, reading in house.readings.closed(10)]
    assert [one.interval_end for one in closed] == [MIDNIGHT_S + 900, MIDNIGHT_S + 1800]
    assert [one.produced_wh for one in closed] == [5250, 5500]
    assert [(one.flags, one.gap_s) for one in closed] == [(Flags.NONE, 0)] * 2
    assert house.events.names() == ["interval.closed"] * 2


def test_a_restart_closes_nothing_again_and_goes_on(house: House) -> None:
    house.turn(30, 31)
    house.journal.close()
    house.open()
    assert not house.turn(1, 5)
    assert house.turn(900)

    closed = [reading for _, reading in house.readings.closed(10)]
    assert [one.interval_end for one in closed] == [MIDNIGHT_S + 900, MIDNIGHT_S + 1800]


def test_a_boundary_missed_while_it_was_off_is_a_gap(house: House) -> None:
    house.turn(30, 31)
    house.journal.close()
    house.pass_time(4 * 900)
    house.open()
    assert house.turn()

    last = house.readings.closed(10)[-1][1]
    assert last.interval_end == MIDNIGHT_S + 5 * 900
    assert (last.gap_s, last.flags) == (3 * 900, Flags.LATE)


@pytest.mark.parametrize("why", ["no period", "no trust", "not enrolled"])
def test_nothing_is_closed(house: House, why: str) -> None:
    house.turn(30, 3)
    if why == "no period":
        house.period = None
    elif why == "no trust":
        house.clock.good = False
    else:
        house.journal.set_fact("epoch", "0")

    assert not house.turn(900, 3)
    assert house.readings.closed(10) == []


def test_one_dead_meter_is_held_and_the_other_booked(house: House) -> None:
    house.turn(10, 89)
    house.turn(2)
    house.production.fault = "silent"
    house.turn(8)
    house.turn(1, 29)
    assert house.readings.closed(10) == []
    house.turn(1)
    closed = [reading for _, reading in house.readings.closed(10)]

    assert [one.flags for one in closed] == [Flags.PRODUCTION_HELD | Flags.LATE]
    # The register that the contract holds: it refuses a held one that moved (HeldRegisterMoved).
    assert (closed[0].produced_wh, closed[0].consumed_wh) == (4900, 9258)


def test_a_meter_that_dies_within_an_interval_is_held_at_what_was_stated_last(house: House) -> None:
    house.turn(10, 91)
    assert len(house.readings.closed(10)) == 1
    house.production.fault = "silent"
    house.turn(10, 45)
    house.production.fault = ""
    house.turn(10, 15)  # it speaks for a while, and is silent again at the boundary
    house.production.fault = "silent"
    house.turn(10, 40)
    first, second = (reading for _, reading in house.readings.closed(10))

    assert Flags.PRODUCTION_HELD in second.flags
    assert second.produced_wh == first.produced_wh
    assert second.consumed_wh > first.consumed_wh
    # What it stated meanwhile is booked when it is back.
    house.production.fault = ""
    house.turn(10, 90)
    third = house.readings.closed(10)[-1][1]
    assert third.flags & Flags.PRODUCTION_HELD == Flags.NONE
    assert third.produced_wh > 5500


def test_a_busy_journal_delays_and_loses_nothing(house: House) -> None:
    house.turn(10, 3)
    house.journal.busy = True
    house.turn(10, 100)
    assert house.events.names() == ["journal.busy"]
    house.journal.busy = False
    assert house.turn()

    assert sorted(house.events.names()) == ["interval.closed", "journal.back", "journal.busy"]
    minutes = house.journal.query("SELECT minute, good FROM minute WHERE role = 'production' ORDER BY minute")
    assert [row["minute"] for row in minutes] == list(range(MIDNIGHT_S, MIDNIGHT_S + 1020, 60))


def test_minutes_and_registers_are_written_between_boundaries(house: House) -> None:
    house.turn(1, 59)
    assert house.meters.newest_minute() is None
    house.turn()
    assert house.meters.newest_minute() == MIDNIGHT_S
    assert house.meters.register(MeterRole.PRODUCTION).raw_wh == 5016


def test_an_ended_epoch_is_counted_before_anything_is_closed_in_it(house: House) -> None:
    house.turn(10, 89)
    house.production.wh = 0.0
    house.turn(10, 4)

    assert house.meters.epoch() == 2
    closed = [reading for _, reading in house.readings.closed(10)]
    assert [(one.epoch, one.produced_wh < 5000) for one in closed] == [(2, True)]


def test_an_epoch_that_ends_while_it_looks_is_never_saved_as_the_old_one(house: House) -> None:
    """The register's state and the epoch's count come to the journal in one commit, or neither."""
    house.turn(10, 3)
    house.turn(1)
    house.production.wh = 0.0

    def swap() -> None:
        for _ in range(2):
            house.pass_time(1)
            house.polls[0].run_once()

    house.journal.meanwhile = swap
    house.pass_time(60)
    house.record.run_once()
    house.journal.close()
    house.open()

    epoch, raw = house.meters.epoch(), house.meters.register(MeterRole.PRODUCTION).raw_wh
    assert raw is not None
    assert (epoch, raw > 4000) in [(1, True), (2, False)]


def test_an_epoch_that_ends_between_two_looks_waits_for_the_next_turn(house: House) -> None:
    house.turn(10, 3)
    told = iter([0, 1])
    house.polls[0].ended_epochs = lambda: next(told)
    house.pass_time(60)

    assert not house.record.run_once()
    assert house.meters.newest_minute() is None


def test_what_another_has_closed_meanwhile_is_not_closed_again(house: House) -> None:
    """A restored journal learns from the chain which intervals it holds."""
    house.turn(30, 31)
    house.readings.raise_end(MIDNIGHT_S + 1800)

    assert not house.turn(30, 32)
    assert house.turn(30, 30)
    last = house.readings.closed(10)[-1][1]
    assert (last.interval_end, last.gap_s) == (MIDNIGHT_S + 2700, 0)


def test_a_set_back_clock_closes_nothing_twice(house: House) -> None:
    house.turn(30, 31)
    house.clock.step(-600)
    house.turn(30, 40)

    ends = [reading.interval_end for _, reading in house.readings.closed(10)]
    assert ends == sorted(set(ends)) == [MIDNIGHT_S + 900]


def test_a_changed_period_takes_effect_at_its_next_boundary(house: House) -> None:
    house.turn(30, 31)
    house.period = 300
    house.turn(30, 20)

    assert [one.interval_end - MIDNIGHT_S for _, one in house.readings.closed(10)] == [900, 1200, 1500]


def test_the_odd_reading_of_an_old_epoch_keeps_it(house: House) -> None:
    house.turn(30, 31)
    (row, first), *_ = house.readings.closed(10)

    assert first.epoch == 1
    assert not house.readings.close(replace(first, produced_wh=1))
    assert house.readings.closed(10) == [(row, first)]


def test_minutes_wait_for_company_and_are_written_at_the_end(house: House) -> None:
    house.record = Record(
        production=house.polls[0],
        consumption=house.polls[1],
        meters=house.meters,
        readings=house.readings,
        journal=house.journal,
        contract=house,
        clock=house.clock,
        events=house.events,
        minutes_at_once=2,
    )

    def kept() -> int:
        return len(house.journal.query("SELECT DISTINCT minute FROM minute"))

    house.turn(times=1)
    house.pass_time(60)
    house.turn(times=1)
    assert kept() == 0
    house.pass_time(60)
    house.turn(times=1)
    assert kept() == 2
    house.pass_time(60)
    house.turn(times=1)
    assert kept() == 2
    house.record.stop()
    assert kept() == 3
