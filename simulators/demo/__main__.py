"""Two households with their meters, a chain, a broker and two agents: `python -m simulators.demo --help`."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TextIO

from simulators.consortium.network import Plan
from simulators.control import ControlSocket, answer, listens
from simulators.demo.home import Home
from simulators.demo.outcome import MarketOutcome
from simulators.demo.scenes import PRICES, SHADY, SUNNY, scene
from simulators.ground import Ground
from simulators.invoices import compared, issue
from simulators.process import StartError
from simulators.rig import AREA

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_DIRECTORY: Final = _ROOT / ".demo"
# After the meters stand still, the last interval must close, be mined and lie deep enough.
_SETTLE_S: Final = 45.0
_LOOK_S: Final = 0.2
# What a shell says of a program that Ctrl-C ended.
_INTERRUPTED: Final = 130
# A demonstration that ran for so long must have seen a trade: tokens come with the second interval, an order with the
# third, and the neighbour's turn comes after that.
_TRADE_S: Final = 45.0


class Demo:
    """One demonstration.

    Args:
        seconds: How long the main job runs; None until a signal.
        mute: A meter of the sunny household that falls silent for a third of the time.
        commands: Where commands for its meters are typed, if anywhere.
        consortium: The full nodes that seal the chain; a development node alone where it is None.
    """

    def __init__(
        self, seconds: float | None, mute: str | None, commands: TextIO | None, consortium: Plan | None = None
    ) -> None:
        self._seconds = seconds
        self._consortium = consortium
        self._mute = mute
        self._commands = commands
        self._stopped = threading.Event()
        self._hurried = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked_to_stop)

    def _asked_to_stop(self, *_: object) -> None:
        """The first signal ends the main job, a second one the wait for the last interval too."""
        if self._stopped.is_set():
            self._hurried.set()
        self._stopped.set()

    def run(self) -> int:
        """Set up, run, sum up; returns the exit code.

        Raises:
            StartError: A part did not start, or another demonstration runs here, whose files these would be.
        """
        if listens(_DIRECTORY / "control"):
            raise StartError(f"another demonstration runs in {_shown(_DIRECTORY)}: end it first, with Ctrl-C there")
        shutil.rmtree(_DIRECTORY, ignore_errors=True)
        nodes = "a chain" if self._consortium is None else f"{self._consortium.validators} areas' full nodes"
        print(f"demo: starting {nodes} and a broker, deploying the market …", flush=True)
        with ExitStack() as stack:
            ground = stack.enter_context(Ground(_DIRECTORY, prices=PRICES, consortium=self._consortium))
            homes: list[Home] = []
            began = time.monotonic()
            for name in (SUNNY, SHADY):
                if self._stopped.is_set():
                    print("demo: stopped before it began")
                    return _INTERRUPTED
                print(f"demo: wiring two meters and enrolling the {name} household …", flush=True)
                homes.append(Home.begin(name, scene(name, _DIRECTORY / name), ground, began, stack))
            control = stack.enter_context(ControlSocket(_DIRECTORY / "control", homes[0].rig.meters.commands()))
            self._introduce(homes, control.path)
            watched_s = self._watch(homes)
            if all(home.agent.poll() is None for home in homes):
                self._settle(homes)
            print("demo: the agents end, and both sides' invoices are held against each other …", flush=True)
            ended = [home.end() for home in homes]
            rigs = {home.name: home.rig for home in homes}
            issued = issue(ground, rigs).items()
            differences = {name: list(compared(rigs[name], file)["differences"]) for name, file in issued}
            outcome = MarketOutcome(
                homes=ended,
                sales=ground.ledger.sales(),
                supply_wh=ground.ledger.supply_wh(),
                escrow_wh=ground.ledger.escrow_wh(),
                differences=differences,
            )
        return _sum_up(outcome, trades_expected=watched_s >= _TRADE_S)

    def _introduce(self, homes: list[Home], control: Path) -> None:
        rig = homes[0].rig
        host, port = rig.broker.address
        agent = f".venv/bin/prosumer-agent --config {_shown(rig.configuration)}"
        print(
            f"demo: an interval is {rig.scene.period_s} s here and stands for"
            f" {rig.scene.period_s * rig.scene.speed / 60:.0f} minutes of the households' day"
        )
        for home in homes:
            print(f"demo: {home.name} is {home.rig.household}, area {AREA}, log {_shown(home.narrator.log)}")
        proof = f"  {agent} evidence export --readings    (then: evidence verify evidence-readings.json)\n"
        subscriber = missing("mosquitto_sub", "mosquitto-clients")
        print(
            "demo: look further, from another terminal:\n"
            f"  {agent} status\n"
            f"  {agent} readings\n"
            f"  {agent} orders\n"
            f"  {agent} orders --explain\n"
            f"  {agent} wallet\n"
            f"{'' if rig.market.consortium is None else proof}"
            f"  {agent} check    (the running agent holds the serial line of the consumption meter)\n"
            f"  mosquitto_sub -h {host} -p {port} -V 5 -t 'energy/v1/#' -v{subscriber}\n"
            f"{_chains(rig.market)}"
            f"  the broker: mqtt://{host}:{port}\n"
            "demo: break something of the sunny household: type 'silence production', 'restore production',\n"
            "  'spike consumption', 'reset production' … here ('help' lists all), or send it to the socket"
            f" {_shown(control)}\n",
            flush=True,
        )

    def _watch(self, homes: list[Home]) -> float:
        """Tell what happens until the time is over; returns for how long that was, seconds."""
        if self._commands is not None:
            threading.Thread(target=self._listen, args=(homes[0], self._commands), daemon=True).start()
        began = time.monotonic()
        seconds = self._seconds or 60.0
        until = float("inf") if self._seconds is None else began + seconds
        mute = self._mute
        speak: str | None = None
        while not self._stopped.wait(_LOOK_S) and time.monotonic() < until:
            for home in homes:
                home.narrator.catch_up()
                if home.agent.poll() is not None:
                    home.narrator.say(f"the agent ended by itself with code {home.agent.returncode}")
                    return time.monotonic() - began
            first = homes[0]
            if mute and time.monotonic() >= began + seconds / 3:
                first.narrator.say(f"demo      the {mute} meter falls silent; the other goes on")
                answer(first.rig.meters.commands(), f"silence {mute}")
                mute, speak = None, mute
            if speak and time.monotonic() >= began + seconds * 2 / 3:
                first.narrator.say(f"demo      the {speak} meter answers again")
                answer(first.rig.meters.commands(), f"restore {speak}")
                speak = None
        return time.monotonic() - began

    @staticmethod
    def _listen(home: Home, commands: TextIO) -> None:
        for line in commands:
            if line.strip():
                print(f"          {_understood(answer(home.rig.meters.commands(), line))}", flush=True)

    def _settle(self, homes: list[Home]) -> None:
        """Let the registers stand still, and wait until the chain has caught up with them."""
        homes[0].narrator.say("demo      the meters' registers stand still now; the last interval becomes final …")
        for home in homes:
            for command in ("restore", "freeze"):
                answer(home.rig.meters.commands(), command)
        scene = homes[0].rig.scene
        deadline = time.monotonic() + _SETTLE_S
        quiet_from = None
        while time.monotonic() < deadline and not self._hurried.wait(_LOOK_S):
            for home in homes:
                home.narrator.catch_up()
            if not all(home.at_rest for home in homes):
                continue
            if quiet_from is None:
                quiet_from = time.monotonic()
            # Deep enough, and a little longer for the agents to see it.
            if time.monotonic() - quiet_from > (scene.depth + 1) * scene.block_s + 4:
                return


def _understood(answered: str) -> str:
    """What a command answered, for a person; a wrong command's answer lists the right ones."""
    told: dict[str, Any] = json.loads(answered)
    if not told.pop("ok"):
        return str(told["error"])
    return json.dumps(told) if told else "done"


