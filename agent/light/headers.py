"""Block headers: their fields, and the hash that names the block, by each consensus' own rule.

Fields came with forks: 15 at first, then base fee (London), withdrawals (Shanghai), blobs and the beacon root (Cancun),
requests (Prague). A later one is there only with all before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.domain.errors import BadEvidence
from agent.light import bft, rlp
from agent.light.hashing import keccak
from agent.light.quantities import number_of, octets_of

MOST_BYTES = 1 << 16
"""A hundred validators with their seals are 9 kB."""

_BLOOM_BYTES, _NONCE_BYTES = 256, 8
_VARIABLE = 0  # as many bytes as there are
_WORD, _U64 = -256, -64  # a number of so many bits

# Attribute, name in JSON-RPC, and how many bytes, or bits of a number, it has; in the header's order.
_FIRST = (
    ("parent_hash", "parentHash", 32),
    ("uncles_hash", "sha3Uncles", 32),
    ("miner", "miner", 20),
    ("state_root", "stateRoot", 32),
    ("transactions_root", "transactionsRoot", 32),
    ("receipts_root", "receiptsRoot", 32),
    ("logs_bloom", "logsBloom", _BLOOM_BYTES),
    ("difficulty", "difficulty", _WORD),
    ("number", "number", _U64),
    ("gas_limit", "gasLimit", _U64),
    ("gas_used", "gasUsed", _U64),
    ("timestamp", "timestamp", _U64),
    ("extra_data", "extraData", _VARIABLE),
    ("mix_hash", "mixHash", 32),
    ("nonce", "nonce", _NONCE_BYTES),
)
_LATER = (
    ("base_fee", "baseFeePerGas", _WORD),
    ("withdrawals_root", "withdrawalsRoot", 32),
    ("blob_gas_used", "blobGasUsed", _U64),
    ("excess_blob_gas", "excessBlobGas", _U64),
    ("parent_beacon_root", "parentBeaconBlockRoot", 32),
    ("requests_hash", "requestsHash", 32),
)
_LENGTHS = frozenset({15, 16, 17, 20, 21})
_EXTRA = 12


class Consensus(StrEnum):
    """How a chain's blocks are sealed."""

    QBFT = "qbft"
    """a quorum of validators; final at once"""
    IBFT2 = "ibft2"
    """the same in an older form"""
    CLIQUE = "clique"
    """one signer; depth is needed"""
    UNSEALED = "unsealed"
    """a development node: nobody seals, so nothing is proven"""


@dataclass(frozen=True, slots=True)
class Header:
    """One block's header. Hashes and roots are 32 bytes, the miner 20; numbers are as JSON-RPC's.

    Attributes:
        timestamp: UTC epoch seconds.
        base_fee: wei for each unit of gas; this and what follows is None before its fork.
    """

    parent_hash: bytes
    uncles_hash: bytes
    miner: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    logs_bloom: bytes
    difficulty: int
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    extra_data: bytes
    mix_hash: bytes
    nonce: bytes
    base_fee: int | None = None
    withdrawals_root: bytes | None = None
    blob_gas_used: int | None = None
    excess_blob_gas: int | None = None
    parent_beacon_root: bytes | None = None
    requests_hash: bytes | None = None

    def fields(self) -> list[bytes]:
        """The header's fields in their order, as RLP has them."""
        found = []
        for attribute, _, _ in (*_FIRST, *_LATER):
            value: int | bytes | None = getattr(self, attribute)
            if value is not None:
                found.append(value if isinstance(value, bytes) else rlp.of_number(value))
        return found

    def encoded(self) -> bytes:
        """The header in RLP, seals included."""
        return rlp.encode(self.fields())

    def with_extra(self, extra: bytes) -> bytes:
        """The header in RLP with other extra data: what a consensus hashes or seals."""
        fields = self.fields()
        fields[_EXTRA] = extra
        return rlp.encode(fields)

    @classmethod
    def decode(cls, raw: bytes, what: str = "header") -> Header:
        """The header that ``encoded`` wrote.

        Raises:
            BadEvidence: it is none of the forms that headers have.
        """
        items = rlp.a_list(rlp.decode(raw, what, most_depth=1, most_bytes=MOST_BYTES), what)
        if len(items) not in _LENGTHS:
            known = ", ".join(str(length) for length in sorted(_LENGTHS))
            raise BadEvidence(f"{what} has {len(items)} fields; the known forms have {known}")
        values: dict[str, Any] = {}  # the tables above say which is what
        for (attribute, name, form), item in zip((*_FIRST, *_LATER), items, strict=False):
            said = f"{what}: {name}"
            if form < 0:
                values[attribute] = rlp.a_number(item, said, -form)
            else:
                values[attribute] = rlp.a_string(item, said, form or None)
        return cls(**values)

    @classmethod
    def of_fields(cls, told: Mapping[str, object], what: str = "header") -> Header:
        """The header that a node tells over JSON-RPC; its claimed hash is not looked at.

        Raises:
            BadEvidence: a field is missing or has not its form.
        """
        values: dict[str, Any] = {}  # the tables above say which is what
        missing = ""
        for attribute, name, form in (*_FIRST, *_LATER):
            said = f"{what}: {name}"
            if told.get(name) is None and (attribute, name, form) in _LATER:
                missing = missing or name
                continue
            if missing:
                raise BadEvidence(f"{said} is there without {missing}, which came with an earlier fork")
            value = told.get(name)
            values[attribute] = number_of(value, said, -form) if form < 0 else octets_of(value, said, form or None)
        if len(values) not in _LENGTHS:
            raise BadEvidence(f"{what} has {len(values)} fields, since {missing} is missing: no fork has that form")
        if len(values["extra_data"]) > MOST_BYTES:
            raise BadEvidence(
                f"{what}: extraData has {len(values['extra_data'])} bytes, where at most {MOST_BYTES} are read"
            )
        return cls(**values)


def block_hash(header: Header, consensus: Consensus) -> bytes:
    """The hash by which a block is known, and by which its child names it.

    Clique's covers the seal; QBFT's and IBFT 2's leave seals and round out, except in block 0, which nobody sealed.

    Raises:
        BadEvidence: a BFT header's extra data is not in its form.
    """
    if consensus in {Consensus.QBFT, Consensus.IBFT2} and header.number:
        ibft2 = consensus is Consensus.IBFT2
        return keccak(header.with_extra(bft.decode(header.extra_data, ibft2=ibft2).hashed_part(ibft2=ibft2)))
    return keccak(header.encoded())


def checked_hash(header: Header, consensus: Consensus, claimed: bytes, what: str = "header") -> bytes:
    """The block's hash, which must be the one that was claimed.

    Raises:
        BadEvidence: it is another.
    """
    found = block_hash(header, consensus)
    if found != claimed:
        raise BadEvidence(f"{what} hashes to 0x{found.hex()}, where 0x{claimed.hex()} was claimed")
    return found
