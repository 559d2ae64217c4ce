"""Evidence is judged alike by the agent and by a verifier that shares no code with it, in another language."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.configuration import load_pins
from agent.light import evidence_file
from agent.light.evidence import Evidence, Outcome, Pins
from agent.light.headers import Consensus, Header
from agent.light.seals import Place, Rules, follow
from tests.fakes.consortium import addresses, keys
from tests.fakes.recorded import HARDFORKS, LAST, MIXED, evidence_of, header_of, raw, recording, sealed
from tests.integration.two_verifiers import ROOT, VERIFIER, Both, Case, Second, content, outcomes

pytestmark = pytest.mark.untimed


SEALED = [Consensus.QBFT, Consensus.IBFT2, Consensus.CLIQUE]
FLIPS = 150


@pytest.fixture(scope="module")
def second() -> Iterator[Second]:
    started = Second()
    yield started
    started.stop()


@pytest.fixture
def both(second: Second, tmp_path: Path) -> Both:
    return Both(second, tmp_path)


@pytest.mark.parametrize("consensus", SEALED)
def test_both_prove_the_same_of_a_transaction_and_a_reading(both: Both, consensus: Consensus) -> None:
    chain, evidence, pins = sealed(recording(), consensus, before=4)
    pieces = (evidence, replace(evidence, state=None), replace(evidence, transaction=None))
    loose = replace(evidence, headers=tuple(header.encoded() for header in chain.headers[5:]))
    from_genesis = replace(evidence, headers=(chain.headers[0].encoded(), *evidence.headers))
    files = [content(one) for one in (*pieces, loose, from_genesis)]

    verdicts = both(Case.of(evidence, pins), files)

    assert outcomes(verdicts) == [Outcome.PROVEN] * 5
    assert [verdict.linked for verdict in verdicts] == [True, True, True, False, True]


@pytest.mark.parametrize("hardfork", HARDFORKS)
def test_both_prove_every_kind_of_transaction_and_receipt(both: Both, hardfork: str) -> None:
    told = recording(hardfork)
    recorded = header_of(told, MIXED)
    chain, _, pins = sealed(told, Consensus.QBFT, before=0, after=0)
    chain.headers = chain.headers[:1]
    chain.seal(**_roots(recorded))
    count = len(told["blocks"][MIXED]["block"]["transactions"])
    pieces = [
        replace(evidence_of(told, MIXED, index), block=1, headers=(chain.headers[1].encoded(),))
        for index in range(count)
    ]
    verdicts = both(Case.of(pieces[0], pins), [content(one) for one in pieces])

    assert outcomes(verdicts) == [Outcome.PROVEN] * count
    succeeded = {verdict.receipt.succeeded for verdict in verdicts if verdict.receipt is not None}
    assert succeeded == {True, False}


def _roots(recorded: Header) -> dict[str, Any]:
    names = ("state_root", "transactions_root", "receipts_root", "logs_bloom")
    return {name: getattr(recorded, name) for name in names}


def _voted(consensus: Consensus) -> tuple[Evidence, Pins]:
    """Votes take a validator away and bring one in; an epoch's block lies between; the evidence lies after them."""
    chain, evidence, pins = sealed(recording(), consensus, before=0, after=0, epoch=4)
    chain.headers = chain.headers[:1]
    one, two, three, four = chain.sealers
    (newcomer,) = keys(1, offset=50)

    def vote(proposer: Any, subject: bytes, *, add: bool) -> None:  # noqa: ANN401 - the library's key
        if chain.bft:
            chain.seal(proposer, *(key for key in chain.sealers if key is not proposer), vote=(subject, add))
        else:
            chain.seal(proposer, miner=subject, nonce=b"\xff" * 8 if add else bytes(8))

    for proposer in (one, two, three):
        vote(proposer, addresses([four])[0], add=False)
    chain.sealers = [one, two, three]
    chain.seal(*(() if chain.bft else (one,)))
    for proposer in (two, three):
        vote(proposer, addresses([newcomer])[0], add=True)
    chain.sealers = sorted([one, two, three, newcomer], key=lambda key: key.public_key.to_canonical_address())
    sealers = iter((one, newcomer, two))
    chain.seal(*(() if chain.bft else (next(sealers),)), **_roots(header_of(recording(), LAST)))
    for sealer in sealers:
        chain.seal(*(() if chain.bft else (sealer,)))
    headers = tuple(header.encoded() for header in chain.headers[1:])
    return replace(evidence, block=7, headers=headers), pins


@pytest.mark.parametrize("consensus", SEALED)
def test_both_follow_votes_and_refuse_headers_of_validators_that_they_have_not_seen_come(
    both: Both, consensus: Consensus
) -> None:
    evidence, pins = _voted(consensus)
    loose = replace(evidence, headers=evidence.headers[6:])
    short = replace(evidence, headers=evidence.headers[:-1])
    verdicts = both(Case.of(evidence, pins), [content(one) for one in (evidence, loose, short)])

    assert outcomes(verdicts[:2]) == [Outcome.PROVEN, Outcome.REFUSED]
    assert verdicts[2].outcome is (Outcome.UNPROVEN if consensus is Consensus.CLIQUE else Outcome.PROVEN)