def missing(program: str, package: str) -> str:
    """What to add to a printed command whose program this machine has not; nothing if it has."""
    return "" if shutil.which(program) else f"    (needs: sudo apt-get install {package})"


def _chains(ground: Ground) -> str:
    """Where the chain's JSON-RPC is, a line for each full node."""
    if ground.consortium is None:
        return f"  the chain's JSON-RPC: {ground.serving.url}\n"
    nodes = "".join(
        f"  full node of {node.area}: {node.url}, log {_shown(node.log)}\n" for node in ground.network.nodes
    )
    options = " ".join(_shown(Path(word)) if word.startswith("/") else word for word in ground.chain_options)
    return f"{nodes}  .venv/bin/prosumer-operator consensus {options}    (who sealed which blocks)\n"


def _shown(path: Path) -> str:
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else str(path)


def _sum_up(outcome: MarketOutcome, *, trades_expected: bool) -> int:
    print("\nsummary:")
    good = True
    parts = [(home.name, home.claims(), home.remarks()) for home in outcome.homes]
    parts.append(("market", outcome.claims(trades_expected=trades_expected), iter(())))
    for name, claims, remarks in parts:
        for holds, claim in claims:
            good &= holds
            print(f"  {'ok ' if holds else 'NOT'}  {name:6}  {claim}")
        for remark in remarks:
            print(f"       {name:6}  {remark}")
    print("demo: " + ("everything holds" if good else f"something does not hold; see {_shown(_DIRECTORY)}/*/agent.log"))
    return 0 if good else 1


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; 60 is, and without it Ctrl-C ends it")
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration.

    Returns:
        0 only if readings became final and every claim of the summary holds.
    """
    parser = argparse.ArgumentParser(prog="python -m simulators.demo", description=__doc__)
    parser.add_argument(
        "--for", dest="seconds", type=_seconds, metavar="SECONDS", help="end by itself after this many seconds"
    )
    parser.add_argument(
        "--mute",
        choices=["production", "consumption"],
        help="let this meter of the sunny household fall silent in the middle",
    )
    parser.add_argument(
        "--consortium",
        action="store_true",
        help="on a chain that the full nodes of three areas seal, instead of a development node",
    )
    asked = parser.parse_args(arguments)
    consortium = Plan() if asked.consortium else None
    try:
        return Demo(asked.seconds, asked.mute, sys.stdin if sys.stdin.isatty() else None, consortium).run()
    except StartError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
