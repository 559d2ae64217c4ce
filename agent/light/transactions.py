"""Transactions as a block's trie holds them: what one says, who signed it, its bytes from what a node tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.domain.errors import BadEvidence
from agent.light import rlp
from agent.light.hashing import keccak, signer
from agent.light.quantities import number_of, octets_of, shown

MOST_BYTES = 1 << 20
"""Nodes take no transaction beyond 128 kB, blobs aside, which blocks do not hold."""

_LEGACY, _ACCESS_LIST, _DYNAMIC_FEE, _BLOBS, _DELEGATION = range(5)
_LEGACY_FIELDS, _LEGACY_TO = 9, 3
# By type: how many fields, and which is the receiver; value and data come after it. The chain id and nonce are first.
_FORMS = {_ACCESS_LIST: (11, 4), _DYNAMIC_FEE: (12, 5), _BLOBS: (14, 5), _DELEGATION: (13, 5)}
_SIGNATURE_FIELDS = 3
_BARE_V, _PROTECTED_V = 27, 35
_ADDRESS_BYTES, _WORD_BYTES = 20, 32
_TYPED_BELOW = 0x80


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction.

    Attributes:
        tx_hash: 32 bytes.
        kind: EIP-2718 type; 0 for a legacy one.
        chain_id: for which chain it is; None for a legacy one that does not say.
        sender: who signed it, 20 bytes.
        nonce: its number among the sender's.
        to: whom it calls or pays, 20 bytes; None to create a contract.
        value: wei.
        data: calldata.
    """

    tx_hash: bytes
    kind: int
    chain_id: int | None
    sender: bytes
    nonce: int
    to: bytes | None
    value: int
    data: bytes


def decode(raw: bytes, what: str = "transaction") -> Transaction:
    """The transaction that a block's trie holds.

    Raises:
        BadEvidence: it is of no known form, or its signature recovers to nobody.
    """
    if raw[:1] < bytes((_TYPED_BELOW,)):
        kind = raw[0] if raw else -1
        if kind not in _FORMS:
            raise BadEvidence(f"{what} is of type {kind}; the known ones are 1 to {max(_FORMS)} and the legacy one")
        count, receiver = _FORMS[kind]
        fields = rlp.a_list(rlp.decode(raw[1:], what, most_bytes=MOST_BYTES), what, count)
        chain_id: int | None = rlp.a_number(fields[0], f"{what}: chain id")
        nonce, parity = fields[1], rlp.a_number(fields[-_SIGNATURE_FIELDS], f"{what}: parity", 1)
        signed = bytes((kind,)) + rlp.encode(fields[:-_SIGNATURE_FIELDS])
    else:
        kind, receiver = _LEGACY, _LEGACY_TO
        fields = rlp.a_list(rlp.decode(raw, what, most_bytes=MOST_BYTES), what, _LEGACY_FIELDS)
        nonce = fields[0]
        chain_id, parity, signed = _legacy(fields, what)
    to = rlp.a_string(fields[receiver], f"{what}: to")
    if len(to) not in {0, _ADDRESS_BYTES}:
        raise BadEvidence(f"{what}: to has {len(to)} bytes, where 0 or {_ADDRESS_BYTES} belong")
    return Transaction(
        tx_hash=keccak(raw),
        kind=kind,
        chain_id=chain_id,
        sender=_sender(fields, parity, signed, what),
        nonce=rlp.a_number(nonce, f"{what}: nonce", 64),
        to=to or None,
        value=rlp.a_number(fields[receiver + 1], f"{what}: value"),
        data=rlp.a_string(fields[receiver + 2], f"{what}: data"),
    )


def _legacy(fields: tuple[rlp.Item, ...], what: str) -> tuple[int | None, int, bytes]:
    """A legacy transaction's chain id (EIP-155), parity, and what was signed."""
    v = rlp.a_number(fields[-_SIGNATURE_FIELDS], f"{what}: v")
    body = fields[:-_SIGNATURE_FIELDS]
    if v in {_BARE_V, _BARE_V + 1}:
        return None, v - _BARE_V, rlp.encode(body)
    if v < _PROTECTED_V:
        raise BadEvidence(f"{what}: v is {v}, where 27, 28 or 35 and above belong")
    chain_id, parity = divmod(v - _PROTECTED_V, 2)
    return chain_id, parity, rlp.encode([*body, rlp.of_number(chain_id), b"", b""])


