"""Headers of many blocks: who built them, by statement or by seal, and what is odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import rlp
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from agent.adapters.full_node import FullNode
from agent.adapters.node_headers import Seals, read_headers
from agent.domain.block_statistics import Origin
from agent.domain.errors import NodeUnavailable
from agent.light import clique

SEALS = Seals(clique.signer, clique.header_hash)
KEYS = [PrivateKey(bytes([number]) * 32) for number in (1, 2, 3)]
BYZANTINE = b"ctical byzantine fault tolerance"
NAMES = [
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty"),
    *("number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce"),
]
COUNTS = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"}


def fields(header: dict[str, Any]) -> list[bytes]:
    def raw(name: str) -> bytes:
        if name not in COUNTS:
            return bytes.fromhex(header[name][2:])
        value = int(header[name], 16)
        return value.to_bytes((value.bit_length() + 7) // 8, "big")

    return [raw(name) for name in NAMES + (["baseFeePerGas"] if "baseFeePerGas" in header else [])]


def header(number: int, parent: str, **changed: str) -> dict[str, Any]:
    told = {
        "parentHash": parent,
        **{name: "0x" + f"{place:02x}" * 32 for place, name in enumerate(NAMES[1:6], 1)},
        "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x0",
        "number": hex(number),
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x0",
        "timestamp": hex(1000 + 5 * number),
        "extraData": "0x",
        "mixHash": "0x" + "00" * 32,
        "nonce": "0x" + "00" * 8,
        "miner": "0x" + "00" * 20,
        **changed,
    }
    told["hash"] = "0x" + keccak(rlp.encode(fields(told))).hex()
    return told


def sealed(number: int, parent: str, key: PrivateKey, *, in_turn: bool = True, **changed: str) -> dict[str, Any]:
    """A Clique header, encoded and signed here."""
    told = header(number, parent, difficulty="0x2" if in_turn else "0x1", extraData="0x" + "61" * 32, **changed)
    seal = key.sign_msg_hash(keccak(rlp.encode(fields(told)))).to_bytes()
    return header(
        number, parent, **{**changed, "difficulty": told["difficulty"], "extraData": told["extraData"] + seal.hex()}
    )


@dataclass
class Node:
    """A node whose chain is made block by block."""

    chain: list[dict[str, Any]] = field(default_factory=lambda: [header(0, "0x" + "00" * 32)])

    def add(self, make: Callable[..., dict[str, Any]], *arguments: Any, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - of two makers
        self.chain.append(make(len(self.chain), self.chain[-1]["hash"], *arguments, **changed))
        return self.chain[-1]

    def call(self, _method: str, params: list[Any]) -> object:
        number = int(params[0], 16)
        return self.chain[number] if number < len(self.chain) else None

    def close(self) -> None:
        pass

    def read(self, first: int = 1) -> list[tuple[str, Origin, bool | None]]:
        node = FullNode(name="n", area="", rpc=self, pin=None, monotonic=lambda: 0.0)
        found = read_headers(node, first, len(self.chain) - 1, SEALS)
        assert [(block.number, block.at) for block in found] == [
            (number, 1000 + 5 * number) for number in range(first, len(self.chain))
        ]
        return [(block.producer, block.origin, block.in_turn) for block in found]


def test_a_stated_builder_is_said_to_be_stated() -> None:
    node = Node()
    node.add(header, miner="0x" + "ab" * 20)
    node.add(header, miner=KEYS[0].public_key.to_address(), difficulty="0x1", mixHash="0x" + BYZANTINE.hex())
    stated = [("0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB", Origin.STATED, None)]
    assert node.read() == [*stated, (KEYS[0].public_key.to_checksum_address(), Origin.STATED, None)]


@pytest.mark.parametrize("more", [{}, {"baseFeePerGas": "0x3b9aca00"}])
def test_a_clique_seal_tells_who_built_a_block_and_the_header_whether_in_turn(more: dict[str, str]) -> None:
    node = Node()
    for key in KEYS:
        node.add(sealed, key, **more)
    node.add(sealed, KEYS[2], in_turn=False, **more)
    names = [key.public_key.to_checksum_address() for key in (*KEYS, KEYS[2])]
    assert node.read() == [
        (name, Origin.SEALED, in_turn) for name, in_turn in zip(names, [True, True, True, False], strict=True)
    ]


def test_a_checkpoints_signers_stand_before_the_seal() -> None:
    node = Node()
    told = header(1, node.chain[0]["hash"], difficulty="0x2", extraData="0x" + "61" * 32 + "11" * 40)
    seal = KEYS[1].sign_msg_hash(keccak(rlp.encode(fields(told)))).to_bytes()
    node.add(header, difficulty="0x2", extraData=told["extraData"] + seal.hex())
    assert node.read() == [(KEYS[1].public_key.to_checksum_address(), Origin.SEALED, True)]


def test_a_changed_header_does_not_hash_to_what_it_claims() -> None:
    node = Node()
    told = node.add(sealed, KEYS[0])
    told["gasUsed"] = "0x1"
    with pytest.raises(NodeUnavailable, match="block 1: its header does not hash to"):
        node.read()


@pytest.mark.parametrize("seal", ["00" * 65, "ff" * 65])
def test_a_seal_that_is_no_signature_is_no_usable_answer(seal: str) -> None:
    node = Node()
    node.add(header, difficulty="0x2", extraData="0x" + "61" * 32 + seal)
    with pytest.raises(NodeUnavailable, match="seal is no signature"):
        node.read()


def test_a_header_that_is_too_short_for_a_seal_has_no_signer() -> None:
    assert clique.signer(fields(header(1, "0x" + "00" * 32, extraData="0x" + "61" * 96))) is None


def test_blocks_that_do_not_follow_each_other_are_no_usable_answer() -> None:
    node = Node()
    node.add(header)
    node.add(header)
    node.chain[1] = header(1, node.chain[0]["hash"], gasUsed="0x7")
    with pytest.raises(NodeUnavailable, match="block 2 does not follow"):
        node.read()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"miner": None}, "block 1: miner"),
        ({"miner": "0x12"}, "block 1: miner"),
        ({"extraData": None}, "block 1: extraData"),
        ({"difficulty": "many"}, "block 1: difficulty"),
        ({"parentHash": "0x"}, "block 1: parentHash"),
        ({"number": "0x2"}, "does not give block 1"),
        ({"difficulty": "0x2", "extraData": "0x" + "61" * 97, "stateRoot": None}, "block 1: stateRoot"),
        ({"difficulty": "0x2", "mixHash": "0x00"}, "mixHash"),
    ],
)
def test_an_odd_header_is_no_usable_answer(changed: dict[str, object], said: str) -> None:
    node = Node()
    node.add(header).update(changed)
    with pytest.raises(NodeUnavailable, match=said):
        node.read()


def test_a_block_that_is_missing_is_no_usable_answer() -> None:
    node = Node()
    read = FullNode(name="n", area="", rpc=node, pin=None, monotonic=lambda: 0.0)
    with pytest.raises(NodeUnavailable, match="block 1"):
        read_headers(read, 1, 1, SEALS)
