"""Two households trade by rule while both agents are killed: no order is lost, doubled or paid twice (I1, I3)."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from simulators.collector import Collector
from simulators.control import answer
from simulators.demo.scenes import PRICES, SHADY, SUNNY, scene
from simulators.ground import Ground
from simulators.invoices import compared, issue
from simulators.rig import AREA, Rig, stop_agent
from tests.system.agreement import assert_agreement, come_to_rest, wait_for_log

KILLS = int(os.environ.get("KILLS", "30"))
# What an entry of each kind makes happen.
EVENTS = {"offer": "Offered", "cancel": "Cancelled", "buy": "Traded", "redeem": "Redeemed"}
UNDER_WAY = {"queued", "signed", "sent", "included"}


@pytest.mark.integration
@pytest.mark.slow
def test_traders_that_are_killed_lose_no_order_and_pay_none_twice(tmp_path: Path) -> None:
    chance = random.Random(20261125)  # noqa: S311 - the same kills again
    with ExitStack() as stack:
        ground = stack.enter_context(Ground(tmp_path / "market", prices=PRICES))
        rigs = {name: stack.enter_context(Rig(scene(name, tmp_path / name), ground)) for name in (SUNNY, SHADY)}
        collectors = {
            name: stack.enter_context(Collector(ground.broker.address, AREA, rig.household))
            for name, rig in rigs.items()
        }
        agents = {name: rig.start_agent() for name, rig in rigs.items()}
        stack.callback(lambda: [stop_agent(agent) for agent in agents.values()])
        for rig in rigs.values():
            wait_for_log(rig, "transaction.final", 2, within_s=60)
        for _ in range(KILLS):
            name = chance.choice(sorted(rigs))
            time.sleep(chance.uniform(0.5, 6.0))
            agents[name].send_signal(signal.SIGKILL)
            agents[name].wait()
            agents[name] = rigs[name].start_agent()
        # Nothing more to trade: registers stand still, and what is under way comes to its end.
        for rig in rigs.values():
            answer(rig.meters.commands(), "freeze")
        for name, rig in rigs.items():
            _wait_for_rest(rig)
            assert_agreement(rig, collectors[name], come_to_rest(rig, collectors[name], within_s=120))
        for name, rig in rigs.items():
            assert stop_agent(agents[name]) == 0
            _assert_each_once(rig)
        assert ground.ledger.sales(), "nothing was traded"
        _assert_conserved(ground, list(rigs.values()))
        for name, file in issue(ground, rigs).items():
            told = compared(rigs[name], file)
            assert told["agrees"], told["differences"]
        print(f"{KILLS} kills, {len(ground.ledger.sales())} trades, each once in both journals and on the chain")


def _wait_for_rest(rig: Rig) -> None:
    """Until no order is under way for two intervals."""
    deadline, quiet_from = time.monotonic() + 180, time.monotonic()
    while time.monotonic() - quiet_from < 2 * rig.scene.period_s + 3:
        assert time.monotonic() < deadline, "orders are still under way"
        if any(entry["state"] in UNDER_WAY for entry in _entries(rig)):
            quiet_from = time.monotonic()
        time.sleep(0.5)


def _entries(rig: Rig) -> list[dict[str, Any]]:
    """The journal's market entries with the hashes of their attempts."""
    with closing(sqlite3.connect(f"file:{rig.state / 'journal.sqlite'}?mode=ro", uri=True)) as journal:
        journal.row_factory = sqlite3.Row
        rows = [dict(row) for row in journal.execute("SELECT id, key, kind, state FROM entry")]
        for row in rows:
            found = journal.execute("SELECT tx_hash FROM attempt WHERE entry_id = ?", (row["id"],))
            row["hashes"] = {tx_hash for (tx_hash,) in found}
    return [row for row in rows if row["kind"] in EVENTS]


def _assert_each_once(rig: Rig) -> None:
    """What the journal calls final happened on the chain exactly once, and nothing else of the household did."""
    entries = _entries(rig)
    assert len({entry["key"] for entry in entries}) == len(entries)
    sales = rig.ledger.sales()
    for kind, event in EVENTS.items():
        if kind == "buy":
            happened = [sale.transaction for sale in sales if sale.buyer == rig.household]
        else:
            happened = rig.ledger.transactions(event, rig.household)
        assert len(set(happened)) == len(happened), f"{kind}: two in one transaction"
        final = [entry for entry in entries if entry["kind"] == kind and entry["state"] == "final"]
        found = [entry["hashes"] & set(happened) for entry in final]
        assert all(len(hashes) == 1 for hashes in found), f"{kind}: a final one happened twice, or never"
        assert len(final) == len(happened), f"{kind}: {len(final)} final, {len(happened)} on the chain"


def _assert_conserved(ground: Ground, rigs: list[Rig]) -> None:
    """No energy and no money appeared or vanished."""
    ledger = ground.ledger
    minted = sum(ledger.minted_wh(rig.household) for rig in rigs)
    burned = sum(ledger.burned_wh(rig.household) for rig in rigs)
    held = sum(ledger.standing(rig.household).tokens_wh for rig in rigs)
    assert minted - burned == ledger.supply_wh() == held + ledger.escrow_wh()
    assert int(str(ground.chain.rpc("eth_getBalance", ground.contract, "latest")), 16) == 0