def _sender(fields: tuple[rlp.Item, ...], parity: int, signed: bytes, what: str) -> bytes:
    r, s = (rlp.a_number(one, f"{what}: signature") for one in fields[-2:])
    found = signer(keccak(signed), b"".join(one.to_bytes(_WORD_BYTES, "big") for one in (r, s)) + bytes((parity,)))
    if found is None:
        raise BadEvidence(f"{what}: its signature recovers to nobody")
    return found


# --- From JSON-RPC ---


def encoded_of(told: Mapping[str, object], what: str = "transaction") -> bytes:
    """The bytes of a transaction that a node tells over JSON-RPC, as the block's trie holds them.

    Raises:
        BadEvidence: a field is missing or malformed, the type is unknown, or the bytes have not the hash that is told.
    """
    kind = number_of(told.get("type", "0x0"), f"{what}: type", 8)
    body = rlp.encode(_body(told, kind, what))
    raw = body if kind == _LEGACY else bytes((kind,)) + body
    if keccak(raw) != octets_of(told.get("hash"), f"{what}: hash", _WORD_BYTES):
        raise BadEvidence(f"{what}: what is told of it does not hash to {shown(told.get('hash'))}")
    return raw


def _body(told: Mapping[str, object], kind: int, what: str) -> list[rlp.Encodable]:
    def number(name: str, among: Mapping[str, object] = told) -> bytes:
        return rlp.of_number(number_of(among.get(name), f"{what}: {name}"))

    to = told.get("to")
    called: list[rlp.Encodable] = [
        number("gas"),
        b"" if to is None else octets_of(to, f"{what}: to", _ADDRESS_BYTES),
        number("value"),
        octets_of(told.get("input"), f"{what}: input"),
    ]
    if kind == _LEGACY:
        return [number("nonce"), number("gasPrice"), *called, number("v"), number("r"), number("s")]
    if kind not in _FORMS:
        raise BadEvidence(f"{what} is of type {kind}; the known ones are 0 to {max(_FORMS)}")
    prices = ("gasPrice",) if kind == _ACCESS_LIST else ("maxPriorityFeePerGas", "maxFeePerGas")
    body = [number("chainId"), number("nonce"), *(number(price) for price in prices), *called]
    body.append(
        [
            [
                octets_of(entry.get("address"), f"{what}: accessList", _ADDRESS_BYTES),
                [octets_of(key, f"{what}: accessList", _WORD_BYTES) for key in _listed(entry, "storageKeys", what)],
            ]
            for entry in _entries(told, "accessList", what)
        ]
    )
    if kind == _BLOBS:
        hashes = _listed(told, "blobVersionedHashes", what)
        body += [number("maxFeePerBlobGas"), [octets_of(one, f"{what}: blobs", _WORD_BYTES) for one in hashes]]
    if kind == _DELEGATION:
        body.append(
            [
                [
                    number("chainId", entry),
                    octets_of(entry.get("address"), f"{what}: authorizationList", _ADDRESS_BYTES),
                    *(number(name, entry) for name in ("nonce", "yParity", "r", "s")),
                ]
                for entry in _entries(told, "authorizationList", what)
            ]
        )
    return [*body, number("yParity" if told.get("yParity") is not None else "v"), number("r"), number("s")]


def _listed(told: Mapping[str, object], name: str, what: str) -> list[object]:
    value = told.get(name)
    if not isinstance(value, list):
        raise BadEvidence(f"{what}: {name} is {shown(value)}, where a list belongs")
    return value


def _entries(told: Mapping[str, object], name: str, what: str) -> list[Mapping[str, object]]:
    entries: list[Mapping[str, object]] = []
    for entry in _listed(told, name, what):
        if not isinstance(entry, dict):
            raise BadEvidence(f"{what}: {name} holds {shown(entry)}, where an object belongs")
        entries.append(entry)
    return entries
