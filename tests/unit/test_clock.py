"""The clock: when its time may be signed (faults 9 and 10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.adapters import clock as room
from agent.adapters.clock import SystemClock
from tests.fakes.world import MIDNIGHT_S


class Machine:
    """A machine's two clocks and its time service."""

    def __init__(self) -> None:
        self.wall_s, self.mono, self.synchronised, self.asked = float(MIDNIGHT_S), 50.0, True, 0

    def clock(self, *, require: bool = True) -> SystemClock:
        return SystemClock(
            require_synchronised=require,
            step_tolerance_s=2.0,
            synchronised=self.ask,
            wall_ns=lambda: round(self.wall_s * 1e9),
            monotonic=lambda: self.mono,
        )

    def ask(self) -> bool:
        self.asked += 1
        return self.synchronised

    def advance(self, seconds: float) -> None:
        self.wall_s += seconds
        self.mono += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_time(machine: Machine) -> None:
    clock = machine.clock()

    assert (clock.now_ms(), clock.monotonic()) == (MIDNIGHT_S * 1000, 50.0)
    assert clock.trusted()
    assert clock.stepped() is None


def test_not_before_synchronisation(machine: Machine) -> None:
    machine.synchronised = False
    clock = machine.clock()
    assert not clock.trusted()
    assert machine.clock(require=False).trusted()
    machine.synchronised = True
    machine.advance(1.1)

    assert clock.trusted()


def test_the_kernel_is_asked_at_most_once_a_second(machine: Machine) -> None:
    clock = machine.clock()
    for _ in range(50):
        clock.trusted()
        machine.advance(0.1)

    assert machine.asked <= 6


@pytest.mark.parametrize(("wall_s", "trusted"), [(0.0, False), (1_767_225_599.9, False), (1_767_225_600.0, True)])
def test_not_before_the_build_date(machine: Machine, wall_s: float, trusted: bool) -> None:
    machine.wall_s = wall_s

    assert machine.clock(require=False).trusted() is trusted


@pytest.mark.parametrize("step", [-30 * 86_400.0, -2.1, 2.1, 30 * 86_400.0])
def test_a_step_is_not_trusted_until_it_was_taken_in(machine: Machine, step: float) -> None:
    clock = machine.clock()
    machine.advance(100)
    machine.wall_s += step
    assert not clock.trusted()
    assert clock.stepped() == pytest.approx(step, abs=1e-3)
    assert clock.stepped() is None

    assert clock.trusted()


def test_small_drift_is_followed_silently(machine: Machine) -> None:
    clock = machine.clock()
    for _ in range(10):
        machine.advance(60)
        machine.wall_s += 1.5
        assert clock.trusted()
        assert clock.stepped() is None


def test_a_mark_of_this_boot_is_enough(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()

    assert room.kernel_synchronised(tmp_path / "mark", adjtimex=lambda: 5, system=lambda: False)


@pytest.mark.parametrize("system", [True, False])
@pytest.mark.parametrize(("state", "synchronised"), [(0, True), (4, True), (5, False), (-1, None)])
def test_what_the_kernel_says_and_who_is_asked_if_it_refuses(
    tmp_path: Path, state: int, synchronised: bool | None, system: bool
) -> None:
    told = room.kernel_synchronised(tmp_path / "mark", adjtimex=lambda: state, system=lambda: system)

    assert told is (system if synchronised is None else synchronised)


def test_the_kernel_itself_can_be_asked() -> None:
    assert -1 <= room._adjtimex() <= 5
