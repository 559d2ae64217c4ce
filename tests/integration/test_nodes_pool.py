"""Two full nodes for real: Anvil behind a proxy that fails and lies, beside one that does not."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from eth_account import Account as Wallet
from eth_utils.address import to_checksum_address

from agent.adapters.full_node import CheckHead, FullNode, HttpRpc
from agent.adapters.lie_rows import LieRows
from agent.adapters.market import Market
from agent.adapters.node_pool import NodePool
from agent.domain.errors import NodeUnavailable
from agent.domain.fees import Fee
from agent.domain.market import ChainPin
from agent.domain.outbox import Attempt, Entry, Kind, Move, Rules, State, Wait, next_step
from simulators.chain import Anvil
from simulators.proxy import RpcMode, RpcProxy

pytestmark = pytest.mark.integration

TIMEOUT_S = 2.0


class Diary:
    """A log that is kept."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **facts: object) -> None:
        self.said.append((event, facts))

    warning = error = info

    def of(self, node: str) -> list[str]:
        return [event for event, facts in self.said if facts["node"] == node]


class Street:
    """One chain, reached by two ways: ``first`` through a proxy, ``second`` through another that tells the truth.

    Two development nodes make no common chain, so both ways lead to one; what differs is what each says of it.

    Args:
        anvil: the chain.
        first: the way of the own area.
        second: the other way.
        check_head: looks at newest blocks.
        rows: where lies are kept.
    """

    def __init__(
        self,
        anvil: Anvil,
        first: RpcProxy,
        second: RpcProxy,
        *,
        check_head: CheckHead | None = None,
        rows: LieRows | None = None,
    ) -> None:
        self.anvil, self.first, self.second = anvil, first, second
        self.check_head = check_head
        self.wallet = Wallet.from_key(anvil.accounts[0].key)
        self.log = Diary()
        self.contract = to_checksum_address("0x" + "00" * 19 + "99")
        anvil.rpc("anvil_setCode", self.contract, "0x6080")
        bare = self.node("bare", second.url, None)
        self.pin = ChainPin(anvil.chain_id, bare.genesis_hash(), self.contract, bare.code_hash(self.contract))
        bare.close()
        self.nodes = [self.node("first", first.url, self.pin), self.node("second", second.url, self.pin)]
        self.pool = NodePool(
            self.nodes,
            pin=self.pin,
            account=self.wallet.address,
            area="first",
            market=Market([]),
            clock=time.monotonic,
            random=random.random,
            log=self.log,
            deadline_s=6.0,
            keep_lie=rows.keep if rows else None,
            lies=rows.newest() if rows else (),
        )

    def node(self, name: str, url: str, pin: ChainPin | None) -> FullNode:
        rpc = HttpRpc(url, timeout_s=TIMEOUT_S, log=self.log)
        return FullNode(name=name, area=name, rpc=rpc, pin=pin, monotonic=time.monotonic, check_head=self.check_head)

    def entry(self, nonce: int) -> Entry:
        fee = Fee(10**11, 10**9)
        signed = self.wallet.sign_transaction(
            {
                "type": 2,
                "chainId": self.anvil.chain_id,
                "nonce": nonce,
                "to": self.wallet.address,
                "value": 0,
                "data": b"",
                "gas": 21_000,
                "maxFeePerGas": fee.max_fee,
                "maxPriorityFeePerGas": fee.priority_fee,
            }
        )
        attempt = Attempt("0x" + bytes(signed.hash).hex(), bytes(signed.raw_transaction), fee, 0, sent_at=0)
        return Entry(
            nonce, f"k{nonce}", Kind.REPORT, self.wallet.address, b"", 21_000, State.SENT, 0, nonce, (attempt,)
        )

    def holds_once(self, entry: Entry) -> bool:
        """Whether the entry is on the chain, and the account did nothing else."""
        receipt = self.anvil.rpc("eth_getTransactionReceipt", entry.attempts[0].tx_hash)
        return receipt is not None and self.anvil.nonce(self.wallet.address) == (entry.nonce or 0) + 1


@pytest.fixture
def street() -> Iterator[Street]:
    with Anvil(mining=False) as fresh, RpcProxy(fresh.address) as first, RpcProxy(fresh.address) as second:
        made = Street(fresh, first, second)
        yield made
        made.pool.close()


