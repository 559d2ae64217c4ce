"""Evidence: accepted as it is, refused in every other form, and never called proven where nobody sealed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.domain.errors import BadEvidence
from agent.light import evidence_file, gathering, seals
from agent.light.evidence import Evidence, Outcome, Pins, StatePiece, TransactionPiece, Verdict, verify
from agent.light.headers import Consensus
from agent.light.seals import Place, Rules
from tests.fakes.consortium import addresses, keys
from tests.fakes.recorded import LAST, MIXED, evidence_of, header_of, pins_of, raw, recording, sealed
from tests.fakes.remembered import remember_signers

SEALED = [Consensus.QBFT, Consensus.IBFT2, Consensus.CLIQUE]
SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "agent" / "schemas" / "evidence.json").read_text(encoding="utf-8"))
)


@pytest.fixture(params=SEALED)
def case(request: pytest.FixtureRequest) -> tuple[Evidence, Pins]:
    _, evidence, pins = sealed(recording(), request.param)
    return evidence, pins


def accepted(evidence: Evidence, pins: Pins) -> bool:
    return verify(evidence, pins).outcome is Outcome.PROVEN


def refusal(evidence: Evidence, pins: Pins) -> str:
    verdict = verify(evidence, pins)
    assert verdict.outcome is Outcome.REFUSED
    assert (verdict.proves, verdict.header, verdict.transaction, verdict.slot) == ((), None, None, None)
    return " ".join(verdict.lacks)


def test_what_pinned_validators_sealed_is_proven(case: tuple[Evidence, Pins]) -> None:
    told = recording()
    verdict = verify(*case)

    assert verdict.outcome is Outcome.PROVEN
    assert verdict.header is not None
    assert verdict.header.number == 2
    assert verdict.transaction is not None
    assert "0x" + verdict.transaction.tx_hash.hex() == told["sent"][-1]
    assert verdict.receipt is not None
    assert verdict.receipt.succeeded
    assert verdict.slot is not None
    assert verdict.slot.produced_wh == told["produced"]
    assert verdict.account is not None
    assert verdict.account.nonce == 2
    assert "covers every reading before it" in " ".join(verdict.proves)
    assert "followed from" not in " ".join(verdict.lacks)


def test_each_piece_alone_is_proven_and_none_at_all_is_nothing(case: tuple[Evidence, Pins]) -> None:
    evidence, pins = case

    assert accepted(replace(evidence, state=None), pins)
    assert accepted(replace(evidence, transaction=None), pins)
    assert "neither a transaction nor a state" in refusal(replace(evidence, state=None, transaction=None), pins)


def test_an_unsealed_chain_proves_nothing_and_says_so() -> None:
    told = recording()
    verdict = verify(evidence_of(told), pins_of(told, Rules(Consensus.UNSEALED), Place(0, raw(told["genesis"]), ())))

    assert verdict.outcome is Outcome.UNPROVEN
    assert verdict.lacks[0].startswith("unproven: nobody seals")
    assert "nobody sealed it" in verdict.proves[0]


def test_a_reverted_transaction_is_told_as_such() -> None:
    told = recording()
    index = next(place for place, one in enumerate(told["blocks"][MIXED]["receipts"]) if one["status"] == "0x0")
    pins = pins_of(told, Rules(Consensus.UNSEALED), Place(0, raw(told["genesis"]), ()))

    assert "reverted, so it did nothing" in verify(evidence_of(told, MIXED, index), pins).proves[1]
    creation = verify(evidence_of(told, MIXED, len(told["sent"]) - 2), pins)
    assert "created a contract" in creation.proves[1]


def test_clique_waits_until_more_than_half_have_built_on_it() -> None:
    for after, outcome in ((0, Outcome.UNPROVEN), (1, Outcome.UNPROVEN), (2, Outcome.PROVEN)):
        _, evidence, pins = sealed(recording(), Consensus.CLIQUE, after=after)
        assert verify(evidence, pins).outcome is outcome


@pytest.mark.parametrize(("consensus", "said"), [(Consensus.CLIQUE, 1), (Consensus.QBFT, 0)])
def test_that_fewer_blocks_follow_than_a_household_waits_for_is_said_where_blocks_can_be_left(
    consensus: Consensus, said: int
) -> None:
    _, evidence, pins = sealed(recording(), consensus, after=4)

    for depth, times in ((4, 0), (5, said)):
        verdict = verify(evidence, replace(pins, depth=depth))
        assert (verdict.outcome, verdict.after) == (Outcome.PROVEN, 4)
        assert " ".join(verdict.lacks).count("4 blocks follow it here; chain.depth") == times


@pytest.mark.parametrize("consensus", SEALED)
def test_headers_that_hang_on_no_pin_are_taken_from_the_pinned_validators_alone(consensus: Consensus) -> None:
    chain, evidence, pins = sealed(recording(), consensus, before=4)
    loose = replace(evidence, headers=tuple(header.encoded() for header in chain.headers[5:]))

    verdict = verify(loose, pins)

    assert verdict.outcome is Outcome.PROVEN
    assert "not followed from the pinned block 0" in " ".join(verdict.lacks)
    others = replace(pins, place=replace(pins.place, validators=addresses(keys(4, offset=90))))
    assert verify(loose, others).outcome is Outcome.REFUSED


@pytest.mark.parametrize("consensus", SEALED)
def test_another_chain_of_the_same_validators_is_not_taken_for_the_pinned_one_unsaid(consensus: Consensus) -> None:
    other, evidence, pins = sealed(recording(), consensus, before=4)
    here = replace(pins, place=replace(pins.place, block_hash=bytes(31) + b"\1"))  # of the other chain's validators

    loose = verify(replace(evidence, headers=tuple(header.encoded() for header in other.headers[5:])), here)

    assert (loose.outcome, loose.linked) == (Outcome.PROVEN, False)
    assert "not shown, that they are of the pinned chain" in " ".join(loose.lacks)
    assert "the block before it is 0x" in refusal(evidence, here)
    linked = verify(evidence, pins)
    assert linked.linked
    assert "of the pinned chain" not in " ".join(linked.lacks)


@pytest.mark.parametrize("consensus", SEALED)
def test_no_header_contradicts_the_pinned_block(consensus: Consensus) -> None:
    chain, evidence, pins = sealed(recording(), consensus, before=2)
    at_two = Place(2, chain.hash_of(2), chain.founders)

    assert accepted(evidence, replace(pins, place=at_two))
    assert "the pinned one is" in refusal(evidence, replace(pins, place=replace(at_two, block_hash=bytes(32))))
    pinned_first = replace(evidence, headers=tuple(header.encoded() for header in chain.headers[2:]))
    assert accepted(pinned_first, replace(pins, place=at_two))
    assert "the pinned one is" in refusal(pinned_first, replace(pins, place=replace(at_two, block_hash=bytes(32))))
    at_three = replace(pins, place=Place(3, chain.hash_of(3), chain.founders))
    itself = verify(replace(evidence, headers=(chain.headers[3].encoded(),)), at_three)
    assert itself.outcome is Outcome.PROVEN
    assert "is the pinned block" in itself.proves[0]


def test_changed_validators_are_followed_from_the_pin_and_refused_without() -> None:
    chain, evidence, pins = sealed(recording(), Consensus.QBFT, before=0, after=0)
    chain.headers = chain.headers[:1]
    one, two, three, four = chain.sealers
    for proposer in (one, two, three):
        chain.seal(proposer, *(key for key in chain.sealers if key is not proposer), vote=(addresses([four])[0], False))
    chain.sealers = [one, two, three]
    recorded = header_of(recording(), LAST)
    chain.seal(
        state_root=recorded.state_root,
        transactions_root=recorded.transactions_root,
        receipts_root=recorded.receipts_root,
        logs_bloom=recorded.logs_bloom,
    )
    linked = replace(evidence, block=4, headers=tuple(header.encoded() for header in chain.headers[1:]))

    assert accepted(linked, pins)
    assert "names as validators" in refusal(replace(linked, headers=linked.headers[-1:]), pins)


# --- Every change ---


def _changed_node(proof: tuple[bytes, ...], place: int) -> tuple[bytes, ...]:
    changed = bytearray(proof[place])
    changed[len(changed) // 2] ^= 1
    return (*proof[:place], bytes(changed), *proof[place + 1 :])


def _of_transaction(change: Callable[[TransactionPiece], dict[str, Any]]) -> Callable[[Evidence], Evidence]:
    def changed(evidence: Evidence) -> Evidence:
        assert evidence.transaction is not None
        return replace(evidence, transaction=replace(evidence.transaction, **change(evidence.transaction)))

    return changed


def _of_state(change: Callable[[StatePiece], dict[str, Any]]) -> Callable[[Evidence], Evidence]:
    def changed(evidence: Evidence) -> Evidence:
        assert evidence.state is not None
        return replace(evidence, state=replace(evidence.state, **change(evidence.state)))

    return changed


CHANGES: dict[str, Callable[[Evidence], Evidence]] = {
    "chain": lambda one: replace(one, chain_id=1),
    "contract": lambda one: replace(one, contract=bytes(20)),
    "block before": lambda one: replace(one, block=one.block - 1),
    "block after": lambda one: replace(one, block=one.block + 1),
    "block beyond": lambda one: replace(one, block=99),
    "no header": lambda one: replace(one, headers=()),
    "a header left out": lambda one: replace(one, headers=(one.headers[0], *one.headers[2:])),
    "headers turned round": lambda one: replace(one, headers=one.headers[::-1]),
    "a header twice": lambda one: replace(one, headers=(one.headers[0], *one.headers)),
    "hash": _of_transaction(lambda _: {"tx_hash": bytes(32)}),
    "index": _of_transaction(lambda one: {"index": one.index + 1}),
    "index below 0": _of_transaction(lambda _: {"index": -1}),
    "proof": _of_transaction(lambda one: {"proof": _changed_node(one.proof, -1)}),
    "no proof": _of_transaction(lambda _: {"proof": ()}),
    "receipt's proof": _of_transaction(lambda one: {"receipt_proof": _changed_node(one.receipt_proof, 0)}),
    "proofs exchanged": _of_transaction(lambda one: {"proof": one.receipt_proof, "receipt_proof": one.proof}),
    "household": _of_state(lambda _: {"household": bytes(20)}),
    "account": _of_state(lambda one: {"account_proof": _changed_node(one.account_proof, -1)}),
    "account's root": _of_state(lambda one: {"account_proof": one.account_proof[1:]}),
    "market": _of_state(lambda one: {"contract_proof": _changed_node(one.contract_proof, 0)}),
    "another's account": _of_state(lambda one: {"contract_proof": one.account_proof}),
    "slot": _of_state(lambda one: {"slot_proof": _changed_node(one.slot_proof, -1)}),
    "no slot": _of_state(lambda _: {"slot_proof": ()}),
    "a node too many": _of_state(lambda one: {"slot_proof": (*one.slot_proof, one.slot_proof[-1])}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_field_changed_is_refused(case: tuple[Evidence, Pins], change: str) -> None:
    evidence, pins = case

    assert accepted(evidence, pins)
    assert refusal(CHANGES[change](evidence), pins)


@pytest.mark.parametrize(
    "change",
    [
        lambda pins: replace(pins, chain=replace(pins.chain, chain_id=7)),
        lambda pins: replace(pins, chain=replace(pins.chain, contract="0x" + "11" * 20)),
        lambda pins: replace(pins, chain=replace(pins.chain, code_hash="0x" + "11" * 32)),
        lambda pins: replace(pins, place=replace(pins.place, block_hash=bytes(32))),
        lambda pins: replace(pins, place=replace(pins.place, validators=())),
        lambda pins: replace(pins, place=replace(pins.place, validators=addresses(keys(4, offset=90)))),
        lambda pins: replace(pins, rules=Rules(Consensus.CLIQUE, epoch=1)),
    ],
)
def test_other_pins_refuse_it(case: tuple[Evidence, Pins], change: Callable[[Pins], Pins]) -> None:
    evidence, pins = case

    assert refusal(evidence, change(pins))


PIECES = ("headers", "proof", "receipt_proof", "account_proof", "contract_proof", "slot_proof")


def _rewritten(evidence: Evidence, piece: str, chance: random.Random) -> Evidence:
    """The evidence with one to three random bytes of one of its parts rewritten."""

    def spoilt(parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        which = chance.randrange(len(parts))
        changed = bytearray(parts[which])
        for at in chance.sample(range(len(changed)), chance.choice((1, 1, 2, 3))):
            changed[at] ^= chance.randrange(1, 256)
        return (*parts[:which], bytes(changed), *parts[which + 1 :])

    if piece == "headers":
        return replace(evidence, headers=spoilt(evidence.headers))
    if piece in {"proof", "receipt_proof"}:
        return _of_transaction(lambda one: {piece: spoilt(getattr(one, piece))})(evidence)
    return _of_state(lambda one: {piece: spoilt(getattr(one, piece))})(evidence)


# What chance reaches is reached by the other tests too, and counting would double the time it takes.
@pytest.mark.no_cover
@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("consensus", SEALED)
def test_of_a_thousand_random_rewrites_none_is_accepted(
    consensus: Consensus, piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_signers(monkeypatch)
    _, evidence, pins = sealed(recording(), consensus)
    chance = random.Random(f"{consensus} {piece}")  # noqa: S311 - no secret
    taken = [
        changed
        for changed in (_rewritten(evidence, piece, chance) for _ in range(1_000))
        if verify(changed, pins).outcome is not Outcome.REFUSED
    ]

    assert accepted(evidence, pins)
    assert taken == []


# What chance reaches is reached by the other tests too, and counting would double the time it takes.
@pytest.mark.no_cover
def test_a_thousand_rewrites_of_the_file_are_not_accepted_with_another_meaning() -> None:
    _, evidence, pins = sealed(recording(), Consensus.QBFT)
    text = evidence_file.written(evidence)
    chance = random.Random(8)  # noqa: S311 - no secret
    accepted_as: list[Verdict] = []
    for _ in range(1_000):
        at = chance.randrange(len(text) - 1)
        changed = text[:at] + chance.choice('0123456789abcdef"{}[],:x ') + text[at + 1 :]
        if changed == text:
            continue
        try:
            read = evidence_file.read(changed)
        except BadEvidence:
            continue
        if read != evidence:
            accepted_as.append(verify(read, pins))
    assert accepted_as
    assert {verdict.outcome for verdict in accepted_as} == {Outcome.REFUSED}


# --- The file ---


def test_a_file_holds_evidence_and_is_what_the_schema_says(case: tuple[Evidence, Pins]) -> None:
    evidence, _ = case
    for one in (evidence, replace(evidence, state=None), replace(evidence, transaction=None)):
        text = evidence_file.written(one)
        assert evidence_file.read(text) == one
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) + "\n"
        SCHEMA.validate(json.loads(text))
    assert not SCHEMA.is_valid(json.loads(evidence_file.written(replace(evidence, state=None, transaction=None))))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda told: {**told, "more": 1}, "has 'more', which"),
        (lambda told: {key: value for key, value in told.items() if key != "block"}, "lacks block"),
        (lambda told: {**told, "schema": 2}, "schema is 2"),
        (lambda told: {**told, "schema": True}, "schema is True"),
        (lambda told: {**told, "block": -1}, "block is -1"),
        (lambda told: {**told, "block": True}, "block is True"),
        (lambda told: {**told, "block": 1.0}, "whole numbers"),
        (lambda told: {**told, "contract": told["contract"].upper().replace("X", "x")}, "capital digits"),
        (lambda told: {**told, "contract": "0x00"}, "contract has 1 bytes"),
        (lambda told: {**told, "headers": "0x"}, "headers is '0x'"),
        (lambda told: {**told, "state": []}, "state is list"),
        (lambda told: {**told, "transaction": {}}, "transaction lacks hash, index"),
        (lambda told: [told], "the file is list"),
    ],
)
def test_another_form_is_refused_by_name(change: Callable[[dict[str, Any]], object], why: str) -> None:
    told = json.loads(evidence_file.written(evidence_of(recording())))

    with pytest.raises(BadEvidence, match=why):
        evidence_file.read(json.dumps(change(told)))


@pytest.mark.parametrize(
    "text", ["", "{", '{"block":1,"block":1}', "[" * 100_000, "NaN", '{"block":' + "9" * 5_000 + "}"]
)
def test_what_is_no_json_of_ours_is_refused(text: str) -> None:
    with pytest.raises(BadEvidence):
        evidence_file.read(text)


# --- From a node's answers ---


def test_a_node_that_tells_another_hash_or_leaves_something_out_is_refused() -> None:
    told = recording()
    lies = told["blocks"][MIXED]

    with pytest.raises(BadEvidence, match="block hashes to 0x"):
        gathering.header({**lies["block"], "gasUsed": "0x1"}, Consensus.UNSEALED)
    with pytest.raises(BadEvidence, match="block: hash is None"):
        gathering.header({**lies["block"], "hash": None}, Consensus.UNSEALED)
    every, under = lies["block"]["transactions"], header_of(told, MIXED)
    assert gathering.mined(under, every, bytes(32)) is None
    with pytest.raises(BadEvidence, match="are not those of the header's transactionsRoot"):
        gathering.mined(under, every[1:], raw(every[1]["hash"]))
    with pytest.raises(BadEvidence, match="does not hash to"):
        gathering.mined(under, [{**every[0], "hash": "0x" + "00" * 32}, *every[1:]], raw(every[0]["hash"]))
    for slots in (None, [], [1], told["state"]["contract"]["storageProof"] * 2):
        with pytest.raises(BadEvidence, match="where proofs of 1 slot"):
            gathering.state_piece(bytes(20), told["state"]["account"], {"accountProof": [], "storageProof": slots})
    with pytest.raises(BadEvidence, match="accountProof of the household is None"):
        gathering.state_piece(bytes(20), {}, told["state"]["contract"])


def test_the_pinned_place_moves_on_as_the_chain_is_followed() -> None:
    chain, evidence, pins = sealed(recording(), Consensus.QBFT, before=3)
    place = pins.place
    for header in chain.headers[1:3]:
        place = seals.follow(place, header, pins.rules)

    assert accepted(replace(evidence, headers=evidence.headers[2:]), replace(pins, place=place))
