"""Headers of many blocks from one node, several at a time, and whom each names as its builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from eth_utils.address import to_checksum_address

from agent.adapters import node_answers
from agent.adapters.full_node import FullNode
from agent.domain.block_statistics import BuiltBlock, Origin
from agent.domain.errors import NodeUnavailable

# As many as the line keeps connections for.
_AT_ONCE = 4
# A thousand headers take seconds in one's own network; who asks for many more waits, but not for ever.
_DEADLINE_S = 120.0
# What stands in place of a mix hash says which consensus sealed the block: Clique writes 0, QBFT and IBFT 2 a sentence.
_NO_MIX = bytes(32)
_VANITY_AND_SEAL_BYTES = 32 + 65
_ADDRESS_BYTES = 20
# EIP-225: difficulty 2 in turn, 1 out of turn.
_OUT_OF_TURN, _IN_TURN = 1, 2
_MOST_EXTRA_BYTES = 100_000

Signer = Callable[[Sequence[bytes]], str | None]
"""Who signed a header with these fields, or None."""
Hash = Callable[[Sequence[bytes]], bytes]
"""The hash of a header with these fields."""


@dataclass(frozen=True, slots=True)
class Seals:
    """What reads a Clique header's seal."""

    signer: Signer
    header_hash: Hash


@dataclass(frozen=True, slots=True)
class _Linked:
    block: BuiltBlock
    block_hash: str
    parent_hash: str


def read_headers(node: FullNode, first_block: int, last_block: int, seals: Seals) -> list[BuiltBlock]:
    """Who built the blocks of a range, in the chain's order.

    Args:
        node: to ask.
        first_block: first block of the range.
        last_block: last block of the range.
        seals: what reads a seal.

    Raises:
        NodeUnavailable: it gave no usable answer, or too slowly, or its chain was rewritten meanwhile.
    """
    threads = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="headers")
    numbers = range(first_block, last_block + 1)
    found: list[_Linked] = []
    try:
        for linked in threads.map(partial(_header, node, seals), numbers, timeout=_DEADLINE_S):
            if found and linked.parent_hash != found[-1].block_hash:
                raise NodeUnavailable(f"block {linked.block.number} does not follow the one that it gave before it")
            found.append(linked)
    except TimeoutError as error:
        raise NodeUnavailable(
            f"{len(found)} of {len(numbers)} headers came within {_DEADLINE_S:g} s; ask for fewer"
        ) from error
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    return [linked.block for linked in found]


def _header(node: FullNode, seals: Seals, number: int) -> _Linked:
    told = node_answers.fields(node.call("eth_getBlockByNumber", [hex(number), False]), f"block {number}")
    found = node_answers.block(told, f"block {number}")
    if found is None or found.head.number != number:
        raise NodeUnavailable(f"it does not give block {number}, which is not above its newest")
    miner = node_answers.octets(told.get("miner"), f"block {number}: miner", _ADDRESS_BYTES)
    block = BuiltBlock(number, found.head.timestamp, str(to_checksum_address(miner)), Origin.STATED)
    extra = node_answers.octets(told.get("extraData"), f"block {number}: extraData")
    difficulty = node_answers.wei(told.get("difficulty"), f"block {number}: difficulty")
    if _clique(told, extra, difficulty):
        block = _sealed(block, told, difficulty, found.head.block_hash, seals)
    parent = node_answers.hash32(told.get("parentHash"), f"block {number}: parentHash")
    return _Linked(block, found.head.block_hash, parent)


def _clique(told: dict[str, object], extra: bytes, difficulty: int) -> bool:
    mix = told.get("mixHash")
    return (
        difficulty in {_OUT_OF_TURN, _IN_TURN}
        and mix is not None
        and node_answers.octets(mix, "block: mixHash", len(_NO_MIX)) == _NO_MIX
        and _VANITY_AND_SEAL_BYTES <= len(extra) <= _MOST_EXTRA_BYTES
        and (len(extra) - _VANITY_AND_SEAL_BYTES) % _ADDRESS_BYTES == 0
    )


def _sealed(block: BuiltBlock, told: dict[str, object], difficulty: int, block_hash: str, seals: Seals) -> BuiltBlock:
    fields = _fields(told, block.number)
    if "0x" + seals.header_hash(fields).hex() != block_hash:
        raise NodeUnavailable(f"block {block.number}: its header does not hash to {block_hash}")
    signer = seals.signer(fields)
    if signer is None:
        raise NodeUnavailable(f"block {block.number}: its seal is no signature")
    return BuiltBlock(block.number, block.at, signer, Origin.SEALED, in_turn=difficulty == _IN_TURN)


def _fields(told: dict[str, object], number: int) -> list[bytes]:
    """The header's fields in their order, as RLP has them."""

    def raw(name: str) -> bytes:
        return node_answers.octets(told.get(name), f"block {number}: {name}")

    def count(name: str) -> bytes:
        value = node_answers.wei(told.get(name), f"block {number}: {name}")
        return value.to_bytes((value.bit_length() + 7) // 8, "big")

    fields = [raw(name) for name in ("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot")]
    fields += [raw("receiptsRoot"), raw("logsBloom")]
    fields += [count(name) for name in ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")]
    fields += [raw("extraData"), raw("mixHash"), raw("nonce")]
    return fields if told.get("baseFeePerGas") is None else [*fields, count("baseFeePerGas")]
