"""The demonstration: two simulated meters, a chain, a broker and the agent; `python -m simulators.demo --help`."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from simulators.collector import Collector
from simulators.control import ControlSocket, answer
from simulators.ledger import Mined, Standing
from simulators.process import StartError
from simulators.rig import AREA, Rig, Scene, stop_agent

_ROOT: Final = Path(__file__).resolve().parent.parent
_DIRECTORY: Final = _ROOT / ".demo"
# After the meters stand still, the last interval must close, be mined and lie deep enough.
_SETTLE_S: Final = 45.0
_LOOK_S: Final = 0.2
# What a shell says of a program that Ctrl-C ended.
_INTERRUPTED: Final = 130
# Readings that may be mined and not final yet when the agent is told to stop.
_YOUNG: Final = 2
# The bits of a reading's flags, from the contract's interface.
_FLAGS: Final = {1: "production held", 2: "consumption held", 4: "late"}


@dataclass(slots=True)
class Narrator:
    """Tells what the agent's log says, one line a fact.

    Attributes:
        faults: Names of the warnings and errors that were told, with how often.
    """

    log: Path
    began: float = field(default_factory=time.monotonic)
    faults: dict[str, int] = field(default_factory=dict)
    _read: int = 0

    def catch_up(self) -> None:
        """Tell what is new in the log."""
        with self.log.open(encoding="utf-8") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith("\n"):
                    break
                self._read += len(line.encode())
                self._tell(line)

    def say(self, what: str) -> None:
        """Print one line with the seconds since the start."""
        print(f"{time.monotonic() - self.began:7.1f}  {what}", flush=True)

    def _tell(self, line: str) -> None:
        try:
            told: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            self.say(f"log       {line.rstrip()}")
            return
        event, level = str(told.get("event")), str(told.get("level"))
        if level in {"warning", "error"}:
            self.faults[event] = self.faults.get(event, 0) + 1
            said = " → ".join(str(told[name]) for name in ("problem", "advice") if told.get(name))
            self.say(f"{level:9} {' '.join((event, *_subject(told)))}: {said}")
        elif event == "interval.closed":
            self.say(
                f"signed    interval to {time.strftime('%H:%M:%S', time.gmtime(told['interval_end']))}Z:"
                f" produced {told['produced_wh'] / 1000:.3f} kWh, consumed {told['consumed_wh'] / 1000:.3f} kWh"
                + "".join(f", {meaning}" for bit, meaning in _FLAGS.items() if told["flags"] & bit)
            )
        elif event == "transaction.sent":
            self.say(f"sent      {told['kind']} {told['tx_hash'][:18]}… is in the mempool")
        elif event == "transaction.included":
            self.say(f"included  {told['kind']} {told['tx_hash'][:18]}… in block {told['block']}")
        elif event == "transaction.final":
            self.say(f"FINAL     {told['kind']} {told['tx_hash'][:18]}… (unproven: a development chain seals nothing)")
        elif event in {"meter.back", "broker.back", "parameters.changed", "epoch.opened", "agent.started"}:
            self.say(f"          {' '.join((event, *_subject(told)))}")


def _subject(told: dict[str, Any]) -> tuple[str, ...]:
    return (str(told["meter"]),) if "meter" in told else ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demonstration ended with.

    Attributes:
        opening: Both registers at enrolment, Wh.
        wire: Both registers on the wire at the end, Wh.
        standing: What the contract holds.
        mined: The readings in the chain's log.
        minted_wh: Tokens minted.
        held: Readings that the collector holds, verified.
        forged: Readings whose signature is not the household's.
        contradictions: Readings that came again with another content.
        agent_code: The agent's exit code.
        faults: Warnings and errors in the agent's log.
        final: Readings that the agent calls final.
    """

    opening: tuple[int, int]
    wire: tuple[int, int]
    standing: Standing
    mined: list[Mined]
    minted_wh: int
    held: int
    forged: int
    contradictions: int
    agent_code: int
    faults: dict[str, int]
    final: int

    def checks(self) -> Iterator[tuple[bool, str]]:
        """Each claim with whether it holds."""
        produced = self.standing.produced_wh - self.opening[0]
        sequences = [(reading.epoch, reading.sequence) for reading in self.mined]
        young = len(self.mined) - self.final
        yield (
            self.final > 0 and 0 <= young <= _YOUNG,
            f"{self.final} readings became final"
            + (f"; {young} more on the chain, not deep enough yet" if young else ""),
        )
        yield len(set(sequences)) == len(sequences), "each of them exactly once"
        yield (
            self.minted_wh == produced == self.standing.tokens_wh,
            f"energy tokens minted {self.minted_wh / 1000:.3f} = energy produced {produced / 1000:.3f} kWh, to the Wh",
        )
        on_chain = (self.standing.produced_wh, self.standing.consumed_wh)
        yield on_chain == self.wire, f"the contract's registers {on_chain} Wh = the meters' {self.wire} Wh"
        yield (
            self.held >= len(self.mined) and not self.forged and not self.contradictions,
            f"{self.held} signed readings received over MQTT, each verifies to the household's address",
        )
        yield self.agent_code == 0, f"the agent ended in good order (exit code {self.agent_code})"


