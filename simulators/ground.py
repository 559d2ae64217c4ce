"""What the households of one market share: a chain, a broker, and the market that an operator has deployed there.

The operator's commands are started as the programs that they are, never imported: what is set up here is set up as a
distribution company would.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from eth_account import Account

from simulators.broker import Broker
from simulators.chain import Anvil
from simulators.consortium.network import Network, Plan
from simulators.ledger import Ledger
from simulators.private import write_private
from simulators.process import StartError

_COMMAND_S: Final = 60.0
_FIRST_BLOCK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Prices:
    """What the distribution agent sets, wei for each kWh.

    Attributes:
        feed_in: The lowest price of an order.
        retail: The highest, and what consumption costs that no token covers.
        service_cost: What carrying a kWh costs.
    """

    feed_in: int = 0
    retail: int = 0
    service_cost: int = 0


@dataclass(slots=True)
class Ground:
    """A running market. Use it as a context manager.

    Args:
        directory: Where everything is kept.
        block_s: Seconds between blocks.
        period_s: The reporting period on the chain, real seconds.
        prices: The parameters to begin with.
        consortium: The full nodes that seal the chain, whose blocks come at their own pace; Anvil alone where it is
            left out.

    Raises:
        StartError: A part did not start, or a command failed; with its own words.
    """

    directory: Path
    block_s: float = 1.0
    period_s: int = 5
    prices: Prices = field(default_factory=Prices)
    consortium: Plan | None = None
    serving: Anvil | Network = field(init=False)
    broker: Broker = field(init=False)
    deployment: dict[str, Any] = field(init=False, default_factory=dict)
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    @property
    def chain(self) -> Anvil:
        """The development node.

        Raises:
            RuntimeError: A consortium runs this chain.
        """
        match self.serving:
            case Anvil() as anvil:
                return anvil
            case _:
                raise RuntimeError("a consortium runs this chain, and no Anvil that can be steered: see `network`")

    @property
    def network(self) -> Network:
        """The consortium.

        Raises:
            RuntimeError: Anvil alone runs this chain.
        """
        match self.serving:
            case Network() as network:
                return network
            case _:
                raise RuntimeError("Anvil alone runs this chain: hand the ground a consortium's plan")

    @property
    def contract(self) -> str:
        """The market's address."""
        return str(self.deployment["address"])

    @property
    def ledger(self) -> Ledger:
        """What the chain holds."""
        return Ledger(self.serving.rpc, self.contract)

    @property
    def operator_options(self) -> list[str]:
        """What names chain, key and files to an operator's command."""
        return [*self.chain_options, *self.key_options]

    @property
    def chain_options(self) -> list[str]:
        """What names the chain and the market to an operator's command."""
        return ["--node", self.serving.url, "--deployments", str(self.directory / "deployments")]

    @property
    def key_options(self) -> list[str]:
        """What names the operator's key to a command that signs."""
        return [
            *("--keystore", str(self.directory / "operator-key.json")),
            *("--passphrase-file", str(self.directory / "operator-passphrase")),
            *("--state-dir", str(self.directory / "operator")),
        ]

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # a start that fails halfway leaves nothing running
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.serving = self._chain(stack)
            self.broker = stack.enter_context(Broker(directory=self.directory / "broker"))
            self.deployment = self._deploy()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def operator(self, *arguments: str) -> str:
        """Run one `prosumer-operator` command to its end.

        Returns:
            What it printed.
        """
        return run_command([sys.executable, "-m", "agent.operator", *arguments])

    def _chain(self, stack: ExitStack) -> Anvil | Network:
        if self.consortium is None:
            return stack.enter_context(Anvil(block_time_s=self.block_s))
        network = stack.enter_context(Network(self.directory / "consortium", self.consortium))
        network.await_block(1, within_s=_FIRST_BLOCK_S)
        return network

    def _deploy(self) -> dict[str, Any]:
        # The chain's first account, which holds money that is worth nothing; light on memory, as ours are.
        passphrase = secrets.token_urlsafe()
        key = bytes.fromhex(self.serving.accounts[0].key[2:])
        encrypted = Account.encrypt(key, passphrase, kdf="pbkdf2", iterations=1000)
        write_private(self.directory / "operator-key.json", json.dumps(encrypted))
        write_private(self.directory / "operator-passphrase", passphrase + "\n")
        prices = self.prices
        self.operator(
            "deploy",
            *self.operator_options,
            *("--reporting-period", str(self.period_s)),
            *("--feed-in", str(prices.feed_in), "--retail", str(prices.retail)),
            *("--service-cost", str(prices.service_cost)),
            *(() if self.consortium is None else ("--epoch", str(self.consortium.epoch))),
        )
        written = self.directory / "deployments" / f"{self.serving.chain_id}.json"
        deployment: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
        return deployment


def run_command(command: Sequence[str], *, answers: Collection[int] = (0,)) -> str:
    """Run one command to its end.

    Args:
        command: Program and arguments.
        answers: The exit codes with which it answers; with another, or without a word, it failed.

    Returns:
        What it printed.

    Raises:
        StartError: It failed; with its own words.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_S,
        check=False,
        start_new_session=True,  # a Ctrl-C is for the one who set this up, not for each command
    )
    if done.returncode not in answers or (done.returncode and not done.stdout):
        shown = " ".join(command[1:])
        raise StartError(f"{shown} ended with code {done.returncode}. It said:\n{done.stdout}{done.stderr}")
    return done.stdout