def eventually(holds: Callable[[], bool], within_s: float = 20.0) -> bool:
    until = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (RpcMode.BLACKHOLE, "no answer in time"),
        (RpcMode.SLOW, "no answer in time"),
        (RpcMode.HTML_502, "HTTP status 502"),
        (RpcMode.HTML_200, "not JSON"),
        (RpcMode.RESET, "cannot be reached"),
        (RpcMode.REFUSE, "cannot be reached"),
        (RpcMode.HALF_OPEN, "no answer in time"),
    ],
)
def test_a_first_node_that_fails_costs_one_line_and_nothing_else(street: Street, mode: RpcMode, says: str) -> None:
    street.first.set_mode(mode, delay_s=30.0)
    nonce = street.pool.pending_nonce()
    entry = street.entry(nonce)
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine()
    seen = street.pool.sight(entry)
    assert seen.inclusion is not None
    assert seen.agreeing == 1
    assert eventually(lambda: bool(street.log.said))
    for _ in range(3):
        street.pool.pending_nonce()
    assert street.holds_once(entry)
    assert street.log.of("first") == ["node.lost"]
    assert says in str(street.log.said[0][1]["problem"])
    assert street.log.of("second") == []


def test_a_first_node_on_another_chain_is_told_of_and_gets_nothing(street: Street) -> None:
    street.first.claim_chain(1)
    entry = street.entry(street.pool.pending_nonce())
    assert street.pool.broadcast(entry.attempts[0].raw)
    assert eventually(lambda: street.log.of("first") == ["node.wrong_chain"])
    assert street.first.calls("eth_sendRawTransaction") == []
    street.anvil.mine()
    assert street.holds_once(entry)


def test_a_chain_id_that_changes_while_running_stops_everything(street: Street) -> None:
    entry = street.entry(street.pool.pending_nonce())
    street.anvil.set_chain_id(4242)
    with pytest.raises(NodeUnavailable, match="chain id is 4242"):
        street.pool.pending_nonce()
    with pytest.raises(NodeUnavailable):
        street.pool.broadcast(entry.attempts[0].raw)
    assert street.first.calls("eth_sendRawTransaction") + street.second.calls("eth_sendRawTransaction") == []


@pytest.mark.parametrize("mode", [RpcMode.DROP_REPLY, RpcMode.MUTE_REPLY])
def test_an_answer_lost_after_acceptance_is_an_acceptance(street: Street, mode: RpcMode) -> None:
    entry = street.entry(street.pool.pending_nonce())
    street.second.set_mode(RpcMode.REFUSE)
    street.first.set_mode(mode, methods=["eth_sendRawTransaction"])
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine()
    assert street.holds_once(entry)


def test_the_same_bytes_again_are_taken_pending_and_mined(street: Street) -> None:
    entry = street.entry(street.pool.pending_nonce())
    for _ in range(3):
        assert street.pool.broadcast(entry.attempts[0].raw)
    assert street.pool.sight(entry).pooled
    street.anvil.mine()
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine()
    assert street.holds_once(entry)
    assert street.log.said == []


def test_an_eviction_is_seen_and_the_same_bytes_go_again(street: Street) -> None:
    entry = street.entry(street.pool.pending_nonce())
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.drop_transaction(entry.attempts[0].tx_hash)
    seen = street.pool.sight(entry)
    assert (seen.pooled, seen.inclusion, seen.mined_nonce) == (False, None, entry.nonce)
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine()
    assert street.holds_once(entry)


def test_a_reorganisation_moves_an_included_entry_back(street: Street) -> None:
    street.anvil.mine()
    entry = street.entry(street.pool.pending_nonce())
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine(2)
    seen = street.pool.sight(entry)
    assert seen.agreeing == 2
    included = replace(entry, state=State.INCLUDED, inclusion=seen.inclusion)
    street.anvil.reorganise(3)
    time.sleep(1.1)  # a pass over the outbox asks head and nonce once a second
    again = street.pool.sight(included)
    assert again.inclusion is None
    step = next_step(included, again, now=100, rules=Rules(depth=1, agreement=2))
    assert isinstance(step, Move)
    assert step.to is State.SENT
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine()
    assert street.holds_once(entry)


