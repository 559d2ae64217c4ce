"""Everything a node may say is checked: whatever it sends, a value of the right kind comes out, or NodeUnavailable."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters import node_answers
from agent.domain.errors import NodeUnavailable
from agent.domain.market import Head
from agent.domain.outbox import Inclusion

HASH = "0x" + "ab" * 32
OTHER = "0x" + "cd" * 32

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
# Objects that have the right names and anything in them.
RECEIPTS = st.fixed_dictionaries(
    {"transactionHash": JSON | st.just(HASH), "blockNumber": JSON | st.just("0x1")},
    optional={"blockHash": JSON | st.just(HASH), "status": JSON | st.just("0x1")},
)
BLOCKS = st.fixed_dictionaries(
    {"number": JSON | st.just("0x1"), "hash": JSON | st.just(HASH)},
    optional={"timestamp": JSON | st.just("0x2"), "baseFeePerGas": JSON},
)


@given(JSON)
def test_any_json_is_a_number_or_unusable(value: object) -> None:
    with suppress(NodeUnavailable):
        assert 0 <= node_answers.quantity(value, "it") < 1 << 64


@given(JSON | RECEIPTS)
def test_any_json_is_a_receipt_none_or_unusable(value: object) -> None:
    try:
        found = node_answers.inclusion(value, HASH)
    except NodeUnavailable:
        return
    assert found is None or found.tx_hash == HASH


@given(JSON | BLOCKS)
def test_any_json_is_a_block_none_or_unusable(value: object) -> None:
    try:
        found = node_answers.block(value, "block")
    except NodeUnavailable:
        return
    assert found is None or isinstance(found.head, Head)


@given(JSON)
def test_any_revert_data_is_bytes_or_none(value: object) -> None:
    assert isinstance(node_answers.revert_data(value), bytes | None)


@pytest.mark.parametrize("value", [None, True, 5, "5", "0x", "0xg", "0x1\n", "0x" + "f" * 65, "0x" + "f" * 17, []])
def test_what_is_no_number_is_unusable(value: object) -> None:
    with pytest.raises(NodeUnavailable, match="nonce is"):
        node_answers.quantity(value, "nonce")


def test_numbers_may_have_leading_zeros() -> None:
    assert node_answers.quantity("0x00", "status", most=1) == 0
    assert node_answers.quantity("0xff", "nonce") == 255


def test_a_receipt_of_another_transaction_is_unusable() -> None:
    receipt = {"transactionHash": OTHER, "blockNumber": "0x1", "blockHash": HASH, "status": "0x1"}
    with pytest.raises(NodeUnavailable, match="transactionHash"):
        node_answers.inclusion(receipt, HASH)


@pytest.mark.parametrize(("status", "succeeded"), [("0x1", True), ("0x0", False), ("0x00", False)])
def test_a_receipt_tells_where_and_whether(status: str, succeeded: bool) -> None:
    receipt = {"transactionHash": HASH, "blockNumber": "0x7", "blockHash": OTHER, "status": status}
    assert node_answers.inclusion(receipt, HASH) == Inclusion(HASH, 7, OTHER, succeeded)


def test_a_pending_receipt_is_none() -> None:
    assert node_answers.inclusion({"transactionHash": HASH, "blockNumber": None, "blockHash": None}, HASH) is None


def test_a_status_other_than_0_and_1_is_unusable() -> None:
    receipt = {"transactionHash": HASH, "blockNumber": "0x7", "blockHash": OTHER, "status": "0x2"}
    with pytest.raises(NodeUnavailable, match="status"):
        node_answers.inclusion(receipt, HASH)


@pytest.mark.parametrize(
    "data",
    ["0x12ab", {"result": "0x12ab"}, {"data": "0x12ab", "message": "reverted"}, "Reverted 0x12ab"],
    ids=["geth", "ganache", "nested", "nethermind"],
)
def test_revert_data_is_found_where_each_node_puts_it(data: object) -> None:
    assert node_answers.revert_data(data) == b"\x12\xab"


def test_what_is_shown_of_a_value_is_short() -> None:
    assert len(node_answers.shown("x" * 10_000)) < 70
    assert node_answers.shown({"a": 1}) == "dict"


@given(JSON, st.integers(0, 60))
def test_no_honest_answer_is_too_deep(value: object, extra: int) -> None:
    assert not node_answers.too_deep(json.dumps({"result": [value] * extra}).encode())


@given(st.lists(st.sampled_from([b"[", b'{"a":']), min_size=65, max_size=200))
def test_what_nests_deeper_is_found(opening: list[bytes]) -> None:
    assert node_answers.too_deep(b"".join(opening))


def test_brackets_in_a_text_do_not_nest() -> None:
    text = json.dumps({"error": {"message": '\\"[' * 500}}).encode()
    assert not node_answers.too_deep(text)
