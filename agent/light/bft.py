"""What a QBFT or IBFT 2 header carries in its extra data, in Besu's form.

A list of: vanity (32 bytes), validators, vote, round, commit seals. The two differ in how a missing vote, a vote
against somebody and the round are written, and in what is left out of the bytes that are hashed:

======================  =======================  ==========================
what                    QBFT                     IBFT 2
======================  =======================  ==========================
no vote                 empty list               empty string
vote to remove          empty string             the byte 0
vote to add             the byte 0xff            the byte 0xff
round                   a number                 4 bytes
hash that is sealed     seals: an empty list     seals left out
block's hash            also round 0             also the round left out
======================  =======================  ==========================

Source: Besu's QbftExtraDataCodec, IbftExtraDataCodec and BftBlockHashing.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.errors import BadEvidence
from agent.light import rlp
from agent.light.hashing import SIGNATURE_BYTES

VANITY_BYTES = 32
ADDRESS_BYTES = 20
_ROUND_BYTES = 4
_ADD = b"\xff"
_ITEMS = 5
_WHAT = "extra data"


@dataclass(frozen=True, slots=True)
class Vote:
    """A proposer's vote on who is to seal blocks.

    Attributes:
        subject: whom it is about, 20 bytes.
        add: to add it; otherwise to remove it.
    """

    subject: bytes
    add: bool


@dataclass(frozen=True, slots=True)
class Extra:
    """A BFT header's extra data.

    Attributes:
        vanity: 32 bytes that mean nothing.
        validators: who may seal this block, 20 bytes each; empty where a contract says it.
        vote: the proposer's; None for no vote.
        round: in which round the block was agreed on, from 0.
        seals: validators' signatures, 65 bytes each.
    """

    vanity: bytes
    validators: tuple[bytes, ...]
    vote: Vote | None
    round: int
    seals: tuple[bytes, ...]

    def encoded(self, *, ibft2: bool) -> bytes:
        """All of it."""
        return self._encoded([self._round(ibft2=ibft2), list(self.seals)], ibft2=ibft2)

    def sealed_part(self, *, ibft2: bool) -> bytes:
        """What stands in its place in the header that the validators seal."""
        return self._encoded([self._round(ibft2=ibft2), *([] if ibft2 else [[]])], ibft2=ibft2)

    def hashed_part(self, *, ibft2: bool) -> bytes:
        """What stands in its place in the header whose hash is the block's."""
        return self._encoded([] if ibft2 else [b"", []], ibft2=ibft2)

    def _round(self, *, ibft2: bool) -> bytes:
        return self.round.to_bytes(_ROUND_BYTES, "big") if ibft2 else rlp.of_number(self.round)

    def _encoded(self, rest: list[rlp.Encodable], *, ibft2: bool) -> bytes:
        vote: rlp.Encodable
        if self.vote is None:
            vote = b"" if ibft2 else []
        else:
            vote = [self.vote.subject, _ADD if self.vote.add else _against(ibft2=ibft2)]
        return rlp.encode([self.vanity, list(self.validators), vote, *rest])


def _against(*, ibft2: bool) -> bytes:
    return b"\0" if ibft2 else b""


def decode(data: bytes, *, ibft2: bool) -> Extra:
    """The extra data of a sealed header.

    Raises:
        BadEvidence: it is not in Besu's form.
    """
    vanity, validators, vote, told_round, seals = rlp.a_list(rlp.decode(data, _WHAT), _WHAT, _ITEMS)
    if ibft2:
        raw_round = rlp.a_string(told_round, f"{_WHAT}: round", _ROUND_BYTES)
        number = int.from_bytes(raw_round, "big")
    else:
        number = rlp.a_number(told_round, f"{_WHAT}: round", 32)
    return Extra(
        vanity=rlp.a_string(vanity, f"{_WHAT}: vanity", VANITY_BYTES),
        validators=tuple(
            rlp.a_string(one, f"{_WHAT}: a validator", ADDRESS_BYTES)
            for one in rlp.a_list(validators, f"{_WHAT}: validators")
        ),
        vote=_vote(vote, ibft2=ibft2),
        round=number,
        seals=tuple(
            rlp.a_string(one, f"{_WHAT}: a commit seal", SIGNATURE_BYTES)
            for one in rlp.a_list(seals, f"{_WHAT}: commit seals")
        ),
    )


def _vote(item: rlp.Item, *, ibft2: bool) -> Vote | None:
    if item == (b"" if ibft2 else ()):
        return None
    subject, told = rlp.a_list(item, f"{_WHAT}: vote", 2)
    kind = rlp.a_string(told, f"{_WHAT}: vote")
    if kind not in {_ADD, _against(ibft2=ibft2)}:
        raise BadEvidence(f"{_WHAT}: the vote is {kind[:4].hex()}, which means neither to add nor to remove")
    return Vote(rlp.a_string(subject, f"{_WHAT}: vote", ADDRESS_BYTES), add=kind == _ADD)
