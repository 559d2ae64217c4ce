"""Headers that a real consortium sealed (`simulators/consortium/record.py`), checked as a household checks them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.domain.errors import BadEvidence
from agent.light import clique
from agent.light.headers import Consensus, Header, block_hash, checked_hash
from agent.light.seals import Place, Rules, before, clique_signers, follow

RECORDING: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "consortium" / "clique.json").read_text(encoding="utf-8")
)
PINNED: dict[str, Any] = RECORDING["pinned"]
BLOCKS: list[dict[str, Any]] = RECORDING["blocks"]
FORK: list[dict[str, Any]] = RECORDING["fork"]
EPOCH: int = PINNED["epoch"]
RULES = Rules(Consensus(PINNED["consensus"]), EPOCH)
FOUNDERS = tuple(bytes.fromhex(address[2:]) for address in PINNED["validators"])
JOINED = bytes.fromhex(RECORDING["joined"][2:])


def octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def header(recorded: dict[str, Any]) -> Header:
    return Header.decode(octets(recorded["raw"]))


def genesis() -> Place:
    return Place(0, octets(PINNED["genesis_hash"]), FOUNDERS)


def followed(last: int) -> Place:
    place = genesis()
    for recorded in BLOCKS[1 : last + 1]:
        place = follow(place, header(recorded), RULES)
    return place


@pytest.mark.parametrize("recorded", [*BLOCKS, *FORK], ids=lambda one: str(int(one["block"]["number"], 16)))
def test_what_a_node_tells_is_the_header_that_was_sealed(recorded: dict[str, Any]) -> None:
    told = Header.of_fields(recorded["block"])
    assert told == header(recorded)
    assert told.encoded() == octets(recorded["raw"])
    claimed = octets(recorded["block"]["hash"])
    assert checked_hash(told, Consensus.CLIQUE, claimed) == claimed


@pytest.mark.parametrize("recorded", [*BLOCKS[1:], *FORK], ids=lambda one: str(int(one["block"]["number"], 16)))
def test_the_sealer_is_who_the_node_says_and_the_miner_field_is_not(recorded: dict[str, Any]) -> None:
    sealer = clique.sealer(header(recorded).fields())
    assert sealer == octets(recorded["signer"])
    assert header(recorded).miner in {bytes(20), JOINED}  # nobody, or whom it votes on


def test_block_0_names_the_pinned_validators() -> None:
    first = header(BLOCKS[0])
    assert block_hash(first, Consensus.CLIQUE) == octets(PINNED["genesis_hash"])
    assert clique_signers(first.extra_data, "block 0") == FOUNDERS


def test_the_whole_chain_follows_from_the_genesis() -> None:
    last = followed(len(BLOCKS) - 1)
    assert last.block_hash == octets(BLOCKS[-1]["block"]["hash"])
    assert last.validators == tuple(sorted({*FOUNDERS, JOINED}))
    assert last.validators == tuple(octets(address) for address in RECORDING["signers"])


def test_two_votes_of_three_bring_the_fourth_in_and_a_checkpoint_lists_it() -> None:
    places = [followed(number) for number in range(len(BLOCKS))]
    voting = [number for number, one in enumerate(BLOCKS) if number and header(one).miner == JOINED]
    joined = next(number for number, place in enumerate(places) if JOINED in place.validators)
    assert joined in voting
    assert len({BLOCKS[number]["signer"] for number in voting if number <= joined}) == 2
    checkpoints = list(range(EPOCH, len(BLOCKS), EPOCH))
    assert checkpoints[0] < joined < checkpoints[-1]
    for number in checkpoints:
        assert clique_signers(header(BLOCKS[number]).extra_data, "it") == places[number].validators
    assert any(octets(one["signer"]) == JOINED for one in BLOCKS[joined + 1 :])


def test_both_sides_of_a_fork_are_sealed_by_validators() -> None:
    (other,) = FORK
    number = int(other["block"]["number"], 16)
    parent = followed(number - 1)
    here, there = (follow(parent, header(one), RULES) for one in (BLOCKS[number], other))
    assert here.number == there.number == number
    assert here.block_hash != there.block_hash
    assert BLOCKS[number]["signer"] != other["signer"]


def test_who_sealed_the_forks_block_may_not_seal_the_next_one() -> None:
    (other,) = FORK
    number = int(other["block"]["number"], 16)
    place = follow(followed(number - 1), header(other), RULES)
    assert (number, octets(other["signer"])) in place.recent


def test_the_fourth_ones_block_is_refused_where_only_the_founders_are_pinned() -> None:
    number = next(n for n, one in enumerate(BLOCKS) if n and octets(one["signer"]) == JOINED)
    with pytest.raises(BadEvidence, match="who is not authorised"):
        follow(before(header(BLOCKS[number]), FOUNDERS), header(BLOCKS[number]), RULES)


def test_a_vote_that_is_left_out_breaks_the_chain() -> None:
    number = next(n for n, one in enumerate(BLOCKS) if n and header(one).miner == JOINED)
    with pytest.raises(BadEvidence, match="belongs"):
        follow(followed(number - 1), header(BLOCKS[number + 1]), RULES)


@pytest.mark.parametrize("number", [1, EPOCH, len(BLOCKS) - 1])
def test_a_header_that_was_touched_is_sealed_by_nobody_known(number: int) -> None:
    touched = replace(header(BLOCKS[number]), state_root=bytes(31) + b"\1")
    with pytest.raises(BadEvidence, match=r"who is not authorised|recovers to nobody"):
        follow(followed(number - 1), touched, RULES)
