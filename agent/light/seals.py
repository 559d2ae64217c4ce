"""Who may seal which block, and whether they did: following a chain's headers from a pinned one.

Clique (EIP-225, go-ethereum): each block has one signer of the authorised set, who signed none of the last
``floor(n / 2)`` blocks. QBFT and IBFT 2 (Besu): at least ``ceil(2n / 3)`` distinct validators sealed the block, and
nobody else did. Both change the set by votes in headers: a change takes effect with the block after the vote that
brought more than half, and each epoch forgets the votes that are open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.domain.errors import BadEvidence, OtherRules, UnknownSealer
from agent.light import bft, clique
from agent.light.hashing import SIGNATURE_BYTES, keccak, shown, signer
from agent.light.headers import Consensus, Header, block_hash

EPOCH = 30_000
"""Blocks between checkpoints, unless the chain's genesis says otherwise."""

_NO_UNCLES = keccak(b"\xc0")
NO_MIX = bytes(32)
"""Clique's mix hash."""
BFT_MIX = b"ctical byzantine fault tolerance"
"""Besu's, in QBFT and IBFT 2."""

_NOBODY = bytes(20)
_AGAINST, _FOR = bytes(8), b"\xff" * 8
_OUT_OF_TURN, _IN_TURN = 1, 2
_MOST_TOLD = 30


@dataclass(frozen=True, slots=True)
class Rules:
    """What a chain's genesis says about its seals.

    Attributes:
        consensus: how blocks are sealed.
        epoch: blocks between checkpoints.
        named_by_contract: QBFT's validators stand in a contract, and headers name none: then those pinned are taken,
            and a change of them cannot be followed.
    """

    consensus: Consensus
    epoch: int = EPOCH
    named_by_contract: bool = False


@dataclass(frozen=True, slots=True)
class Cast:
    """A vote that is open.

    Attributes:
        voter: who cast it, 20 bytes.
        vote: what for.
    """

    voter: bytes
    vote: bft.Vote


@dataclass(frozen=True, slots=True)
class Place:
    """Where the following has come to, and who may seal the next block.

    Attributes:
        number: of the last block that was followed.
        block_hash: its hash.
        validators: who may seal the next one, 20 bytes each, ascending.
        recent: Clique's last signers that are known, each with its block.
        votes: those open.
    """

    number: int
    block_hash: bytes
    validators: tuple[bytes, ...]
    recent: tuple[tuple[int, bytes], ...] = ()
    votes: tuple[Cast, ...] = ()


def before(header: Header, validators: tuple[bytes, ...]) -> Place:
    """A place from which to follow headers that hang on no known one: the pinned validators must have sealed them.

    Open votes and the signers before it are unknown there.
    """
    return Place(header.number - 1, header.parent_hash, tuple(sorted(validators)))


def follow(place: Place, header: Header, rules: Rules) -> Place:
    """One block further.

    Raises:
        UnknownSealer: it follows, and would be right if others were validators than those that are known: by who sealed
            it, whom it lists, whose turn it says it was, or how soon its signer sealed again.
        BadEvidence: the header does not follow, or is not sealed as the rules ask.
    """
    what = f"block {header.number}"
    if header.number != place.number + 1 or header.number == 0:
        raise BadEvidence(f"{what} comes where block {place.number + 1} belongs")
    if header.parent_hash != place.block_hash:
        raise BadEvidence(
            f"{what} follows 0x{header.parent_hash.hex()}, and the block before it is 0x{place.block_hash.hex()}"
        )
    if rules.consensus is Consensus.UNSEALED:
        return replace(place, number=header.number, block_hash=block_hash(header, rules.consensus))
    if rules.consensus is Consensus.CLIQUE:
        return _follow_clique(place, header, rules, what)
    return _follow_bft(place, header, rules, what)


def check_seal(header: Header, validators: Sequence[bytes], rules: Rules, what: str) -> None:
    """Whether those who are known sealed a block, whatever it follows: one of a Clique chain's, a quorum of the others.

    Votes that are not known yet may have changed who may seal. So whatever names others is no lie by itself.

    Args:
        header: the block's, whose hash was checked.
        validators: 20 bytes each.
        rules: how blocks are sealed.
        what: what it is called in an error.

    Raises:
        UnknownSealer: it names, or is sealed by, others than those who are known.
        BadEvidence: it is not sealed as the rules ask.
    """
    known = tuple(sorted(validators))
    if rules.consensus is Consensus.CLIQUE:
        listed = _clique_form(header, known, rules, what)
        _clique_sealer(header, known, what)
        if listed and listed != known:
            raise UnknownSealer(f"{what} is a checkpoint of the signers {told(listed)}, who are not those known")
    elif rules.consensus is not Consensus.UNSEALED:
        extra = _bft_form(header, rules, what)
        if not rules.named_by_contract and extra.validators != known:
            raise UnknownSealer(f"{what} names as validators {told(extra.validators)}, who are not those known")
        _check_bft_seals(header, extra, known, rules, what)


