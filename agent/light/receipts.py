"""Receipts and their logs as a block's trie holds them, and a block's two tries from what a node tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.domain.errors import BadEvidence
from agent.light import rlp, transactions, tries
from agent.light.hashing import keccak
from agent.light.headers import Header
from agent.light.quantities import number_of, octets_of, shown

BLOOM_BYTES = 256
MOST_BYTES = 4 << 20
"""A block's gas pays for 4 MB of logs at most."""

_FIELDS, _LOG_FIELDS, _MOST_TOPICS = 4, 3, 4
_ADDRESS_BYTES, _WORD_BYTES = 20, 32
_TYPED_BELOW = 0x80
_MOST_KIND = 4
_SUCCEEDED = b"\1"
# Ganache writes a failed receipt's status as a byte, where a number that is 0 has none.
_FAILED, _FAILED_AT_GANACHE = b"", b"\0"


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract said.

    Attributes:
        address: the contract, 20 bytes.
        topics: up to four words, 32 bytes each.
        data: the rest.
    """

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did.

    Attributes:
        kind: EIP-2718 type of the transaction; 0 for a legacy one.
        succeeded: whether it was carried out; otherwise it reverted.
        gas_until: gas used in the block up to and with it.
        bloom: filter of the logs, 256 bytes.
        logs: what was said.
    """

    kind: int
    succeeded: bool
    gas_until: int
    bloom: bytes
    logs: tuple[Log, ...]

    def encoded(self, *, ganache: bool = False) -> bytes:
        """As the block's trie holds it.

        Args:
            ganache: whether a failed one has Ganache's status.
        """
        status = _SUCCEEDED if self.succeeded else _FAILED_AT_GANACHE if ganache else _FAILED
        logs: list[rlp.Encodable] = [[log.address, list(log.topics), log.data] for log in self.logs]
        body = rlp.encode([status, rlp.of_number(self.gas_until), self.bloom, logs])
        return body if self.kind == 0 else bytes((self.kind,)) + body


def bloom(logs: Sequence[Log]) -> bytes:
    """The filter of logs: three of 2048 bits for each address and topic (yellow paper, 4.4.3)."""
    bits = 0
    for item in {part for log in logs for part in (log.address, *log.topics)}:
        digest = keccak(item)
        for at in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & (8 * BLOOM_BYTES - 1))
    return bits.to_bytes(BLOOM_BYTES, "big")


def decode(raw: bytes, what: str = "receipt") -> Receipt:
    """The receipt that a block's trie holds.

    Raises:
        BadEvidence: it is of no known form, says nothing of success, or its filter is not its logs'.
    """
    kind, body = 0, raw
    if raw[:1] < bytes((_TYPED_BELOW,)):
        kind, body = (raw[0] if raw else 0), raw[1:]
        if not 1 <= kind <= _MOST_KIND:
            raise BadEvidence(f"{what} is of type {kind}; the known ones are 1 to {_MOST_KIND} and the legacy one")
    status, gas, told_bloom, logs = rlp.a_list(rlp.decode(body, what, most_bytes=MOST_BYTES), what, _FIELDS)
    if status not in {_SUCCEEDED, _FAILED, _FAILED_AT_GANACHE}:
        raise BadEvidence(f"{what}: its status says neither that it succeeded nor that it failed")
    found = Receipt(
        kind=kind,
        succeeded=status == _SUCCEEDED,
        gas_until=rlp.a_number(gas, f"{what}: gas", 64),
        bloom=rlp.a_string(told_bloom, f"{what}: bloom", BLOOM_BYTES),
        logs=tuple(_log(log, what) for log in rlp.a_list(logs, f"{what}: logs")),
    )
    return _with_right_bloom(found, what)


def _log(item: rlp.Item, what: str) -> Log:
    address, topics, data = rlp.a_list(item, f"{what}: a log", _LOG_FIELDS)
    words = rlp.a_list(topics, f"{what}: a log's topics")
    if len(words) > _MOST_TOPICS:
        raise BadEvidence(f"{what}: a log has {len(words)} topics, where at most {_MOST_TOPICS} belong")
    return Log(
        address=rlp.a_string(address, f"{what}: a log's address", _ADDRESS_BYTES),
        topics=tuple(rlp.a_string(word, f"{what}: a log's topic", _WORD_BYTES) for word in words),
        data=rlp.a_string(data, f"{what}: a log's data"),
    )


def _with_right_bloom(receipt: Receipt, what: str) -> Receipt:
    if receipt.bloom != bloom(receipt.logs):
        raise BadEvidence(f"{what}: its bloom filter is not that of its logs")
    return receipt


# --- From JSON-RPC ---


def of_fields(told: Mapping[str, object], what: str = "receipt") -> Receipt:
    """The receipt that a node tells over JSON-RPC.

    Raises:
        BadEvidence: a field is missing or malformed, or the filter is not that of the logs.
    """
    found = Receipt(
        kind=number_of(told.get("type", "0x0"), f"{what}: type", 7),
        succeeded=number_of(told.get("status"), f"{what}: status", 1) == 1,
        gas_until=number_of(told.get("cumulativeGasUsed"), f"{what}: cumulativeGasUsed", 64),
        bloom=octets_of(told.get("logsBloom"), f"{what}: logsBloom", BLOOM_BYTES),
        logs=tuple(_told_log(log, what) for log in _list(told.get("logs"), f"{what}: logs")),
    )
    return _with_right_bloom(found, what)


def _told_log(log: object, what: str) -> Log:
    if not isinstance(log, dict):
        raise BadEvidence(f"{what}: a log is {shown(log)}, where an object belongs")
    topics = _list(log.get("topics"), f"{what}: a log's topics")
    return Log(
        address=octets_of(log.get("address"), f"{what}: a log's address", _ADDRESS_BYTES),
        topics=tuple(octets_of(word, f"{what}: a log's topic", _WORD_BYTES) for word in topics),
        data=octets_of(log.get("data"), f"{what}: a log's data"),
    )


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise BadEvidence(f"{what} is {shown(value)}, where a list belongs")
    return value


def transactions_trie(header: Header, told: Sequence[Mapping[str, object]]) -> tries.Trie:
    """The trie of a block's transactions, rebuilt.

    Args:
        header: the block's.
        told: the block's transactions in their order, as JSON-RPC has them.

    Raises:
        BadEvidence: they are not those whose root the header names.
    """
    what = f"block {header.number}: transaction"
    trie = tries.ordered([transactions.encoded_of(one, f"{what} {place}") for place, one in enumerate(told)])
    if trie.root != header.transactions_root:
        raise BadEvidence(f"{what}s: the {len(told)} that are told are not those of the header's transactionsRoot")
    return trie


def receipts_trie(header: Header, told: Sequence[Mapping[str, object]]) -> tries.Trie:
    """The trie of a block's receipts, rebuilt; where some failed, also as Ganache encodes them.

    Args:
        header: the block's.
        told: the block's receipts in their order, as JSON-RPC has them.

    Raises:
        BadEvidence: they are not those whose root the header names.
    """
    what = f"block {header.number}: receipt"
    found = [of_fields(one, f"{what} {place}") for place, one in enumerate(told)]
    for ganache in (False, True):
        trie = tries.ordered([receipt.encoded(ganache=ganache) for receipt in found])
        if trie.root == header.receipts_root:
            return trie
    raise BadEvidence(f"{what}s: the {len(told)} that are told are not those of the header's receiptsRoot")
