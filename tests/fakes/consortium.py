"""A consortium that seals blocks: Clique, QBFT and IBFT 2, written with another RLP encoder than the agent's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import rlp
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from agent.light.headers import Consensus, Header, block_hash
from agent.light.seals import Rules

BYZANTINE = b"ctical byzantine fault tolerance"
NO_UNCLES = keccak(b"\xc0")
NOBODY = bytes(20)
NOTHING = keccak(b"\x80")
"""The root of a trie in which nothing is."""
VANITY = b"v" * 32
AGAINST, FOR = bytes(8), b"\xff" * 8


def keys(count: int, offset: int = 1) -> list[PrivateKey]:
    """So many, in the order of their addresses."""
    made = [PrivateKey(bytes([number]) * 32) for number in range(offset, offset + count)]
    return sorted(made, key=lambda key: key.public_key.to_canonical_address())


def address(key: PrivateKey) -> bytes:
    return key.public_key.to_canonical_address()


def addresses(among: Sequence[PrivateKey]) -> tuple[bytes, ...]:
    return tuple(sorted(address(key) for key in among))


@dataclass
class Consortium:
    """A chain and those who seal it.

    Attributes:
        rules: by which.
        sealers: the validators' keys.
        headers: what was sealed, from block 0 on.
        founders: the validators' addresses at block 0.
    """

    rules: Rules
    sealers: list[PrivateKey]
    headers: list[Header] = field(default_factory=list)
    founders: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.founders = self.founders or self.validators
        if not self.headers:
            extra = VANITY + b"".join(addresses(self.sealers)) + bytes(65)
            if self.bft:
                extra = self.bft_extra(vote=None, seals=[])
            self.headers = [self.bare(0, bytes(32), extra_data=extra)]

    @property
    def bft(self) -> bool:
        return self.rules.consensus in {Consensus.QBFT, Consensus.IBFT2}

    @property
    def ibft2(self) -> bool:
        return self.rules.consensus is Consensus.IBFT2

    @property
    def validators(self) -> tuple[bytes, ...]:
        return addresses(self.sealers)

    def hash_of(self, number: int) -> bytes:
        return block_hash(self.headers[number], self.rules.consensus)

    def bare(self, number: int, parent: bytes, **changed: Any) -> Header:  # noqa: ANN401 - a header's fields
        told: dict[str, Any] = {
            "parent_hash": parent,
            "uncles_hash": NO_UNCLES,
            "miner": NOBODY,
            "state_root": keccak(b"state"),
            "transactions_root": NOTHING,
            "receipts_root": NOTHING,
            "logs_bloom": bytes(256),
            "difficulty": 1,
            "number": number,
            "gas_limit": 30_000_000,
            "gas_used": 0,
            "timestamp": 1_782_104_400 + 5 * number,
            "extra_data": VANITY + bytes(65),
            "mix_hash": BYZANTINE if self.bft else bytes(32),
            "nonce": bytes(8),
        }
        return Header(**{**told, **changed})

    def seal(self, *by: PrivateKey, **changed: Any) -> Header:  # noqa: ANN401 - a header's fields
        """Seal the next block: Clique's by one, a BFT block by several; in turn and by all where it is not said."""
        number, parent = len(self.headers), self.hash_of(len(self.headers) - 1)
        make = self._sealed_bft if self.bft else self._sealed_clique
        self.headers.append(make(number, parent, by, changed))
        return self.headers[-1]

    def _sealed_clique(self, number: int, parent: bytes, by: Sequence[PrivateKey], changed: dict[str, Any]) -> Header:
        turn = self.validators[number % len(self.sealers)]
        signer = by[0] if by else next(key for key in self.sealers if address(key) == turn)
        listed = b"".join(self.validators) if number % self.rules.epoch == 0 else b""
        changed = {"difficulty": 2 if address(signer) == turn else 1, "extra_data": VANITY + listed, **changed}
        unsealed = self.bare(number, parent, **changed)
        signature = signer.sign_msg_hash(keccak(rlp.encode(unsealed.fields()))).to_bytes()
        return self.bare(number, parent, **{**changed, "extra_data": unsealed.extra_data + signature})

    def _sealed_bft(self, number: int, parent: bytes, by: Sequence[PrivateKey], changed: dict[str, Any]) -> Header:
        vote, round_, named = changed.pop("vote", None), changed.pop("round", 0), changed.pop("validators", None)
        changed = {"miner": address((by or self.sealers)[0]), **changed}

        def extra(seals: Sequence[bytes] | None) -> bytes:
            return self.bft_extra(vote=vote, seals=seals, round_=round_, named=named)

        digest = keccak(rlp.encode(self.bare(number, parent, **changed, extra_data=extra(None)).fields()))
        seals = [key.sign_msg_hash(digest).to_bytes() for key in by or self.sealers]
        return self.bare(number, parent, **changed, extra_data=extra(seals))

    def bft_extra(
        self,
        *,
        vote: tuple[bytes, bool] | None,
        seals: Sequence[bytes] | None,
        round_: int = 0,
        named: Sequence[bytes] | None = None,
    ) -> bytes:
        """Besu's form; without seals as it is signed."""
        told: list[Any] = [VANITY, list(self.validators if named is None else named)]
        if self.ibft2:
            told += [b"" if vote is None else [vote[0], b"\xff" if vote[1] else b"\x00"], round_.to_bytes(4, "big")]
            return bytes(rlp.encode(told if seals is None else [*told, list(seals)]))
        told += [[] if vote is None else [vote[0], b"\xff" if vote[1] else b""], round_, list(seals or [])]
        return bytes(rlp.encode(told))
