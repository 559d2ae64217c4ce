"""An end is believed when it is proven, whoever tells it; and whoever tells what cannot be is put aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from agent.domain.errors import NodeUnavailable
from agent.domain.outbox import Entry, Inclusion, Kind, State
from agent.domain.proofs import Claim
from agent.domain.readings import Reading
from agent.light import evidence_file
from agent.light.evidence import Outcome, Pins, verify
from agent.light.headers import Consensus
from agent.proving.prover import Prover
from tests.fakes.consortium import addresses, keys
from tests.fakes.recorded import LAST, recording, sealed
from tests.fakes.telling import Teller

TOLD = recording()
HOUSEHOLD = to_checksum_address(TOLD["household"])
TX = TOLD["blocks"][LAST]["block"]["transactions"][0]["hash"]
FOLLOWERS = 2  # of four signers


@dataclass
class World:
    """A prover, and everything that it is handed."""

    pins: Pins
    tellers: list[Teller]
    lies: list[tuple[str, str, Any]] = field(default_factory=list)
    kept: dict[object, tuple[int, str]] = field(default_factory=dict)
    followed: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    now: float = 1000.0
    then: Callable[[], None] = lambda: None

    # The nodes.

    def sources(self) -> list[Teller]:
        liars = {name for name, _, _ in self.lies}
        return [teller for teller in self.tellers if teller.name not in liars]

    def caught(self, name: str, why: str, told: object) -> None:
        self.lies.append((name, why, told))

    # Who may seal.

    def catch_up(self, source: Teller) -> None:
        self.followed.append(source.name)
        self.then()

    # The journal's rows.

    def keep_slot(self, block: int, _now: int, file: str) -> None:
        self.kept["slot"] = (block, file)

    def keep_entry(self, entry_id: int, block: int, _now: int, file: str) -> None:
        self.kept[entry_id] = (block, file)

    # The events.

    def info(self, event: str, **_facts: object) -> None:
        self.told.append(event)

    warning = info

    def prover(self, depth: int = 3) -> Prover:
        @dataclass
        class Following:
            world: World

            def pins(self, _block: int | None = None) -> Pins:
                return self.world.pins

            def knows(self, blocks: Iterable[int]) -> bool:
                return all(block <= self.world.pins.place.number for block in blocks)

            def catch_up(self, source: Any) -> None:  # noqa: ANN401 - a teller, which the port calls a source
                self.world.catch_up(source)

        return Prover(
            household=HOUSEHOLD,
            nodes=self,
            following=Following(self),
            rows=self,
            events=self,
            depth=depth,
            monotonic=lambda: self.now,
            now=lambda: 1_782_106_300,
            random=lambda: 0.5,
        )


def world(consensus: Consensus = Consensus.CLIQUE, after: int = 3, nodes: int = 2) -> World:
    chain, _, pins = sealed(TOLD, consensus, after=after)
    return World(pins, [Teller(f"node-{place}", chain, TOLD, 2) for place in range(nodes)])


# Fields of a claim or of its entry.
def claim(there: World, *, kind: Kind = Kind.REPORT, succeeded: bool = True, **changed: Any) -> Claim:  # noqa: ANN401
    entry = Entry(
        id=7,
        key="report",
        kind=kind,
        to=TOLD["contract"],
        data=b"",
        gas=600_000,
        state=State.INCLUDED,
        created_at=0,
        nonce=1,
    )
    found = Inclusion(TX, 2, there.tellers[0].hash_of(2), succeeded)
    reading = Reading(HOUSEHOLD, 1, 2, TOLD["takenAt"], TOLD["produced"], TOLD["consumed"])
    made = Claim(entry, found, (reading,))
    parts = {name: changed.pop(name) for name in ("found", "readings") if name in changed}
    return replace(made, entry=replace(entry, **changed), **parts)


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2])
def test_one_state_proof_of_one_node_ends_every_reading_up_to_the_slots(consensus: Consensus) -> None:
    there = world(consensus)
    prover = there.prover()

    proof = prover.prove(claim(there))

    assert proof is not None
    assert (proof.inclusion, proof.block, proof.file) == (claim(there).found, 2, None)
    block, file = there.kept["slot"]
    assert block == 2
    verdict = verify(evidence_file.read(file), there.pins)
    assert verdict.outcome is Outcome.PROVEN
    assert verdict.slot is not None
    assert verdict.slot.produced_wh == TOLD["produced"]
    asked = len(there.tellers[0].asked)
    assert prover.prove(claim(there, nonce=0)) is not None  # an earlier one takes no further request
    assert len(there.tellers[0].asked) == asked
    assert there.tellers[1].asked == []
    prover.keep(7, proof)
    assert list(there.kept) == ["slot"]


def test_headers_are_asked_for_alone_where_the_node_knows_how() -> None:
    there = world(nodes=1)
    there.tellers[0].headers_alone = True

    assert there.prover().prove(claim(there)) is not None
    assert "eth_getBlockByNumber" not in {method for method, _ in there.tellers[0].asked}

    there.tellers[0].headers_alone = False
    there.tellers[0].asked.clear()
    assert there.prover().prove(claim(there)) is not None
    assert [method for method, _ in there.tellers[0].asked].count("eth_getHeaderByNumber") == 1


def test_what_the_slot_does_not_show_is_shown_by_the_transaction_and_kept() -> None:
    there = world()
    prover = there.prover()
    other = Reading(HOUSEHOLD, 2, 1, TOLD["takenAt"], TOLD["produced"], TOLD["consumed"])

    for one in (claim(there, kind=Kind.BUY), claim(there, readings=(other,))):
        proof = prover.prove(one)
        assert proof is not None
        assert proof.file is not None
        assert proof.inclusion == one.found
        verdict = verify(evidence_file.read(proof.file), there.pins)
        assert verdict.outcome is Outcome.PROVEN
        assert verdict.transaction is not None
        assert "0x" + verdict.transaction.tx_hash.hex() == TX
        prover.keep(7, proof)
        assert there.kept[7] == (2, proof.file)


def test_a_reading_whose_registers_differ_from_the_proven_ones_is_not_taken_from_the_slot() -> None:
    there = world()
    wrong = replace(claim(there).readings[0], produced_wh=TOLD["produced"] + 1)

    proof = there.prover().prove(claim(there, readings=(wrong,)))

    assert proof is not None
    assert proof.file is not None  # what is shown is the transaction


def test_an_opening_and_a_filler_need_the_nonce_alone() -> None:
    there = world()

    assert there.prover().prove(claim(there, kind=Kind.FILLER, readings=())) is not None
    assert all(method != "eth_getBlockByHash" for method, _ in there.tellers[0].asked)


def test_a_node_behind_the_block_proves_nothing_and_did_not_lie() -> None:
    there = world(after=3)
    there.tellers[0].rewrite = lambda method, _, answer: "0x4" if method == "eth_blockNumber" else answer
    found = replace(claim(there).found, block_number=3)

    assert there.prover().prove(claim(there, found=found)) is None
    assert (there.lies, there.told) == ([], [])


def test_a_nonce_that_is_not_used_is_not_proven_and_a_made_up_block_exposes_its_teller() -> None:
    there = world()
    made_up = replace(claim(there).found, block_hash="0x" + "ab" * 32)

    assert there.prover().prove(claim(there, nonce=5)) is None
    assert there.prover().prove(claim(there, nonce=5, found=made_up)) is None
    assert there.lies == []  # nobody tells that block
    false = {**TOLD["blocks"][LAST]["block"], "hash": "0x" + "ab" * 32}
    there.tellers[1].rewrite = lambda method, _, answer: false if method == "eth_getBlockByHash" else answer
    assert there.prover().prove(claim(there, nonce=5, found=made_up)) is None
    assert [name for name, _, _ in there.lies] == ["node-1"]


def test_a_transaction_that_its_block_does_not_hold_exposes_who_says_so_and_nobody_else() -> None:
    there = world()
    elsewhere = there.tellers[0].hash_of(1)
    found = replace(claim(there).found, block_number=1, block_hash=elsewhere)

    def moved(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        return {**answer, "blockHash": elsewhere} if method == "eth_getTransactionReceipt" else answer

    there.tellers[1].rewrite = moved

    assert there.prover().prove(claim(there, kind=Kind.OFFER, found=found)) is None
    assert [(name, "does not hold it" in why) for name, why, _ in there.lies] == [("node-1", True)]


def test_a_source_that_hides_a_transaction_of_its_block_exposes_itself() -> None:
    there = world()

    def hidden(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        if method == "eth_getBlockByHash":
            answer["transactions"][0]["hash"] = "0x" + "cd" * 32
        return answer

    there.tellers[0].rewrite = hidden

    proof = there.prover().prove(claim(there, kind=Kind.OFFER))

    assert proof is not None  # the other node proves it
    assert [name for name, _, _ in there.lies] == ["node-0"]


def test_who_tells_another_outcome_than_is_proven_is_exposed_and_the_proven_one_counts() -> None:
    there = world()

    def reverted(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        return {**answer, "status": "0x0"} if method == "eth_getTransactionReceipt" else answer

    there.tellers[0].rewrite = reverted

    proof = there.prover().prove(claim(there, kind=Kind.BUY, succeeded=False))

    assert proof is not None
    assert proof.inclusion.succeeded
    assert [name for name, _, _ in there.lies] == ["node-0"]


def _spoilt(method: str, path: list[Any]) -> Callable[[str, list[Any], Any], Any]:
    """Another last digit at a place of an answer."""

    def rewrite(asked: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        if asked == method:
            inner = answer
            for step in path[:-1]:
                inner = inner[step]
            last = inner[path[-1]]
            inner[path[-1]] = last[:-1] + ("1" if last[-1] != "1" else "2")
        return answer

    return rewrite


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("eth_getBlockByNumber", ["stateRoot"]),
        ("eth_getBlockByNumber", ["extraData"]),
        ("eth_getBlockByNumber", ["hash"]),
        ("eth_getBlockByNumber", ["timestamp"]),
        ("eth_getProof", ["accountProof", 0]),
        ("eth_getBlockByHash", ["transactions", 0, "input"]),
        ("eth_getBlockReceipts", [0, "cumulativeGasUsed"]),
        ("eth_getBlockReceipts", [0, "logs", 0, "data"]),
    ],
)
def test_a_liar_is_caught_with_what_it_said_and_another_node_proves_it(method: str, path: list[Any]) -> None:
    there = world()
    there.tellers[0].rewrite = _spoilt(method, path)

    proof = there.prover().prove(claim(there, kind=Kind.OFFER))

    assert proof is not None
    assert [name for name, _, _ in there.lies] == ["node-0"]
    assert any(one["method"] == method for one in there.lies[0][2])


def test_a_reorganisation_between_two_requests_is_no_lie() -> None:
    there = world(nodes=1)
    other, _, _ = sealed(TOLD, Consensus.CLIQUE, before=1, after=3)
    other.headers[2:] = []
    other.seal(timestamp=1)  # another block at the same height
    for _ in range(4):
        other.seal()
    teller = there.tellers[0]
    mixed = iter([teller.chain, other, other, other, other, other])

    def reorganised(method: str, params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        if method != "eth_getBlockByNumber":
            return answer
        return Teller("other", next(mixed), TOLD, 2).call(method, params)

    teller.rewrite = reorganised

    assert there.prover().prove(claim(there)) is None
    assert there.lies == []
    assert there.told == ["proof.missing"]


def test_a_validator_who_may_have_been_voted_in_is_looked_for_before_anybody_is_called_a_liar() -> None:
    there = world(nodes=1)
    known = there.pins
    strangers = replace(known.place, validators=addresses(keys(4, offset=60)))
    there.pins = replace(known, place=strangers)
    prover = there.prover()

    assert prover.prove(claim(there)) is None  # the place is still at block 0
    assert (there.followed, there.lies) == (["node-0"], [])

    def followed() -> None:
        there.pins = known

    there.then = followed
    there.now += 100
    assert prover.prove(claim(there)) is not None
    assert there.told == ["proof.missing", "proof.found"]


def test_a_stranger_behind_what_was_followed_is_a_liar() -> None:
    there = world(nodes=1)
    chain = there.tellers[0].chain
    place = replace(there.pins.place, number=900, block_hash=bytes(32), validators=addresses(keys(4, offset=60)))
    there.pins = replace(there.pins, place=place)

    assert there.prover().prove(claim(there)) is None
    assert [name for name, _, _ in there.lies] == ["node-0"]
    assert len(chain.headers) < 900


def test_silent_nodes_are_left_alone_for_a_while_and_told_of_once() -> None:
    there = world(nodes=1)

    def silent(_method: str, _params: list[Any], _answer: Any) -> Any:  # noqa: ANN401 - JSON
        raise NodeUnavailable("no answer in time")

    there.tellers[0].rewrite = silent
    prover = there.prover()
    for _ in range(5):
        assert prover.prove(claim(there)) is None
    assert len(there.tellers[0].asked) == 1
    there.now += 100
    there.tellers[0].rewrite = lambda _method, _params, answer: answer
    assert prover.prove(claim(there)) is not None
    assert there.told == ["proof.missing", "proof.found"]


def test_a_chain_that_is_too_short_waits() -> None:
    there = world(after=1)

    assert there.prover(depth=9).prove(claim(there)) is None
    assert there.lies == []


def test_the_slot_is_kept_once_an_hour_and_after_a_start() -> None:
    there = world()
    prover = there.prover()
    prover.prove(claim(there))
    there.kept.clear()
    there.now += 1000
    prover.prove(claim(there, nonce=5))  # asks anew
    assert there.kept == {}
    there.now += 3600
    prover.prove(claim(there, nonce=5))
    assert list(there.kept) == ["slot"]
