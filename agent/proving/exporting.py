"""Evidence for others: gathered from a full node for one transaction, or for the household's slot as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.domain.errors import BadRequest, NodeUnavailable
from agent.light.evidence import MOST_HEADERS, Evidence, Outcome, Pins, checked
from agent.light.headers import Consensus
from agent.proving import building
from agent.proving.questions import Questions, Source


def of_transaction(source: Source, pins: Pins, hashes: Sequence[str], *, linked: Pins | None = None) -> Evidence:
    """Evidence of a transaction that is mined, with its receipt.

    Args:
        source: a full node, which need not be honest.
        pins: by which the chain is known, with the validators of now; on an unsealed chain the evidence fits together
            and proves nothing.
        hashes: ``0x`` hex; of several transactions with one nonce, of which one is mined.
        linked: as the chain was pinned at first, to hold every header from there on, with every vote, so that nothing
            is taken for granted; None to hold those alone that vouch for it.

    Raises:
        NodeUnavailable: it gave no answer, does not know the transaction, or too few blocks follow it.
        BadEvidence: it lied.
        BadRequest: more headers lie between than evidence may hold.
    """
    questions = Questions(source, pins.rules.consensus)
    found = ((tx_hash, told) for tx_hash in hashes if (told := questions.receipt(tx_hash)) is not None)
    tx_hash, told = next(found, ("", {}))
    if not tx_hash:
        raise NodeUnavailable(f"it knows of no mined transaction {' or '.join(hashes)}")
    block = questions.block(str(told.get("blockHash")))
    return _vouched_for(questions, pins, building.transaction(questions, pins, block, tx_hash), linked=linked)


def of_slot(source: Source, pins: Pins, household: str, depth: int, *, linked: Pins | None = None) -> Evidence:
    """Evidence of the household's slot, which covers every reading before it; raises as ``of_transaction``."""
    questions = Questions(source, pins.rules.consensus)
    return _vouched_for(questions, pins, building.slot(questions, lambda _: pins, household, depth), linked=linked)


def _vouched_for(questions: Questions, pins: Pins, evidence: Evidence, *, linked: Pins | None) -> Evidence:
    if linked is not None:
        evidence = _from_the_pinned_block(questions, linked, evidence)
    verdict = checked(evidence, linked or pins)
    if pins.rules.consensus is not Consensus.UNSEALED and verdict.outcome is not Outcome.PROVEN:
        raise NodeUnavailable("; ".join(verdict.lacks))
    return evidence


def _from_the_pinned_block(questions: Questions, pins: Pins, evidence: Evidence) -> Evidence:
    first = pins.place.number + 1
    between = evidence.block - first
    if between < 0:
        raise BadRequest(
            f"block {evidence.block} lies before the pinned block {pins.place.number}, from which nothing leads back;"
            " leave --linked out"
        )
    if between + len(evidence.headers) > MOST_HEADERS:
        raise BadRequest(
            f"{between} headers lie between the pinned block {pins.place.number} and block {evidence.block}, and"
            f" evidence holds {MOST_HEADERS} at most; leave --linked out, or pin a later checkpoint"
        )
    before = tuple(header.encoded() for header in questions.run(first, between))
    return replace(evidence, headers=(*before, *evidence.headers))