def test_a_lying_receipt_makes_nothing_final(street: Street) -> None:
    street.anvil.mine(3)
    entry = street.entry(street.pool.pending_nonce())
    assert street.pool.broadcast(entry.attempts[0].raw)
    block = street.anvil.rpc("eth_getBlockByNumber", "0x1", False)
    assert isinstance(block, dict)
    tx_hash = entry.attempts[0].tx_hash
    lie = {"transactionHash": tx_hash, "blockNumber": "0x1", "blockHash": block["hash"], "status": "0x1"}
    street.first.rewrite("eth_getTransactionReceipt", lambda _result, _params: lie)
    street.first.rewrite("eth_getTransactionCount", lambda _result, _params: "0x7")
    rules = Rules(depth=1, agreement=2)
    seen = street.pool.sight(entry)
    assert (seen.inclusion, seen.agreeing, seen.mined_nonce) == (None, 1, entry.nonce)
    believed = replace(entry, state=State.INCLUDED, inclusion=None)
    street.second.set_mode(RpcMode.REFUSE)
    alone = street.pool.sight(entry)
    assert alone.agreeing == 1
    believed = replace(entry, state=State.INCLUDED, inclusion=alone.inclusion)
    assert isinstance(next_step(believed, street.pool.sight(believed), now=100, rules=rules), Wait)


def test_a_lagging_node_is_told_of_and_has_no_voice(street: Street) -> None:
    entry = street.entry(street.pool.pending_nonce())
    assert street.pool.broadcast(entry.attempts[0].raw)
    old = street.anvil.rpc("eth_getBlockByNumber", "latest", False)
    street.first.rewrite(
        "eth_getBlockByNumber", lambda result, params: old if list(params)[:1] == ["latest"] else result
    )
    street.first.rewrite("eth_getTransactionCount", lambda _result, _params: hex(entry.nonce or 0))
    street.anvil.mine(20)
    seen = street.pool.sight(entry)
    assert seen.inclusion is not None
    assert (seen.agreeing, seen.head) == (1, street.anvil.block_number())
    assert street.log.of("first") == ["node.lost"]


def test_a_node_that_comes_back_is_told_of_and_used(street: Street) -> None:
    street.pool.pending_nonce()
    street.first.set_mode(RpcMode.HTML_502)
    with_one = street.pool.statuses()
    assert [status.ok for status in with_one] == [False, True]
    street.first.set_mode(RpcMode.PASS)
    assert [status.ok for status in street.pool.statuses()] == [True, True]
    assert street.log.of("first") == ["node.lost", "node.back"]


def test_a_slow_node_is_waited_for_where_its_word_counts_and_only_there(street: Street) -> None:
    street.pool.pending_nonce()
    street.first.set_mode(RpcMode.SLOW, delay_s=0.9)
    began = time.monotonic()
    entry = street.entry(street.pool.pending_nonce())
    assert street.pool.broadcast(entry.attempts[0].raw)
    # Each of the two waits half a second for the slow node, which needs 1.8 s and more for its part.
    assert time.monotonic() - began < 2 * 1.8
    street.anvil.mine()
    assert street.pool.sight(entry).agreeing == 2
    assert street.log.said == []


def test_a_confirming_pass_over_kept_connections_is_cheap(street: Street) -> None:
    entry = street.entry(street.pool.pending_nonce())
    assert street.pool.broadcast(entry.attempts[0].raw)
    street.anvil.mine()
    street.pool.sight(entry)
    before = len(street.first.calls()) + len(street.second.calls())
    time.sleep(1.1)
    began = time.process_time()
    street.pool.sight(entry)
    spent = time.process_time() - began
    assert len(street.first.calls()) + len(street.second.calls()) - before == 8
    assert spent < 0.5


def test_a_node_with_another_genesis_under_the_same_number_is_found_out(street: Street) -> None:
    with Anvil(mining=False, genesis_epoch=1_700_000_000) as other:
        stranger = street.node("stranger", other.url, street.pin)
        with pytest.raises(NodeUnavailable, match="genesis"):
            stranger.identify()
        stranger.close()
