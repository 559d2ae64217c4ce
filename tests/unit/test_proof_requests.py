"""Proofs are asked for the household's own account and slot, and for blocks as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.domain.outbox import Kind
from agent.light import tries
from contracts import load_artifact
from tests.fakes.eavesdropper import Eavesdropper
from tests.unit.test_prover import HOUSEHOLD, TOLD, TX, claim, world

STRANGER = "0x" + "99" * 20


def eavesdropper() -> Eavesdropper:
    found = Eavesdropper(HOUSEHOLD, TOLD["contract"], load_artifact().abi, set())
    found.knows(TX)
    return found


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_proven_names_nobody_else(kind: Kind) -> None:
    there = world()
    there.prover().prove(claim(there, kind=kind))

    asked = [request for teller in there.tellers for request in teller.asked]
    assert len(asked) >= 3
    assert eavesdropper().strange(asked) == []


def test_the_trie_of_a_block_with_an_order_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    there = world()
    built: list[int] = []
    ordered = tries.ordered

    def counted(values: Sequence[bytes]) -> tries.Trie:
        built.append(len(values))
        return ordered(values)

    monkeypatch.setattr(tries, "ordered", counted)

    assert there.prover().prove(claim(there, kind=Kind.BUY)) is not None
    assert built == [1, 1]  # transactions, receipts


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", [STRANGER, "latest"]),
        ("eth_getTransactionCount", [STRANGER, "pending"]),
        ("eth_getProof", [STRANGER, [], "0x1"]),
        ("eth_getProof", [TOLD["contract"], [hex((1 << 160) + 7)], "0x1"]),
        ("eth_getProof", [TOLD["contract"], [], "0x1"]),
        ("eth_getTransactionReceipt", ["0x" + "77" * 32]),
        ("eth_getCode", [STRANGER, "latest"]),
        ("eth_getLogs", [{"address": TOLD["contract"], "topics": [["0x" + "00" * 12 + "99" * 20]]}]),
        ("eth_getLogs", [{"address": TOLD["contract"], "topics": []}]),
        ("eth_getLogs", [{"address": TOLD["contract"], "topics": [None, ["0x" + "00" * 12 + "99" * 20]]}]),
        ("eth_call", [{"from": HOUSEHOLD, "to": STRANGER, "data": "0x"}, "latest"]),
        ("eth_call", [{"from": STRANGER, "to": TOLD["contract"], "data": "0x"}, "latest"]),
        ("web3_sha3", ["0x"]),
    ],
)
def test_the_eavesdropper_hears_what_is_somebody_elses(method: str, params: list[object]) -> None:
    assert len(eavesdropper().strange([(method, params)])) == 1
