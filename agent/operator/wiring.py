"""The parts of one command put together, with what ``compose`` opens for the operator."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.compose import office
from agent.domain.market import Settlement
from agent.operator.deployed import unit_here
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender, Shelf

_DEPLOYMENTS = Path("deployments")


class Wiring:
    """One command's parts, closed at its end.

    Args:
        node_url: JSON-RPC of the company's own full node.
        allow_plain: take ``http://`` off loopback too.
        ca_file: PEM file of the node's own authority; None for the system's.
        deployments: folder of deployment files; None for ``deployments`` in the working directory.

    Raises:
        ConfigurationInvalid: the URL is none, or plain without leave.
    """

    recover: Callable[[str, str], str] = staticmethod(office.recover_signer)

    def __init__(self, *, node_url: str, allow_plain: bool, ca_file: str | None, deployments: Path | None) -> None:
        self._chain = office.open_chain(node_url, allow_plain=allow_plain, ca_file=ca_file)
        self.deployments: Deployments = office.open_deployments(deployments or _DEPLOYMENTS)

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
        unit: Settlement | None,
    ) -> Sender:
        """What sends transactions, its key opened for the node's chain.

        Args:
            keystore: the operator's.
            passphrase_file: the keystore's; None for the other ways to get it.
            state: keeps what was sent until it is mined.
            most_fee: the most for a unit of gas, wei.
            depth: blocks wanted on top.
            timeout_s: how long to wait for a transaction, seconds.
            unit: what money is called on screens; None for what the deployed market says.

        Raises:
            KeystoreInvalid: the key cannot be opened.
            NodeUnavailable: the node did not tell its chain.
        """
        chain_id = self._chain.chain_id()
        key = office.open_operator_key(keystore, passphrase_file, chain_id)
        return Sender(
            self._chain,
            key,
            Shelf(state / f"{chain_id}-{key.address}.json"),
            most_fee=most_fee,
            depth=depth,
            timeout_s=timeout_s,
            unit=lambda: unit_here(self._chain, self.deployments) if unit is None else unit,
            monotonic=time.monotonic,
            sleep=time.sleep,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chain.close()
