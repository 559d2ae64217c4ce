"""FAULTS 1: a hundred kill -9 at random moments lose nothing and double nothing (I1, I3, I4)."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from simulators.collector import Collector
from simulators.rig import AREA, Rig, Scene, stop_agent
from tests.system.agreement import assert_agreement, come_to_rest, wait_for_log

KILLS = int(os.environ.get("KILLS", "100"))
PERIOD_S = 7
INTERVALS = 60


@pytest.mark.integration
@pytest.mark.slow
def test_a_hundred_kills_leave_each_interval_on_the_chain_exactly_once(tmp_path: Path) -> None:
    chance = random.Random(20261122)  # noqa: S311 - the same kills again
    began = time.monotonic()
    with (
        Rig(Scene(directory=tmp_path / "rig", period_s=PERIOD_S, speed=60.0)) as rig,
        Collector(rig.broker.address, AREA, rig.household) as collector,
    ):
        begun = time.monotonic()
        agent = rig.start_agent()
        wait_for_log(rig, "agent.started", 1, within_s=60)
        slowest_s = time.monotonic() - begun
        wait_for_log(rig, "transaction.final", 1, within_s=60)
        kills, early = 0, False
        starts = 1
        while kills < KILLS or time.monotonic() - began < (INTERVALS + 5) * PERIOD_S:
            # One kill in five comes while the agent still starts, but never two in a row: an interval needs a chance.
            early = not early and chance.random() < 0.2
            if early:
                time.sleep(chance.uniform(0.0, 1.5))
            else:
                wait_for_log(rig, "agent.started", starts, within_s=60)
                slowest_s = max(slowest_s, time.monotonic() - begun) if kills else slowest_s
                time.sleep(chance.uniform(0.05, 6.0))
            _leave_a_chance(rig, slowest_s)
            agent.send_signal(signal.SIGKILL)
            agent.wait()
            kills += 1
            started = (rig.scene.directory / "agent.log").read_text(encoding="utf-8").count('"agent.started"')
            starts = started + 1
            begun = time.monotonic()
            agent = rig.start_agent()
        wait_for_log(rig, "agent.started", starts, within_s=60)
        readings = come_to_rest(rig, collector, within_s=120)
        assert stop_agent(agent) == 0
        assert [reading for reading in readings if reading["state"] != "final"] == []
        assert_agreement(rig, collector, readings)
        ends = [reading["intervalEnd"] for reading in readings]
        assert len(ends) >= INTERVALS
        assert ends == list(range(ends[0], ends[-1] + PERIOD_S, PERIOD_S)), "an interval has no reading"
        # On the chain each interval is found once by the time that it states, without asking the journal.
        intervals = [mined.taken_at // PERIOD_S for mined in rig.ledger.readings(rig.household)]
        assert len(set(intervals)) == len(intervals)
        print(f"{kills} kills, {len(readings)} intervals, each on the chain exactly once")


def _leave_a_chance(rig: Rig, start_s: float) -> None:
    """An interval can have a reading only if the agent lives in it: no kill late in one that has none yet.

    Args:
        rig: whose agent is to be killed.
        start_s: how long its slowest start took. Beside other tests that is seconds, and a new start, and a look at
            both meters, must fit into what is left of the interval.
    """
    deadline = time.monotonic() + 2 * PERIOD_S
    while time.monotonic() < deadline:
        now = time.time()
        boundary = int(now) // PERIOD_S * PERIOD_S
        told = (rig.scene.directory / "agent.log").read_text(encoding="utf-8")
        soon = now - boundary < min(PERIOD_S / 3, PERIOD_S - 2 * start_s - 1)
        if soon or f'"interval_end": {boundary}' in told:
            return
        time.sleep(0.05)
    raise AssertionError(f"the agent lived for {2 * PERIOD_S} s and closed no interval")