class Demo:
    """One demonstration.

    Args:
        seconds: How long the main job runs; None until a signal.
        mute: A meter that falls silent for a third of the time.
        commands: Where commands for the meters are typed, if anywhere.
    """

    def __init__(self, seconds: float | None, mute: str | None, commands: TextIO | None) -> None:
        self._seconds = seconds
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
        """Set up, run, sum up; returns the exit code."""
        shutil.rmtree(_DIRECTORY, ignore_errors=True)
        print("demo: starting a chain, a broker and two meters; deploying the market; enrolling the household …")
        with ExitStack() as stack:
            rig = stack.enter_context(Rig(Scene(directory=_DIRECTORY)))
            if self._stopped.is_set():
                print("demo: stopped before it began")
                return _INTERRUPTED
            opening = rig.ledger.standing(rig.household)
            collector = stack.enter_context(Collector(rig.broker.address, AREA, rig.household))
            control = stack.enter_context(ControlSocket(_DIRECTORY / "control", rig.meters.commands()))
            agent = rig.start_agent()
            stack.callback(stop_agent, agent)
            self._introduce(rig, control.path)
            narrator = Narrator(_DIRECTORY / "agent.log")
            self._watch(rig, narrator, agent)
            if agent.poll() is None:
                self._settle(rig, narrator)
            code = stop_agent(agent)
            narrator.catch_up()
            outcome = Outcome(
                opening=(opening.produced_wh, opening.consumed_wh),
                wire=rig.registers(),
                standing=rig.ledger.standing(rig.household),
                mined=rig.ledger.readings(rig.household),
                minted_wh=rig.ledger.minted_wh(rig.household),
                held=len(collector.held()),
                forged=len(collector.forged),
                contradictions=len(collector.contradictions),
                agent_code=code,
                faults=narrator.faults,
                final=_final(rig),
            )
        return _sum_up(outcome)

    def _introduce(self, rig: Rig, control: Path) -> None:
        host, port = rig.broker.address
        agent = f".venv/bin/prosumer-agent --config {_shown(rig.configuration)}"
        print(
            f"demo: household {rig.household} in area {AREA}; an interval is {rig.scene.period_s} s here and stands for"
            f" {rig.scene.period_s * rig.scene.speed / 60:.0f} minutes of the household's day\n"
            "demo: look further, from another terminal:\n"
            f"  {agent} status\n"
            f"  {agent} readings\n"
            f"  {agent} check    (the running agent holds the serial line of the consumption meter)\n"
            f"  mosquitto_sub -h {host} -p {port} -V 5 -t 'energy/v1/#' -v\n"
            f"  the chain's JSON-RPC: {rig.chain.url}   the broker: mqtt://{host}:{port}\n"
            f"  the agent's log: {_shown(_DIRECTORY / 'agent.log')}\n"
            "demo: break something: type 'silence production', 'restore production', 'spike consumption',\n"
            f"  'reset production' … here ('help' lists all), or send it to the socket {_shown(control)}\n",
            flush=True,
        )

    def _watch(self, rig: Rig, narrator: Narrator, agent: subprocess.Popen[bytes]) -> None:
        if self._commands is not None:
            threading.Thread(target=self._listen, args=(rig, self._commands), daemon=True).start()
        until = float("inf") if self._seconds is None else narrator.began + self._seconds
        mute_at = narrator.began + (self._seconds or 60.0) / 3
        speak_at = narrator.began + (self._seconds or 60.0) * 2 / 3
        mute = self._mute
        speak: str | None = None
        while not self._stopped.wait(_LOOK_S) and time.monotonic() < until:
            narrator.catch_up()
            if agent.poll() is not None:
                narrator.say(f"the agent ended by itself with code {agent.returncode}")
                return
            if mute and time.monotonic() >= mute_at:
                narrator.say(f"demo      the {mute} meter falls silent; the other goes on")
                answer(rig.meters.commands(), f"silence {mute}")
                mute, speak = None, mute
            if speak and time.monotonic() >= speak_at:
                narrator.say(f"demo      the {speak} meter answers again")
                answer(rig.meters.commands(), f"restore {speak}")
                speak = None

    @staticmethod
    def _listen(rig: Rig, commands: TextIO) -> None:
        for line in commands:
            if line.strip():
                print(f"          {_understood(answer(rig.meters.commands(), line))}", flush=True)

    def _settle(self, rig: Rig, narrator: Narrator) -> None:
        """Let the registers stand still, and wait until the chain has caught up with them."""
        narrator.say("demo      the meters' registers stand still now; the last interval becomes final …")
        for command in ("restore", "freeze"):
            answer(rig.meters.commands(), command)
        deadline = time.monotonic() + _SETTLE_S
        quiet_from = None
        while time.monotonic() < deadline and not self._hurried.wait(_LOOK_S):
            narrator.catch_up()
            standing = rig.ledger.standing(rig.household)
            if (standing.produced_wh, standing.consumed_wh) != rig.registers():
                continue
            if quiet_from is None:
                quiet_from = time.monotonic()
            # Deep enough, and a little longer for the agent to see it.
            if time.monotonic() - quiet_from > (rig.scene.depth + 1) * rig.scene.block_s + 4:
                return


