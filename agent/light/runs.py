"""Consecutive headers of evidence: whether they hang on the pinned block, and whether enough vouch for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.domain.errors import BadEvidence, UnknownSealer
from agent.light import checkpoints, clique, seals
from agent.light.headers import Consensus, Header, block_hash
from agent.light.seals import Place, Rules


@dataclass(frozen=True, slots=True)
class Run:
    """Headers that were followed.

    Attributes:
        header: the block's that matters.
        block_hash: its hash.
        after: how many follow it.
        linked: whether they hang on the pinned place.
        validators: how many might seal it; 0 for the pinned block itself.
        vouchers: how many of them sealed it or a block after it; in a Clique chain alone.
        settled: whether those are as many as must.
    """

    header: Header
    block_hash: bytes
    after: int
    linked: bool
    validators: int = 0
    vouchers: int = 0
    settled: bool = True


def followed(headers: Sequence[Header], block: int, pinned: Place, rules: Rules) -> Run:
    """The headers, followed from the pinned place where they hang on it.

    Args:
        headers: one or more.
        block: number of the block that matters, which is among them.
        pinned: the place, and who may seal the block after it; where the headers hang on nothing, who may seal them.
        rules: how blocks are sealed.

    Raises:
        UnknownSealer: a block is sealed by somebody who is not known to be a validator.
        BadEvidence: they do not follow each other, or are not sealed as they must.
    """
    first, last = headers[0].number, headers[-1].number
    place, rest, linked = replace(pinned, validators=tuple(sorted({*pinned.validators}))), headers, True
    if first == place.number:
        rest = headers[1:]  # the pinned block itself: its hash says that it is
        _check_pinned(headers[0], block_hash(headers[0], rules.consensus), pinned)
    elif first != place.number + 1:
        place, linked = seals.before(headers[0], place.validators), False
    loose = not linked and rules.consensus is Consensus.CLIQUE
    run, stranger = _places(place, rest, rules, loose=loose)
    for header, reached in zip(rest, run[1:], strict=True):
        _check_pinned(header, reached.block_hash, pinned)
    if not first <= block <= last:
        raise BadEvidence(f"its headers are of block {first} and on, and block {block} is not there")
    at = block - place.number
    found = Run(headers[block - first], run[at].block_hash, last - block, linked)
    if at == 0:
        return found
    known = run[0 if loose else at - 1].validators
    if rules.consensus is not Consensus.CLIQUE:
        return replace(found, validators=len(known))
    sealers = {one.recent[-1][1] for one in run[at:]}
    settled = checkpoints.vouched(known, sealers) if loose else checkpoints.settled(place.validators, run) >= at
    if stranger is not None and not settled:
        raise stranger
    return replace(found, validators=len(known), vouchers=len(sealers & {*known}), settled=settled)


def _places(
    place: Place, headers: Sequence[Header], rules: Rules, *, loose: bool
) -> tuple[list[Place], UnknownSealer | None]:
    """The places from one on and, where others than are known are let be, what was said of the first such header.

    Headers that hang on no pinned block do not show the votes before them, which may bring others at any block. In a
    Clique chain an honest signer seals upon a block only after it checked all before it, so it is enough there to
    count the known ones among all who sealed.
    """
    run, stranger = [place], None
    for header in headers:
        try:
            place = seals.follow(place, header, rules)
        except UnknownSealer as error:
            if not loose:
                raise
            stranger = stranger or error
            place = _past(place, header, rules)
        run.append(place)
    return run, stranger


def _past(place: Place, header: Header, rules: Rules) -> Place:
    """The place after a Clique header of others than are known; its form and its parent were looked at."""
    signed_by = clique.sealer(header.fields())
    if signed_by is None:
        raise BadEvidence(f"block {header.number}: its seal recovers to nobody")
    found = block_hash(header, rules.consensus)
    return replace(place, number=header.number, block_hash=found, recent=((header.number, signed_by),))


def _check_pinned(header: Header, found: bytes, pinned: Place) -> None:
    """No header may contradict the pinned place, wherever the run began."""
    if header.number == pinned.number and found != pinned.block_hash:
        raise BadEvidence(f"block {header.number} is 0x{found.hex()}, the pinned one is 0x{pinned.block_hash.hex()}")
