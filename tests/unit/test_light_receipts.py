"""Transactions, receipts and logs, as Anvil mined them; and what is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from agent.domain.errors import BadEvidence
from agent.light import receipts, rlp, transactions, tries
from agent.light.hashing import keccak, shown
from agent.light.receipts import Log, Receipt
from tests.fakes.recorded import EMPTY, HARDFORKS, MIXED, header_of, raw, recording

KEY = "0x" + "11" * 32
SENDER = Account.from_key(KEY).address
TO = "0x" + "22" * 20


@pytest.mark.parametrize("hardfork", HARDFORKS)
def test_a_recorded_blocks_tries_are_rebuilt_and_each_item_is_proven(hardfork: str) -> None:
    told = recording(hardfork)
    header, lies = header_of(told, MIXED), told["blocks"][MIXED]
    every, done = lies["block"]["transactions"], lies["receipts"]
    first, second = receipts.transactions_trie(header, every), receipts.receipts_trie(header, done)

    assert {one["type"] for one in every} == {"0x0", "0x1", "0x2"}
    assert {one["status"] for one in done} == {"0x0", "0x1"}
    for index, (one, its) in enumerate(zip(every, done, strict=True)):
        key = tries.place(index)
        mined = tries.proven(header.transactions_root, key, first.proof(key))
        receipt = tries.proven(header.receipts_root, key, second.proof(key))
        assert mined is not None
        assert receipt is not None
        transaction = transactions.decode(mined)
        assert "0x" + transaction.tx_hash.hex() == one["hash"] in told["sent"]
        assert shown(transaction.sender).lower() == one["from"]
        assert (transaction.nonce, transaction.value) == (int(one["nonce"], 16), int(one["value"], 16))
        assert transaction.data == raw(one["input"])
        assert (None if transaction.to is None else "0x" + transaction.to.hex()) == one["to"]
        assert transaction.chain_id == (int(one["chainId"], 16) if one.get("chainId") else None)
        decoded = receipts.decode(receipt)
        assert decoded == receipts.of_fields(its)
        assert [log.data for log in decoded.logs] == [raw(log["data"]) for log in its["logs"]]


def test_an_empty_block_has_empty_tries() -> None:
    told = recording()
    header = header_of(told, EMPTY)

    assert receipts.transactions_trie(header, []).root == receipts.receipts_trie(header, []).root == tries.EMPTY_ROOT


def test_a_block_told_with_one_too_few_or_changed_is_refused() -> None:
    told = recording()
    header, lies = header_of(told, MIXED), told["blocks"][MIXED]
    every, done = lies["block"]["transactions"], lies["receipts"]

    with pytest.raises(BadEvidence, match="6 that are told are not those of the header's transactionsRoot"):
        receipts.transactions_trie(header, every[:-1])
    with pytest.raises(BadEvidence, match="transaction 2: what is told of it does not hash"):
        receipts.transactions_trie(header, [*every[:2], {**every[2], "value": "0x1"}, *every[3:]])
    with pytest.raises(BadEvidence, match="6 that are told are not those of the header's receiptsRoot"):
        receipts.receipts_trie(header, done[1:])
    with pytest.raises(BadEvidence, match="receiptsRoot"):
        receipts.receipts_trie(header, [{**done[0], "cumulativeGasUsed": "0x1"}, *done[1:]])


def test_ganaches_failed_receipts_are_known() -> None:
    told = recording()
    header, done = header_of(told, MIXED), told["blocks"][MIXED]["receipts"]
    oddly = tries.ordered([receipts.of_fields(one).encoded(ganache=True) for one in done])
    assert oddly.root != header.receipts_root

    assert receipts.receipts_trie(replace(header, receipts_root=oddly.root), done).root == oddly.root
    failed = next(receipts.of_fields(one) for one in done if one["status"] == "0x0")
    assert receipts.decode(failed.encoded(ganache=True)) == receipts.decode(failed.encoded()) == failed


@pytest.mark.parametrize(
    "told",
    [
        {"gasPrice": 7},
        {"gasPrice": 7, "chainId": 1337},
        {"gasPrice": 7, "chainId": 1337, "type": 1, "accessList": [{"address": TO, "storageKeys": ["0x" + "01" * 32]}]},
        {"maxFeePerGas": 7, "maxPriorityFeePerGas": 1, "chainId": 1337, "type": 2, "accessList": []},
        {"maxFeePerGas": 7, "maxPriorityFeePerGas": 1, "chainId": 1337, "type": 3, "maxFeePerBlobGas": 1,
         "blobVersionedHashes": ["0x01" + "02" * 31]},
    ],
)  # fmt: skip
def test_every_type_of_transaction_names_its_signer(told: dict[str, Any]) -> None:
    full = {"nonce": 300, "gas": 21_000, "to": TO, "value": 5, "data": "0xab", **told}
    signed = Account.sign_transaction(full, KEY)

    found = transactions.decode(signed.raw_transaction)

    assert found.tx_hash == signed.hash
    assert shown(found.sender) == SENDER
    assert (found.kind, found.chain_id) == (told.get("type", 0), told.get("chainId"))
    assert (found.nonce, found.to, found.value, found.data) == (300, raw(TO), 5, b"\xab")


def test_a_delegation_is_read_and_written() -> None:
    authorization = Account.sign_authorization({"chainId": 1337, "address": TO, "nonce": 4}, KEY)
    signed = Account.sign_transaction(
        {
            "chainId": 1337, "nonce": 1, "gas": 90_000, "to": TO, "value": 0, "data": "0x", "maxFeePerGas": 7,
            "type": 4, "maxPriorityFeePerGas": 1, "authorizationList": [authorization],
        },
        KEY,
    )  # fmt: skip
    told = {
        "type": "0x4", "chainId": hex(1337), "nonce": "0x1", "gas": hex(90_000), "to": TO, "value": "0x0",
        "input": "0x", "maxFeePerGas": "0x7", "maxPriorityFeePerGas": "0x1", "accessList": [],
        "hash": "0x" + signed.hash.hex(), "yParity": hex(signed.v), "r": hex(signed.r), "s": hex(signed.s),
        "authorizationList": [
            {"chainId": hex(1337), "address": TO, "nonce": "0x4", "yParity": hex(authorization.y_parity),
             "r": hex(authorization.r), "s": hex(authorization.s)}
        ],
    }  # fmt: skip

    assert transactions.encoded_of(told) == signed.raw_transaction
    assert shown(transactions.decode(signed.raw_transaction).sender) == SENDER


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "of type -1"),
        (b"\x05\xc0", "of type 5"),
        (b"\x02\xc0", "has 0 items, where 12"),
        (rlp.encode([b""] * 9), "v is 0, where"),
        (rlp.encode([b"", b"", b"", b"short", b"", b"", b"\x1b", b"\1", b"\1"]), "to has 5 bytes"),
        (rlp.encode([b"", b"", b"", b"", b"", b"", b"\x1b", b"", b""]), "recovers to nobody"),
        (b"\x01" + rlp.encode([b"", b"", b"", b"", b"", b"", b"", [], b"\x02", b"\1", b"\1"]), "at most 1 bits"),
    ],
)
def test_what_is_no_transaction_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(BadEvidence, match=why):
        transactions.decode(body)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"type": "0x7e"}, "of type 126"),
        ({"gas": None}, "gas is None, where a number"),
        ({"type": "0x1", "chainId": "0x1", "accessList": None}, "accessList is None, where a list"),
        ({"type": "0x1", "chainId": "0x1", "accessList": ["x"]}, "accessList holds 'x'"),
    ],
)
def test_a_transaction_told_wrongly_is_refused(told: dict[str, Any], why: str) -> None:
    full = {"nonce": "0x0", "gasPrice": "0x1", "gas": "0x1", "to": None, "value": "0x0", "input": "0x",
            "v": "0x1b", "r": "0x1", "s": "0x1", "hash": "0x" + "00" * 32}  # fmt: skip
    with pytest.raises(BadEvidence, match=why):
        transactions.encoded_of({**full, **told})


def log(**changed: Any) -> Log:  # noqa: ANN401 - a log's fields
    return Log(**{"address": bytes(20), "topics": (bytes(32),), "data": b"data", **changed})


def receipt(*logs: Log, kind: int = 2) -> Receipt:
    return Receipt(kind, succeeded=True, gas_until=21_000, bloom=receipts.bloom(logs), logs=logs)


def test_a_receipt_is_read_as_it_was_written() -> None:
    for one in (receipt(kind=0), receipt(log(), log(topics=())), replace(receipt(log()), succeeded=False)):
        assert receipts.decode(one.encoded()) == one


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b"", "of type 0"),
        (b"\x05" + receipt().encoded()[1:], "of type 5"),
        (replace(receipt(log()), bloom=bytes(256)).encoded(), "bloom filter is not that"),
        (replace(receipt(), bloom=b"\1" + bytes(255)).encoded(), "bloom filter is not that"),
        (replace(receipt(), bloom=b"").encoded(), "bloom has 0 bytes"),
        (receipt(log(topics=(bytes(32),) * 5)).encoded(), "5 topics"),
        (receipt(log(topics=(bytes(31),))).encoded(), "topic has 31 bytes"),
        (receipt(log(address=bytes(19))).encoded(), "address has 19 bytes"),
        (rlp.encode([b"\2", b"", bytes(256), []]), "neither that it succeeded"),
        (rlp.encode([keccak(b"a state root"), b"", bytes(256), []]), "neither that it succeeded"),
    ],
)
def test_what_is_no_receipt_is_refused(wrong: bytes, why: str) -> None:
    with pytest.raises(BadEvidence, match=why):
        receipts.decode(wrong)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"status": "0x2"}, "status is 0x2, where at most 1 bits"),
        ({"status": None}, "status is None"),
        ({"logs": None}, "logs is None, where a list"),
        ({"logs": ["x"]}, "a log is 'x'"),
        ({"logsBloom": "0x" + "11" * 256}, "bloom filter is not that"),
    ],
)
def test_a_receipt_told_wrongly_is_refused(changed: dict[str, Any], why: str) -> None:
    told = recording()["blocks"][MIXED]["receipts"][0]
    with pytest.raises(BadEvidence, match=why):
        receipts.of_fields({**told, **changed})
