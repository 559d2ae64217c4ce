"""Full nodes that lie, on real wires: Anvil behind proxies that rewrite what it says of its newest block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.adapters.journal import Journal, open_journal
from agent.adapters.lie_rows import LieRows
from agent.domain.errors import NodeUnavailable
from agent.light.headers import Consensus
from agent.light.seals import Rules
from agent.proving.heads import head_check
from simulators.chain import Anvil
from simulators.proxy import RpcProxy
from tests.integration.test_nodes_pool import Street

pytestmark = pytest.mark.integration

# Nobody seals Anvil's blocks, and each still hashes to what it is called.
HASHED = head_check(tuple, Rules(Consensus.UNSEALED))

Open = Callable[[], Street]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal, _ = open_journal(tmp_path)
    yield journal
    journal.close()


@pytest.fixture
def opened(journal: Journal) -> Iterator[Open]:
    """A household's start: each call is one, over the same nodes and the same journal."""
    made: list[Street] = []
    with Anvil(mining=False) as anvil, RpcProxy(anvil.address) as first, RpcProxy(anvil.address) as second:
        anvil.mine(3)

        def start() -> Street:
            made.append(Street(anvil, first, second, check_head=HASHED, rows=LieRows(journal)))
            return made[-1]

        yield start
        for street in made:
            street.pool.close()


def with_changed(**fields: str) -> Callable[[object, Sequence[object]], object]:
    def change(result: object, params: Sequence[object]) -> object:
        return {**result, **fields} if isinstance(result, dict) and params[0] == "latest" else result

    return change


@pytest.mark.parametrize(
    "fields",
    [{"number": "0xf4240"}, {"timestamp": "0x7fffffff"}, {"stateRoot": "0x" + "11" * 32}, {"hash": "0x" + "22" * 32}],
    ids=str,
)
def test_a_rewritten_newest_block_is_caught_and_the_other_node_serves(opened: Open, fields: dict[str, str]) -> None:
    street = opened()
    street.first.rewrite("eth_getBlockByNumber", with_changed(**fields))

    entry = street.entry(street.pool.pending_nonce())
    asked = len(street.first.calls())
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine()
    seen = street.pool.sight(entry)

    assert street.holds_once(entry)
    assert seen.inclusion is not None
    assert seen.agreeing == 1
    assert len(street.first.calls()) == asked, "nothing more is asked of it or sent to it"
    assert street.log.of("first") == ["node.lied"]
    assert street.log.of("second") == []
    assert [node.name for node in street.pool.sources()] == ["second"]


def test_what_it_said_is_in_the_journal_and_a_restart_does_not_bring_it_back(opened: Open, journal: Journal) -> None:
    street = opened()
    street.first.rewrite("eth_getBlockByNumber", with_changed(gasUsed="0x123"))
    street.pool.balance()
    (lie,) = LieRows(journal).newest()
    assert (lie.node, lie.area) == ("first", "first")
    assert '"gasUsed":"0x123"' in lie.told
    assert "hashes to" in lie.why

    street.first.tell_truth()
    before = len(street.first.calls())
    again = opened()
    again.pool.balance()
    assert len(street.first.calls()) == before
    problem = next(status.problem for status in again.pool.statuses() if status.name == "first")
    assert problem == lie.problem


def test_when_every_node_lies_nothing_is_believed(opened: Open) -> None:
    street = opened()
    for proxy in (street.first, street.second):
        proxy.rewrite("eth_getBlockByNumber", with_changed(number="0xf4240"))
    for _ in range(2):
        with pytest.raises(NodeUnavailable, match=r"first: caught lying at .*; second: caught lying at "):
            street.pool.balance()
    assert sorted(event for event, _ in street.log.said) == ["node.lied", "node.lied"]


def test_nodes_that_tell_the_truth_are_used(opened: Open) -> None:
    street = opened()
    street.pool.balance()
    assert [node.name for node in street.pool.sources()] == ["first", "second"]
    assert street.log.said == []
