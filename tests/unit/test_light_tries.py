"""Tries: roots as Ethereum's, and proofs of what is there and of what is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence
from agent.light import rlp, tries
from agent.light.hashing import keccak
from tests.unit.light_vectors import vectors

FOLDER = "ethereum-tests/TrieTests"
# Short keys share beginnings, and short values make nodes that stand inside their parents.
contents = st.dictionaries(st.binary(max_size=4), st.binary(min_size=1, max_size=40), max_size=25)


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


def content(vector: object) -> dict[bytes, bytes]:
    """What a vector's steps leave in the trie; null removes."""
    pairs = vector.items() if isinstance(vector, dict) else vector
    held: dict[bytes, bytes] = {}
    for key, value in pairs:  # type: ignore[union-attr, attr-defined] - JSON
        held.pop(raw(key), None)
        if value is not None:
            held[raw(key)] = raw(value)
    return held


@pytest.mark.parametrize(
    ("file", "secure"),
    [
        ("trietest.json", False),
        ("trieanyorder.json", False),
        ("trietest_secureTrie.json", True),
        ("trieanyorder_secureTrie.json", True),
        ("hex_encoded_securetrie_test.json", True),
    ],
)
def test_ethereums_vectors_have_their_roots_and_every_key_is_proven(file: str, *, secure: bool) -> None:
    for name, vector in vectors(f"{FOLDER}/{file}").items():
        held = {keccak(key) if secure else key: value for key, value in content(vector["in"]).items()}
        trie = tries.build(held)
        assert trie.root == raw(vector["root"]), name
        for key, value in held.items():
            assert tries.proven(trie.root, key, trie.proof(key)) == value


@given(contents, st.binary(max_size=4))
def test_every_key_is_proven_to_be_there_or_not(held: dict[bytes, bytes], other: bytes) -> None:
    trie = tries.build(held)

    for key in [*held, other]:
        assert tries.proven(trie.root, key, trie.proof(key)) == held.get(key)


@given(contents.filter(bool), st.data())
def test_no_proof_survives_a_changed_byte_a_missing_node_or_one_too_many(
    held: dict[bytes, bytes], data: st.DataObject
) -> None:
    trie = tries.build(held)
    key = data.draw(st.sampled_from(sorted(held)))
    proof = list(trie.proof(key))
    which = data.draw(st.integers(0, len(proof) - 1))
    at = data.draw(st.integers(0, len(proof[which]) - 1))
    changed = bytearray(proof[which])
    changed[at] ^= data.draw(st.integers(1, 255))

    for wrong in (
        [*proof[:which], bytes(changed), *proof[which + 1 :]],
        proof[:which] + proof[which + 1 :],
        [*proof, proof[which]],
    ):
        with pytest.raises(BadEvidence):
            tries.proven(trie.root, key, wrong)


def test_nothing_is_proven_of_an_empty_trie_but_that_it_is_empty() -> None:
    assert tries.build({}).root == tries.EMPTY_ROOT == tries.build({b"key": b""}).root
    assert tries.proven(tries.EMPTY_ROOT, b"key", []) is None
    assert tries.proven(tries.EMPTY_ROOT, b"key", [b"\x80"]) is None
    with pytest.raises(BadEvidence):
        tries.proven(tries.EMPTY_ROOT, b"key", [b"\x80", b"\x80"])
    with pytest.raises(BadEvidence, match="ends before"):
        tries.proven(keccak(b"a root"), b"key", [])


def test_a_node_inside_its_parent_may_be_repeated_but_not_by_another() -> None:
    held = {b"\x10": b"a", b"\x20": b"b", b"\x30": bytes(40)}
    trie = tries.build(held)
    [root] = trie.proof(b"\x10")
    inner = rlp.encode(rlp.a_list(rlp.decode(root), "root")[1])

    assert tries.proven(trie.root, b"\x10", [root, inner]) == b"a"
    with pytest.raises(BadEvidence, match="lead nowhere"):
        tries.proven(trie.root, b"\x20", [root, inner])


def _root_of(node: tuple[object, ...]) -> tuple[bytes, list[bytes]]:
    raw_node = rlp.encode(node)  # type: ignore[arg-type] - made wrong on purpose
    return keccak(raw_node), [raw_node]


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ((b"\x40", b"v"), "neither a leaf nor an extension"),
        ((b"\x21" * 0, b"v"), "neither a leaf nor an extension"),
        ((b"\x2f\x00", b"v"), "neither a leaf nor an extension"),
        ((b"\x00", bytes(32)), "extension without a path"),
        ((b"\x20", b""), "leaf without a value"),
        ((b"a", b"b", b"c"), "has 3 items"),
        ((b"\x00\x12", b"short"), "named by 5 bytes"),
        ((b"\x00\x12", tuple([b"x" * 20] * 2)), "stands inside its parent"),
    ],
)
def test_a_node_that_is_none_is_refused_though_it_hashes(node: tuple[object, ...], why: str) -> None:
    root, proof = _root_of(node)

    with pytest.raises(BadEvidence, match=why):
        tries.proven(root, b"\x12" if node != (b"\x20", b"") else b"", proof)


def test_a_proof_of_more_nodes_than_a_key_has_is_not_read() -> None:
    with pytest.raises(BadEvidence, match="at most 65"):
        tries.proven(bytes(32), b"key", [b""] * 66)


@pytest.mark.parametrize("count", [0, 1, 2, 127, 128, 129, 300])
def test_a_blocks_items_lie_under_their_index(count: int) -> None:
    chance = random.Random(count)  # noqa: S311 - no secret
    values = [chance.randbytes(1 + chance.randrange(200)) for _ in range(count)]
    trie = tries.ordered(values)

    for index, value in enumerate(values):
        assert tries.proven(trie.root, tries.place(index), trie.proof(tries.place(index))) == value
    assert tries.proven(trie.root, tries.place(count), trie.proof(tries.place(count))) is None
