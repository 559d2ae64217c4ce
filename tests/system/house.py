"""One rig and its agent, for one fault after the other."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from simulators.collector import Collector
from simulators.frames import Request
from simulators.instrument import Instrument
from simulators.meters import CONSUMPTION, PRODUCTION
from simulators.rig import AREA, Rig, Scene, stop_agent
from simulators.serving import Emission
from tests.system.agreement import assert_agreement, come_to_rest, wait_for_log

# Two cycles of a second each, and one more because these machines have two cores for everything.
MOST_SILENCE_S = 3.5


class House:
    """One rig and its agent, for one fault after the other."""

    def __init__(self, rig: Rig, collector: Collector) -> None:
        self.rig = rig
        self.collector = collector
        self._reads: dict[str, list[float]] = {}
        for name, instrument in ((PRODUCTION, rig.meters.production), (CONSUMPTION, rig.meters.consumption)):
            self._count_reads(name, instrument)
        self.agent = rig.start_agent()
        self._seen = 0

    def _count_reads(self, name: str, instrument: Instrument) -> None:
        reads = self._reads[name] = []
        handle = instrument.handle

        def counted(request: Request) -> Iterable[Emission]:
            reads.append(time.monotonic())
            return handle(request)

        instrument.handle = counted  # type: ignore[method-assign] # the wire looks it up at each request

    def longest_silence_s(self, name: str, since: float) -> float:
        """The longest time for which nobody asked a meter.

        Args:
            name: of the meter.
            since: monotonic seconds from which it is counted.
        """
        reads = [since, *(at for at in list(self._reads[name]) if at > since), time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(reads))

    def polled_since(self, since: float, *, names: Iterable[str] = (PRODUCTION, CONSUMPTION)) -> None:
        """I6: no meter was left alone for longer than two cycles, and one for a busy machine."""
        for name in names:
            assert self.longest_silence_s(name, since) < MOST_SILENCE_S, f"{name} was not polled"

    def wait_for(self, event: str, *, within_s: float = 40.0) -> dict[str, object]:
        """Wait for an event that is newer than the last one waited for."""
        deadline = time.monotonic() + within_s
        while True:
            lines = (self.rig.scene.directory / "agent.log").read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines[self._seen :], start=self._seen + 1):
                told: dict[str, object] = json.loads(line)
                if told["event"] == event:
                    self._seen = number
                    return told
            assert time.monotonic() < deadline, f"no {event} after {lines[self._seen - 1 :][-20:]}"
            time.sleep(0.05)

    def wait_for_all(self, *events: str, within_s: float = 40.0) -> None:
        """Wait for events that are newer than the last one waited for, in whatever order they come."""
        since, newest = self._seen, self._seen
        for event in events:
            self._seen = since
            self.wait_for(event, within_s=within_s)
            newest = max(newest, self._seen)
        self._seen = newest

    def skip(self) -> None:
        """What is in the log by now is not waited for."""
        self._seen = len((self.rig.scene.directory / "agent.log").read_text(encoding="utf-8").splitlines())

    def wait_until(self, condition: Callable[[], bool], what: str, *, within_s: float = 40.0) -> None:
        """Wait for something outside the log."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come within {within_s:g} s"
            time.sleep(0.1)

    def goes_on(self) -> None:
        """A reading that is taken from now on becomes final."""
        now = int(time.time())
        self.wait_until(lambda: self.rig.ledger.standing(self.rig.household).taken_at > now, "a new reading")

    def agrees(self, *, within_s: float = 60.0) -> None:
        """Journal, chain and telemetry agree on everything up to now (I1 to I4)."""
        assert_agreement(self.rig, self.collector, come_to_rest(self.rig, self.collector, within_s=within_s))

    def restart(self) -> None:
        """Start the agent again, as the service manager does when it has ended."""
        self.skip()
        self.agent = self.rig.start_agent()
        self.wait_for("agent.started")

    def log(self) -> list[dict[str, object]]:
        """Everything that the agent has said."""
        lines = (self.rig.scene.directory / "agent.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def lived_in(scene: Scene, ready: Callable[[Rig], None] = lambda _: None) -> Iterator[House]:
    """A house whose readings have begun to be final.

    Args:
        scene: what to set up.
        ready: called before the agent starts, for instance to put something between it and a meter.
    """
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(scene))
        ready(rig)
        collector = stack.enter_context(Collector(rig.broker.address, AREA, rig.household))
        house = House(rig, collector)
        stack.callback(lambda: stop_agent(house.agent))
        wait_for_log(rig, "transaction.final", 2, within_s=60)
        yield house
