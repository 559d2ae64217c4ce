"""Evidence for others: gathered from one full node, whole, and checked before it is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.domain.errors import BadEvidence, BadRequest, NodeUnavailable
from agent.light.evidence import Outcome, Pins, verify
from agent.light.headers import Consensus
from agent.light.seals import Place, Rules
from agent.proving import exporting
from agent.proving.exporting import Known
from agent.proving.places import Followed, Span
from tests.fakes.recorded import LAST, recording, sealed
from tests.fakes.telling import Teller
from tests.unit.test_proving_change import changes_right_behind

TOLD = recording()
TX = TOLD["blocks"][LAST]["block"]["transactions"][0]["hash"]
NEVER_MINED = "0x" + "ab" * 32


def told(consensus: Consensus = Consensus.CLIQUE, after: int = 3) -> tuple[Teller, Pins]:
    chain, _, pins = sealed(TOLD, consensus, before=4, after=after)
    return Teller("node", chain, TOLD, 5), pins


def known(now: Pins, *, linked: Pins | None = None) -> Known:
    """With the same validators at every block; linked to what was pinned, where that is said."""
    return Known(linked or now, lambda _: now, linked is not None)


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2])
def test_a_transaction_is_proven_to_whoever_has_the_pins(consensus: Consensus) -> None:
    teller, pins = told(consensus)

    evidence = exporting.of_transaction(teller, known(pins), [TX])
    linked = exporting.of_transaction(teller, known(pins, linked=pins), [TX])

    for one in (evidence, linked):
        verdict = verify(one, pins)
        assert verdict.outcome is Outcome.PROVEN
        assert verdict.transaction is not None
        assert "0x" + verdict.transaction.tx_hash.hex() == TX
    assert "not followed from the pinned block" in " ".join(verify(evidence, pins).lacks)
    assert "not followed from the pinned block" not in " ".join(verify(linked, pins).lacks)
    assert len(linked.headers) == len(evidence.headers) + 4


def test_linked_evidence_begins_with_the_validators_that_were_pinned_whoever_seals_now() -> None:
    teller, pins = told()
    others = tuple(bytes([place]) * 20 for place in range(1, len(pins.place.validators) + 1))
    now = replace(pins, place=replace(pins.place, validators=others))

    linked = exporting.of_transaction(teller, known(now, linked=pins), [TX])

    assert verify(linked, pins).outcome is Outcome.PROVEN
    with pytest.raises(NodeUnavailable, match="who might seal block 5: ask with --linked"):
        exporting.of_transaction(teller, known(now), [TX])


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2])
def test_a_block_from_before_a_vote_is_exported_with_the_validators_of_its_time(consensus: Consensus) -> None:
    teller, pins = told(consensus)
    others = tuple(bytes([place]) * 20 for place in range(1, 5))
    followed = Followed(Place(8, bytes(32), others), 6, (Span(1, 6, pins.place.validators),))
    then = Known.followed(pins, followed, linked=False)

    for evidence in (
        exporting.of_transaction(teller, then, [TX]),
        exporting.of_slot(teller, then, TOLD["household"], depth=3),
    ):
        assert evidence.block == 5
        assert verify(evidence, pins).outcome is Outcome.PROVEN


@pytest.mark.parametrize("add", [True, False])
def test_linked_evidence_is_gathered_by_those_whom_the_votes_in_it_bring(*, add: bool) -> None:
    there, _ = changes_right_behind(add=add)
    teller = there.tellers[0]
    now = replace(there.pins, place=replace(there.pins.place, validators=teller.chain.validators))

    evidence = exporting.of_transaction(teller, known(now, linked=there.pins), [TX])

    assert evidence.block == 3
    assert verify(evidence, there.pins).outcome is Outcome.PROVEN


def test_of_several_transactions_with_one_nonce_the_mined_one_is_proven() -> None:
    teller, pins = told()

    evidence = exporting.of_transaction(teller, known(pins), [NEVER_MINED, TX])

    assert evidence.transaction is not None
    assert "0x" + evidence.transaction.tx_hash.hex() == TX
    with pytest.raises(NodeUnavailable, match=f"no mined transaction {NEVER_MINED}"):
        exporting.of_transaction(teller, known(pins), [NEVER_MINED])


def test_the_slot_is_proven_as_deep_as_is_asked() -> None:
    teller, pins = told()

    evidence = exporting.of_slot(teller, known(pins), TOLD["household"], depth=3)

    verdict = verify(evidence, pins)
    assert verdict.outcome is Outcome.PROVEN
    assert verdict.slot is not None
    assert verdict.slot.produced_wh == TOLD["produced"]
    with pytest.raises(NodeUnavailable, match="8 blocks, and 9 must follow"):
        exporting.of_slot(teller, known(pins), TOLD["household"], depth=9)


def test_what_too_few_have_built_upon_is_not_written() -> None:
    teller, pins = told(after=1)

    with pytest.raises(NodeUnavailable):
        exporting.of_transaction(teller, known(pins), [TX])


def test_on_a_chain_that_nobody_seals_it_fits_together_and_is_unproven() -> None:
    teller, pins = told()
    unsealed = replace(pins, rules=Rules(Consensus.UNSEALED), place=Place(0, bytes(32), ()))

    assert verify(exporting.of_transaction(teller, known(unsealed), [TX]), unsealed).outcome is Outcome.UNPROVEN


def test_a_node_that_lies_is_not_written_down() -> None:
    teller, pins = told()
    teller.rewrite = lambda method, _, answer: (
        {**answer, "stateRoot": "0x" + "00" * 32} if method == "eth_getBlockByHash" else answer
    )

    with pytest.raises(BadEvidence):
        exporting.of_transaction(teller, known(pins), [TX])


def test_a_block_that_does_not_hold_the_transaction_is_a_lie() -> None:
    teller, pins = told()
    teller.rewrite = lambda method, _, answer: (
        {**answer, "blockHash": teller.hash_of(4)} if method == "eth_getTransactionReceipt" else answer
    )

    with pytest.raises(BadEvidence, match="is in block 4, which does not hold it"):
        exporting.of_transaction(teller, known(pins), [TX])


def test_nothing_leads_back_from_before_the_pinned_block_and_no_file_holds_a_years_headers() -> None:
    teller, pins = told()
    late = replace(pins, place=replace(pins.place, number=6, block_hash=teller.chain.hash_of(6)))

    with pytest.raises(BadRequest, match="lies before the pinned block 6"):
        exporting.of_transaction(teller, known(late, linked=late), [TX])
    early = replace(pins, place=replace(pins.place, number=-20_000))
    with pytest.raises(BadRequest, match="evidence has room for 9991"):
        exporting.of_transaction(teller, known(early, linked=early), [TX])