def _right_before_a_change(*, add: bool) -> tuple[list[bytes], Evidence, Pins]:
    """Two votes, the evidence's block, the third vote, and blocks of those who are left or have come."""
    chain, evidence, pins = sealed(recording(), Consensus.CLIQUE, before=0, after=0)
    chain.headers = chain.headers[:1]
    subject = keys(1, offset=50)[0] if add else chain.sealers[3]
    ballot = {"miner": addresses([subject])[0], "nonce": b"\xff" * 8 if add else bytes(8)}
    one, two, three, four = chain.sealers
    chain.seal(one, **ballot)
    chain.seal(two, **ballot)
    chain.seal(four, **_roots(header_of(recording(), LAST)))
    chain.seal(three, **ballot)
    chain.sealers = sorted({*chain.sealers} ^ {subject}, key=lambda key: key.public_key.to_canonical_address())
    for sealer in (subject if add else one, two, one, three):
        chain.seal(sealer)
    return [header.encoded() for header in chain.headers], replace(evidence, block=3), pins


@pytest.mark.parametrize("add", [True, False])
def test_both_count_those_who_might_seal_a_clique_block_though_validators_change_right_after_it(
    both: Both, *, add: bool
) -> None:
    headers, evidence, pins = _right_before_a_change(add=add)
    runs = [tuple(headers[first:last]) for first in (1, 3) for last in range(4, 10)]
    verdicts = both(Case.of(evidence, pins), [content(replace(evidence, headers=run)) for run in runs])
    linked, loose = outcomes(verdicts[:6]), outcomes(verdicts[6:])
    enough = 3 if add else 2  # with four's block and three's vote, the newcomer's does not count

    assert linked == [Outcome.UNPROVEN] * enough + [Outcome.PROVEN] * (6 - enough)
    assert loose == [Outcome.UNPROVEN] * 2 + [Outcome.REFUSED] * (enough - 2) + [Outcome.PROVEN] * (6 - enough)


def test_both_let_half_of_the_keys_prove_nothing_though_a_vote_makes_them_most(both: Both) -> None:
    chain, evidence, pins = sealed(recording(), Consensus.CLIQUE, before=0, after=0)
    chain.headers = chain.headers[:1]
    one, two, three, four = chain.sealers
    against = {"miner": addresses([four])[0]}
    chain.seal(three, **against)  # honest, as the next one is
    chain.seal(four)
    chain.seal(one, **against)
    chain.seal(two, **against)
    chain.sealers = [one, two, three]
    chain.seal(one, **_roots(header_of(recording(), LAST)))
    for at in range(8):
        chain.seal((two, one)[at % 2])
    headers = [header.encoded() for header in chain.headers]
    runs = [tuple(headers[1:]), tuple(headers[5:])]
    verdicts = both(Case.of(evidence, pins), [content(replace(evidence, block=5, headers=run)) for run in runs])

    assert outcomes(verdicts) == [Outcome.UNPROVEN, Outcome.REFUSED]


FOLLOW = """
import { readFileSync } from "node:fs";
import { follow, header } from "./headers.mjs";
const { pinned, blocks } = JSON.parse(readFileSync(process.argv[1], "utf8"));
const validators = pinned.validators.map((one) => one.toLowerCase()).sort();
let place = { number: 0n, hash: pinned.genesis_hash, validators, votes: [], recent: [] };
for (const { raw } of blocks.slice(1)) {
    place = follow(place, header(raw), { consensus: pinned.consensus, epoch: BigInt(pinned.epoch) });
    console.log(JSON.stringify([place.hash, place.validators]));
}
"""


def test_both_follow_a_real_consortium_through_its_votes_block_by_block(second: Second) -> None:
    file = ROOT / "tests" / "fixtures" / "consortium" / "clique.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    pinned = told["pinned"]
    place = Place(0, raw(pinned["genesis_hash"]), tuple(sorted(raw(one) for one in pinned["validators"])))
    words = [second.words[0], "--input-type=module", "--eval", FOLLOW, str(file)]
    done = subprocess.run(words, cwd=VERIFIER, capture_output=True, text=True, timeout=60, check=False)
    seen = {place.validators}

    assert done.stderr == ""
    for block, line in zip(told["blocks"][1:], done.stdout.splitlines(), strict=True):
        place = follow(place, Header.decode(raw(block["raw"])), Rules(Consensus.CLIQUE, pinned["epoch"]))
        seen.add(place.validators)
        assert json.loads(line) == ["0x" + place.block_hash.hex(), ["0x" + one.hex() for one in place.validators]]
    assert len(seen) > 1


def test_both_prove_the_example_of_the_specification(both: Both) -> None:
    folder = ROOT / "tests" / "fixtures" / "evidence"
    _, _, pins = sealed(recording(), Consensus.QBFT)
    text = (folder / "qbft.json").read_bytes()
    case = Case.of(evidence_file.read(text.decode("ascii")), pins)

    assert load_pins(folder / "qbft.toml", {}).model_dump(exclude={"nodes"}) == case.chain.model_dump()
    assert outcomes(both(case, [text])) == [Outcome.PROVEN]


