"""What company and office change on the chain takes effect in a running agent, and energy adds up through it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from simulators.collector import Collector
from simulators.rig import AREA, Rig, Scene, stop_agent
from tests.system.agreement import come_to_rest, journal_readings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_NEW_SERIAL = 777
_OPENING_WH = 5_000


def office(rig: Rig, *words: str) -> dict[str, Any]:
    """One command of the operator's, with its key."""
    folder = rig.scene.directory
    told: dict[str, Any] = json.loads(
        rig.operator(
            *words,
            "--json",
            *("--node", rig.chain.url, "--keystore", str(folder / "operator-key.json")),
            *("--passphrase-file", str(folder / "operator-passphrase")),
            *("--deployments", str(folder / "deployments"), "--state-dir", str(folder / "operator")),
        )
    )
    return told


def until(what: str, holds: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.5)


def said(rig: Rig, event: str) -> list[dict[str, Any]]:
    lines = (rig.scene.directory / "agent.log").read_text(encoding="utf-8").splitlines()
    return [told for told in map(json.loads, lines) if told["event"] == event]


def newest(rig: Rig) -> dict[str, Any]:
    return journal_readings(rig)[-1]


def test_a_running_agent_follows_company_and_office(tmp_path: Path) -> None:
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(Scene(directory=tmp_path / "rig", period_s=5, speed=60.0)))
        collector = stack.enter_context(Collector(rig.broker.address, AREA, rig.household))
        agent = rig.start_agent()
        stack.callback(stop_agent, agent)
        ledger = rig.ledger
        until("a reading on the chain", lambda: ledger.standing(rig.household).sequence > 1)
        opened = ledger.standing(rig.household)

        office(rig, "parameters", "--reporting-period", "4")
        until("intervals of 4 s", lambda: newest(rig)["periodS"] == 4)

        office(rig, "parameters", "--pause")
        until("the pause is told", lambda: any("paused" in line["problem"] for line in said(rig, "submit.waiting")))
        office(rig, "parameters", "--resume")
        office(rig, "suspend", rig.household)
        until("the suspension is told", lambda: bool(said(rig, "household.suspended")))
        office(rig, "suspend", rig.household, "--lift")
        until("it is told active again", lambda: len(said(rig, "household.active")) > 1)
        before = ledger.standing(rig.household)
        until("readings go on", lambda: ledger.standing(rig.household).sequence > before.sequence)

        rig.meters.production.swap(_NEW_SERIAL, _OPENING_WH)
        until("the swap is told", lambda: bool(said(rig, "register.new_epoch")))
        until("readings of the next epoch wait", lambda: newest(rig)["epoch"] == 2)
        come_to_rest_up_to_epoch_1(rig)
        last = ledger.standing(rig.household)
        new = ["--profile", "eastron_sdm120", "--serial", str(_NEW_SERIAL), "--opening", str(_OPENING_WH)]
        assert office(rig, "replace-meter", rig.household, "--meter", "production", *new)["epoch"] == 2
        until("readings settle in epoch 2", lambda: ledger.standing(rig.household).sequence > 0)

        readings = come_to_rest(rig, collector, within_s=60)
        assert stop_agent(agent) == 0
        states = [reading["state"] for reading in readings]
        assert "refused" not in states, "what the new meter counted before the office entered it"
        now = ledger.standing(rig.household)
        assert (now.epoch, now.consumed_wh) == (2, newest(rig)["consumedWh"])
        produced = last.produced_wh - opened.produced_wh + now.produced_wh - _OPENING_WH
        assert now.tokens_wh - opened.tokens_wh == produced
        assert ledger.minted_wh(rig.household) == now.tokens_wh


def come_to_rest_up_to_epoch_1(rig: Rig) -> None:
    def rests() -> bool:
        return all(
            reading["state"] in {"final", "covered"} for reading in journal_readings(rig) if reading["epoch"] == 1
        )

    until("all of epoch 1 is final", rests)
