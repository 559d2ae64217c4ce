"""What journal, chain and telemetry must have in common when everything has come to rest."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

from simulators.collector import Collector
from simulators.rig import Rig


def journal_readings(rig: Rig) -> list[dict[str, Any]]:
    """Every reading of the journal, oldest first, as `prosumer-agent readings --json` tells it."""
    told: list[dict[str, Any]] = json.loads(rig.agent("readings", "--limit", "100000", "--json"))["readings"]
    return sorted(told, key=lambda reading: reading["intervalEnd"])


def come_to_rest(rig: Rig, collector: Collector, *, within_s: float) -> list[dict[str, Any]]:
    """Wait until every reading is final and held by the collector; returns the journal's readings.

    New intervals go on meanwhile, so everything up to the newest reading at the call is waited for.
    """
    deadline = time.monotonic() + within_s
    newest = journal_readings(rig)[-1]["intervalEnd"]
    while True:
        readings = [reading for reading in journal_readings(rig) if reading["intervalEnd"] <= newest]
        waiting = [reading for reading in readings if reading["state"] not in {"final", "covered", "refused"}]
        held = collector.held()
        unheard = [reading for reading in readings if (reading["epoch"], reading["sequence"]) not in held]
        if not waiting and not unheard:
            return readings
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_s:g} s {waiting} are not final and {unheard} not received")
        time.sleep(0.5)


def assert_agreement(rig: Rig, collector: Collector, readings: list[dict[str, Any]]) -> None:
    """I1 to I4: each interval exactly once in the journal, on the chain and in telemetry, with the same content."""
    told = {(each["epoch"], each["sequence"]): _content(each) for each in readings}
    assert len(told) == len(readings), "a sequence was given twice"
    mined = rig.ledger.readings(rig.household)
    keys = [(each.epoch, each.sequence) for each in mined]
    assert len(set(keys)) == len(keys), "a reading was mined twice"
    on_chain = {
        (each.epoch, each.sequence): (each.taken_at, each.produced_wh, each.consumed_wh, each.flags) for each in mined
    }
    held = {key: _content(message) for key, message in collector.held().items()}
    for key, content in told.items():
        assert on_chain[key] == content
        assert held[key] == content
    assert not collector.forged
    assert not collector.contradictions
    # I2: the energy of the intervals adds up to the register's difference. Tokens may have been traded and redeemed.
    assert rig.ledger.received_wh(rig.household) == rig.ledger.standing(rig.household).tokens_wh
    rises = [later.produced_wh - earlier.produced_wh for earlier, later in itertools.pairwise(mined)]
    assert all(rise >= 0 for rise in rises)
    assert sum(rises) == mined[-1].produced_wh - mined[0].produced_wh


def _content(message: dict[str, Any]) -> tuple[int, int, int, int]:
    return message["takenAt"], message["producedWh"], message["consumedWh"], message["flags"]


def wait_for_log(rig: Rig, event: str, count: int, *, within_s: float) -> None:
    """Wait until the agent's log has an event so many times."""
    deadline = time.monotonic() + within_s
    log = rig.scene.directory / "agent.log"
    while time.monotonic() < deadline:
        if log.exists() and log.read_text(encoding="utf-8").count(f'"{event}"') >= count:
            return
        time.sleep(0.05)
    tail = log.read_text(encoding="utf-8")[-3000:] if log.exists() else "(no log)"
    raise AssertionError(f"{event} was not told {count} times within {within_s:g} s; the log ends with:\n{tail}")