def _understood(answered: str) -> str:
    """What a command answered, for a person; a wrong command's answer lists the right ones."""
    told: dict[str, Any] = json.loads(answered)
    if not told.pop("ok"):
        return str(told["error"])
    return json.dumps(told) if told else "done"


def _final(rig: Rig) -> int:
    told = json.loads(rig.agent("readings", "--limit", "100000", "--json"))["readings"]
    return sum(reading["state"] == "final" for reading in told)


def _shown(path: Path) -> str:
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else str(path)


def _sum_up(outcome: Outcome) -> int:
    print("\nsummary:")
    good = True
    for holds, claim in outcome.checks():
        good &= holds
        print(f"  {'ok ' if holds else 'NOT'}  {claim}")
    if outcome.faults:
        told = ", ".join(f"{event} x{count}" for event, count in sorted(outcome.faults.items()))
        print(f"  told while it ran: {told}")
    held = [reading for reading in outcome.mined if reading.flags & 3]
    if held:
        print(f"  {len(held)} readings went on with one meter silent: its register was held, and said so in the flags")
    print("demo: " + ("everything holds" if good else "something does not hold; see .demo/agent.log"))
    return 0 if good else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration.

    Returns:
        0 only if readings became final and every claim of the summary holds.
    """
    parser = argparse.ArgumentParser(prog="python -m simulators.demo", description=__doc__)
    parser.add_argument("--for", dest="seconds", type=float, help="end by itself after this many seconds")
    parser.add_argument(
        "--mute", choices=["production", "consumption"], help="let this meter fall silent in the middle"
    )
    asked = parser.parse_args(arguments)
    try:
        return Demo(asked.seconds, asked.mute, sys.stdin if sys.stdin.isatty() else None).run()
    except StartError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
