"""Whether the pins are the chain's: block 0 says who seals, and the first epoch's block how long an epoch is."""

from __future__ import annotations

from collections.abc import Iterator

from agent.domain.errors import NodeUnavailable
from agent.light import genesis, seals
from agent.light.evidence import Pins
from agent.light.hashing import shown
from agent.light.headers import Consensus, checked_hash
from agent.proving.questions import Questions, Source


def contradictions(source: Source, pins: Pins) -> Iterator[str]:
    """What of the pins is not the chain's, a sentence each.

    Nothing is said where the chain cannot tell: of validators that are pinned at a later block, and of an epoch that is
    longer than the chain or that nobody's header shows.

    Args:
        source: a full node of the pinned chain.
        pins: with the pinned place as it was configured.

    Raises:
        NodeUnavailable: it gave no answer.
        BadEvidence: block 0 is not the pinned one.
    """
    questions = Questions(source, pins.rules.consensus)
    first = questions.header(0)
    checked_hash(first, pins.rules.consensus, bytes.fromhex(pins.chain.genesis_hash[2:]), "block 0")
    consensus, validators = genesis.sealing(first.mix_hash, first.extra_data)
    if consensus is not pins.rules.consensus:
        yield f"chain.consensus is {pins.rules.consensus}, and block 0 says {consensus}"
        return
    if pins.place.number == 0 and validators != pins.place.validators:
        names = ", ".join(shown(one) for one in validators)
        yield f"chain.validators are not those whom block 0 names: {names}"
    if consensus is Consensus.CLIQUE and not _lists(questions, pins.rules.epoch):
        yield f"chain.epoch is {pins.rules.epoch}, and block {pins.rules.epoch} lists no signers, as each epoch's does"


def _lists(questions: Questions, number: int) -> bool:
    try:
        found = questions.header(number)
    except NodeUnavailable:  # the chain is shorter than an epoch
        return True
    return bool(seals.clique_signers(found.extra_data, f"block {number}"))
