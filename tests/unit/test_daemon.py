"""The daemon's main loop: who is told that loops stall, and who is not."""

from __future__ import annotations

import pytest

from agent.daemon import Daemon
from agent.schedule import Loop
from tests.fakes.world import FakeClock, HeardEvents


class Clock(FakeClock):
    """Time that never steps."""

    def stepped(self) -> float | None:
        return None


class Service:
    """Counts the signs of life."""

    def __init__(self) -> None:
        self.lives = 0

    def ready(self, status: str) -> None:
        """Nothing to do."""

    def alive(self) -> None:
        self.lives += 1

    def reloading(self) -> None:
        """Nothing to do."""

    def stopping(self) -> None:
        """Nothing to do."""


class House:
    def __init__(self) -> None:
        self.clock, self.events, self.service = Clock(), HeardEvents(), Service()
        self.daemon = Daemon(
            loops=[Loop("poll", lambda: True, every_s=1.0)],
            clock=self.clock,
            service=self.service,
            events=self.events,
            closers=[],
            may_reload=lambda: None,
            status="",
        )
        self.daemon._schedule._liveness.expect("poll", 31.0, self.clock.monotonic())

    def tend(self, after_s: float) -> None:
        self.clock.advance(after_s)
        self.daemon._tend()


@pytest.fixture
def house() -> House:
    return House()


def test_a_loop_that_hangs_ends_the_signs_of_life_and_is_said_once(house: House) -> None:
    for _ in range(40):
        house.tend(1.0)

    assert house.service.lives == 31
    assert house.events.names() == ["loop.stalled"]


def test_a_process_that_stood_still_blames_no_loop(house: House) -> None:
    house.tend(1.0)
    house.tend(90.0)
    house.tend(1.0)

    assert house.service.lives == 3
    assert house.events.names() == ["agent.stood_still"]


def test_after_a_standstill_a_loop_that_hangs_is_still_found(house: House) -> None:
    house.tend(90.0)
    for _ in range(40):
        house.tend(1.0)

    assert house.events.names() == ["agent.stood_still", "loop.stalled"]


def test_why_a_loop_failed_is_said_without_a_nodes_token(house: House) -> None:
    house.daemon._failed("submit", OSError("Max retries exceeded with url: /v3/c4nary"))

    assert house.events.last("loop.failed")["problem"] == "OSError: Max retries exceeded with url: /…"
