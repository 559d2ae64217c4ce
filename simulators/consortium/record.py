"""Records what a running consortium sealed, for tests: `python -m simulators.consortium.record FOLDER`.

Checkpoints, a partition's fork, and votes that bring a fourth validator in; keys are new each time, so no two
recordings are alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from simulators.consortium.geth import Node
from simulators.consortium.network import Network, Plan

# Short, so that a recording of a few dozen blocks has checkpoints before and after the votes.
_PLAN: Final = Plan(standbys=1, epoch=8)
_STANDBY: Final = 3
_ALONE, _TOGETHER = (0,), (1, 2, 3)
_WAIT_S: Final = 90.0
# Who sealed the last block before the cut may not seal the next one, and then there is no fork.
_CUTS: Final = 6


def record(directory: Path) -> dict[str, Any]:
    """What the nodes say of the blocks of a short life.

    Args:
        directory: For chains, keys and logs.

    Raises:
        StartError: go-ethereum is missing, or a node did not start.
        TimeoutError: Something did not come about.
    """
    with Network(directory, _PLAN) as network:
        lonely, witness, newcomer = network.nodes[0], network.nodes[1], network.nodes[_STANDBY]
        network.await_block(_PLAN.epoch + 2, within_s=_WAIT_S)
        fork = _fork(network, lonely, witness)
        network.vote(newcomer.identity.address)
        voted_in = network.await_signers(4, within_s=_WAIT_S)
        network.end_votes(newcomer.identity.address)
        checkpoint = (voted_in // _PLAN.epoch + 1) * _PLAN.epoch
        network.await_block(checkpoint + 3, within_s=_WAIT_S)
        last = network.await_agreement(within_s=_WAIT_S)
        return {
            "node": str(witness.rpc("web3_clientVersion")),
            "pinned": asdict(network.pinned),
            "joined": newcomer.identity.address,
            "signers": sorted(network.signers()),
            "blocks": [_block(witness, hex(number)) for number in range(last + 1)],
            "fork": fork,
        }


def _fork(network: Network, lonely: Node, witness: Node) -> list[dict[str, Any]]:
    """The block that a validator sealed on its own, at a height where the others sealed another."""
    for _ in range(_CUTS):
        network.partition(_ALONE, _TOGETHER)
        cut = max(lonely.block_number(), witness.block_number())
        network.await_block(cut + 4, within_s=_WAIT_S, nodes=[witness])
        height = lonely.block_number()
        told = [_block(lonely, hex(height))] if lonely.block_hash(height) != witness.block_hash(height) else []
        network.heal()
        network.await_agreement(within_s=_WAIT_S)
        if told:
            return told
    raise TimeoutError(f"{lonely.area} sealed no block of its own in {_CUTS} partitions")


def _block(node: Node, number: str) -> dict[str, Any]:
    told: Any = node.rpc("eth_getBlockByNumber", number, False)  # noqa: FBT003 - JSON-RPC's own
    sealed = int(number, 16) > 0
    return {
        "block": told,
        "raw": node.command("debug_getRawHeader", number),
        "signer": str(node.command("clique_getSigner", number)).lower() if sealed else None,
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the recording.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m simulators.consortium.record", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="consortium-") as directory:
        recording = record(Path(directory) / "network")
    file = folder / "clique.json"
    file.write_text(json.dumps(recording, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
    print(f"{file}: {file.stat().st_size} bytes, {len(recording['blocks'])} blocks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
