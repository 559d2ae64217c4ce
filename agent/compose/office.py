"""What the operator's commands use of the world: the company's own full node, its deployment files, its key."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from agent import passphrase
from agent.adapters.deployments import DeploymentFiles, load_market, load_market_logs
from agent.adapters.full_node import FullNode, HttpRpc
from agent.adapters.keystore import ChainSigner, Keystore, recover_text
from agent.adapters.market_chain import MarketChain
from agent.adapters.node_headers import Seals
from agent.domain.deployment import Sealing
from agent.domain.errors import BadEvidence, NodeUnavailable
from agent.light import clique, gathering, genesis
from agent.light.hashing import shown
from agent.light.headers import Consensus
from agent.light.quantities import octets_of

# One node and one command: there is nobody else to ask, so it gets longer than a household's nodes do.
_REQUEST_S = 15.0


def open_chain(url: str, *, allow_plain: bool, ca_file: str | None) -> MarketChain:
    """The company's own full node, with the market's codec.

    Args:
        url: of its JSON-RPC.
        allow_plain: take ``http://`` off loopback too.
        ca_file: PEM file of the node's own authority; None for the system's.

    Raises:
        ConfigurationInvalid: the URL is none, or plain without leave.
    """
    # To standard error: standard output is the command's answer, which --json makes a program's.
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
    rpc = HttpRpc(url, timeout_s=_REQUEST_S, log=log, allow_plain=allow_plain, ca_file=ca_file)
    # No pin: the operator makes it, and holds the node to the deployment file instead.
    node = FullNode(name=rpc.name, area="", rpc=rpc, pin=None, monotonic=time.monotonic)
    market, bytecode = load_market()
    seals = Seals(clique.signer, clique.header_hash)
    return MarketChain(node, market, bytecode, logs=load_market_logs, seals=seals, sealing=sealing)


def sealing(told: Mapping[str, object], epoch: int) -> Sealing | None:
    """Who may seal a chain's blocks; None where nobody does.

    Args:
        told: block 0, as a node tells it over JSON-RPC.
        epoch: blocks from one checkpoint to the next.

    Raises:
        NodeUnavailable: it is no block 0 that makes sense, or its hash is another.
    """
    try:
        mix_hash = octets_of(told.get("mixHash"), "mixHash", 32)
        consensus, validators = genesis.sealing(mix_hash, octets_of(told.get("extraData"), "extraData"))
        if consensus is Consensus.UNSEALED:
            return None  # the rest is not looked at: a development node's genesis need not have the form of a header
        gathering.header(told, consensus, "block 0")
    except BadEvidence as error:
        raise NodeUnavailable(f"its block 0 does not say who may seal blocks: {error}") from error
    return Sealing(consensus.value, epoch, tuple(shown(one) for one in validators))


def open_deployments(directory: Path) -> DeploymentFiles:
    """Deployment files in a folder."""
    return DeploymentFiles(directory)


def open_operator_key(keystore: Path, passphrase_file: Path | None, chain_id: int) -> ChainSigner:
    """The operator's key, for one chain.

    Raises:
        KeystoreInvalid: it cannot be opened.
    """
    return Keystore.open(keystore, passphrase.find(passphrase_file)).for_chain(chain_id)


def recover_signer(text: str, signature: str) -> str:
    """Who signed a text (EIP-191), checksummed.

    Raises:
        BadRequest: the signature is malformed.
    """
    return recover_text(text, signature)
