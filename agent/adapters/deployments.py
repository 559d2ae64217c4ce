"""The checked-in contract artifact, and the files that say where a market is deployed, one for each chain id."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from eth_utils.address import is_checksum_address

from agent.adapters.market import Market
from agent.domain.deployment import Deployed, Roles
from agent.domain.errors import BadRequest
from agent.domain.market import ChainPin

_HASH = re.compile(r"0x[0-9a-f]{64}\Z")


def load_market() -> tuple[Market, bytes]:
    """The contract's codec, and the code that deploys it."""
    artifact = json.loads((resources.files("contracts") / "artifacts" / "EnergyMarket.json").read_text())
    return Market(artifact["abi"]), bytes.fromhex(artifact["bytecode"].removeprefix("0x"))


class DeploymentFiles:
    """Deployment files in a folder.

    Args:
        directory: ``<chain id>.json`` are in it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, chain_id: int) -> Path:
        """Where a chain's file is, or would be."""
        return self._directory / f"{chain_id}.json"

    def load(self, chain_id: int) -> Deployed:
        """The market on a chain.

        Raises:
            BadRequest: there is none, or its file is damaged.
        """
        path = self.path(chain_id)
        try:
            told: dict[str, Any] = json.loads(path.read_bytes())
            roles = Roles(
                told["roles"]["admin"], told["roles"]["registrationOffice"], told["roles"]["distributionAgent"]
            )
            pin = ChainPin(told["chainId"], told["genesisHash"], told["address"], told["codeHash"])
            block = told["block"]
        except FileNotFoundError as error:
            raise BadRequest(
                f"{path} is missing: no market is known on chain {chain_id}; deploy one, or --deployments"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadRequest(f"{path} is damaged ({type(error).__name__})") from error
        if pin.chain_id != chain_id or not is_checksum_address(pin.contract):
            raise BadRequest(f"{path} is damaged (chainId or address)")
        if not _HASH.match(str(pin.genesis_hash)) or not _HASH.match(str(pin.code_hash)):
            raise BadRequest(f"{path} is damaged (genesisHash or codeHash)")
        return Deployed(pin, block, roles)

    def save(self, deployed: Deployed) -> None:
        """Write a market's file; an older one is replaced.

        Raises:
            BadRequest: it cannot be written.
        """
        path = self.path(deployed.pin.chain_id)
        content = {
            "chainId": deployed.pin.chain_id,
            "genesisHash": deployed.pin.genesis_hash,
            "address": deployed.pin.contract,
            "codeHash": deployed.pin.code_hash,
            "block": deployed.block,
            "roles": {
                "admin": deployed.roles.admin,
                "registrationOffice": deployed.roles.registration_office,
                "distributionAgent": deployed.roles.distribution_agent,
            },
        }
        draft = path.with_suffix(".draft")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(content, indent=2) + "\n")
            draft.replace(path)
        except OSError as error:
            raise BadRequest(f"{path} cannot be written ({error.strerror}); choose --deployments") from error
