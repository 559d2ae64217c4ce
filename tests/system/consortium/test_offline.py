"""What the household shows others of all that it went through, when no node runs any more: by the pins alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from eth_utils.address import to_checksum_address

from simulators.rig import Rig, stop_agent
from tests.system.agreement import assert_agreement, come_to_rest, journal_readings
from tests.system.consortium.street import FINAL_S, Street

PROVEN, NOT_PROVEN, MISUSE = 0, 1, 2
_LINKED: Final = ("readings-linked", "last-order-linked")

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def evidence(rig: Rig, *arguments: str, config: Path | None = None) -> tuple[int, str]:
    """`prosumer-agent evidence`: exit code, and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "--config", str(config or rig.configuration), "evidence", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True)
class Exported:
    """Evidence files by what they are of, and what was final before: the highest nonce of a report, and readings."""

    files: dict[str, Path]
    nonce: int
    final: list[dict[str, Any]]

    def __getitem__(self, name: str) -> Path:
        return self.files[name]


def _as_many(neighbours: Street, query: str, rows: int) -> bool:
    return len(neighbours.rows(query)) >= rows


@pytest.fixture(scope="module")
def exported(neighbours: Street) -> Exported:
    """All that can be exported, while nodes run and validators are others than at first."""
    rig = neighbours.house.rig
    orders = "SELECT included_hash FROM entry WHERE kind = 'offer' AND state = 'final' ORDER BY id"
    for held in (1, 2):
        if len(neighbours.rows(orders)) < held:
            rig.agent("sell", "--energy", "0.01", "--price", "0", "--yes")
            neighbours.house.wait_until(partial(_as_many, neighbours, orders, held), "its end", within_s=FINAL_S)
    found = [row[0] for row in neighbours.rows(orders)]
    (report,) = neighbours.rows(
        "SELECT included_hash FROM entry WHERE kind = 'report' AND state = 'final' ORDER BY id DESC LIMIT 1"
    )[0]
    asked = {
        "first-order": (found[0],),
        "last-order": (found[-1],),
        "last-order-linked": (found[-1], "--linked"),
        "report": (report,),
        "readings": ("--readings",),
        "readings-linked": ("--readings", "--linked"),
    }
    ((nonce,),) = neighbours.rows("SELECT max(nonce) FROM entry WHERE state = 'final' AND kind = 'report'")
    final = [one for one in journal_readings(rig) if one["state"] == "final"]
    files = {}
    for name, arguments in asked.items():
        files[name] = rig.scene.directory / f"{name}.json"
        code, said = evidence(rig, "export", *arguments, "--output", str(files[name]))
        assert files[name].exists(), said
        print(f"consortium: evidence of {name}: exit code {code}, {files[name].stat().st_size} bytes; {said[:160]!r}")
    return Exported(files, nonce, final)


def test_everything_final_is_proven(neighbours: Street, exported: Exported) -> None:
    house = neighbours.house
    readings = come_to_rest(house.rig, house.collector, within_s=FINAL_S)
    # A reading whose nonce the thief took can come behind those that were signed after it: its energy is in theirs.
    covered = [one for one in readings if one["state"] == "covered"]
    assert len(covered) == sum(line["count"] for line in neighbours.said("reading.covered")) <= 1
    assert_agreement(house.rig, house.collector, [one for one in readings if one not in covered])
    neighbours.nothing_false_is_final()
    bare = neighbours.rows(
        "SELECT id FROM entry WHERE kind NOT IN ('report', 'opening', 'filler') AND state = 'final'"
        " AND id NOT IN (SELECT entry_id FROM evidence WHERE entry_id IS NOT NULL)"
    )
    assert bare == []
    shown = str(exported["readings-linked"])
    state: dict[str, Any] = json.loads(evidence(neighbours.house.rig, "verify", shown, "--json")[1])["state"]
    assert state["nonce"] > exported.nonce
    newest = state["slot"]["epoch"], state["slot"]["sequence"]
    assert exported.final
    assert all((one["epoch"], one["sequence"]) <= newest for one in exported.final)


def test_the_pins_alone_prove_it_when_no_node_runs(neighbours: Street, exported: Exported) -> None:
    rig = neighbours.house.rig
    signers = sorted(to_checksum_address(one) for one in neighbours.network.signers())
    assert stop_agent(neighbours.house.agent) == 0
    neighbours.network.stop(*range(len(neighbours.network.nodes)))
    chain = rig.configuration.read_text(encoding="utf-8").partition("[chain]\n")[2].partition("[[chain.nodes]]")[0]
    pins, now = (rig.scene.directory / name for name in ("pins.toml", "pins-now.toml"))
    pins.write_text(f"[chain]\n{chain}", encoding="utf-8")
    lines = [
        f"validators = {json.dumps(signers)}" if one.startswith("validators") else one for one in chain.split("\n")
    ]
    now.write_text("[chain]\n" + "\n".join(lines), encoding="utf-8")
    for name in ("first-order", *_LINKED):
        code, said = evidence(rig, "verify", str(exported[name]), "--pins", str(pins))
        assert (code, said.split()[0]) == (PROVEN, "PROVEN"), said
    for name in ("last-order", "report", "readings"):
        code, said = evidence(rig, "verify", str(exported[name]), "--pins", str(now))
        assert (code, said.split()[0]) == (PROVEN, "PROVEN"), said


def test_one_changed_digit_is_refused(neighbours: Street, exported: Exported) -> None:
    told = exported["first-order"].read_text(encoding="ascii")
    at = len(told) // 2
    digit = "0" if told[at] != "0" else "1"
    changed = exported["first-order"].with_name("changed.json")
    changed.write_text(told[:at] + digit + told[at + 1 :], encoding="ascii")
    code, said = evidence(neighbours.house.rig, "verify", str(changed))
    assert code in {NOT_PROVEN, MISUSE}
    assert "PROVEN" not in said.replace("UNPROVEN", "")
