"""Recursive length prefix, Ethereum's encoding of byte strings and lists; strict, since hashes are taken over it.

Ethereum yellow paper, appendix B. One item has one encoding here: what could have been written shorter is refused, as
are bytes after the end, and more depth or size than a block's parts ever have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from agent.domain.errors import BadEvidence

Item: TypeAlias = "bytes | tuple[Item, ...]"
"""What is decoded: a byte string, or a tuple of items."""
Encodable: TypeAlias = "bytes | Sequence[Encodable]"
"""What can be encoded: a byte string, or a sequence of such."""

MOST_DEPTH = 16
"""A transaction's access list nests deepest of what is read here, at four."""
MOST_BYTES = 8 << 20
"""No header, transaction, receipt or trie node comes near."""

_SHORT = 55  # a longer string or list has its length before it
_STRING, _LIST = 0x80, 0xC0


def encode(item: Encodable) -> bytes:
    """The item's encoding."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < _STRING else _prefixed(item, _STRING)
    return _prefixed(b"".join([encode(part) for part in item]), _LIST)


def listed(body: bytes) -> bytes:
    """The list of items that are encoded already, one after the other."""
    return _prefixed(body, _LIST)


def of_number(value: int) -> bytes:
    """A number as a byte string: big-endian without leading zeros; 0 is the empty string.

    Raises:
        ValueError: it is negative.
    """
    if value < 0:
        raise ValueError(f"{value} is negative: only numbers from 0 on can be encoded")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode(data: bytes, what: str = "RLP", *, most_depth: int = MOST_DEPTH, most_bytes: int = MOST_BYTES) -> Item:
    """The item that the bytes encode.

    Args:
        data: the encoding, all of it.
        what: what it is called in an error.
        most_depth: how deep lists may nest; 0 takes a byte string only.
        most_bytes: how long the encoding may be.

    Raises:
        BadEvidence: it is not the one encoding of an item, or nests too deep, or is too long.
    """
    if len(data) > most_bytes:
        raise BadEvidence(f"{what} has {len(data)} bytes, where at most {most_bytes} are read")
    item, end = _decode(data, 0, len(data), what, most_depth)
    if end != len(data):
        raise BadEvidence(f"{what} goes on for {len(data) - end} bytes after its end at byte {end}")
    return item


def a_string(item: Item, what: str, length: int | None = None) -> bytes:
    """The item, which must be a byte string.

    Raises:
        BadEvidence: it is a list, or not ``length`` bytes long.
    """
    if not isinstance(item, bytes):
        raise BadEvidence(f"{what} is a list, where a byte string belongs")
    if length is not None and len(item) != length:
        raise BadEvidence(f"{what} has {len(item)} bytes, where {length} belong")
    return item


def a_list(item: Item, what: str, length: int | None = None) -> tuple[Item, ...]:
    """The item, which must be a list.

    Raises:
        BadEvidence: it is a byte string, or has not ``length`` items.
    """
    if isinstance(item, bytes):
        raise BadEvidence(f"{what} is a byte string, where a list belongs")
    if length is not None and len(item) != length:
        raise BadEvidence(f"{what} has {len(item)} items, where {length} belong")
    return item


def a_number(item: Item, what: str, bits: int = 256) -> int:
    """The number that an item states.

    Raises:
        BadEvidence: it is a list, begins with a zero byte, or has more than ``bits`` bits.
    """
    raw = a_string(item, what)
    if raw[:1] == b"\0":
        raise BadEvidence(f"{what} begins with a zero byte, which a number never does")
    value = int.from_bytes(raw, "big")
    if value >> bits:
        raise BadEvidence(f"{what} is {value:#x}, where at most {bits} bits belong")
    return value


def _prefixed(body: bytes, base: int) -> bytes:
    if len(body) <= _SHORT:
        return bytes((base + len(body),)) + body
    length = of_number(len(body))
    return bytes((base + _SHORT + len(length),)) + length + body


def _decode(data: bytes, at: int, end: int, what: str, depth: int) -> tuple[Item, int]:
    """The item that begins at ``at``, and where it ends; nothing is read from ``end`` on."""
    if at >= end:
        raise BadEvidence(f"{what} ends at byte {at}, where an item would begin")
    first = data[at]
    if first < _STRING:
        return data[at : at + 1], at + 1
    if first < _LIST:
        begin, after = _extent(data, at, end, what, _STRING)
        if after - begin == 1 and data[begin] < _STRING:
            raise BadEvidence(f"{what} at byte {at}: {data[begin]:#04x} is written in two bytes, where one belongs")
        return data[begin:after], after
    if depth == 0:
        raise BadEvidence(f"{what} at byte {at}: lists nest deeper than is read")
    begin, after = _extent(data, at, end, what, _LIST)
    items = []
    while begin < after:
        item, begin = _decode(data, begin, after, what, depth - 1)
        items.append(item)
    return tuple(items), after


def _extent(data: bytes, at: int, end: int, what: str, base: int) -> tuple[int, int]:
    """Where the body of the item at ``at`` begins and ends."""
    begin, length = at + 1, data[at] - base
    if length > _SHORT:
        begin += length - _SHORT
        told = data[at + 1 : begin]
        if begin > end:
            raise BadEvidence(f"{what} ends at byte {end}, within the length that begins at byte {at + 1}")
        length = int.from_bytes(told, "big")
        if told[0] == 0 or length <= _SHORT:
            raise BadEvidence(f"{what} at byte {at}: the length {length} is written longer than it must be")
    if begin + length > end:
        raise BadEvidence(f"{what} at byte {at}: {length} bytes are announced, and {end - begin} are there")
    return begin, begin + length
