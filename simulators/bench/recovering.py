"""Recovery: how long after a fault of a consortium the next reading of a household is final."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from simulators.bench.figures import BenchError, Figure, Section
from simulators.bench.latency import final_after, told
from simulators.consortium.geth import find_geth
from simulators.consortium.network import Network, Plan
from simulators.rig import Rig, Scene, stop_agent

NAME: Final = "consortium"
LIMIT_S: Final = 30.0
"""Two intervals, four blocks, and the ten seconds after which a node that fell behind asks for what it lacks."""

_UNHURT: Final = "without any fault"
_PERIOD_S: Final = 5
_LOOK_S: Final = 0.2
_MOST_S: Final = 180.0
# For so long a part is away.
_AWAY_S: Final = 15.0
# The household's own area is the third.
_OWN: Final = 2
_OTHERS: Final = (0, 1)
_HOW: Final = (
    "three areas, one validator each (go-ethereum, Clique, a block a second); an interval of 5 s, 3 blocks deep;"
    " from the fault, or from its end, to the first reading taken later that is final"
)


def measure(say: Callable[[str], None]) -> Section:
    """Let a household report to a consortium, and hurt the consortium.

    Args:
        say: Told how far it is.

    Raises:
        BenchError: No reading became final again.
        StartError: A part did not start.
    """
    if find_geth() is None:
        remark = "no go-ethereum that seals Clique: run .ci/setup consortium"
        return Section(NAME, _HOW, [Figure("recovery after a fault of the consortium", None, "s", remark=remark)])
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        say("consortium: starting three full nodes, deploying the market")
        rig = stack.enter_context(Rig(Scene(directory / "rig", period_s=_PERIOD_S, consortium=Plan())))
        agent = rig.start_agent()
        stack.callback(stop_agent, agent)
        _recovered(rig, time.time())
        network = rig.market.network
        return Section(NAME, _HOW, [_figure(*each) for each in _faults(rig, network, say)])


def _faults(rig: Rig, network: Network, say: Callable[[str], None]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []

    def after(what: str, *steps: Callable[[], object]) -> None:
        say(f"consortium: {what}")
        since = time.time()
        for step in steps:
            step()
        found.append((what, _recovered(rig, since)))

    after(_UNHURT)
    network.await_same_head(within_s=_MOST_S)
    after("the own area's node is killed", lambda: network.kill(_OWN))
    after("it is started again", lambda: network.start(_OWN))
    network.await_agreement(within_s=_MOST_S)
    after("the own area is cut off from the others", lambda: network.partition((_OWN,), _OTHERS))
    time.sleep(_AWAY_S)
    after("it is connected again", network.heal)
    network.await_agreement(within_s=_MOST_S)
    network.kill(*range(len(network.nodes)))
    time.sleep(_AWAY_S)
    after("all nodes are started again after 15 s without power", network.start)
    return found


def _figure(what: str, seconds: float) -> Figure:
    return Figure(f"next final reading: {what}", seconds, "s", None if what == _UNHURT else LIMIT_S)


def _recovered(rig: Rig, since: float) -> float:
    """Seconds from a moment until a reading that was taken after it is final to the agent."""
    log = rig.scene.directory / "agent.log"
    deadline = time.monotonic() + _MOST_S
    while time.monotonic() < deadline:
        if log.exists():
            found = final_after(told(log), rig.ledger.readings(rig.household), since)
            if found is not None:
                return found
        time.sleep(_LOOK_S)
    raise BenchError(f"no reading became final within {_MOST_S:g} s; see the end of the log:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8").splitlines()[-10:]) if log.exists() else "(no log)"
