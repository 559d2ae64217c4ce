"""Everything around one agent, on this machine: meters, chain, broker, a market, an enrolled household.

The agent and the operator's commands are started as the programs that they are, never imported: what is set up here
is set up as an installer would.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from eth_account import Account

from simulators.broker import Broker
from simulators.chain import Anvil
from simulators.ledger import Ledger
from simulators.meters import CONSUMPTION, PRODUCTION, HouseholdMeters, Plan, Wiring
from simulators.process import StartError

AREA: Final = "tehran-3"

_COMMAND_S: Final = 60.0
# Enough for every transaction of a long demo at Anvil's fees.
_FUND_WEI: Final = 10**18


@dataclass(frozen=True, slots=True)
class Scene:
    """What to set up.

    Attributes:
        directory: Where everything is kept; must be empty or absent.
        seed: The household's seed.
        speed: Simulated seconds a real second.
        start_epoch: Simulated UTC seconds at the start.
        period_s: The reporting period on the chain, real seconds.
        block_s: Seconds between blocks.
        depth: Blocks on top before a transaction is final.
        rated_power_w: The connection's rating, W; the registers run `speed` times faster than the household's power,
            so it is that much larger too.
        wiring: How the meters are wired.
        confirmations: How often a fall or a jump must repeat before the agent believes it.
        state: Where the agent keeps its journal; below `directory` where it is left out.
    """

    directory: Path
    seed: int = 1
    speed: float = 180.0
    start_epoch: float = 1_782_104_400.0  # 2026-06-22 08:30 in Tehran
    period_s: int = 5
    block_s: float = 1.0
    depth: int = 3
    rated_power_w: int = 3_000_000
    wiring: Wiring = Wiring.SPLIT
    confirmations: int = 5
    state: Path | None = None


@dataclass(slots=True)
class Rig:
    """A running scene. Use it as a context manager.

    Args:
        scene: What to set up.

    Raises:
        StartError: A part did not start, or a command failed; with its own words.
    """

    scene: Scene
    chain: Anvil = field(init=False)
    broker: Broker = field(init=False)
    meters: HouseholdMeters = field(init=False)
    household: str = field(init=False, default="")
    contract: str = field(init=False, default="")
    _deployment: dict[str, Any] = field(init=False, default_factory=dict)
    _keystore: Path = field(init=False, default=Path())
    _passphrase: Path = field(init=False, default=Path())
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    @property
    def configuration(self) -> Path:
        """The agent's configuration file."""
        return self.scene.directory / "prosumer-agent.toml"

    @property
    def state(self) -> Path:
        """The agent's state directory."""
        return self.scene.state or self.scene.directory / "state"

    @property
    def ledger(self) -> Ledger:
        """What the chain holds."""
        return Ledger(self.chain.rpc, self.contract)

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # a start that fails halfway leaves nothing running
            self._set_up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def agent(self, *arguments: str) -> str:
        """Run one `prosumer-agent` command to its end.

        Returns:
            What it printed.
        """
        return self._run([sys.executable, "-m", "agent", "--config", str(self.configuration), *arguments])

    def operator(self, *arguments: str) -> str:
        """Run one `prosumer-operator` command to its end.

        Returns:
            What it printed.
        """
        return self._run([sys.executable, "-m", "agent.operator", *arguments])

    def start_agent(self, log: Path | None = None, program: Sequence[str] = ("-m", "agent")) -> subprocess.Popen[bytes]:
        """Start the daemon.

        Args:
            log: Where its output is added; the scene's `agent.log` where it is left out.
            program: The interpreter's arguments that start it.
        """
        with (log or self.scene.directory / "agent.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *program, "--config", str(self.configuration), "run"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def use_nodes(self, urls: Sequence[str]) -> None:
        """Write the agent's configuration with these full nodes, all of the household's area."""
        self.configuration.write_text(self._toml(urls), encoding="utf-8")

    def registers(self) -> tuple[int, int]:
        """Both registers as they stand on the wire: production and consumption, Wh."""
        told: Mapping[str, Any] = self.meters.registers()
        return int(told[PRODUCTION]["register_wh"]), int(told[CONSUMPTION]["register_wh"])

    # -- setting up

    def _set_up(self, stack: ExitStack) -> None:
        scene = self.scene
        scene.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.chain = stack.enter_context(Anvil(block_time_s=scene.block_s))
        self.broker = stack.enter_context(Broker(directory=scene.directory / "broker"))
        plan = Plan(
            directory=scene.directory,
            wiring=scene.wiring,
            seed=scene.seed,
            start_epoch=scene.start_epoch,
            speed=scene.speed,
        )
        self.meters = stack.enter_context(HouseholdMeters(plan))
        deployment = self._deploy()
        self.contract = deployment["address"]
        passphrase = self._secret("household-passphrase", secrets.token_urlsafe())
        keystore = scene.directory / "household-key.json"
        self.household = json.loads(
            self._run(
                [
                    *(sys.executable, "-m", "agent", "keys", "new", "--json"),
                    *("--keystore", str(keystore), "--passphrase-file", str(passphrase)),
                ]
            )
        )["address"]
        self._deployment, self._keystore, self._passphrase = deployment, keystore, passphrase
        self.use_nodes([self.chain.url])
        request = scene.directory / "enrolment.json"
        self.agent("enrol", "--output", str(request), "--yes")
        self.operator("approve", str(request), *self._operator_options(), "--fund", str(_FUND_WEI))

    def _deploy(self) -> dict[str, Any]:
        keystore = self.scene.directory / "operator-key.json"
        # The chain's first dev account, whose worthless key everybody knows; light on memory, as ours are.
        passphrase = secrets.token_urlsafe()
        key = bytes.fromhex(self.chain.accounts[0].key[2:])
        self._write_private(keystore, json.dumps(Account.encrypt(key, passphrase, kdf="pbkdf2", iterations=1000)))
        self._secret("operator-passphrase", passphrase)
        self.operator("deploy", *self._operator_options(), "--reporting-period", str(self.scene.period_s))
        written = self.scene.directory / "deployments" / f"{self.chain.chain_id}.json"
        deployment: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
        return deployment

    def _operator_options(self) -> list[str]:
        directory = self.scene.directory
        return [
            *("--node", self.chain.url),
            *("--keystore", str(directory / "operator-key.json")),
            *("--passphrase-file", str(directory / "operator-passphrase")),
            *("--deployments", str(directory / "deployments")),
            *("--state-dir", str(directory / "operator")),
        ]

    def _secret(self, name: str, text: str) -> Path:
        path = self.scene.directory / name
        self._write_private(path, text + "\n")
        return path

    @staticmethod
    def _write_private(path: Path, text: str) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def _toml(self, urls: Sequence[str]) -> str:
        scene, deployment = self.scene, self._deployment
        meters = ""
        for name, place in self.meters.addresses().items():
            line = (
                f"rtu://{place['path']}?baud=9600"
                if place["wire"] == "rtu"
                else f"tcp://{place['host']}:{place['port']}"
            )
            meters += f'[meters.{name}]\nprofile = "{place["model"]}"\nline = "{line}"\nunit = {place["unit"]}\n'
        nodes = "".join(f'[[chain.nodes]]\nurl = "{url}"\narea = "{AREA}"\n' for url in urls)
        host, port = self.broker.address
        return (
            f'[household]\naccount = "{self.household}"\narea = "{AREA}"\nrated_power_w = {scene.rated_power_w}\n'
            f"[meters]\nconfirmations = {scene.confirmations}\n{meters}"
            f'[chain]\nid = {deployment["chainId"]}\ngenesis = "{deployment["genesisHash"]}"\n'
            f'contract = "{deployment["address"]}"\ncode_hash = "{deployment["codeHash"]}"\n'
            f"depth = {scene.depth}\nunproven = true\n{nodes}"
            f'[journal]\ndirectory = "{self.state}"\n'
            f'[keystore]\npath = "{self._keystore}"\npassphrase_file = "{self._passphrase}"\n'
            f'[telemetry]\nenabled = true\nhost = "{host}"\nport = {port}\ntls = false\n'
            "acknowledgements = true\nlive_every_s = 5\nreplay_after_s = 10\n"
            "[clock]\nrequire_synchronised = false\n"
        )

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
            start_new_session=True,  # a Ctrl-C is for the one who set this up, not for each command
        )
        if done.returncode != 0:
            shown = " ".join(command[1:])
            raise StartError(f"{shown} ended with code {done.returncode}. It said:\n{done.stdout}{done.stderr}")
        return done.stdout


def stop_agent(process: subprocess.Popen[bytes], grace_s: float = 20.0) -> int:
    """End a daemon in good order, and by force when the grace is over; returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is None:
            process.kill()
    return process.wait()
