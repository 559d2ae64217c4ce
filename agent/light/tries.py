"""Merkle-Patricia tries: what a root proves of a key, and building one to compare its root.

Ethereum yellow paper, appendix D. A node that is 32 bytes or longer stands in its parent as its hash, a shorter
one as it is. Keys of "secure" tries (accounts, storage) are hashed by whoever asks; transactions and receipts lie
under the RLP of their index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.domain.errors import BadEvidence
from agent.light import rlp
from agent.light.hashing import keccak

HASH_BYTES = 32
EMPTY_NODE = b"\x80"
EMPTY_ROOT = keccak(EMPTY_NODE)
"""Root of a trie that holds nothing."""

_BRANCH_ITEMS, _PATH_ITEMS = 17, 2
_VALUE = 16  # a branch's own value comes after its sixteen children
_EXTENSION, _EXTENSION_ODD, _LEAF, _LEAF_ODD = range(4)
# A secure key has 64 nibbles, and each node but the last takes one.
_MOST_NODES = 65
# A node nests only what is shorter than a hash: nothing but a list in a list in a list fits.
_NODE_DEPTH = 16
_MOST_NODE_BYTES = 1 << 20


def proven(root: bytes, key: bytes, proof: Sequence[bytes], what: str = "proof") -> bytes | None:
    """What a trie holds under a key; None where the proof shows that it holds nothing there.

    Args:
        root: the trie's root, 32 bytes.
        key: as the trie has it; for a secure trie already hashed.
        proof: the nodes on the way from the root down, each in RLP. Nodes that stand inside their parent may be
            repeated, as some clients do.
        what: what it is called in an error.

    Raises:
        BadEvidence: a node is missing, left over, not the one that its parent names, or none at all.
    """
    if len(proof) > _MOST_NODES:
        raise BadEvidence(f"{what} has {len(proof)} nodes, where at most {_MOST_NODES} are read")
    if root == EMPTY_ROOT and list(proof) in ([], [EMPTY_NODE]):
        return None
    walk = _Walk(proof, what)
    node, path = walk.named(root), nibbles(key)
    while True:
        if len(node) == _BRANCH_ITEMS:
            child = node[path[0]] if path else rlp.a_string(node[_VALUE], f"{what}: a branch's value")
            if not path or child == b"":
                return walk.ended(child if isinstance(child, bytes) else b"")
            path = path[1:]
        else:
            own, leaf = _path_of(node, what)
            if leaf:
                value = rlp.a_string(node[1], f"{what}: a leaf's value")
                if value == b"":
                    raise BadEvidence(f"{what}: a leaf without a value")
                return walk.ended(value if own == path else b"")
            if path[: len(own)] != own:
                return walk.ended(b"")
            child, path = node[1], path[len(own) :]
        node = walk.child(child)


def nibbles(key: bytes) -> bytes:
    """A key's half-bytes, one a byte."""
    return bytes(half for byte in key for half in (byte >> 4, byte & 15))


class _Walk:
    """The nodes of a proof, taken in their order, each only as the one that is due."""

    def __init__(self, proof: Sequence[bytes], what: str) -> None:
        self._proof = proof
        self._what = what
        self._next = 0

    def named(self, node_hash: bytes) -> tuple[rlp.Item, ...]:
        """The node with this hash."""
        if self._next == len(self._proof):
            raise BadEvidence(f"{self._what} ends before the node {node_hash.hex()[:16]}… that it leads to")
        raw = self._proof[self._next]
        what = f"{self._what}: node {self._next}"
        if keccak(raw) != node_hash:
            raise BadEvidence(f"{what} does not hash to {node_hash.hex()[:16]}…, which names it")
        self._next += 1
        return self._checked(rlp.decode(raw, what, most_depth=_NODE_DEPTH, most_bytes=_MOST_NODE_BYTES), what)

    def child(self, reference: rlp.Item) -> tuple[rlp.Item, ...]:
        """The node that a reference inside its parent leads to: by its hash, or as it is."""
        if isinstance(reference, bytes):
            if len(reference) != HASH_BYTES:
                raise BadEvidence(
                    f"{self._what}: a child is named by {len(reference)} bytes, where {HASH_BYTES} belong"
                )
            return self.named(reference)
        raw = rlp.encode(reference)
        if len(raw) >= HASH_BYTES:
            raise BadEvidence(f"{self._what}: a node of {len(raw)} bytes stands inside its parent")
        if self._next < len(self._proof) and self._proof[self._next] == raw:
            self._next += 1
        return self._checked(reference, f"{self._what}: a node inside its parent")

    def ended(self, value: bytes) -> bytes | None:
        """The value that was found, all nodes being used up; nothing for the empty one."""
        if self._next != len(self._proof):
            raise BadEvidence(f"{self._what} has {len(self._proof) - self._next} nodes that lead nowhere")
        return value or None

    @staticmethod
    def _checked(item: rlp.Item, what: str) -> tuple[rlp.Item, ...]:
        node = rlp.a_list(item, what)
        if len(node) not in {_BRANCH_ITEMS, _PATH_ITEMS}:
            raise BadEvidence(f"{what} has {len(node)} items, where {_BRANCH_ITEMS} or {_PATH_ITEMS} belong")
        return node


