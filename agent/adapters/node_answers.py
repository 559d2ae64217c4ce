"""What a full node says, read with suspicion: every value has its type, its range and its shape checked.

A node that answers something else gave no usable answer, whatever it meant by it; nothing here guesses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.domain.errors import NodeUnavailable
from agent.domain.market import Head
from agent.domain.outbox import Inclusion

_HEX = re.compile(r"0x[0-9a-fA-F]*\Z")
# An unsigned 256-bit number has 64 digits; more is no number of the protocol, and costs time to convert.
_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
_MOST_UINT64 = (1 << 64) - 1
_MOST_UINT256 = (1 << 256) - 1
_SHOWN = 60
# A traced call nests deepest of what is asked here, at about ten.
_DEEPEST = 64
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header, as far as it is used here.

    Attributes:
        head: number, hash and time.
        base_fee: wei for each unit of gas; None where the chain has no base fee.
    """

    head: Head
    base_fee: int | None


def too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than any answer of the protocol.

    Python's decoder recurses, and its own guard is off in this process: py_ecc, which eth-account brings, raises the
    interpreter's recursion limit to 100,000, so that 100 kB of ``[`` would overflow the stack and kill the agent.
    """
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > _DEEPEST:
            return True
    return False


def shown(value: object) -> str:
    """A value that a node sent, short enough and plain enough for one log line."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _wrong(what: str, value: object, right: str) -> NodeUnavailable:
    return NodeUnavailable(f"{what} is {shown(value)}, where {right} belongs")


def quantity(value: object, what: str, most: int = _MOST_UINT64) -> int:
    """A number in ``0x`` hex; leading zeros are taken, since Ganache writes a failed status as a byte.

    Raises:
        NodeUnavailable: it is no such number, or above ``most``.
    """
    if not isinstance(value, str) or not _NUMBER.match(value):
        raise _wrong(what, value, "a number in 0x hex")
    number = int(value, 16)
    if number > most:
        raise _wrong(what, value, f"a number up to {most:#x}")
    return number


def wei(value: object, what: str) -> int:
    """An amount of money in ``0x`` hex.

    Raises:
        NodeUnavailable: it is no number of 256 bits.
    """
    return quantity(value, what, _MOST_UINT256)


def octets(value: object, what: str, length: int | None = None) -> bytes:
    """Bytes in ``0x`` hex.

    Raises:
        NodeUnavailable: they are not, or not ``length`` of them.
    """
    if not isinstance(value, str) or len(value) % 2 or not _HEX.match(value):
        raise _wrong(what, value, "bytes in 0x hex")
    found = bytes.fromhex(value[2:])
    if length is not None and len(found) != length:
        raise _wrong(what, value, f"0x hex of {length} bytes")
    return found


def hash32(value: object, what: str) -> str:
    """A 32-byte hash, lower case ``0x`` hex.

    Raises:
        NodeUnavailable: it is no such hash.
    """
    return "0x" + octets(value, what, _HASH_BYTES).hex()


def fields(value: object, what: str) -> dict[str, object]:
    """A JSON object.

    Raises:
        NodeUnavailable: it is something else.
    """
    if not isinstance(value, dict):
        raise _wrong(what, value, "a JSON object")
    return value


def block(value: object, what: str) -> Block | None:
    """A block without its transactions; None if the node has no such block.

    Raises:
        NodeUnavailable: it is no block.
    """
    if value is None:
        return None
    told = fields(value, what)
    base_fee = told.get("baseFeePerGas")
    return Block(
        head=Head(
            number=quantity(told.get("number"), f"{what}: number"),
            block_hash=hash32(told.get("hash"), f"{what}: hash"),
            timestamp=quantity(told.get("timestamp"), f"{what}: timestamp"),
        ),
        base_fee=None if base_fee is None else wei(base_fee, f"{what}: baseFeePerGas"),
    )


def inclusion(value: object, tx_hash: str) -> Inclusion | None:
    """Where a receipt says that a transaction was mined; None if there is no receipt.

    Raises:
        NodeUnavailable: it is no receipt, or another transaction's.
    """
    if value is None:
        return None
    told = fields(value, "receipt")
    if told.get("blockHash") is None or told.get("blockNumber") is None:
        return None  # some nodes give the receipt of a pending transaction, with an empty place
    found = hash32(told.get("transactionHash"), "receipt: transactionHash")
    if found != tx_hash.lower():
        raise _wrong("receipt: transactionHash", found, tx_hash)
    return Inclusion(
        tx_hash=found,
        block_number=quantity(told.get("blockNumber"), "receipt: blockNumber"),
        block_hash=hash32(told.get("blockHash"), "receipt: blockHash"),
        succeeded=quantity(told.get("status"), "receipt: status", most=1) == 1,
    )


def known_transaction(value: object, tx_hash: str) -> bool:
    """Whether the node holds the transaction, pending or mined.

    Raises:
        NodeUnavailable: it answered something else, or another transaction.
    """
    if value is None:
        return False
    found = hash32(fields(value, "transaction").get("hash"), "transaction: hash")
    if found != tx_hash.lower():
        raise _wrong("transaction: hash", found, tx_hash)
    return True


def created_contract(value: object) -> str:
    """The address of the contract that a receipt says was created, ``0x`` hex in lower case.

    Raises:
        NodeUnavailable: it names none.
    """
    return "0x" + octets(fields(value, "receipt").get("contractAddress"), "receipt: contractAddress", 20).hex()


def revert_data(data: object) -> bytes | None:
    """The bytes a contract reverted with, from the ``data`` of a JSON-RPC error; None if there are none.

    Nodes differ in where they put them: geth, Besu and Anvil give hex, Ganache an object with ``result``, and
    Nethermind hex after the word ``Reverted``. The words around them are never looked at.
    """
    if isinstance(data, dict):
        data = data.get("result", data.get("data"))
    if not isinstance(data, str):
        return None
    last = data.rpartition(" ")[2]
    if not _HEX.match(last) or len(last) % 2:
        return None
    return bytes.fromhex(last[2:])
