"""Both sides' invoices, held against each other by the programs' own commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from simulators.ground import Ground
from simulators.rig import Rig

# While the operator's command starts, the chain goes on; what it knows must not be younger than what the agents know.
_SPARE_BLOCKS: Final = 5


def issue(ground: Ground, rigs: Mapping[str, Rig]) -> dict[str, Path]:
    """Have the operator issue everybody's invoice of today and yesterday; each household's file by its name.

    All is of a block that all agents have read.

    Raises:
        StartError: a command failed.
    """
    today = datetime.now(UTC).date()
    period = ("--from", str(today - timedelta(days=1)), "--to", str(today))
    known = min(int(json.loads(rig.agent("invoice", *period, "--json"))["asOfBlock"]) for rig in rigs.values())
    depth = int(str(ground.serving.rpc("eth_blockNumber")), 16) - known + _SPARE_BLOCKS
    directory = ground.directory / "invoices"
    asked = ("invoices", *ground.chain_options, "--all", *period, "--output", str(directory), "--depth", str(depth))
    issued = json.loads(ground.operator(*asked, "--json"))["invoices"]
    files = {told["household"]: Path(told["json"]) for told in issued}
    return {name: files[rig.household] for name, rig in rigs.items()}


def compared(rig: Rig, issued: Path) -> dict[str, Any]:
    """What a household says of the operator's invoice: its own one, whether they agree, and where they differ."""
    told: dict[str, Any] = json.loads(rig.agent("invoice", "--compare", str(issued), "--json"))
    return told
