"""RLP: one encoding for each item, and everything else refused."""

from __future__ import annotations

import pytest
import rlp as other
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence
from agent.light import rlp
from tests.unit.light_vectors import vectors

items = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=6).map(tuple), max_leaves=20)


def told(value: object) -> rlp.Encodable:
    """A vector's value: numbers, ``#`` and a big number, text, lists."""
    if isinstance(value, list):
        return [told(part) for part in value]
    if isinstance(value, int):
        return rlp.of_number(value)
    assert isinstance(value, str)
    return rlp.of_number(int(value[1:])) if value.startswith("#") else value.encode("latin-1")


def tuples(item: rlp.Encodable) -> rlp.Item:
    return item if isinstance(item, bytes) else tuple(tuples(part) for part in item)


def test_ethereums_vectors_are_encoded_and_decoded() -> None:
    for name, vector in vectors("ethereum-tests/RLPTests/rlptest.json").items():
        encoded = bytes.fromhex(vector["out"].removeprefix("0x"))
        assert rlp.encode(told(vector["in"])) == encoded, name
        assert rlp.decode(encoded) == tuples(told(vector["in"])), name


def test_ethereums_invalid_vectors_are_refused() -> None:
    for name, vector in vectors("ethereum-tests/RLPTests/invalidRLPTest.json").items():
        with pytest.raises(BadEvidence):
            pytest.fail(f"{name} was taken: {rlp.decode(bytes.fromhex(vector['out'].removeprefix('0x')))!r}")


@given(items)
def test_what_is_encoded_decodes_to_itself_and_is_what_another_encoder_writes(item: rlp.Item) -> None:
    encoded = rlp.encode(item)

    assert rlp.decode(encoded) == item
    assert encoded == other.encode(item)


@given(st.binary(max_size=80))
def test_whatever_is_taken_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except BadEvidence:
        return
    assert rlp.encode(item) == data


@given(items, st.binary(min_size=1, max_size=3))
def test_bytes_after_the_end_are_refused(item: rlp.Item, more: bytes) -> None:
    with pytest.raises(BadEvidence, match="after its end"):
        rlp.decode(rlp.encode(item) + more)


def test_depth_and_size_are_bounded() -> None:
    nest: rlp.Item = ()
    for _ in range(16):
        nest = (nest,)

    with pytest.raises(BadEvidence, match="nest deeper"):
        rlp.decode(rlp.encode(nest))
    assert rlp.decode(rlp.encode(nest), most_depth=17) == nest
    with pytest.raises(BadEvidence, match="a header has 5 bytes, where at most 4"):
        rlp.decode(b"\x84abcd", "a header", most_bytes=4)
    with pytest.raises(BadEvidence):  # a hundred thousand lists in each other neither overflow nor take long
        rlp.decode(b"\xc1" * 100_000)


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("", "ends at byte 0"),
        ("8100", "written in two bytes"),
        ("b800", "longer than it must be"),
        ("b90038" + "00" * 56, "longer than it must be"),
        ("b9ff", "within the length"),
        ("c28281", "byte 1: 2 bytes are announced, and 1 are there"),
        ("c3830102", "byte 1: 3 bytes are announced, and 2 are there"),
        ("c40102", "byte 0: 4 bytes are announced, and 2 are there"),
        ("bf" + "ff" * 8, "announced"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(encoded: str, why: str) -> None:
    with pytest.raises(BadEvidence, match=why):
        rlp.decode(bytes.fromhex(encoded))


def test_a_number_has_no_leading_zero_and_fits() -> None:
    assert rlp.a_number(b"", "gas") == 0
    assert rlp.a_number(b"\x01\x00", "gas") == 256
    with pytest.raises(BadEvidence, match="gas begins with a zero byte"):
        rlp.a_number(b"\x00\x01", "gas")
    with pytest.raises(BadEvidence, match="at most 8 bits"):
        rlp.a_number(b"\x01\x00", "gas", 8)
    with pytest.raises(BadEvidence, match="gas is a list"):
        rlp.a_number((), "gas")
    with pytest.raises(ValueError, match="negative"):
        rlp.of_number(-1)


def test_shapes_are_asked_for_by_name() -> None:
    assert rlp.a_list((b"a", b"b"), "log", 2) == (b"a", b"b")
    with pytest.raises(BadEvidence, match="log has 1 items, where 3"):
        rlp.a_list((b"a",), "log", 3)
    with pytest.raises(BadEvidence, match="log is a byte string"):
        rlp.a_list(b"a", "log")
    with pytest.raises(BadEvidence, match="root has 1 bytes, where 32"):
        rlp.a_string(b"a", "root", 32)
