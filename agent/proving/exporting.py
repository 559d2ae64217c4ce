"""Evidence for others: gathered from a full node for one transaction, or for the household's slot as it is now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.domain.errors import BadEvidence, BadRequest, Doubtful, NodeUnavailable
from agent.light import seals
from agent.light.evidence import MOST_HEADERS, Evidence, Outcome, Pins, checked
from agent.light.headers import Consensus, Header
from agent.proving import building
from agent.proving.places import Followed
from agent.proving.questions import Questions, Source


@dataclass(frozen=True, slots=True)
class Known:
    """What the chain is known by.

    Attributes:
        pinned: as it was pinned at first; on an unsealed chain evidence fits together and proves nothing.
        at: with the validators of a block, or those of now, where it is not said or not known.
        linked: to hold every header from the pinned block on, with every vote, so that nothing is taken for granted;
            otherwise those alone that vouch for it.
    """

    pinned: Pins
    at: Callable[[int | None], Pins]
    linked: bool

    @classmethod
    def followed(cls, pinned: Pins, followed: Followed, *, linked: bool) -> Known:
        """By what was pinned, and where the following of the headers has come to."""

        def at(block: int | None) -> Pins:
            then = None if block is None else followed.validators_at(block)
            return replace(pinned, place=replace(pinned.place, validators=then or followed.place.validators))

        return cls(pinned, at, linked)


def of_transaction(source: Source, known: Known, hashes: Sequence[str]) -> Evidence:
    """Evidence of a transaction that is mined, with its receipt.

    Args:
        source: a full node, which need not be honest.
        known: what the chain is known by.
        hashes: ``0x`` hex; of several transactions with one nonce, of which one is mined.

    Raises:
        NodeUnavailable: it gave no answer, does not know the transaction, too few vouch for it, or it cannot be told
            who might.
        BadEvidence: it lied.
        BadRequest: more headers lie between than evidence may hold.
    """
    questions = Questions(source, known.pinned.rules.consensus)
    found = ((tx_hash, told) for tx_hash in hashes if (told := questions.receipt(tx_hash)) is not None)
    tx_hash, told = next(found, ("", {}))
    if not tx_hash:
        raise NodeUnavailable(f"it knows of no mined transaction {' or '.join(hashes)}")
    block = questions.block(str(told.get("blockHash")))
    between = _between(questions, known, block[0].number)
    pins = _then(known, between, block[0].number)
    evidence = building.transaction(questions, pins, block, tx_hash)
    if evidence is None:
        raise BadEvidence(f"it says that {tx_hash} is in block {block[0].number}, which does not hold it")
    return _whole(known, between, evidence, pins)


def of_slot(source: Source, known: Known, household: str, depth: int) -> Evidence:
    """Evidence of the household's slot, which covers every reading before it; raises as ``of_transaction``."""
    questions = Questions(source, known.pinned.rules.consensus)
    number = building.deep_enough(questions, known.at(None), depth)
    between = _between(questions, known, number)
    pins = _then(known, between, number)
    return _whole(known, between, building.slot(questions, pins, household, number), pins)


def _whole(known: Known, between: Sequence[Header], evidence: Evidence, then: Pins) -> Evidence:
    evidence = replace(evidence, headers=(*(header.encoded() for header in between), *evidence.headers))
    if known.linked:
        verdict = checked(evidence, known.pinned)
    else:
        try:
            verdict = checked(evidence, then)
        except Doubtful as error:
            raise NodeUnavailable(
                f"{error}; that is no lie where it is not known here any more who might seal block {evidence.block}:"
                " ask with --linked, which shows it"
            ) from error
    if known.pinned.rules.consensus is not Consensus.UNSEALED and verdict.outcome is not Outcome.PROVEN:
        raise NodeUnavailable("; ".join(verdict.lacks))
    return evidence


def _then(known: Known, between: Sequence[Header], number: int) -> Pins:
    """With those who might seal a block: as the votes before it show, where those are there."""
    if not known.linked:
        return known.at(number)
    place = known.pinned.place
    for header in between:
        place = seals.follow(place, header, known.pinned.rules)
    return replace(known.pinned, place=replace(known.pinned.place, validators=place.validators))


def _between(questions: Questions, known: Known, number: int) -> list[Header]:
    """The headers after the pinned block and before another one, if they are to be there."""
    if not known.linked:
        return []
    pinned = known.pinned.place.number
    between = number - pinned - 1
    most = MOST_HEADERS - building.most_headers(known.pinned)
    if between < 0:
        raise BadRequest(
            f"block {number} lies before the pinned block {pinned}, from which nothing leads back; leave --linked out"
        )
    if between > most:
        raise BadRequest(
            f"{between} headers lie between the pinned block {pinned} and block {number}, and evidence has room"
            f" for {most}; leave --linked out, or pin a later checkpoint"
        )
    return questions.run(pinned + 1, between)
