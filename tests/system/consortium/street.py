"""A house on a consortium whose every full node is reached through a proxy that may lie, forget and break off."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.bench.latency import final_after, moment
from simulators.consortium.network import Network
from simulators.proxy import RpcProxy
from simulators.rig import AREA, Rig, Scene, stop_agent
from tests.system.agreement import journal_readings
from tests.system.house import House, lived_in

PERIOD_S: Final = 3
EPOCH: Final = 30
POOL: Final = 16  # transactions
BUMP_AFTER_S: Final = 10
MOST_FEE_WEI: Final = 20 * 10**9
# Three blocks of a second, two intervals, the proof, and a back-off after a node's first failure.
FINAL_S: Final = 45.0
# The ledger is read every half a minute and proven every half a minute, and either may wait for a node once.
LEDGER_S: Final = 150.0


@dataclass(slots=True)
class Street:
    """The house, its nodes, and who stands in front of them.

    Attributes:
        house: with its agent.
        proxies: in the order of the network's nodes.
    """

    house: House
    proxies: list[RpcProxy]
    _since: float = field(default_factory=time.time)

    @property
    def network(self) -> Network:
        """The nodes themselves, which nobody rewrites."""
        return self.house.rig.market.network

    @property
    def own(self) -> RpcProxy:
        """In front of the household's own area's node."""
        return self.proxies[self.areas.index(AREA)]

    @property
    def others(self) -> list[RpcProxy]:
        """In front of the other areas' nodes."""
        return [proxy for proxy in self.proxies if proxy is not self.own]

    @property
    def areas(self) -> list[str]:
        """Of the proxies, in their order."""
        return [node.area for node in self.network.nodes[: len(self.proxies)]]

    @staticmethod
    def name(proxy: RpcProxy) -> str:
        """What the agent calls the node behind a proxy."""
        return f"{proxy.address[0]}:{proxy.address[1]}"

    def final_after(self, since: float) -> float | None:
        """Seconds from a moment until a reading that was taken after it was final; None while none is."""
        rig = self.house.rig
        return final_after(self.house.log(), rig.ledger.readings(rig.household), since)

    def goes_on(self, what: str, *, within_s: float = FINAL_S) -> None:
        """A reading that is taken from now on becomes final, and is so on the nodes themselves."""
        since = time.time()
        self.house.wait_until(lambda: self.final_after(since) is not None, f"a final reading {what}", within_s=within_s)
        print(f"consortium: {what}: a reading was final after {self.final_after(since):.1f} s")

    def said(self, event: str, proxy: RpcProxy | None = None, *, since: float = 0.0) -> list[dict[str, Any]]:
        """Lines of the log with an event's name, of one node where it is given."""
        return [
            line
            for line in self.house.log()
            if line["event"] == event
            and (proxy is None or line.get("node") == self.name(proxy))
            and moment(line) >= since
        ]

    def hears(
        self, event: str, proxy: RpcProxy | None = None, *, since: float, within_s: float = FINAL_S
    ) -> dict[str, Any]:
        """Wait until the log has an event, of one node where it is given."""
        self.house.wait_until(
            lambda: bool(self.said(event, proxy, since=since)),
            f"{event} of {proxy and self.name(proxy)}",
            within_s=within_s,
        )
        return self.said(event, proxy, since=since)[0]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the agent's journal."""
        with _journal(self.house.rig) as journal:
            return journal.execute(query, values).fetchall()

    def proven_events(self) -> list[str]:
        """Kinds of the contract's events that the agent's ledger has and has proven."""
        return [str(name) for (name,) in self.rows("SELECT DISTINCT name FROM market_event WHERE shown > 0")]

    def status(self) -> Mapping[str, Any]:
        """`prosumer-agent status`, for a program."""
        told: Mapping[str, Any] = json.loads(self.house.rig.agent("status", "--json"))
        return told

    def restart(self, change: str = "") -> None:
        """End the agent in good order and start it again.

        Args:
            change: SQL that is run on its journal in between.
        """
        assert stop_agent(self.house.agent) == 0
        if change:
            with _journal(self.house.rig) as journal:
                journal.execute(change)
                journal.commit()
        self.house.restart()

    def forgive(self) -> None:
        """Everybody tells the truth, and every quarantine is over: all nodes are used again."""
        for proxy in self.proxies:
            proxy.tell_truth()
        self.restart("UPDATE lie SET until = at")
        asked = [len(proxy.calls("eth_getTransactionCount")) for proxy in self.proxies]
        since = time.time()
        self.house.wait_until(
            lambda: all(
                len(proxy.calls("eth_getTransactionCount")) > before
                for proxy, before in zip(self.proxies, asked, strict=True)
            ),
            "a question to every node",
        )
        self.goes_on("with every node honest again")
        assert self.said("node.lied", since=since) == []

    def nothing_false_is_final(self) -> None:
        """Whatever was called final or reverted is so, by the nodes themselves."""
        rpc = self.network.rpc
        ended = [line for line in self.house.log() if line["event"] in {"transaction.final", "transaction.reverted"}]
        assert ended
        for line in ended:
            receipt: Any = rpc("eth_getTransactionReceipt", line["tx_hash"])
            assert receipt is not None, f"{line['tx_hash']} was called final, and is not mined"
            assert (receipt["status"] == "0x1") == (line["event"] == "transaction.final"), line
            assert int(receipt["blockNumber"], 16) == line["block"], line
        assert [one for one in journal_readings(self.house.rig) if one["state"] == "refused"] == []


@contextmanager
def _journal(rig: Rig) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(rig.state / "journal.sqlite", timeout=10.0)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def street(scene: Scene, *, behind: int = 3) -> Iterator[Street]:
    """A house whose readings have begun to be final, with a proxy before each of the first nodes."""
    proxies: list[RpcProxy] = []
    with ExitStack() as stack:

        def stand_between(rig: Rig) -> None:
            nodes = rig.market.network.nodes[:behind]
            proxies.extend(stack.enter_context(RpcProxy(node.address)) for node in nodes)
            rig.use_places([(proxy.url, node.area) for proxy, node in zip(proxies, nodes, strict=True)])

        yield Street(stack.enter_context(lived_in(scene, stand_between)), proxies)
