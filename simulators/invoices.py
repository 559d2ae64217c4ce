"""Both sides' invoices, held against each other by the programs' own commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from simulators.ground import Ground
from simulators.process import StartError
from simulators.rig import Rig

# While the operator's command starts, the chain goes on; what it knows must not be younger than what the agents know.
# On a busy machine a start takes longer, so each further try leaves more.
_SPARE_BLOCKS: Final = (5, 15, 45)
# The exit code of `invoice --compare` where both sides' invoices differ.
_DIFFERENT: Final = 1


def issue(ground: Ground, rigs: Mapping[str, Rig]) -> dict[str, Path]:
    """Have the operator issue everybody's invoice of today and yesterday; each household's file by its name.

    All is of a block that all agents have read.

    Raises:
        StartError: a command failed, or took longer than the spare blocks last.
    """
    today = datetime.now(UTC).date()
    period = ("--from", str(today - timedelta(days=1)), "--to", str(today))
    known = min(int(json.loads(rig.agent("invoice", *period, "--json"))["asOfBlock"]) for rig in rigs.values())
    directory = ground.directory / "invoices"
    asked = ("invoices", *ground.chain_options, "--all", *period, "--output", str(directory), "--json")
    for spare in _SPARE_BLOCKS:
        depth = int(str(ground.serving.rpc("eth_blockNumber")), 16) - known + spare
        told = json.loads(ground.operator(*asked, "--depth", str(depth)))
        if told["block"] <= known:
            files = {one["household"]: Path(one["json"]) for one in told["invoices"]}
            return {name: files[rig.household] for name, rig in rigs.items()}
    raise StartError(
        f"invoices up to block {told['block']} were issued, and the agents have read up to block {known}: the command"
        f" takes longer than {spare} blocks; try again when the machine is less busy"
    )


def compared(rig: Rig, issued: Path) -> dict[str, Any]:
    """What a household says of the operator's invoice: its own one, whether they agree, and where they differ."""
    said = rig.agent("invoice", "--compare", str(issued), "--json", answers=(0, _DIFFERENT))
    told: dict[str, Any] = json.loads(said)
    return told
