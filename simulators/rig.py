"""Everything around one agent, on this machine: meters, chain, broker, a market, an enrolled household.

The agent and its commands are started as the programs that they are, never imported: what is set up here is set up as
an installer would. Several households stand on one ``Ground``.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from simulators.broker import Broker
from simulators.chain import Anvil
from simulators.consortium import network
from simulators.ground import Ground, run_command
from simulators.household import Site
from simulators.ledger import Ledger
from simulators.meters import CONSUMPTION, PRODUCTION, HouseholdMeters, Plan, Wiring
from simulators.private import write_private

AREA: Final = "tehran-3"

# Enough for every transaction of a long demo at Anvil's fees.
_FUND_WEI: Final = 10**18

# Nobody's: the national ID is the example that the rule of its check digit is published with.
_PROFILE: Final = 'first_name = "سارا"\nfamily_name = "نمونه"\nnational_id = "0123456789"\n'


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
        site: Where the household stands and what is on its roof.
        profile: Who the household is, as `prosumer-agent enrol --profile` reads it.
        settings: Further sections of the agent's configuration, such as its standing rule.
        consortium: The full nodes that seal the chain; a development node alone where it is left out.
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
    site: Site = field(default_factory=Site)
    profile: str = _PROFILE
    settings: str = ""
    consortium: network.Plan | None = None


@dataclass(slots=True)
class Rig:
    """A running scene. Use it as a context manager.

    Args:
        scene: What to set up.
        ground: A running market that the household joins; one of its own, in the scene's directory, where it is left
            out.

    Raises:
        StartError: A part did not start, or a command failed; with its own words.
    """

    scene: Scene
    ground: Ground | None = None
    meters: HouseholdMeters = field(init=False)
    household: str = field(init=False, default="")
    _keystore: Path = field(init=False, default=Path())
    _passphrase: Path = field(init=False, default=Path())
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    @property
    def market(self) -> Ground:
        """The market that the household takes part in."""
        if self.ground is None:
            raise RuntimeError("the rig has not been set up: use it as a context manager")
        return self.ground

    @property
    def chain(self) -> Anvil:
        """The development node."""
        return self.market.chain

    @property
    def broker(self) -> Broker:
        """The MQTT broker."""
        return self.market.broker

    @property
    def contract(self) -> str:
        """The market's address."""
        return self.market.contract

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
        return self.market.ledger

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # a start that fails halfway leaves nothing running
            self._set_up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def agent(self, *arguments: str, answers: Collection[int] = (0,)) -> str:
        """Run one `prosumer-agent` command to its end.

        Args:
            arguments: Of the command.
            answers: The exit codes with which it answers; with another it failed.

        Returns:
            What it printed.
        """
        command = [sys.executable, "-m", "agent", "--config", str(self.configuration), *arguments]
        return run_command(command, answers=answers)

    def operator(self, *arguments: str) -> str:
        """Run one `prosumer-operator` command to its end.

        Returns:
            What it printed.
        """
        return self.market.operator(*arguments)

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
        self.use_places([(url, AREA) for url in urls])

    def use_places(self, places: Sequence[tuple[str, str]]) -> None:
        """Write the agent's configuration with these full nodes: URL and area of each."""
        self._configure(places)

    def registers(self) -> tuple[int, int]:
        """Both registers as they stand on the wire: production and consumption, Wh."""
        told: Mapping[str, Any] = self.meters.registers()
        return int(told[PRODUCTION]["register_wh"]), int(told[CONSUMPTION]["register_wh"])

    # -- setting up

    def _set_up(self, stack: ExitStack) -> None:
        scene = self.scene
        scene.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.ground is None:
            self.ground = stack.enter_context(
                Ground(scene.directory, scene.block_s, scene.period_s, consortium=scene.consortium)
            )
        plan = Plan(
            directory=scene.directory,
            wiring=scene.wiring,
            seed=scene.seed,
            start_epoch=scene.start_epoch,
            speed=scene.speed,
            site=scene.site,
        )
        self.meters = stack.enter_context(HouseholdMeters(plan))
        self._passphrase, self._keystore = (
            scene.directory / name for name in ("household-passphrase", "household-key.json")
        )
        write_private(self._passphrase, secrets.token_urlsafe() + "\n")
        self.household = json.loads(
            run_command(
                [
                    *(sys.executable, "-m", "agent", "keys", "new", "--json"),
                    *("--keystore", str(self._keystore), "--passphrase-file", str(self._passphrase)),
                ]
            )
        )["address"]
        serving = self.market.serving
        self._configure([(serving.url, AREA)] if isinstance(serving, Anvil) else serving.places)
        request, profile = scene.directory / "enrolment.json", scene.directory / "profile.toml"
        write_private(profile, scene.profile)
        self.agent("enrol", "--output", str(request), "--profile", str(profile), "--yes")
        self.operator("approve", str(request), *self.market.operator_options, "--fund", str(_FUND_WEI), "--yes")

    def _configure(self, nodes: Sequence[tuple[str, str]]) -> None:
        self.configuration.write_text(self._toml(nodes), encoding="utf-8")

    def _toml(self, places: Sequence[tuple[str, str]]) -> str:
        scene, deployment = self.scene, self.market.deployment
        meters = ""
        for name, place in self.meters.addresses().items():
            line = (
                f"rtu://{place['path']}?baud=9600"
                if place["wire"] == "rtu"
                else f"tcp://{place['host']}:{place['port']}"
            )
            meters += f'[meters.{name}]\nprofile = "{place["model"]}"\nline = "{line}"\nunit = {place["unit"]}\n'
        nodes = "".join(f'[[chain.nodes]]\nurl = "{url}"\narea = "{area}"\n' for url, area in places)
        sealing = deployment.get("sealing")
        pins = "unproven = true\n"
        if sealing is not None:
            pins = f"consensus = {json.dumps(sealing['consensus'])}\nepoch = {sealing['epoch']}\n"
            pins += f"validators = {json.dumps(sealing['validators'])}\n"
        host, port = self.broker.address
        return (
            f'[household]\naccount = "{self.household}"\narea = "{AREA}"\nrated_power_w = {scene.rated_power_w}\n'
            f"[meters]\nconfirmations = {scene.confirmations}\n{meters}"
            f'[chain]\nid = {deployment["chainId"]}\ngenesis = "{deployment["genesisHash"]}"\n'
            f'contract = "{deployment["address"]}"\ncode_hash = "{deployment["codeHash"]}"\n'
            f"depth = {scene.depth}\n{pins}{nodes}"
            f'[journal]\ndirectory = "{self.state}"\n'
            f'[keystore]\npath = "{self._keystore}"\npassphrase_file = "{self._passphrase}"\n'
            f'[telemetry]\nenabled = true\nhost = "{host}"\nport = {port}\ntls = false\n'
            "acknowledgements = true\nlive_every_s = 5\nreplay_after_s = 10\n"
            f"[clock]\nrequire_synchronised = false\n{scene.settings}"
        )


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
