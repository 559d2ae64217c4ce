"""What honest nodes tell while the chain changes under them: validators come and go, blocks are left. None is a lie."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agent.domain.lies import MOST_TOLD
from agent.domain.outbox import Kind
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.proving.following import Following
from agent.proving.prover import Prover
from agent.proving.questions import Heard, Questions
from agent.proving.validators import Validators
from tests.fakes.consortium import FOR, Consortium, address, keys
from tests.fakes.recorded import LAST, header_of, sealed
from tests.fakes.telling import Teller
from tests.unit.test_prover import HOUSEHOLD, TOLD, World, claim


@dataclass
class Kept:
    """A place in the journal."""

    text: str | None = None

    def place(self) -> str | None:
        return self.text

    def set_place(self, text: str) -> None:
        self.text = text


@dataclass
class Whole(World):
    """A prover with what really follows the validators."""

    kept_place: Kept = field(default_factory=Kept)

    @property
    def strangers(self) -> list[str]:
        return [teller.name for teller in self.sources()]

    def following(self) -> Following:
        return Following(
            validators=Validators(self.pins, self.kept_place),
            pins=self.pins,
            nodes=self,
            events=self,
            monotonic=lambda: self.now,
            random=lambda: 0.5,
        )

    def proving(self, following: Following, depth: int) -> Prover:
        return Prover(
            household=HOUSEHOLD,
            nodes=self,
            following=following,
            rows=self,
            events=self,
            depth=depth,
            monotonic=lambda: self.now,
            now=lambda: 1_782_106_300,
            random=lambda: 0.5,
        )


def _vote_in(chain: Consortium) -> None:
    """Three of four let a fifth in, with the blocks at the end of the chain."""
    joins = keys(1, offset=60)[0]
    for key in chain.sealers[:3]:
        if chain.bft:
            chain.seal(*[key, *(one for one in chain.sealers if one is not key)], vote=(address(joins), True))
        else:
            turn = chain.validators[len(chain.headers) % 4]
            chain.seal(key, miner=address(joins), nonce=FOR, difficulty=2 if address(key) == turn else 1)
    chain.sealers = sorted([*chain.sealers, joins], key=address)


def _grown(consensus: Consensus, after: int) -> tuple[Consortium, Pins]:
    chain, _, pins = sealed(TOLD, consensus, after=0)
    _vote_in(chain)
    for _ in range(after):
        chain.seal()
    return chain, pins


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2])
def test_a_block_from_before_a_validator_was_voted_in_makes_nobody_a_liar(consensus: Consensus) -> None:
    chain, pins = _grown(consensus, after=9)
    there = Whole(pins, [Teller(f"node-{place}", chain, TOLD, 2) for place in range(2)])
    following = there.following()
    while following.run_once():
        pass
    assert len(following.pins().place.validators) == 5
    prover = there.proving(following, depth=len(chain.headers) - 3)  # so that block 2 is what the slot is shown in

    for kind in (Kind.REPORT, Kind.OFFER):
        there.now += 1000
        prover.prove(claim(there, kind=kind))
    assert there.lies == []


def _orphaned(consensus: Consensus) -> Whole:
    """Two nodes that have left the block that held a transaction, and still know it by its hash."""
    chain, _, pins = sealed(TOLD, consensus, after=3)
    left = chain.headers[2]
    recorded = header_of(TOLD, LAST)
    chain.headers[2:] = []
    chain.seal(
        state_root=recorded.state_root,
        transactions_root=recorded.transactions_root,
        receipts_root=recorded.receipts_root,
        logs_bloom=recorded.logs_bloom,
        timestamp=left.timestamp + 1,
    )
    for _ in range(5):
        chain.seal()
    return Whole(pins, [Teller(f"node-{place}", chain, TOLD, 2) for place in range(2)])


def test_a_block_that_was_left_makes_nobody_a_liar() -> None:
    chain, _, pins = sealed(TOLD, Consensus.CLIQUE, after=3)
    before = Teller("before", chain, TOLD, 2)
    there = _orphaned(Consensus.CLIQUE)
    there.pins = pins
    left = before.hash_of(2)

    def remembers(method: str, params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        return before.call(method, params) if left in params else answer

    for teller in there.tellers:
        teller.rewrite = remembers
    told = claim(there, kind=Kind.OFFER)

    proof = there.proving(there.following(), depth=5).prove(replace(told, found=replace(told.found, block_hash=left)))

    assert (proof, there.lies) == (None, [])


@pytest.mark.parametrize("consensus", [Consensus.QBFT, Consensus.IBFT2])
def test_a_block_told_by_its_hash_from_before_a_vote_makes_nobody_a_liar(consensus: Consensus) -> None:
    chain, pins = _grown(consensus, after=9)
    there = Whole(pins, [Teller("node-0", chain, TOLD, 2)])
    following = there.following()
    prover = there.proving(following, depth=len(chain.headers) - 3)
    assert prover.prove(claim(there)) is not None  # so that the slot is not asked for again
    while following.run_once():
        pass

    assert prover.prove(claim(there, kind=Kind.OFFER)) is not None
    assert there.lies == []


def test_a_block_that_one_made_up_stalls_no_other_entry() -> None:
    chain, _, pins = sealed(TOLD, Consensus.CLIQUE, after=3)
    there = Whole(pins, [Teller("node-0", chain, TOLD, 2)])
    prover = there.proving(there.following(), depth=3)
    told = claim(there, kind=Kind.OFFER)

    assert prover.prove(replace(told, found=replace(told.found, block_hash="0x" + "ab" * 32))) is None
    assert prover.prove(told) is not None
    assert there.lies == []


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT])
def test_a_node_that_stands_still_does_not_keep_the_validators_from_being_followed(consensus: Consensus) -> None:
    chain, pins = _grown(consensus, after=9)
    there = Whole(pins, [Teller(f"node-{place}", chain, TOLD, 2) for place in range(2)])
    there.tellers[0].rewrite = lambda method, _, answer: "0x3" if method == "eth_blockNumber" else answer
    following = there.following()

    for _ in range(5):
        following.run_once()

    assert len(following.pins().place.validators) == 5


def test_slow_nodes_take_turns() -> None:
    chain, pins = _grown(Consensus.QBFT, after=9)
    there = Whole(pins, [Teller(f"node-{place}", chain, TOLD, 2) for place in range(4)])

    def slow(_method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        there.now += 11
        return answer

    for teller in there.tellers[:3]:
        teller.rewrite = slow
    following = there.following()

    for _ in range(5):
        began = there.now
        following.run_once()
        assert there.now - began < 30
    assert len(following.pins().place.validators) == 5


def test_answers_with_much_beside_what_was_asked_for_do_not_fill_the_memory() -> None:
    chain, _, pins = sealed(TOLD, Consensus.CLIQUE, after=3)
    teller = Teller("node-0", chain, TOLD, 2)
    teller.rewrite = lambda _method, _params, answer: (
        {**answer, "beside": [{}] * 40_000} if isinstance(answer, dict) else answer
    )
    heard = Heard(teller, lambda: 0.0, 1.0)

    for number in (1, 2):
        Questions(heard, pins.rules.consensus).header(number)

    assert all(len(json.dumps(one)) < 2 * MOST_TOLD for one in heard.answers)
    assert [one["result"]["hash"] for one in heard.answers] == [teller.hash_of(number) for number in (1, 2)]


@pytest.mark.parametrize("written", ["0x01", "0x1", None, 1])
def test_another_way_to_write_the_same_outcome_is_no_lie(written: object) -> None:
    chain, _, pins = sealed(TOLD, Consensus.CLIQUE, after=3)
    there = Whole(pins, [Teller(f"node-{place}", chain, TOLD, 2) for place in range(2)])

    def outcome(status: object) -> Any:  # noqa: ANN401 - what a teller does to its JSON
        return lambda method, _, answer: (
            {**answer, "status": status} if method == "eth_getTransactionReceipt" else answer
        )

    there.tellers[0].rewrite, there.tellers[1].rewrite = outcome("0x0"), outcome(written)
    told = claim(there, kind=Kind.BUY, succeeded=False)

    assert there.proving(there.following(), depth=3).prove(told) is not None
    assert [name for name, _, _ in there.lies] == ["node-0"]
