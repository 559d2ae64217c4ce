"""A proxy between household and node rewrites what is told: nothing is believed that differs from the truth."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from agent.domain.errors import BadEvidence, NodeUnavailable
from agent.domain.outbox import Kind
from agent.domain.proofs import Claim, Proof
from agent.light.headers import Consensus, Header, block_hash
from agent.light.seals import Place
from agent.proving.validators import Validators
from tests.fakes.chain_source import Rows, pins_at
from tests.fakes.rewriting import Path, another_digit, at, paths, put, rewritten
from tests.unit.test_consortium_headers import BLOCKS, EPOCH, RULES, followed
from tests.unit.test_prover import World, claim, world

REWRITES = 1_000
SEALED = [Consensus.QBFT, Consensus.CLIQUE]
CLAIMS: dict[str, Callable[[World], Claim]] = {
    "a reading, by the slot": claim,
    "a purchase, by transaction and receipt": lambda there: claim(there, kind=Kind.BUY),
    "a reading that the slot does not show": lambda there: claim(
        there, readings=(replace(claim(there).readings[0], produced_wh=1),)
    ),
    "what was never sent": lambda there: claim(there, nonce=5),
}


@dataclass(frozen=True)
class Seen:
    """What a prover made of a node's answers."""

    proof: Proof | None
    slot: tuple[int, str] | None
    caught: bool


class Proxy:
    """Stands before a node, and changes its answer to one question, so many times."""

    def __init__(self, there: World) -> None:
        self.there, (self.node,) = there, there.tellers
        self.name = self.node.name
        self.told: dict[str, Any] = {}
        self.question, self.change, self.left = "", _same, 0
        there.tellers[:] = [self]  # type: ignore[list-item] # a source as the other

    def call(self, method: str, params: list[Any]) -> object:
        question = json.dumps([method, params])
        if question not in self.told:
            self.told[question] = self.node.call(method, params)
        if question != self.question or not self.left:
            return self.told[question]
        self.left -= 1
        return self.change(self.told[question])

    def seen(
        self, wanted: Claim, question: str = "", change: Callable[[Any], Any] | None = None, times: int = 0
    ) -> Seen:
        """By a prover that knows nothing yet."""
        self.there.lies.clear()
        self.there.kept.clear()
        self.question, self.change, self.left = question, change or _same, times
        proof = self.there.prover().prove(wanted)
        return Seen(proof, self.there.kept.get("slot"), bool(self.there.lies))


def _same(answer: Any) -> Any:  # noqa: ANN401 - JSON
    return answer


def _spoilt(seed: float, consensus: Consensus) -> Callable[[Any], Any]:
    """A rewrite, the same each time; half of the blocks are then called by the hash that they have now."""

    def spoil(answer: Any) -> Any:  # noqa: ANN401 - JSON
        chance = random.Random(seed)  # noqa: S311 - no secret
        changed = rewritten(answer, chance)
        if not isinstance(changed, dict) or "parentHash" not in changed or chance.random() < 0.5:
            return changed
        try:
            found = block_hash(Header.of_fields(changed), consensus)
        except BadEvidence:
            return changed  # it has none
        return {**changed, "hash": "0x" + found.hex()}

    return spoil


def _changes(answer: object, change: Callable[[Any], Any]) -> bool:
    """Whether a rewrite says anything else."""
    try:
        return json.dumps(change(answer)) != json.dumps(answer)
    except NodeUnavailable:
        return True  # it is no answer any more


