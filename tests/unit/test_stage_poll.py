"""Poll: one read becomes a sample, a minute's sum, and the newest good register (faults 9, 10, 15 to 26)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.domain.registers import RegisterRules, RegisterState
from agent.domain.samples import MeterRole, Quality
from agent.stages.poll import Poll
from tests.fakes.world import MIDNIGHT_S, FakeClock, FakeMeter, HeardEvents

KNOWN = RegisterState(raw_wh=1000, at_ms=MIDNIGHT_S * 1000, serial="A1")


@dataclass
class Bench:
    """A poll, its meter, and time that passes for both."""

    state: RegisterState = KNOWN
    modulus: int | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    events: HeardEvents = field(default_factory=HeardEvents)

    def __post_init__(self) -> None:
        self.meter = FakeMeter(wh=1000.0)
        rules = RegisterRules(11_000, 3, self.modulus)
        self.poll = Poll(
            role=MeterRole.PRODUCTION,
            meter=self.meter,
            clock=self.clock,
            events=self.events,
            rules=rules,
            state=self.state,
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.meter.pass_time(seconds)

    def seconds(self, count: int, fault: str = "") -> list[bool]:
        self.meter.fault = fault
        good = []
        for _ in range(count):
            self.pass_time(1)
            good.append(self.poll.run_once())
        return good

    def register(self) -> int | None:
        newest = self.poll.newest()
        return None if newest is None else newest.register_wh


def test_a_good_read() -> None:
    bench = Bench()
    assert bench.seconds(36) == [True] * 36

    latest = bench.poll.latest()
    assert latest is not None
    assert (latest.register_wh, latest.power_w, latest.voltage_v, latest.raw) == (1010, 1000, 230.0, b"\x01\x02")
    assert (latest.quality, latest.taken_ms) == (Quality.GOOD, bench.clock.wall_ms)
    assert bench.register() == 1010
    assert bench.poll.state().raw_wh == 1010
    assert bench.events.heard == []


def test_before_the_first_read_the_journals_register_stands() -> None:
    assert Bench().register() == 1000
    assert Bench(state=RegisterState()).poll.newest() is None
    assert Bench().poll.latest() is None


def test_the_first_register_ever_waits_for_its_confirmation_without_a_warning() -> None:
    bench = Bench(state=RegisterState())

    assert bench.seconds(3) == [False, False, True]
    assert bench.events.heard == []


@pytest.mark.parametrize("fault", ["unknown", "zero", "spike"])
def test_bad_values_book_nothing_and_are_never_zero(fault: str) -> None:
    bench = Bench()
    bench.seconds(2, fault)

    latest = bench.poll.latest()
    assert latest is not None
    assert latest.register_wh is None
    assert latest.quality is (Quality.UNKNOWN if fault == "unknown" else Quality.HELD)
    assert bench.register() == 1000
    assert bench.poll.ended_epochs() == 0
    assert bench.seconds(1) == [True]
    assert bench.register() == 1000


def test_held_is_said_once() -> None:
    bench = Bench()
    bench.seconds(2, "zero")
    bench.seconds(5)
    bench.seconds(1, "spike")

    assert bench.events.names() == ["register.held", "register.held"]
    assert bench.events.last("register.held")["booked_wh"] == 1001
    assert "advice" in bench.events.last("register.held")


def test_a_reset_ends_the_epoch_once() -> None:
    bench = Bench()
    bench.meter.wh = 0.0
    bench.seconds(10)

    assert bench.poll.ended_epochs() == 1
    assert bench.register() == 2
    assert bench.events.names() == ["register.held", "register.new_epoch"]


def test_a_rollover_is_booked() -> None:
    bench = Bench(modulus=1005)
    bench.meter.modulus = 1005
    bench.seconds(60)

    assert bench.register() == 1016
    assert bench.poll.ended_epochs() == 0
    assert "register.rolled_over" in bench.events.names()


@pytest.mark.parametrize(("fault", "name"), [("silent", "meter.lost"), ("misconfigured", "meter.misconfigured")])
def test_lost_and_back_are_said_once(fault: str, name: str) -> None:
    bench = Bench()
    assert bench.seconds(5, fault) == [False] * 5
    bench.seconds(5)
    bench.seconds(1, fault)

    assert bench.events.names() == [name, "meter.back", name]
    assert bench.register() == 1002


def test_one_kind_of_loss_after_the_other_is_said() -> None:
    bench = Bench()
    bench.seconds(2, "silent")
    bench.seconds(2, "misconfigured")

    assert bench.events.names() == ["meter.lost", "meter.misconfigured"]


def test_minutes_are_handed_over_when_they_are_over() -> None:
    bench = Bench()
    bench.seconds(59)
    assert bench.poll.minutes() == []
    bench.seconds(61, "silent")
    first, second = bench.poll.minutes()

    assert (first.minute, first.good, first.bad) == (MIDNIGHT_S, 59, 0)
    assert (second.minute, second.good, second.bad) == (MIDNIGHT_S + 60, 0, 60)
    bench.poll.forget(1)
    assert [row.minute for row in bench.poll.minutes()] == [MIDNIGHT_S + 60]
    bench.poll.forget(5)
    assert bench.poll.minutes() == []


def test_a_meter_that_is_not_read_any_more_still_ends_its_minute() -> None:
    bench = Bench()
    bench.seconds(1)
    bench.pass_time(60)

    assert [row.good for row in bench.poll.minutes()] == [1]


def test_two_days_of_minutes_wait_and_no_more() -> None:
    bench = Bench()
    for _ in range(2 * 24 * 60 + 10):
        bench.pass_time(60)
        bench.poll.run_once()

    rows = bench.poll.minutes()
    assert len(rows) == 2 * 24 * 60
    assert rows[-1].minute == bench.clock.now_s // 60 * 60 - 60


def test_a_clock_that_is_not_trusted_books_nothing() -> None:
    bench = Bench()
    bench.clock.good = False

    assert bench.seconds(200) == [False] * 200
    latest = bench.poll.latest()
    assert latest is not None
    assert (latest.power_w, latest.register_wh) == (1000, None)
    assert bench.poll.minutes() == []
    assert bench.register() == 1000


def test_a_stale_clock_at_boot_ends_no_epoch() -> None:
    """A Pi without a clock chip wakes up an hour later, and believes that no time has passed."""
    bench = Bench()
    bench.meter.pass_time(3600)
    bench.clock.good = False
    bench.seconds(30)
    bench.clock.step(3600)
    bench.clock.good = True
    bench.seconds(5)

    assert bench.poll.ended_epochs() == 0
    assert bench.register() == 2009


@pytest.mark.parametrize("step", [-30 * 86_400, 30 * 86_400])
def test_a_clock_that_steps_ends_no_epoch(step: int) -> None:
    bench = Bench()
    bench.meter.power_w = 11_000
    bench.seconds(1)
    bench.pass_time(60)
    bench.clock.step(step)
    bench.seconds(5)

    assert bench.poll.ended_epochs() == 0
    assert "register.held" not in bench.events.names()
    assert bench.register() == bench.meter.raw()


def test_a_clock_that_is_set_back_gives_no_licence_for_a_spike() -> None:
    bench = Bench()
    bench.seconds(1)
    bench.clock.step(-100)
    bench.seconds(2, "spike")

    assert bench.register() == 1000


def test_minutes_beyond_two_days_without_a_journal_are_dropped_oldest_first_and_said() -> None:
    bench = Bench()
    for _ in range(2 * 24 * 60 + 2):
        bench.pass_time(60)
        bench.poll.run_once()

    waiting = bench.poll.minutes()
    assert len(waiting) == 2 * 24 * 60
    assert waiting[-1].minute - waiting[0].minute == (2 * 24 * 60 - 1) * 60
    assert bench.events.names().count("minutes.dropped") == 1
