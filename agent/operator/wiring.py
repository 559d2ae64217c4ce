"""The operator's composition root: the only place here that names concrete classes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from agent import passphrase
from agent.adapters.deployments import DeploymentFiles, load_market
from agent.adapters.full_node import FullNode, HttpRpc
from agent.adapters.keystore import Keystore, recover_text
from agent.adapters.market_chain import MarketChain
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender, Shelf

# One node and one command: there is nobody else to ask, so it gets longer than a household's nodes do.
_REQUEST_S = 15.0
_DEPLOYMENTS = Path("deployments")


class Wiring:
    """The parts of one command, closed at its end.

    Args:
        node_url: JSON-RPC of the company's own full node.
        allow_plain: take ``http://`` off loopback too.
        ca_file: PEM file of the node's own authority; None for the system's.
        deployments: folder of deployment files; None for ``deployments`` in the working directory.

    Raises:
        ConfigurationInvalid: the URL is none, or plain without leave.
    """

    recover: Callable[[str, str], str] = staticmethod(recover_text)

    def __init__(self, *, node_url: str, allow_plain: bool, ca_file: str | None, deployments: Path | None) -> None:
        # To standard error: standard output is the command's answer, which --json makes a program's.
        log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
        rpc = HttpRpc(node_url, timeout_s=_REQUEST_S, log=log, allow_plain=allow_plain, ca_file=ca_file)
        # No pin: the operator makes it, and holds the node to the deployment file instead.
        node = FullNode(name=rpc.name, area="", rpc=rpc, pin=None, monotonic=time.monotonic)
        market, bytecode = load_market()
        self._chain = MarketChain(node, market, bytecode)
        self.deployments: Deployments = DeploymentFiles(deployments or _DEPLOYMENTS)

    @property
    def chain(self) -> Chain:
        """The operator's node."""
        return self._chain

    def sender(
        self,
        *,
        keystore: Path,
        passphrase_file: Path | None,
        state: Path,
        most_fee: int,
        depth: int,
        timeout_s: float,
    ) -> Sender:
        """What sends transactions, its key opened for the node's chain.

        Raises:
            KeystoreInvalid: the key cannot be opened.
            NodeUnavailable: the node did not tell its chain.
        """
        chain_id = self._chain.chain_id()
        key = Keystore.open(keystore, passphrase.find(passphrase_file)).for_chain(chain_id)
        return Sender(
            self._chain,
            key,
            Shelf(state / f"{chain_id}-{key.address}.json"),
            most_fee=most_fee,
            depth=depth,
            timeout_s=timeout_s,
            monotonic=time.monotonic,
            sleep=time.sleep,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chain.close()
