"""Pins that are not the chain's are told before they accuse an honest node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.domain.errors import BadEvidence
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.light.seals import Rules
from agent.proving.pinned import contradictions
from tests.fakes.consortium import addresses, keys
from tests.fakes.recorded import recording, sealed
from tests.fakes.telling import Teller

EPOCH = 4


def told(consensus: Consensus = Consensus.CLIQUE, after: int = 6) -> tuple[Teller, Pins]:
    chain, _, pins = sealed(recording(), consensus, after=after, epoch=EPOCH)
    genesis = "0x" + chain.hash_of(0).hex()
    return Teller("node", chain, recording(), 2), replace(pins, chain=replace(pins.chain, genesis_hash=genesis))


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2])
def test_right_pins_are_the_chains(consensus: Consensus) -> None:
    teller, pins = told(consensus)

    assert list(contradictions(teller, pins)) == []


def test_another_consensus_is_named_alone() -> None:
    teller, pins = told(Consensus.QBFT)
    wrong = replace(pins, rules=Rules(Consensus.CLIQUE, EPOCH))

    assert list(contradictions(teller, wrong)) == ["chain.consensus is clique, and block 0 says qbft"]


def test_another_validator_is_told_with_those_that_are_right() -> None:
    teller, pins = told()
    wrong = replace(pins, place=replace(pins.place, validators=addresses(keys(4, offset=60))))

    (found,) = contradictions(teller, wrong)

    assert found.startswith("chain.validators are not those whom block 0 names: 0x")
    later = replace(wrong, place=replace(wrong.place, number=3, block_hash=teller.chain.hash_of(3)))
    assert list(contradictions(teller, later)) == []  # who might seal then, block 0 does not say


def test_an_epoch_whose_block_lists_nobody_is_not_the_chains() -> None:
    teller, pins = told()

    assert list(contradictions(teller, replace(pins, rules=Rules(Consensus.CLIQUE, 3)))) == [
        "chain.epoch is 3, and block 3 lists no signers, as each epoch's does"
    ]
    assert list(contradictions(teller, replace(pins, rules=Rules(Consensus.CLIQUE, 30_000)))) == []  # not there yet


def test_another_genesis_says_nothing_of_the_pins() -> None:
    teller, pins = told()

    with pytest.raises(BadEvidence, match="block 0 hashes to"):
        list(contradictions(teller, replace(pins, chain=replace(pins.chain, genesis_hash="0x" + "11" * 32))))
