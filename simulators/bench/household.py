"""One agent with two meters, a chain and a broker, watched from outside."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from simulators.bench import latency
from simulators.bench.disk import LoopDisk, Written, age_log, log_bytes
from simulators.bench.figures import BenchError
from simulators.bench.process_cost import Standing
from simulators.bench.traffic import CountingProxy, Traffic
from simulators.collector import Collector
from simulators.rig import AREA, Rig, Scene, stop_agent

_LOOK_S: Final = 0.2
_START_S: Final = 60.0
# The agent asks for the contract's parameters every 15 s.
_FOLLOW_S: Final = 45.0
# A window begins and ends so long after an interval's end, and so long before the next, that what an end causes
# (sealing, sending, following to depth) falls wholly inside or outside. Seconds, or a share of a shorter period.
_AFTER_S, _AFTER_SHARE = 15.0, 0.6
_BEFORE_S, _BEFORE_SHARE = 3.0, 0.1


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything that is counted, at one moment.

    Attributes:
        process: The daemon.
        traffic: Between it and the full node.
        written: To its disk; None where it has none of its own.
    """

    process: Standing
    traffic: Traffic
    written: Written | None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time between two moments.

    Attributes:
        begin: Its first moment.
        end: Its last moment.
        intervals: How many intervals ended in it.
        period_s: The reporting period in force, seconds.
    """

    begin: Moment
    end: Moment
    intervals: int
    period_s: int

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end.process.at - self.begin.process.at


class Household:
    """The agent under measurement. Use it as a context manager.

    Args:
        directory: For everything that is written.
        period_s: The reporting period to begin with, seconds.
        disk: Where the agent's state goes, to count what is written; its ordinary place where it is left out.

    Raises:
        StartError: A part did not start, or a command failed; with its own words.
    """

    def __init__(self, directory: Path, period_s: int, disk: LoopDisk | None = None) -> None:
        self._disk = disk
        self._stack = ExitStack()
        self._period_s = period_s
        self._agent: subprocess.Popen[bytes] | None = None
        # Time is not accelerated: what a meter says, and how fast its register moves, is as in a house.
        self._scene = Scene(
            directory=directory,
            period_s=period_s,
            speed=1.0,
            state=disk.mount_point / "state" if disk else None,
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.rig = stack.enter_context(Rig(self._scene))
            self._proxy = stack.enter_context(CountingProxy(self.rig.chain.address))
            self.rig.use_nodes([self._proxy.url])
            self.collector = stack.enter_context(Collector(self.rig.broker.address, AREA, self.rig.household))
            stack.callback(self.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def log(self) -> Path:
        """What the agent says."""
        return self.rig.scene.directory / "agent.log"

    def start(self) -> float:
        """Start the daemon and wait until it says that it runs; how long that took, seconds."""
        before = self._said("agent.started")
        began = time.time()
        self._agent = self.rig.start_agent()
        self._await(lambda: len(self._lines("agent.started")) > before, "agent.started", _START_S)
        return latency.moment(self._lines("agent.started")[-1]) - began

    def stop(self) -> None:
        """End the daemon in good order. Doing it twice is doing it once.

        Raises:
            BenchError: It ended with an error; its log says which.
        """
        agent, self._agent = self._agent, None
        if agent is not None and (code := stop_agent(agent)):
            raise BenchError(f"the agent ended with code {code}; its log ends with:\n{self._tail()}")

    def let_pass(self, intervals: int) -> None:
        """Wait until so many readings have been sent and mined since now."""
        wanted = len(self.rig.ledger.readings(self.rig.household)) + intervals
        self._await(
            lambda: len(self.rig.ledger.readings(self.rig.household)) >= wanted,
            f"{intervals} mined readings",
            (intervals + 2) * self._period_s + _START_S,
        )

    def latencies(self) -> list[float]:
        """Seconds from each interval's end to its reading in the full node's mempool."""
        return latency.latencies(latency.told(self.log), self.rig.ledger.readings(self.rig.household), self._period_s)

    def set_period(self, period_s: int) -> None:
        """Change the reporting period on the chain, and wait until the agent goes by it."""
        directory = self._scene.directory
        self.rig.operator(
            *("parameters", "--reporting-period", str(period_s), "--node", self.rig.chain.url),
            *("--keystore", str(directory / "operator-key.json")),
            *("--passphrase-file", str(directory / "operator-passphrase")),
            *("--deployments", str(directory / "deployments"), "--state-dir", str(directory / "operator")),
        )
        # Out of the journal: the log tells of changes at most once a minute.
        self._await(lambda: self._follows(period_s), f"period of {period_s} s in the agent's status", _FOLLOW_S)
        self._period_s = period_s

    def window(self, seconds: int) -> Window:
        """Watch for a while, from when the last interval's end is over.

        Args:
            seconds: A whole number of periods, or a small part of one.
        """
        period = self._period_s
        earliest = min(_AFTER_S, _AFTER_SHARE * period)
        latest = period - min(_BEFORE_S, _BEFORE_SHARE * period)
        while not earliest <= time.time() % period <= latest:
            time.sleep(_LOOK_S)
        ended = self._said("interval.closed")
        begin = self.moment()
        deadline = begin.process.at + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._check_running()
            time.sleep(min(left, 1.0))
        end = self.moment()
        return Window(begin, end, self._said("interval.closed") - ended, self._period_s)

    def moment(self) -> Moment:
        """Count everything now."""
        if self._agent is None:
            raise BenchError("the agent does not run; start it first")
        return Moment(Standing.of(self._agent.pid), self._proxy.passed(), self.written())

    def written(self) -> Written | None:
        """What has been written to its disk."""
        if self._disk is None:
            return None
        return Written(time.monotonic(), self._disk.written(), log_bytes(self._journal_log))

    def age(self) -> None:
        """Start the daemon again on the write-ahead log that it has after some hours."""
        self.stop()
        age_log(self._journal_log)
        self.start()
        self.let_pass(1)

    @property
    def _journal_log(self) -> Path:
        return self.rig.state / "journal.sqlite-wal"

    def faults(self) -> dict[str, int]:
        """Warnings and errors in the log, with how often; those of a development chain are left out."""
        found: dict[str, int] = {}
        for line in latency.told(self.log):
            if line["level"] in {"warning", "error"} and line["event"] not in {"chain.unproven", "clock.unchecked"}:
                found[line["event"]] = found.get(line["event"], 0) + 1
        return found

    def _follows(self, period_s: int) -> bool:
        parameters = json.loads(self.rig.agent("status", "--json"))["parameters"]
        return parameters is not None and int(parameters["reportingPeriodS"]) == period_s

    def _said(self, event: str) -> int:
        return len(self._lines(event))

    def _lines(self, event: str) -> list[dict[str, Any]]:
        return list(self._saying(event))

    def _saying(self, event: str) -> Iterator[dict[str, Any]]:
        if self.log.exists():
            yield from (line for line in latency.told(self.log) if line["event"] == event)

    def _await(self, happened: Callable[[], bool], what: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not happened():
            self._check_running()
            if time.monotonic() > deadline:
                raise BenchError(f"no {what} within {within_s:g} s; the agent's log ends with:\n{self._tail()}")
            time.sleep(_LOOK_S)

    def _check_running(self) -> None:
        if self._agent is not None and self._agent.poll() is not None:
            raise BenchError(f"the agent ended by itself with code {self._agent.returncode}:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-10:])
