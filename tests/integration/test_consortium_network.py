"""A consortium of real full nodes: gossip, who seals, a node that stops, a network that is cut apart, votes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from agent.compose import office
from agent.operator.consensus import inspect
from simulators.consortium.geth import Node, find_geth
from simulators.consortium.network import Network, Plan
from simulators.json_rpc import RpcError

WAIT_S = 60.0
EPOCH = 10
GWEI = 10**9
NOBODY = "0x" + "00" * 18 + "dEaD"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_geth() is None, reason="no go-ethereum that seals Clique: run .ci/setup consortium"),
]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with Network(tmp_path_factory.mktemp("consortium") / "network", Plan(standbys=1, epoch=EPOCH)) as running:
        running.await_block(2, within_s=WAIT_S)
        yield running


def until(condition: Callable[[], bool], what: str, within_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {within_s:g} s"
        time.sleep(0.05)


def send(network: Network, node: Node) -> str:
    """A transfer of nothing worth, given to one node; its hash."""
    funder = network.accounts[0]
    told = {
        "chainId": network.chain_id,
        "nonce": int(str(node.rpc("eth_getTransactionCount", funder.address, "pending")), 16),
        "to": NOBODY,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 10 * GWEI,
        "maxPriorityFeePerGas": GWEI,
        "type": 2,
    }
    signed = Account.sign_transaction(told, funder.key).raw_transaction
    return str(node.rpc("eth_sendRawTransaction", "0x" + bytes(signed).hex()))


def known(node: Node, tx_hash: str) -> dict[str, Any] | None:
    found: Any = node.rpc("eth_getTransactionByHash", tx_hash)
    return found


def receipt(node: Node, tx_hash: str) -> dict[str, Any] | None:
    found: Any = node.rpc("eth_getTransactionReceipt", tx_hash)
    return found


def sealers(node: Node, first: int, last: int | None = None) -> list[str]:
    """Who sealed these blocks, as a node says; to its newest where no last one is named."""
    numbers = range(first, (node.block_number() if last is None else last) + 1)
    return [str(node.command("clique_getSigner", hex(number))).lower() for number in numbers]


def test_each_node_is_connected_to_each_other_and_serves_the_same_chain(network: Network) -> None:
    keys = {node.identity.public_key for node in network.nodes}
    assert all(node.peers() == keys - {node.identity.public_key} for node in network.nodes)
    pinned = network.pinned
    assert {node.block_hash(0) for node in network.nodes} == {pinned.genesis_hash}
    assert {int(str(node.rpc("eth_chainId")), 16) for node in network.nodes} == {pinned.chain_id}
    assert network.signers() == set(pinned.validators)
    assert list(pinned.validators) == sorted(pinned.validators)


def test_blocks_come_in_their_period_and_everybody_seals(network: Network) -> None:
    first = network.block_number()
    network.await_block(first + 9, within_s=WAIT_S)
    last = network.await_agreement(within_s=WAIT_S)
    assert set(sealers(network.nodes[0], first, last)) == set(network.pinned.validators)
    times = [int(block["timestamp"], 16) for block in blocks(network.nodes[0], first, last)]
    assert all(later - earlier >= network.plan.block_s for earlier, later in itertools.pairwise(times))


def blocks(node: Node, first: int, last: int) -> list[dict[str, Any]]:
    told: list[Any] = [node.rpc("eth_getBlockByNumber", hex(number), False) for number in range(first, last + 1)]
    return told


def test_a_household_may_ask_and_nothing_else(network: Network) -> None:
    for method, *parameters in (
        ("admin_peers",),
        ("clique_propose", NOBODY, True),
        ("debug_getRawHeader", "0x1"),
        ("miner_stop",),
        ("personal_listAccounts",),
        ("txpool_content",),
    ):
        with pytest.raises(RpcError, match="does not exist"):
            network.nodes[0].rpc(method, *parameters)


def test_no_secret_is_in_an_argument(network: Network) -> None:
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    told = b"\n".join(line for line in lines if b"geth" in line)
    for node in network.nodes:
        identity = node.identity
        assert str(identity.passphrase).encode() in told
        assert identity.passphrase.read_bytes().strip() not in told
        assert identity.node_key.read_bytes().strip() not in told


def test_a_transaction_waits_in_every_areas_mempool(network: Network) -> None:
    for node in network.nodes:
        node.command("miner_stop")
    try:
        network.await_agreement(within_s=WAIT_S)
        tx_hash = send(network, network.nodes[2])
        for node in network.nodes:
            until(lambda node=node: known(node, tx_hash) is not None, f"the transaction at {node.area}")
        assert [(known(node, tx_hash) or {})["blockHash"] for node in network.nodes] == [None] * 4
    finally:
        for node in network.nodes:
            node.command("miner_start")
    for node in network.nodes:
        until(lambda node=node: receipt(node, tx_hash) is not None, f"its receipt at {node.area}")


def test_with_one_of_three_away_the_chain_goes_on_and_who_missed_turns_is_told(network: Network) -> None:
    network.await_same_head(within_s=WAIT_S)
    network.stop(1)
    first = network.block_number() + 1
    network.await_block(first + 7, within_s=WAIT_S)
    away = network.nodes[1].identity.address
    assert away not in sealers(network.nodes[0], first, first + 7)
    network.start(1)
    until(lambda: away in sealers(network.nodes[0], first + 8), "its next block")
    last = network.await_agreement(within_s=WAIT_S)
    assert network.nodes[1].block_hash(last) == network.nodes[0].block_hash(last)

    told = inspect(office.open_chain(network.url, allow_plain=False, ca_file=None), last - first + 10).told
    assert told["rotation"] == "by number"
    assert told["producerIs"] == "recovered from the seals in the headers"
    missed = {share["producer"].lower(): share["missedTurns"] for share in told["producers"]}
    assert set(missed) == set(network.pinned.validators)
    assert missed[away] == max(missed.values()) >= 2


def test_a_partitions_fork_is_left_and_what_it_held_is_mined_again(network: Network) -> None:
    lonely, witness = network.nodes[0], network.nodes[1]
    lonely.command("miner_stop")  # who sealed the last block before the cut might not seal the next one
    network.await_block(network.block_number() + 2, within_s=WAIT_S)
    network.partition([0], [1, 2, 3])
    tx_hash = send(network, lonely)
    lonely.command("miner_start")
    until(lambda: receipt(lonely, tx_hash) is not None, "a block of the lonely validator")
    alone = receipt(lonely, tx_hash)
    assert alone is not None
    height = int(alone["blockNumber"], 16)
    network.await_block(height + 3, within_s=WAIT_S, nodes=[witness])
    assert lonely.block_number() == height  # one block alone, and no second one
    assert lonely.block_hash(height) != witness.block_hash(height)
    assert known(witness, tx_hash) is None

    network.heal()
    network.await_agreement(within_s=WAIT_S)
    assert lonely.block_hash(height) == witness.block_hash(height)
    until(lambda: receipt(witness, tx_hash) is not None, "the transaction on the chain that stayed")
    again = receipt(witness, tx_hash)
    assert again is not None
    assert again["blockHash"] != alone["blockHash"]


def test_all_killed_at_once_go_on_where_they_were(network: Network) -> None:
    tx_hash = send(network, network.nodes[0])  # a block that changes nothing needs no state that could be lost
    until(lambda: receipt(network.nodes[3], tx_hash) is not None, "a block with a transaction")
    network.await_block(network.block_number() + 2, within_s=WAIT_S)
    before = network.await_agreement(within_s=WAIT_S)
    known_hash = network.nodes[0].block_hash(before)
    network.kill(0, 1, 2, 3)
    network.start(0)  # which has nobody to fetch blocks from
    assert network.nodes[0].block_number() >= before
    network.start(1, 2, 3)
    network.await_block(before + 3, within_s=WAIT_S)
    network.await_agreement(within_s=WAIT_S)
    assert {node.block_hash(before) for node in network.nodes} == {known_hash}


def test_a_vote_brings_a_validator_in_and_another_takes_it_out(network: Network) -> None:
    newcomer = network.nodes[3].identity.address
    network.vote(newcomer, voters=[0])
    here = network.block_number()
    network.await_block(here + 4, within_s=WAIT_S)
    assert newcomer not in network.signers()  # one of three is no majority
    network.vote(newcomer, voters=[2])
    joined = network.await_signers(4, within_s=WAIT_S)
    network.end_votes(newcomer)
    until(lambda: newcomer in sealers(network.nodes[0], joined), "the newcomer's block")

    network.vote(newcomer, add=False, voters=[0, 1, 2])
    network.await_signers(3, within_s=WAIT_S)
    network.end_votes(newcomer)
    assert network.signers() == set(network.pinned.validators)


def test_a_partition_names_each_node_once(network: Network) -> None:
    with pytest.raises(ValueError, match="one group"):
        network.partition([0], [1, 2])
