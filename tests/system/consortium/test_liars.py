"""FAULTS 32 and 33: the nodes that the household asks lie, one alone, two of three, and all.

While they lie readings go on becoming final or wait, nothing false is called final, and what can be shown to be a lie
is kept with what was said. Afterwards, with the truth told and the quarantine over, every node is used again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from eth_utils.crypto import keccak

from agent.light.headers import Header
from simulators.proxy import RpcProxy
from tests.system.consortium.street import EPOCH, LEDGER_S, PERIOD_S, Street

_HOUSEHOLD: Final = "0x" + keccak(text="household(address)")[:4].hex()
_WORD: Final = 64
_ACTIVE, _SEQUENCE = 1, 3  # words of what the contract says of a household

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Lie = Callable[[RpcProxy], None]


# --- What can be said ---


def balance(told: str) -> Lie:
    return lambda proxy: proxy.rewrite("eth_getBalance", lambda _result, _params: told)


def of_the_household(word: int, value: int) -> Lie:
    """Another value in one word of what the contract says of the household."""

    def change(result: object, params: Sequence[object]) -> object:
        call: Any = params[0]
        if not isinstance(result, str) or not str(call["data"]).startswith(_HOUSEHOLD):
            return result
        at = 2 + word * _WORD
        return result[:at] + f"{value:064x}" + result[at + _WORD :]

    return lambda proxy: proxy.rewrite("eth_call", change)


def mined_already(proxy: RpcProxy) -> None:
    """A receipt, in the block of the newest receipt, of whatever is asked about, and a nonce that fits."""
    newest: dict[str, Any] = {}

    def receipt(result: object, params: Sequence[object]) -> object:
        if isinstance(result, dict):
            newest.update(result)
        return result if result is not None or not newest else {**newest, "transactionHash": params[0]}

    proxy.rewrite("eth_getTransactionReceipt", receipt)
    proxy.rewrite(
        "eth_getTransactionCount",
        lambda result, params: hex(int(str(result), 16) + 2) if params[1] == "latest" else result,
    )


def reverted(proxy: RpcProxy) -> None:
    proxy.claim_receipts(status="0x0")


def head(change: Callable[[dict[str, Any]], object]) -> Lie:
    """Something else as the newest block."""

    def told(result: object, params: Sequence[object]) -> object:
        return change(result) if isinstance(result, dict) and params[0] == "latest" else result

    return lambda proxy: proxy.rewrite("eth_getBlockByNumber", told)


def invented(block: dict[str, Any]) -> object:
    """Far ahead, with the hash that such a block has; its seal is of nobody known.

    It is whole epochs ahead: a header that lists signers where no checkpoint is, or none where one is, is a lie by
    itself, whoever sealed it.
    """
    number = int(block["number"], 16) + 30 * EPOCH
    header = replace(Header.of_fields(block), number=number)
    return {**block, "number": hex(number), "hash": "0x" + keccak(header.encoded()).hex()}


def changed_digit(proxy: RpcProxy) -> None:
    """One digit of one node of a proof."""

    def change(result: object, _params: Sequence[object]) -> object:
        if not isinstance(result, dict):
            return result
        first, *rest = result["accountProof"]
        digit = "1" if first[40] != "1" else "2"
        return {**result, "accountProof": [first[:40] + digit + first[41:], *rest]}

    proxy.rewrite("eth_getProof", change)


# --- Lies that the others outvote ---


@pytest.mark.parametrize(
    "lies",
    [
        [balance("0x0"), of_the_household(_ACTIVE, 0), mined_already],
        [balance("0x" + "f" * 64), of_the_household(_SEQUENCE, 99_999), reverted],
    ],
    ids=["no money, suspended, mined already", "all the money, another sequence, reverted"],
)
def test_fault_32_what_one_node_says_alone_changes_nothing(neighbours: Street, lies: Sequence[Lie]) -> None:
    since = time.time()
    for lie in lies:
        lie(neighbours.own)
    neighbours.goes_on("while the own area's node lies")
    neighbours.own.tell_truth()
    for event in ("submit.waiting", "submit.halted", "transaction.reorganised"):
        assert neighbours.said(event, since=since) == []
    neighbours.nothing_false_is_final()


def test_faults_32_and_33_an_old_head_and_an_invented_one_leave_the_third_node(neighbours: Street) -> None:
    neighbours.restart()  # what it has said of a node in the last minutes would not be said again
    since = time.time()
    first: list[object] = []

    def frozen(block: dict[str, Any]) -> object:
        first.append(block)
        return first[0]

    head(invented)(neighbours.own)
    head(frozen)(neighbours.others[0])
    neighbours.goes_on("while one node invents a block and another shows an old one")
    assert "behind" in neighbours.hears("node.lost", neighbours.others[0], since=since)["problem"]
    assert neighbours.said("validators.changed", since=since) == []
    assert neighbours.said("node.lied", since=since) == [], "who may seal must be followed before it is a lie"
    for liar in (neighbours.own, neighbours.others[0]):
        liar.tell_truth()
    neighbours.hears("node.back", neighbours.others[0], since=since)


def test_fault_32_two_of_three_say_that_all_is_mined_already(neighbours: Street) -> None:
    liars = neighbours.own, neighbours.others[0]
    for liar in liars:
        mined_already(liar)
    time.sleep(3 * PERIOD_S)
    neighbours.nothing_false_is_final()
    for liar in liars:
        liar.tell_truth()
    neighbours.goes_on("after two of three said that all is mined already")
    neighbours.nothing_false_is_final()


# --- Lies that are shown to be lies ---


def caught(street: Street, *liars: RpcProxy, since: float) -> list[str]:
    """Each liar was told of once, what it said is kept, and a person sees it; returns what was kept."""
    kept = []
    shown = [(one["node"], one["why"]) for one in street.status()["lies"]]
    for liar in liars:
        told = street.hears("node.lied", liar, since=since)
        assert len(street.said("node.lied", liar, since=since)) == 1
        (row,) = street.rows(
            "SELECT told, why, area FROM lie WHERE node = ? AND at >= ? AND until > at", street.name(liar), int(since)
        )
        assert row[1:] == (told["problem"], told["area"])
        assert (street.name(liar), row[1]) in shown
        kept.append(str(row[0]))
    return kept


def test_fault_32_two_of_three_lie_about_state_and_proof_and_the_third_proves(neighbours: Street) -> None:
    since = time.time()
    liars = neighbours.own, neighbours.others[0]
    head(lambda block: {**block, "stateRoot": "0x" + "11" * 32})(liars[0])
    changed_digit(liars[1])
    neighbours.goes_on("while two of three lie about the state and its proof")
    root, proof = caught(neighbours, *liars, since=since)
    assert json.loads(root)["stateRoot"] == "0x" + "11" * 32
    assert "eth_getProof" in proof
    neighbours.nothing_false_is_final()
    neighbours.forgive()


def test_fault_32_two_of_three_say_that_a_report_reverted_and_then_the_third_lies(neighbours: Street) -> None:
    since = time.time()
    honest, liars = neighbours.others[1], (neighbours.own, neighbours.others[0])
    for liar in liars:
        reverted(liar)
    neighbours.goes_on("while two of three say that reports revert")
    caught(neighbours, *liars, since=since)
    head(lambda block: {**block, "number": "0xf4240"})(honest)
    neighbours.hears("node.lied", honest, since=since)
    alone = time.time()
    time.sleep(2 * PERIOD_S)
    assert neighbours.final_after(alone) is None
    assert neighbours.said("transaction.reorganised", since=since) == []
    neighbours.forgive()
    neighbours.nothing_false_is_final()


def test_fault_32_two_of_three_hide_an_order_from_the_ledger_and_its_block_proves_it(neighbours: Street) -> None:
    since, liars = time.time(), (neighbours.own, neighbours.others[0])
    for liar in liars:
        liar.rewrite("eth_getLogs", lambda result, _params: [] if isinstance(result, list) else result)
    neighbours.house.rig.agent("sell", "--energy", "0.01", "--price", "0", "--yes")
    told = neighbours.hears("ledger.disproved", since=since, within_s=LEDGER_S)
    assert told["told"] == []
    assert "Offered" in str(told["proven"])
    caught(neighbours, *liars, since=since)
    ((wrong,),) = neighbours.rows(
        "SELECT count(*) FROM entry WHERE kind = 'offer' AND state = 'final' AND included_number NOT IN"
        " (SELECT block FROM market_event WHERE shown > 0)"
    )
    assert wrong == 0
    neighbours.forgive()
