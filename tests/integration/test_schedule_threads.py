"""The schedule on the library's real threads."""

from __future__ import annotations

import threading
import time

import pytest

from agent.schedule import Loop, Schedule

PATIENCE_S = 20.0


@pytest.mark.integration
def test_a_slow_loop_delays_no_other_and_a_wake_comes_before_its_turn() -> None:
    stuck, woken, third = threading.Event(), threading.Event(), threading.Event()
    turns: list[float] = []

    def slow() -> bool:
        return stuck.wait(PATIENCE_S)

    def quick() -> bool:
        turns.append(time.time())
        if len(turns) >= 3:
            third.set()
        return True

    def rare() -> bool:
        woken.set()
        return False

    failures: list[str] = []
    schedule = Schedule(
        [Loop("slow", slow, 0.2), Loop("quick", quick, 0.2, wakes=("rare",)), Loop("rare", rare, 3600)],
        time.monotonic,
        lambda name, _: failures.append(name),
    )
    schedule.start()
    try:
        assert third.wait(PATIENCE_S)
        assert woken.wait(PATIENCE_S)
        schedule.stepped()
        seen = len(turns)
        deadline = time.monotonic() + PATIENCE_S
        while len(turns) <= seen and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(turns) > seen, "it goes on after a clock step was taken in"
        assert failures == []
        assert schedule.stalled() == []
    finally:
        stuck.set()
        schedule.stop(wait=True)


@pytest.mark.integration
def test_a_raising_loop_is_reported_once_while_the_others_go_on() -> None:
    failures: list[tuple[str, str]] = []
    several, on = threading.Semaphore(0), threading.Semaphore(0)

    def raising() -> bool:
        several.release()
        raise ValueError("broken")

    def fine() -> bool:
        on.release()
        return False

    schedule = Schedule(
        [Loop("raising", raising, 0.1), Loop("fine", fine, 0.1)],
        time.monotonic,
        lambda name, error: failures.append((name, str(error))),
    )
    schedule.start()
    try:
        for _ in range(4):
            assert several.acquire(timeout=PATIENCE_S)
            assert on.acquire(timeout=PATIENCE_S)
    finally:
        schedule.stop(wait=True)
    assert failures == [("raising", "broken")]