@pytest.mark.parametrize("name", ["clique-redeem", "clique-readings"])
def test_what_an_agent_exported_from_a_real_consortium_is_proven_by_both_and_with_one_changed_bit_by_neither(
    both: Both, name: str
) -> None:
    folder = ROOT / "tests" / "fixtures" / "evidence"
    whole, chance = (folder / f"{name}.json").read_bytes(), random.Random(name)  # noqa: S311 - no secret
    chain = load_pins(folder / "clique-pins.toml", {})
    answer = {
        "chainId": chain.id,
        "genesis": chain.genesis,
        "contract": chain.contract,
        "codeHash": chain.code_hash,
        "consensus": chain.consensus,
        "epoch": chain.epoch,
        "validators": list(chain.validators or ()),
    }
    flipped = []
    for _ in range(FLIPS):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        flipped.append(bytes(changed))
    case = Case(evidence_file.read(whole.decode("ascii")), chain, answer)

    assert outcomes(both(case, [whole, *flipped])) == [Outcome.PROVEN] + [Outcome.REFUSED] * FLIPS


def test_both_call_too_few_blocks_unproven(both: Both) -> None:
    _, evidence, pins = sealed(recording(), Consensus.CLIQUE, after=1)

    assert outcomes(both(Case.of(evidence, pins), [content(evidence)])) == [Outcome.UNPROVEN]


def test_its_exit_code_says_whether_all_files_are_proven(both: Both) -> None:
    _, evidence, pins = sealed(recording(), Consensus.QBFT)
    text = content(evidence)
    both(Case.of(evidence, pins), [text, text[:-3]])
    words = [*both.second.words, *(str(both.folder / name) for name in ("pins.json", "0.json", "1.json"))]

    assert subprocess.run(words[:-1], capture_output=True, timeout=60, check=False).returncode == 0
    assert subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 1


@pytest.mark.parametrize("consensus", SEALED)
def test_of_many_single_bits_flipped_anywhere_in_the_file_both_refuse_each(both: Both, consensus: Consensus) -> None:
    _, evidence, pins = sealed(recording(), consensus)
    whole, chance = content(evidence), random.Random(f"flips {consensus}")  # noqa: S311 - no secret
    flipped = []
    for _ in range(FLIPS):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        flipped.append(bytes(changed))
    verdicts = both(Case.of(evidence, pins), [whole, *flipped])

    assert outcomes(verdicts) == [Outcome.PROVEN] + [Outcome.REFUSED] * FLIPS


@pytest.mark.parametrize("consensus", SEALED)
def test_of_many_single_bits_flipped_in_what_the_hex_means_both_refuse_each(both: Both, consensus: Consensus) -> None:
    _, evidence, pins = sealed(recording(), consensus)
    whole, chance = content(evidence), random.Random(f"bytes {consensus}")  # noqa: S311 - no secret
    digits = [at for at, byte in enumerate(whole) if byte in b"0123456789abcdef" and _in_hex(whole, at)]
    flipped = []
    for at in chance.sample(digits, FLIPS):
        digit = f"{int(chr(whole[at]), 16) ^ 1 << chance.randrange(4):x}".encode()
        flipped.append(whole[:at] + digit + whole[at + 1 :])
    verdicts = both(Case.of(evidence, pins), flipped)

    assert outcomes(verdicts) == [Outcome.REFUSED] * FLIPS


def _in_hex(text: bytes, at: int) -> bool:
    begin = text.rindex(b'"', 0, at)
    return text.startswith(b'"0x', begin) and at >= begin + 3


REWRITES: dict[str, Callable[[str], str]] = {
    "spaces": lambda text: text.replace(",", " ,\n\t"),
    "another order": lambda text: json.dumps(dict(sorted(json.loads(text).items(), reverse=True))),
    "capitals": lambda text: text.replace("0xf", "0xF", 1),
    "an escape": lambda text: text.replace('"0x', '"\\u0030x', 1),
    "a member twice": lambda text: text.replace('{"block":', '{"block":2,"block":', 1),
    "minus 0": lambda text: text.replace('"index":0', '"index":-0', 1),
    "a fraction": lambda text: text.replace('"schema":1', '"schema":1.0', 1),
    "an exponent": lambda text: text.replace('"schema":1', '"schema":1e0', 1),
    "a member more": lambda text: text.replace('{"block":', '{"a":1,"block":', 1),
    "half a byte": lambda text: text.replace('"0x', '"0x0', 1),
    "two values": lambda text: text + text,
}
FREE = {"spaces", "another order"}


def test_both_take_the_same_liberties_in_json(both: Both) -> None:
    _, evidence, pins = sealed(recording(), Consensus.QBFT)
    text = evidence_file.written(evidence)
    changed = [rewrite(text) for rewrite in REWRITES.values()]
    verdicts = both(Case.of(evidence, pins), [one.encode("ascii") for one in changed])

    assert text not in changed
    assert {name for name, verdict in zip(REWRITES, verdicts, strict=True) if verdict.outcome is Outcome.PROVEN} == FREE
