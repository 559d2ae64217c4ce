"""FAULTS 31, 35, 36, 37, 39 and 40: who seals changes, mempools are full or forget, a key is stolen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address

from simulators.account import Account as Funder
from simulators.chain import Anvil
from simulators.consortium.network import Network
from simulators.json_rpc import RpcError
from simulators.proxy import RpcMode
from tests.system.consortium.street import EPOCH, FINAL_S, LEDGER_S, MOST_FEE_WEI, PERIOD_S, POOL, Street

_GAS_OF_A_BLOCK: Final = 30_000_000
_WAIT_S: Final = 60.0
_OTHER_CHAIN: Final = 4_242
_STANDBY: Final = 3
_LEAVES: Final = 0

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_an_order_is_placed_before_validators_change(neighbours: Street) -> None:
    neighbours.house.rig.agent("sell", "--energy", "0.01", "--price", "0", "--yes")
    neighbours.house.wait_until(
        lambda: neighbours.rows("SELECT 1 FROM entry WHERE kind = 'offer' AND state = 'final'") != [], "its end"
    )
    # Its ledger is read twice a minute, and proven as often.
    neighbours.house.wait_until(
        lambda: "offered" in neighbours.proven_events(), "the order in the proven ledger", within_s=LEDGER_S
    )


def test_validators_are_voted_in_and_out_and_the_agent_follows(neighbours: Street) -> None:
    network = neighbours.network
    joins, leaves = (network.nodes[number].identity.address for number in (_STANDBY, _LEAVES))
    network.vote(joins, voters=[0, 1, 2])
    network.await_signers(4, within_s=_WAIT_S)
    # He is seen when one of his blocks is the newest, and votes are followed twice a minute.
    joined = neighbours.hears("validators.changed", since=0.0, within_s=30.0 + FINAL_S)
    assert [one.lower() for one in joined["joined"]] == [joins]
    network.end_votes(joins)
    network.vote(leaves, add=False, voters=[1, 2, _STANDBY])
    number = network.await_signers(3, within_s=_WAIT_S)
    network.end_votes(leaves)
    known = neighbours.rows("SELECT value FROM fact WHERE name = 'followed'")
    assert joins[2:] in str(known).lower()
    neighbours.restart()
    neighbours.goes_on("while a founder leaves, and after a new start")
    # Where nobody unknown seals, who left is seen with the epoch's block.
    neighbours.house.wait_until(
        lambda: [to_checksum_address(leaves)] in [line["left"] for line in neighbours.said("validators.changed")],
        "the founder's leaving",
        within_s=EPOCH - number % EPOCH + FINAL_S,
    )
    joined_again = [line for line in neighbours.said("validators.changed") if line["joined"] == joined["joined"]]
    assert len(joined_again) == 1, "it was known before the new start"


def test_fault_31_an_answer_that_is_lost_after_every_node_took_it(neighbours: Street) -> None:
    for proxy in neighbours.proxies:
        proxy.set_mode(RpcMode.DROP_REPLY, methods=["eth_sendRawTransaction"])
    neighbours.goes_on("while every answer to a sending is lost")
    for proxy in neighbours.proxies:
        proxy.set_mode(RpcMode.PASS)
    neighbours.nothing_false_is_final()


def test_fault_40_another_chain_at_the_same_address(neighbours: Street) -> None:
    own, since = neighbours.own, time.time()
    with Anvil(chain_id=_OTHER_CHAIN) as other:
        real, own.upstream = own.upstream, other.address
        own.set_mode(RpcMode.REFUSE)  # connections that were made before end
        own.set_mode(RpcMode.PASS)
        neighbours.goes_on("while another chain answers for the own area")
        assert str(_OTHER_CHAIN) in neighbours.hears("node.wrong_chain", own, since=since)["problem"]
        assert other.nonce(neighbours.house.rig.household, "pending") == 0
        own.upstream = real
        own.set_mode(RpcMode.REFUSE)
        own.set_mode(RpcMode.PASS)
    neighbours.hears("node.back", own, since=since)


def test_fault_40_nothing_is_sent_where_every_node_is_of_another_chain(neighbours: Street) -> None:
    for proxy in neighbours.proxies:
        proxy.claim_chain(_OTHER_CHAIN)
    time.sleep(PERIOD_S)
    sent = sum(len(proxy.calls("eth_sendRawTransaction")) for proxy in neighbours.proxies)
    since = time.time()
    time.sleep(2 * PERIOD_S)
    assert sum(len(proxy.calls("eth_sendRawTransaction")) for proxy in neighbours.proxies) == sent
    for proxy in neighbours.proxies:
        proxy.tell_truth()
    # What is said of a node is said once a minute, and the test before this one had it said of the own area's.
    for proxy in neighbours.others:
        neighbours.hears("node.wrong_chain", proxy, since=since - 2 * PERIOD_S)
    neighbours.goes_on("after every node claimed another chain")


# --- Mempools ---


def transaction(network: Network, sender: Funder, nonce: int, **fields: int | str) -> str:
    """A signed transfer, as 0x hex."""
    to = to_checksum_address(network.accounts[0].address)
    told = {"chainId": network.chain_id, "nonce": nonce, "to": to, "value": 0, "type": 2}
    return "0x" + bytes(Account.sign_transaction({**told, **fields}, sender.key).raw_transaction).hex()


def test_faults_35_and_36_a_transaction_that_waits_is_raised_and_one_that_is_forgotten_is_sent_again(
    neighbours: Street,
) -> None:
    network, house = neighbours.network, neighbours.house
    network.partition(*([number] for number in range(len(network.nodes))))
    house.skip()
    bumped = house.wait_for("transaction.bumped")
    network.kill(*range(len(network.nodes)))
    network.start()
    assert network.nodes[_STANDBY].rpc("eth_getTransactionByHash", bumped["tx_hash"]) is None
    network.heal()
    house.wait_for("transaction.sent_again")
    neighbours.goes_on("after every node had forgotten what waited")
    neighbours.nothing_false_is_final()


@contextmanager
def crowded(network: Network) -> Iterator[None]:
    """Another account's transactions fill every mempool: each asks for a block's gas and pays more than we do."""
    sender, over = network.accounts[0], threading.Event()
    fee = {"gas": _GAS_OF_A_BLOCK, "maxFeePerGas": 30 * 10**9, "maxPriorityFeePerGas": 30 * 10**9}
    assert fee["maxFeePerGas"] > MOST_FEE_WEI

    def fill() -> None:
        while not over.wait(0.2):
            for node in network.nodes:
                mined, next_one = (
                    int(str(node.rpc("eth_getTransactionCount", sender.address, which)), 16)
                    for which in ("latest", "pending")
                )
                for nonce in range(next_one, mined + POOL):
                    try:
                        node.rpc("eth_sendRawTransaction", transaction(network, sender, nonce, **fee))
                    except RpcError:  # it is full, or has heard of it from another meanwhile
                        break

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    try:
        yield
    finally:
        over.set()
        filling.join()


def test_fault_35_a_full_mempool_is_waited_out_and_said(neighbours: Street) -> None:
    since = time.time()
    with crowded(neighbours.network):
        neighbours.house.wait_until(lambda: bool(neighbours.said("submit.waiting", since=since)), "submit.waiting")
        waits = time.time()
        time.sleep(PERIOD_S)
        assert neighbours.final_after(waits) is None
    neighbours.house.wait_until(lambda: bool(neighbours.said("submit.resumed", since=waits)), "submit.resumed")
    neighbours.goes_on("after mempools were full")


# --- Key and money ---


def test_faults_37_and_39_a_stolen_key_takes_the_money_and_the_nonce(neighbours: Street) -> None:
    rig, network = neighbours.house.rig, neighbours.network
    files = [rig.scene.directory / name for name in ("household-key.json", "household-passphrase")]
    key, passphrase = (file.read_text(encoding="utf-8").strip() for file in files)
    thief = Funder(rig.household, "0x" + bytes(Account.decrypt(key, passphrase)).hex())
    neighbours.restart()  # what it has said in the last minute would be said again only when that is over
    # What was used before it first looked at the chain would be an older life of the journal.
    neighbours.goes_on("before the theft")
    neighbours.house.skip()
    fee = 50 * 10**9

    def count(which: str) -> int:
        return int(str(network.rpc("eth_getTransactionCount", rig.household, which)), 16)

    theft = time.time()
    # What waits in mempools has its money set aside there.
    neighbours.house.wait_until(lambda: count("latest") == count("pending"), "a moment with nothing on its way")
    held = int(str(network.rpc("eth_getBalance", rig.household, "latest")), 16)
    fields = {"gas": 21_000, "maxFeePerGas": fee, "maxPriorityFeePerGas": fee, "value": held - 21_000 * fee}
    network.rpc("eth_sendRawTransaction", transaction(network, thief, count("latest"), **fields))
    halted: dict[str, Any] = neighbours.house.wait_for("submit.halted")
    assert "keys resume" in halted["advice"]
    assert neighbours.status()["halted"] is not None
    neighbours.house.wait_for("interval.closed")
    rig.agent("keys", "resume", "--yes")
    time.sleep(3 * PERIOD_S)
    rig.operator("fund", rig.household, *rig.market.operator_options, "--amount", str(10**18))
    neighbours.goes_on("after the money came")
    neighbours.restart()  # at its end it says what it would have said when a minute was over
    assert [line for line in neighbours.said("submit.waiting", since=theft) if rig.household in line["problem"]]
    neighbours.nothing_false_is_final()
