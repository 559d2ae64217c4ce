"""FAULTS 30 to 33: with two full nodes, a bad first one loses no interval and doubles none."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from simulators.collector import Collector
from simulators.proxy import RpcMode, RpcProxy
from simulators.rig import AREA, Rig, Scene, stop_agent
from tests.system.agreement import assert_agreement, come_to_rest, wait_for_log

pytestmark = [pytest.mark.integration, pytest.mark.waiting]

PERIOD_S = 2


def _silent(proxy: RpcProxy) -> None:
    proxy.set_mode(RpcMode.BLACKHOLE)


def _slow(proxy: RpcProxy) -> None:
    proxy.set_mode(RpcMode.SLOW, delay_s=12.0)


def _html(proxy: RpcProxy) -> None:
    proxy.set_mode(RpcMode.HTML_200)


def _other_chain(proxy: RpcProxy) -> None:
    proxy.claim_chain(1)


def _reply_lost(proxy: RpcProxy) -> None:
    proxy.set_mode(RpcMode.DROP_REPLY, methods=["eth_sendRawTransaction"])


@pytest.mark.parametrize(
    "fault",
    [
        _silent,
        pytest.param(_slow, marks=pytest.mark.slow),
        pytest.param(_html, marks=pytest.mark.slow),
        pytest.param(_other_chain, marks=pytest.mark.slow),
        pytest.param(_reply_lost, marks=pytest.mark.slow),
    ],
)
def test_a_bad_first_node_loses_no_interval_and_doubles_none(tmp_path: Path, fault: Callable[[RpcProxy], None]) -> None:
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(Scene(directory=tmp_path / "rig", period_s=PERIOD_S, speed=60.0)))
        proxies = [RpcProxy(rig.chain.address), RpcProxy(rig.chain.address)]
        for proxy in proxies:
            stack.callback(proxy.close)
        rig.use_nodes([proxy.url for proxy in proxies])
        collector = stack.enter_context(Collector(rig.broker.address, AREA, rig.household))
        agent = rig.start_agent()
        stack.callback(stop_agent, agent)
        wait_for_log(rig, "transaction.final", 2, within_s=60)
        fault(proxies[0])
        time.sleep(14)
        reached = rig.ledger.standing(rig.household).taken_at
        assert time.time() - reached < 4 * PERIOD_S, "the other node carried nothing meanwhile"
        proxies[0].set_mode(RpcMode.PASS)
        proxies[0].tell_truth()
        readings = come_to_rest(rig, collector, within_s=120)
        assert stop_agent(agent) == 0
        assert_agreement(rig, collector, readings)
        ends = [reading["intervalEnd"] for reading in readings]
        assert ends == list(range(ends[0], ends[-1] + PERIOD_S, PERIOD_S)), "an interval has no reading"
        if fault is not _reply_lost:
            assert len(_lines_about(rig, proxies[0])) == 1


def _lines_about(rig: Rig, proxy: RpcProxy) -> list[str]:
    """The warnings that name a node: one line says what happened."""
    name = f"{proxy.address[0]}:{proxy.address[1]}"
    told = [json.loads(line) for line in (rig.scene.directory / "agent.log").read_text(encoding="utf-8").splitlines()]
    return [line["event"] for line in told if line.get("node") == name and line["level"] != "info"]
