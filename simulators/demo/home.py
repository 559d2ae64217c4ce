"""One household of the demonstration: what surrounds it, its agent, and who listens to it."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from simulators.collector import Collector
from simulators.demo.narrator import Narrator
from simulators.demo.outcome import HomeOutcome
from simulators.ground import Ground
from simulators.rig import AREA, Rig, Scene, stop_agent


@dataclass(slots=True)
class Home:
    """A household whose agent runs.

    Attributes:
        name: What the demonstration calls it.
        rig: Its meters, key and configuration.
        opening: Both registers at enrolment, Wh.
        collector: Hears its telemetry.
        narrator: Tells its log.
        agent: The running agent.
    """

    name: str
    rig: Rig
    opening: tuple[int, int]
    collector: Collector
    narrator: Narrator
    agent: subprocess.Popen[bytes]

    @classmethod
    def begin(cls, name: str, scene: Scene, ground: Ground, began: float, stack: ExitStack) -> Self:
        """Set everything up, enrol the household and start its agent.

        Args:
            name: What to call it.
            scene: What to set up.
            ground: The market that it joins.
            began: Monotonic seconds at which the demonstration began.
            stack: Ends all of it.

        Raises:
            StartError: A part did not start.
        """
        rig = stack.enter_context(Rig(scene, ground))
        standing = rig.ledger.standing(rig.household)
        collector = stack.enter_context(Collector(rig.broker.address, AREA, rig.household))
        agent = rig.start_agent()
        stack.callback(stop_agent, agent)
        narrator = Narrator(scene.directory / "agent.log", name, began)
        if ground.consortium is not None:
            narrator.rests_on = f"proven under a sealed header, {scene.depth} blocks deep"
        return cls(name, rig, (standing.produced_wh, standing.consumed_wh), collector, narrator, agent)

    @property
    def at_rest(self) -> bool:
        """Whether the contract holds what the meters show."""
        standing = self.rig.ledger.standing(self.rig.household)
        return (standing.produced_wh, standing.consumed_wh) == self.rig.registers()

    def end(self) -> HomeOutcome:
        """Stop the agent and say what it came to."""
        code = stop_agent(self.agent)
        self.narrator.catch_up()
        rig, ledger = self.rig, self.rig.ledger
        told: list[dict[str, Any]] = json.loads(rig.agent("readings", "--limit", "100000", "--json"))["readings"]
        return HomeOutcome(
            name=self.name,
            household=rig.household,
            opening=self.opening,
            wire=rig.registers(),
            standing=ledger.standing(rig.household),
            mined=ledger.readings(rig.household),
            minted_wh=ledger.minted_wh(rig.household),
            burned_wh=ledger.burned_wh(rig.household),
            held=len(self.collector.held()),
            forged=len(self.collector.forged),
            contradictions=len(self.collector.contradictions),
            agent_code=code,
            faults=self.narrator.faults,
            final=sum(reading["state"] == "final" for reading in told),
        )