def _path_of(node: tuple[rlp.Item, ...], what: str) -> tuple[bytes, bool]:
    """The nibbles of a node of two items, and whether it is a leaf."""
    raw = nibbles(rlp.a_string(node[0], f"{what}: a node's path"))
    if not raw or raw[0] > _LEAF_ODD or (raw[0] in {_EXTENSION, _LEAF} and raw[1] != 0):
        raise BadEvidence(f"{what}: a path begins with {raw[:2].hex()}: neither a leaf nor an extension")
    own = raw[1:] if raw[0] in {_EXTENSION_ODD, _LEAF_ODD} else raw[2:]
    leaf = raw[0] >= _LEAF
    if not own and not leaf:
        raise BadEvidence(f"{what}: an extension without a path")
    return own, leaf


# --- Building ---


@dataclass(frozen=True, slots=True)
class Trie:
    """A built trie.

    Attributes:
        root: 32 bytes.
        nodes: its nodes by their hash.
    """

    root: bytes
    nodes: Mapping[bytes, bytes]

    def proof(self, key: bytes) -> tuple[bytes, ...]:
        """The nodes on the way to a key, whether the trie holds it or not; ``proven`` takes them."""
        found: list[bytes] = []
        if self.root == EMPTY_ROOT:
            return ()
        reference: rlp.Item = self.root
        path = nibbles(key)
        while True:
            if isinstance(reference, bytes):
                found.append(self.nodes[reference])
                reference = rlp.decode(found[-1], "node")
            node = rlp.a_list(reference, "node")
            if len(node) == _BRANCH_ITEMS:
                if not path or node[path[0]] == b"":
                    return tuple(found)
                reference, path = node[path[0]], path[1:]
            else:
                own, leaf = _path_of(node, "node")
                if leaf or path[: len(own)] != own:
                    return tuple(found)
                reference, path = node[1], path[len(own) :]


def build(values: Mapping[bytes, bytes]) -> Trie:
    """The trie that holds these values under these keys; an empty value is none."""
    pairs = sorted((nibbles(key), value) for key, value in values.items() if value)
    nodes: dict[bytes, bytes] = {}
    if not pairs:
        return Trie(EMPTY_ROOT, nodes)
    raw = _build(pairs, 0, nodes)
    root = keccak(raw)
    nodes[root] = raw
    return Trie(root, nodes)


def place(index: int) -> bytes:
    """The key of the transaction, or receipt, with this index in its block."""
    return rlp.encode(rlp.of_number(index))


def ordered(values: Sequence[bytes]) -> Trie:
    """The trie of a block's transactions or receipts, each as it is encoded there."""
    return build({place(index): value for index, value in enumerate(values)})


def _build(pairs: Sequence[tuple[bytes, bytes]], depth: int, nodes: dict[bytes, bytes]) -> bytes:
    """The encoding of the node over sorted pairs that are alike in their first ``depth`` nibbles."""
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) == 1:
        return rlp.encode((_prefix(first[depth:], _LEAF), pairs[0][1]))
    shared = depth
    while shared < len(first) and first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return _listed([rlp.encode(_prefix(first[depth:shared], _EXTENSION)), _reference(pairs, shared, nodes)])
    children = [EMPTY_NODE] * 16
    value = b""
    begin = 0
    if len(first) == depth:
        value, begin = pairs[0][1], 1
    while begin < len(pairs):
        nibble = pairs[begin][0][depth]
        end = begin + 1
        while end < len(pairs) and pairs[end][0][depth] == nibble:
            end += 1
        children[nibble] = _reference(pairs[begin:end], depth + 1, nodes)
        begin = end
    return _listed([*children, rlp.encode(value)])


def _reference(pairs: Sequence[tuple[bytes, bytes]], depth: int, nodes: dict[bytes, bytes]) -> bytes:
    """How a node stands in its parent, encoded."""
    raw = _build(pairs, depth, nodes)
    if len(raw) < HASH_BYTES:
        return raw
    name = keccak(raw)
    nodes[name] = raw
    return b"\xa0" + name


def _listed(encoded: Sequence[bytes]) -> bytes:
    return rlp.listed(b"".join(encoded))


def _prefix(path: bytes, kind: int) -> bytes:
    """A path packed, its kind and whether its length is odd in the first half-byte."""
    halves = bytes((kind + 1,)) + path if len(path) % 2 else bytes((kind, 0)) + path
    return bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))
