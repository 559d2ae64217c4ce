"""A household on a consortium of three areas: one node stops, the network is cut apart, all lose power at once.

Whatever happens, each interval is on the chain exactly once, and readings become final again by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from simulators.bench.latency import final_after, told
from simulators.consortium.geth import find_geth
from simulators.consortium.network import Network, Plan
from simulators.rig import Scene
from tests.system.house import House, lived_in

PERIOD_S: Final = 3
AGREE_S: Final = 60.0
# Three blocks deep, two intervals, and the ten seconds after which a node that fell behind asks for what it lacks.
RECOVERED_S: Final = 45.0
OWN: Final = 2  # the household's own area

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(find_geth() is None, reason="no go-ethereum that seals Clique: run .ci/setup consortium"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("consortium") / "rig"
    scene = Scene(directory=directory, period_s=PERIOD_S, speed=60.0, consortium=Plan())
    with lived_in(scene) as one:
        yield one


@pytest.fixture
def network(house: House) -> Network:
    return house.rig.market.network


def final(house: House, since: float) -> float | None:
    """Seconds from a moment until a reading that was taken after it was final; None while none is."""
    rig = house.rig
    return final_after(told(rig.scene.directory / "agent.log"), rig.ledger.readings(rig.household), since)


def recovers(house: House, what: str, since: float) -> None:
    house.wait_until(lambda: final(house, since) is not None, f"a final reading after {what}", within_s=RECOVERED_S)
    print(f"consortium: {what}: the next reading was final after {final(house, since):.1f} s")


def test_the_own_areas_node_is_killed_and_comes_back(house: House, network: Network) -> None:
    network.await_same_head(within_s=AGREE_S)
    since = time.time()
    network.kill(OWN)
    recovers(house, "the own area's node was killed", since)
    since = time.time()
    network.start(OWN)
    recovers(house, "it was started again", since)
    network.await_agreement(within_s=AGREE_S)


def test_the_own_area_is_cut_off_and_connected_again(house: House, network: Network) -> None:
    since = time.time()
    network.partition([OWN], [0, 1])
    recovers(house, "the own area was cut off", since)
    time.sleep(2 * PERIOD_S)
    since = time.time()
    network.heal()
    recovers(house, "it was connected again", since)
    network.await_agreement(within_s=AGREE_S)


def test_while_no_two_areas_talk_nothing_is_final_and_afterwards_everything(house: House, network: Network) -> None:
    network.partition([0], [1], [2])
    time.sleep(2 * PERIOD_S)  # what was deep enough by then may still be told
    since = time.time()
    time.sleep(3 * PERIOD_S)
    assert final(house, since) is None
    since = time.time()
    network.heal()
    recovers(house, "no two areas talked", since)
    network.await_agreement(within_s=AGREE_S)


def test_all_nodes_lose_power_at_once(house: House, network: Network) -> None:
    network.kill(0, 1, 2)
    time.sleep(3 * PERIOD_S)
    since = time.time()
    network.start()
    recovers(house, "all nodes were started again", since)


def test_each_interval_is_on_the_chain_exactly_once(house: House, network: Network) -> None:
    network.await_agreement(within_s=AGREE_S)
    house.agrees()
    assert all(sealer.running for sealer in network.nodes)