def told(addresses: Sequence[bytes]) -> str:
    """Addresses in a sentence, the first thirty by name."""
    names = [shown(one) for one in addresses[:_MOST_TOLD]]
    if len(addresses) > _MOST_TOLD:  # a node can invent a list as long as a header may be
        names.append(f"and {len(addresses) - _MOST_TOLD} more")
    return ", ".join(names) or "none"


def _check_no_uncles(header: Header, what: str) -> None:
    if header.uncles_hash != _NO_UNCLES:
        raise BadEvidence(f"{what} names uncles, which a chain of authority has not")


def quorum(validators: int) -> int:
    """How many of so many validators must have sealed a QBFT or IBFT 2 block: two thirds, rounded up."""
    return -(-2 * validators // 3)


# --- Clique ---


def clique_signers(extra: bytes, what: str) -> tuple[bytes, ...]:
    """The authorised signers that a checkpoint's extra data lists; none in other blocks.

    Raises:
        BadEvidence: it has no room for vanity and seal, or something else between them.
    """
    between = extra[clique.VANITY_BYTES : -SIGNATURE_BYTES]
    if len(extra) < clique.VANITY_BYTES + SIGNATURE_BYTES or len(between) % bft.ADDRESS_BYTES:
        raise BadEvidence(f"{what}: extra data of {len(extra)} bytes is no vanity, addresses and seal")
    return tuple(between[at : at + bft.ADDRESS_BYTES] for at in range(0, len(between), bft.ADDRESS_BYTES))


def _follow_clique(place: Place, header: Header, rules: Rules, what: str) -> Place:
    checkpoint = header.number % rules.epoch == 0
    listed = _clique_form(header, place.validators, rules, what)
    if checkpoint and listed != place.validators:
        raise UnknownSealer(f"{what} is a checkpoint of the signers {told(listed)}, which are not those that are known")
    signed_by = _clique_sealer(header, place.validators, what)
    count = len(place.validators)
    for number, earlier in place.recent:
        if earlier == signed_by and number > header.number - (count // 2 + 1):
            raise UnknownSealer(f"{what} is sealed by {shown(signed_by)}, who sealed block {number} just before")
    in_turn = place.validators[header.number % count] == signed_by
    if header.difficulty != (_IN_TURN if in_turn else _OUT_OF_TURN):
        raise UnknownSealer(f"{what}: its difficulty {header.difficulty} does not say whether its signer was in turn")
    validators, votes = place.validators, () if checkpoint else place.votes
    if not checkpoint and header.miner != _NOBODY:
        vote = bft.Vote(header.miner, add=header.nonce == _FOR)
        validators, votes = _clique_vote(validators, votes, Cast(signed_by, vote))
    oldest = header.number - len(validators) // 2 - 1
    recent = tuple((number, one) for number, one in (*place.recent, (header.number, signed_by)) if number > oldest)
    return Place(header.number, block_hash(header, rules.consensus), validators, recent, votes)


def _clique_sealer(header: Header, validators: tuple[bytes, ...], what: str) -> bytes:
    signed_by = clique.sealer(header.fields())
    if signed_by is None:
        raise BadEvidence(f"{what}: its seal recovers to nobody")
    if signed_by not in validators:
        raise UnknownSealer(f"{what} is sealed by {shown(signed_by)}, who is not authorised")
    return signed_by


def _clique_form(header: Header, validators: tuple[bytes, ...], rules: Rules, what: str) -> tuple[bytes, ...]:
    """The signers that it lists, if it is a checkpoint."""
    _check_no_uncles(header, what)
    if header.mix_hash != NO_MIX:
        raise BadEvidence(f"{what}: its mix hash is not 0, so Clique did not seal it")
    if header.difficulty not in {_OUT_OF_TURN, _IN_TURN}:
        raise BadEvidence(f"{what}: its difficulty {header.difficulty} says neither in turn nor out of turn")
    listed = clique_signers(header.extra_data, what)
    if header.number % rules.epoch:
        if listed:
            raise out_of_epoch(header, validators, rules, f"{what} lists signers, which only a checkpoint does")
        if header.nonce not in {_FOR, _AGAINST}:
            raise BadEvidence(f"{what}: its nonce is no vote")
        return ()
    if not listed:
        raise out_of_epoch(header, validators, rules, f"{what} is a checkpoint, and lists no signers")
    if header.miner != _NOBODY or header.nonce != _AGAINST:
        raise BadEvidence(f"{what} is a checkpoint, and votes")
    return listed


def out_of_epoch(header: Header, validators: tuple[bytes, ...], rules: Rules, why: str) -> BadEvidence:
    """What to make of a list of signers where none belongs, or of none where one does.

    Sealed by a known validator it is the chain's own, so the pinned epoch is not.
    """
    if clique.sealer(header.fields()) in validators:
        return OtherRules(f"{why}, and a known validator sealed it: chain.epoch, {rules.epoch}, is not this chain's")
    return BadEvidence(why)


def _clique_vote(
    validators: tuple[bytes, ...], votes: tuple[Cast, ...], cast: Cast
) -> tuple[tuple[bytes, ...], tuple[Cast, ...]]:
    """The signers and the open votes after one more, which replaces the voter's last one on the same account."""
    subject = cast.vote.subject
    votes = tuple(one for one in votes if (one.voter, one.vote.subject) != (cast.voter, subject))
    if cast.vote.add == (subject in validators):  # to add who is there, or to remove who is not
        return validators, votes
    votes = (*votes, cast)
    if sum(one.vote == cast.vote for one in votes) <= len(validators) // 2:
        return validators, votes
    return _decided(validators, votes, cast.vote)


# --- QBFT and IBFT 2 ---


def _follow_bft(place: Place, header: Header, rules: Rules, what: str) -> Place:
    extra = _bft_form(header, rules, what)
    if not rules.named_by_contract and extra.validators != place.validators:
        raise UnknownSealer(f"{what} names as validators {told(extra.validators)}, which are not those that are known")
    _check_bft_seals(header, extra, place.validators, rules, what)
    validators, votes = place.validators, place.votes
    if header.number % rules.epoch == 0:
        votes = ()  # a vote in such a block counts for nothing
    elif extra.vote is not None:
        validators, votes = _bft_vote(validators, votes, Cast(header.miner, extra.vote))
    return Place(header.number, block_hash(header, rules.consensus), validators, (), votes)


def _bft_form(header: Header, rules: Rules, what: str) -> bft.Extra:
    _check_no_uncles(header, what)
    if header.mix_hash != BFT_MIX or header.difficulty != 1 or header.nonce != _AGAINST:
        raise BadEvidence(f"{what}: mix hash, difficulty and nonce are not those of a BFT block")
    extra = bft.decode(header.extra_data, ibft2=rules.consensus is Consensus.IBFT2)
    if rules.named_by_contract and (extra.validators or extra.vote is not None):
        raise BadEvidence(f"{what} names validators or votes, where a contract names them")
    return extra


def _check_bft_seals(header: Header, extra: bft.Extra, validators: tuple[bytes, ...], rules: Rules, what: str) -> None:
    """Proposed by a validator, and sealed by a quorum of them and nobody else."""
    if header.miner not in validators:
        raise UnknownSealer(f"{what} is proposed by {shown(header.miner)}, who is no validator")
    sealed = keccak(header.with_extra(extra.sealed_part(ibft2=rules.consensus is Consensus.IBFT2)))
    seals = extra.seals
    needed = quorum(len(validators))
    if rules.named_by_contract and 0 < len(seals) < needed:
        raise UnknownSealer(f"{what} has {len(seals)} seals, which are too few of the validators that are known")
    if not needed <= len(seals) <= len(validators):
        raise BadEvidence(f"{what} has {len(seals)} seals, where {needed} to {len(validators)} belong")
    found: set[bytes] = set()
    for place, seal in enumerate(seals):
        committer = signer(sealed, seal)
        if committer is None:
            raise BadEvidence(f"{what}: seal {place} recovers to nobody")
        if committer not in validators:
            raise UnknownSealer(f"{what}: seal {place} is {shown(committer)}'s, who is no validator")
        if committer in found:
            raise BadEvidence(f"{what}: {shown(committer)} sealed it twice")
        found.add(committer)


def committers(header: Header, rules: Rules) -> set[bytes]:
    """Whose seals a QBFT or IBFT 2 block bears, 20 bytes each, known or not.

    Raises:
        BadEvidence: its extra data has not the form.
    """
    ibft2 = rules.consensus is Consensus.IBFT2
    extra = bft.decode(header.extra_data, ibft2=ibft2)
    sealed = keccak(header.with_extra(extra.sealed_part(ibft2=ibft2)))
    return {found for seal in extra.seals if (found := signer(sealed, seal)) is not None}


def _bft_vote(
    validators: tuple[bytes, ...], votes: tuple[Cast, ...], cast: Cast
) -> tuple[tuple[bytes, ...], tuple[Cast, ...]]:
    """The validators and the open votes after one more; a vote for what is so already is kept, as Besu does."""
    subject = cast.vote.subject
    votes = (*(one for one in votes if (one.voter, one.vote.subject) != (cast.voter, subject)), cast)
    if sum(one.vote == cast.vote for one in votes) <= len(validators) // 2:
        return validators, votes
    return _decided(validators, votes, cast.vote)


def _decided(
    validators: tuple[bytes, ...], votes: tuple[Cast, ...], vote: bft.Vote
) -> tuple[tuple[bytes, ...], tuple[Cast, ...]]:
    """After a vote got its majority: it is done, and who was removed has no votes any more."""
    if vote.add:
        return tuple(sorted({*validators, vote.subject})), _without(votes, vote.subject)
    left = tuple(one for one in validators if one != vote.subject)
    if not left:
        raise BadEvidence(f"the last validator {shown(vote.subject)} votes itself away, after which nobody could seal")
    return left, tuple(one for one in _without(votes, vote.subject) if one.voter != vote.subject)


def _without(votes: tuple[Cast, ...], subject: bytes) -> tuple[Cast, ...]:
    return tuple(one for one in votes if one.vote.subject != subject)
