"""The checked-in contract artifact, and the files that say where a market is deployed, one for each chain id."""

from __future__ import annotations

from pathlib import Path

from eth_utils.address import to_checksum_address

from agent.adapters.market import Market
from agent.adapters.market_logs import MarketLogs
from agent.domain.deployment import Deployed, Roles, Sealing
from agent.domain.errors import BadRequest
from agent.domain.market import ChainPin
from contracts import Deployment, DeploymentError, load_artifact, load_deployment, save_deployment
from contracts import Roles as FiledRoles
from contracts import Sealing as FiledSealing


def load_market() -> tuple[Market, bytes]:
    """The contract's codec, and the code that deploys it."""
    artifact = load_artifact()
    return Market(artifact.abi), artifact.bytecode


def load_market_logs(contract: str) -> MarketLogs:
    """The events of the contract at an address."""
    return MarketLogs(load_artifact().abi, contract)


class DeploymentFiles:
    """Deployment files in a folder.

    Args:
        directory: ``<chain id>.json`` are in it; made when the first is written.
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
        try:
            filed = load_deployment(chain_id, self._directory)
        except DeploymentError as error:
            raise BadRequest(f"{error}; deploy a market, or name the folder with --deployments") from error
        sealed = filed.sealing
        return Deployed(
            pin=ChainPin(filed.chain_id, filed.genesis_hash, to_checksum_address(filed.address), filed.code_hash),
            block=filed.block,
            roles=Roles(filed.roles.admin, filed.roles.registration_office, filed.roles.distribution_agent),
            sealing=None if sealed is None else Sealing(sealed.consensus, sealed.epoch, sealed.validators),
        )

    def save(self, deployed: Deployed) -> None:
        """Write a market's file; an older one is replaced.

        Raises:
            BadRequest: it cannot be written.
        """
        pin, roles, sealed = deployed.pin, deployed.roles, deployed.sealing
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            save_deployment(
                Deployment(
                    chain_id=pin.chain_id,
                    address=pin.contract,
                    genesis_hash=pin.genesis_hash,
                    code_hash=pin.code_hash,
                    block=deployed.block,
                    roles=FiledRoles(roles.admin, roles.registration_office, roles.distribution_agent),
                    sealing=None if sealed is None else FiledSealing(sealed.consensus, sealed.epoch, sealed.validators),
                ),
                self._directory,
            )
        except (DeploymentError, OSError) as error:
            raise BadRequest(f"{error}; name a folder that can be written with --deployments") from error
