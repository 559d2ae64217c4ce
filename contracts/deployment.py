"""Where the contract is deployed: one JSON file per chain, named ``<chain id>.json``.

Its form is ``deployments/deployment.schema.json``. The operator's ``deploy`` writes it; an agent pins what it says.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOYMENTS_PATH = Path(__file__).parent / "deployments"

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-f]{64}")
_KEYS = frozenset({"chainId", "address", "genesisHash", "codeHash", "block", "roles", "sealing"})
_ROLES = frozenset({"admin", "registrationOffice", "distributionAgent"})
_SEALING = frozenset({"consensus", "epoch", "validators"})
_CONSENSUS = ("qbft", "ibft2", "clique")


@dataclass(frozen=True, slots=True)
class Roles:
    """The accounts that the constructor gave roles to; later grants are on the chain."""

    admin: str
    registration_office: str
    distribution_agent: str


@dataclass(frozen=True, slots=True)
class Sealing:
    """Who may seal the chain's blocks, beginning with the one after the genesis.

    Attributes:
        consensus: ``qbft``, ``ibft2`` or ``clique``.
        epoch: blocks from one checkpoint to the next.
        validators: addresses, each once.
    """

    consensus: str
    epoch: int
    validators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A contract on a chain.

    Attributes:
        chain_id: EIP-155 chain id.
        address: the contract's address.
        genesis_hash: hash of block 0, which tells chains of one id apart.
        code_hash: Keccak-256 of the deployed code.
        block: number of the block that deployed it; nothing of it is older.
        roles: who began with which role.
        sealing: who may seal blocks; None on a development chain, where nobody does.
    """

    chain_id: int
    address: str
    genesis_hash: str
    code_hash: str
    block: int
    roles: Roles
    sealing: Sealing | None = None


def load_deployment(chain_id: int, directory: Path = DEPLOYMENTS_PATH) -> Deployment:
    """Reads where the contract is on a chain.

    Args:
        chain_id: EIP-155 chain id.
        directory: where the deployment files are.

    Raises:
        DeploymentError: there is none, or something in it is wrong; all that is wrong is named at once.
    """
    path = directory / f"{chain_id}.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(found.stem for found in directory.glob("*.json") if found.stem.isdigit())) or "none"
        raise DeploymentError(
            f"no deployment on chain {chain_id}: {path} is missing (chains in {directory}: {known})"
        ) from error
    except OSError as error:
        raise DeploymentError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DeploymentError(f"{path}: not JSON ({error})") from error
    problems = _problems(raw, chain_id)
    if problems:
        raise DeploymentError(f"{path}: " + "; ".join(problems))
    return Deployment(
        chain_id=raw["chainId"],
        address=raw["address"],
        genesis_hash=raw["genesisHash"],
        code_hash=raw["codeHash"],
        block=raw["block"],
        roles=Roles(
            admin=raw["roles"]["admin"],
            registration_office=raw["roles"]["registrationOffice"],
            distribution_agent=raw["roles"]["distributionAgent"],
        ),
        sealing=_sealing(raw.get("sealing")),
    )


def save_deployment(deployment: Deployment, directory: Path = DEPLOYMENTS_PATH) -> Path:
    """Writes a deployment file, whole or not at all.

    Args:
        deployment: what to write.
        directory: where; it must exist.

    Returns:
        The file.

    Raises:
        DeploymentError: the deployment says something impossible, or the file cannot be written.
    """
    raw: dict[str, object] = {
        "chainId": deployment.chain_id,
        "address": deployment.address,
        "genesisHash": deployment.genesis_hash,
        "codeHash": deployment.code_hash,
        "block": deployment.block,
        "roles": {
            "admin": deployment.roles.admin,
            "registrationOffice": deployment.roles.registration_office,
            "distributionAgent": deployment.roles.distribution_agent,
        },
    }
    sealed = deployment.sealing
    if sealed is not None:
        raw["sealing"] = {
            "consensus": sealed.consensus,
            "epoch": sealed.epoch,
            "validators": list(sealed.validators),
        }
    path = directory / f"{deployment.chain_id}.json"
    problems = _problems(raw, deployment.chain_id)
    if problems:
        raise DeploymentError(f"{path}: not written: " + "; ".join(problems))
    unfinished = path.with_suffix(".json.new")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(raw, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise DeploymentError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def _problems(raw: object, chain_id: int) -> list[str]:
    if not isinstance(raw, dict):
        return ["it would be a JSON object"]
    problems = _key_problems(raw, _KEYS, "")
    found = raw.get("chainId")
    if found != chain_id or not isinstance(found, int) or isinstance(found, bool):
        problems.append(f"chainId is {found!r}, and would be {chain_id} by the file's name")
    block = raw.get("block")
    if not isinstance(block, int) or isinstance(block, bool) or block < 0:
        problems.append(f"block is {block!r}, and would be a block number")
    problems += [
        f"{key} is {raw.get(key)!r}, and would be 0x and 64 lower-case hex digits"
        for key in ("genesisHash", "codeHash")
        if not _fits(_HASH, raw.get(key))
    ]
    problems += _address_problem("address", raw.get("address"))
    if "sealing" in raw:
        problems += _sealing_problems(raw["sealing"])
    roles = raw.get("roles")
    if not isinstance(roles, dict):
        return [*problems, "roles would be an object"]
    problems += _key_problems(roles, _ROLES, "roles.")
    for key in sorted(_ROLES):
        problems += _address_problem(f"roles.{key}", roles.get(key))
    return problems


def _sealing(raw: Mapping[str, Any] | None) -> Sealing | None:
    return None if raw is None else Sealing(raw["consensus"], raw["epoch"], tuple(raw["validators"]))


def _sealing_problems(raw: object) -> list[str]:
    if not isinstance(raw, dict):
        return ["sealing would be an object, or absent where nobody seals"]
    problems = _key_problems(raw, _SEALING, "sealing.")
    if raw.get("consensus") not in _CONSENSUS:
        problems.append(f"sealing.consensus is {raw.get('consensus')!r}, and would be {', '.join(_CONSENSUS)}")
    epoch = raw.get("epoch")
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 1:
        problems.append(f"sealing.epoch is {epoch!r}, and would be a number of blocks")
    validators = raw.get("validators")
    if not isinstance(validators, list) or not validators:
        return [*problems, f"sealing.validators is {validators!r}, and would be a list of addresses"]
    for place, one in enumerate(validators):
        problems += _address_problem(f"sealing.validators[{place}]", one)
    if len({str(one).lower() for one in validators}) < len(validators):
        problems.append("sealing.validators names somebody twice")
    return problems


def _key_problems(raw: Mapping[object, object], known: frozenset[str], place: str) -> list[str]:
    return [f"{place}{key} is not a known key" for key in raw if key not in known]


def _address_problem(key: str, value: object) -> list[str]:
    if _fits(_ADDRESS, value):
        return []
    return [f"{key} is {value!r}, and would be 0x and 40 hex digits"]


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