# What chance reaches is reached by the other tests too, and counting would double the time it takes.
@pytest.mark.no_cover
@pytest.mark.parametrize("consensus", SEALED)
def test_of_a_thousand_random_rewrites_none_proves_what_is_not_true(consensus: Consensus) -> None:
    there = world(consensus, nodes=1)
    wanted = [made(there) for made in CLAIMS.values()]
    proxy, chance = Proxy(there), random.Random(f"proxy {consensus}")  # noqa: S311 - no secret
    counts = {"believed": 0, "left a true proof": 0, "proved nothing": 0}
    caught = 0
    for name, one in zip(CLAIMS, wanted, strict=True):
        proxy.told.clear()
        true = proxy.seen(one)
        assert (true.proof is None) is (name == "what was never sent")
        questions = list(proxy.told)
        for _ in range(REWRITES // len(CLAIMS)):
            question, change = chance.choice(questions), _spoilt(chance.random(), consensus)
            while not _changes(proxy.told[question], change):
                change = _spoilt(chance.random(), consensus)
            found = proxy.seen(one, question, change, chance.choice((1, 99)))
            if found.proof not in {None, true.proof} or found.slot not in {None, true.slot}:
                counts["believed"] += 1
            else:
                counts["left a true proof" if found.proof else "proved nothing"] += 1
            caught += found.caught
    assert counts["believed"] == 0, counts
    assert sum(counts.values()) == REWRITES
    assert min(counts["left a true proof"], counts["proved nothing"], caught) > REWRITES // 20, (counts, caught)


# What a node says beside what is hashed: nobody looks at it.
UNREAD = {
    "eth_getBlockByNumber": {"transactions"},
    "eth_getBlockByHash": {
        *("blockHash", "blockNumber", "blockTimestamp", "from", "transactionIndex"),
        "chainId",  # of a legacy transaction, whose v says it
    },
    "eth_getBlockReceipts": {
        *("blockHash", "blockNumber", "blockTimestamp", "contractAddress", "effectiveGasPrice", "from", "gasUsed"),
        *("logIndex", "removed", "to", "transactionHash", "transactionIndex", "blobGasPrice", "blobGasUsed"),
    },
    "eth_getProof": {"address", "balance", "codeHash", "key", "nonce", "storageHash", "value"},
}


@pytest.mark.parametrize("consensus", SEALED)
def test_each_field_of_each_answer_is_proven_or_not_looked_at(consensus: Consensus) -> None:
    there = world(consensus, nodes=1)
    wanted, proxy = claim(there, kind=Kind.BUY), Proxy(there)
    true = proxy.seen(wanted)
    looked_at = 0
    for question, answer in [*proxy.told.items()]:
        for path in paths(answer):
            old = at(answer, path)
            if not isinstance(old, str) or len(old) < 3:
                continue
            found = proxy.seen(wanted, question, _digit_changed(path, len(old) - 1), 99)
            if found.proof is None:
                looked_at += 1
                continue
            assert (found.proof, found.slot) == (true.proof, true.slot), (question, path)
            names = {step for step in path if isinstance(step, str)}
            assert names & UNREAD.get(json.loads(question)[0], set()), (question, path)
    assert looked_at > 60, looked_at


def _digit_changed(path: Path, place: int) -> Callable[[Any], Any]:
    return lambda answer: put(answer, path, another_digit(at(answer, path), place))


# --- Who may seal, by what go-ethereum told ---


TRUE = [followed(number) for number in range(len(BLOCKS))]


class Recorded:
    """A real consortium's node, and the proxy before it."""

    name = "geth"

    def __init__(self, change: Callable[[int, Any], Any]) -> None:
        self.change = change

    def call(self, method: str, params: list[object]) -> object:
        assert method in {"eth_getHeaderByNumber", "eth_getBlockByNumber"}
        number = int(str(params[0]), 16)
        return self.change(number, BLOCKS[number]["block"])


# What chance reaches is reached by the other tests too, and counting would double the time it takes.
@pytest.mark.no_cover
@pytest.mark.parametrize("kept", [0, 3 * EPOCH])
def test_of_a_thousand_rewrites_of_what_a_consortium_told_none_moves_the_validators_elsewhere(kept: int) -> None:
    chance = random.Random(f"validators {kept}")  # noqa: S311 - no secret
    place = TRUE[kept]
    pins, head = pins_at(place, RULES), len(BLOCKS) - 1
    asked: list[int] = []

    def kept_up(change: Callable[[int, Any], Any]) -> Place:
        validators, source = Validators(pins, Rows()), Recorded(change)
        try:
            while validators.catch_up(source, head, wanted=bool(kept)):
                pass
        except (BadEvidence, NodeUnavailable):
            pass
        return validators.place

    def listen(number: int, told: Any) -> Any:  # noqa: ANN401 - JSON
        asked.append(number)
        return told

    assert kept_up(listen).number == (head - 2 if kept else 4 * EPOCH)
    moved = 0
    for _ in range(REWRITES // 2):
        chosen, change = chance.choice(asked), _spoilt(chance.random(), Consensus.CLIQUE)
        found = kept_up(_at(chosen, change))
        true = TRUE[found.number]
        assert (found.block_hash, found.validators) == (true.block_hash, true.validators)
        moved += found.number > place.number
    assert REWRITES // 20 < moved < REWRITES // 2


def _at(chosen: int, change: Callable[[Any], Any]) -> Callable[[int, Any], Any]:
    return lambda number, told: change(told) if number == chosen else told
