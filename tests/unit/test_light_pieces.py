"""A transaction and its receipt must fit each other, the chain, and the header that they lie under."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from agent.light import receipts, tries
from agent.light.evidence import Evidence, Outcome, TransactionPiece, verify
from agent.light.hashing import keccak
from agent.light.headers import Consensus
from agent.light.receipts import Log, Receipt
from agent.light.seals import Place, Rules
from tests.fakes.consortium import Consortium, keys
from tests.fakes.recorded import pins_of, raw, recording

TOLD = recording()
LOGS = (Log(raw(TOLD["contract"]), (keccak(b"topic"),), b"data"),)
RECEIPT = Receipt(2, succeeded=True, gas_until=21_000, bloom=receipts.bloom(LOGS), logs=LOGS)


def signed(**changed: Any) -> bytes:  # noqa: ANN401 - a transaction's fields
    told = {"chainId": TOLD["chainId"], "nonce": 0, "gas": 21_000, "to": TOLD["contract"], "value": 0, "data": "0x",
            "maxFeePerGas": 7, "maxPriorityFeePerGas": 1, **changed}  # fmt: skip
    return bytes(Account.sign_transaction(told, "0x" + "11" * 32).raw_transaction)


def outcome(transaction: bytes, receipt: Receipt, bloom: bytes | None = None) -> tuple[Outcome, str]:
    """Of a block that holds this alone, sealed as it should be."""
    chain = Consortium(Rules(Consensus.QBFT), keys(4))
    first, second = tries.ordered([transaction]), tries.ordered([receipt.encoded()])
    header = chain.seal(
        transactions_root=first.root,
        receipts_root=second.root,
        logs_bloom=receipt.bloom if bloom is None else bloom,
    )
    key = tries.place(0)
    piece = TransactionPiece(keccak(transaction), 0, first.proof(key), second.proof(key))
    evidence = Evidence(TOLD["chainId"], raw(TOLD["contract"]), 1, (header.encoded(),), piece)
    verdict = verify(evidence, pins_of(TOLD, chain.rules, Place(0, chain.hash_of(0), chain.founders)))
    return verdict.outcome, " ".join(verdict.lacks)


def test_a_transaction_with_its_receipt_is_proven() -> None:
    assert outcome(signed(), RECEIPT)[0] is Outcome.PROVEN


@pytest.mark.parametrize(
    ("transaction", "receipt", "bloom", "why"),
    [
        (signed(chainId=1), RECEIPT, None, "for chain 1, not"),
        (signed(), replace(RECEIPT, kind=1), None, "of type 1, the transaction of type 2"),
        (signed(), RECEIPT, bytes(256), "bloom filter does not know"),
        (b"\x02no transaction", RECEIPT, None, "transaction"),
    ],
)
def test_what_does_not_fit_is_refused_though_it_is_sealed(
    transaction: bytes, receipt: Receipt, bloom: bytes | None, why: str
) -> None:
    found, lacks = outcome(transaction, receipt, bloom)

    assert found is Outcome.REFUSED
    assert why in lacks


def test_other_logs_in_the_block_may_fill_its_bloom() -> None:
    assert outcome(signed(), RECEIPT, b"\xff" * 256)[0] is Outcome.PROVEN
