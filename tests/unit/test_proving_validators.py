"""Validators: kept up with the chain by jumps, and header by header where they change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.errors import NodeUnavailable, OtherRules
from agent.light.headers import Consensus
from agent.light.seals import Place, Rules, follow
from agent.proving.validators import Validators
from tests.fakes.chain_source import EPOCH, ChainSource, Rows, begun, caught_up, grow, in_turn, pins_of, vote
from tests.fakes.consortium import FOR, Consortium, address, keys

EVERY = [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2]
NEW, OTHER = keys(2, offset=60)


@pytest.fixture(params=EVERY)
def chain(request: pytest.FixtureRequest) -> Consortium:
    return begun(request.param)


# --- Over epochs ---


def test_it_jumps_over_epochs_with_few_requests(chain: Consortium) -> None:
    grow(chain, 5 * EPOCH + 7)
    rows, source = Rows(), ChainSource(chain)
    validators = Validators(pins_of(chain), rows)

    assert not validators.catch_up(source, source.head, wanted=False)

    assert (validators.place.number, validators.place.block_hash) == (100, chain.hash_of(100))
    assert validators.known() == chain.validators
    assert source.asked == ([100] if chain.bft else [100, 101, 102])
    assert rows.written == 1
    assert not validators.catch_up(source, source.head, wanted=False)
    assert (len(source.asked), rows.written) == (1 if chain.bft else 3, 1)


def test_within_an_epoch_it_follows_only_when_it_is_wanted(chain: Consortium) -> None:
    grow(chain, 7)
    rows, source = Rows(), ChainSource(chain)
    validators = Validators(pins_of(chain), rows)

    assert not validators.catch_up(source, source.head, wanted=False)
    assert (source.asked, rows.text) == ([], None)
    assert not validators.catch_up(source, source.head, wanted=True)

    assert validators.place.number == (7 if chain.bft else 5)
    assert source.asked == list(range(1, 8))
    assert rows.written == 1


@pytest.mark.parametrize("alone", [True, False])
def test_headers_are_asked_for_without_their_blocks_and_once_of_who_does_not_know_how(
    chain: Consortium, *, alone: bool
) -> None:
    grow(chain, 7)
    source = ChainSource(chain, headers_alone=alone)

    Validators(pins_of(chain), Rows()).catch_up(source, source.head, wanted=True)

    assert (source.asked, source.refusals) == (list(range(1, 8)), 0 if alone else 1)


@pytest.mark.parametrize("add", [True, False])
def test_a_change_of_validators_is_followed_and_then_jumped_over(chain: Consortium, *, add: bool) -> None:
    grow(chain, 2 * EPOCH + 3)
    subject = NEW if add else chain.sealers[-1]
    vote(chain, subject, *in_turn(chain, 3), add=add)
    grow(chain, 6 * EPOCH + 5)
    source = ChainSource(chain)
    validators = Validators(pins_of(chain), Rows())

    caught_up(validators, source, wanted=False)

    assert validators.place.number == 6 * EPOCH
    assert validators.known() == chain.validators
    if chain.bft:  # 40 is jumped to, 41 to 60 are followed, the rest is jumped over; in Clique most vouch at once
        assert {*range(41, 61)} <= {*source.asked}
        assert not {*range(21, 40), *range(101, 120)} & {*source.asked}


def test_validators_that_change_again_and_again_are_kept_up_with(chain: Consortium) -> None:
    subject = NEW
    for number in range(1, 6):
        grow(chain, number * EPOCH + 4)
        subject = NEW if subject is OTHER or number == 1 else OTHER
        gone = chain.sealers[0] if number % 2 else chain.sealers[-1]
        grow(chain, number * EPOCH + 8)
        vote(chain, subject, *in_turn(chain, len(chain.sealers) // 2 + 1), add=subject not in chain.sealers)
        grow(chain, number * EPOCH + 15)
        if len(chain.sealers) > 3 and gone in chain.sealers:
            by = [key for key in in_turn(chain, len(chain.sealers)) if key is not gone]
            vote(chain, gone, *by[: len(chain.sealers) // 2 + 1], add=False)
    grow(chain, 7 * EPOCH + 1)
    validators = Validators(pins_of(chain), Rows())

    caught_up(validators, ChainSource(chain), wanted=False)

    assert validators.place.number == (7 * EPOCH if chain.bft else 6 * EPOCH)
    assert validators.known() == chain.validators


def test_a_long_epoch_is_followed_in_steps_that_are_kept(chain: Consortium) -> None:
    chain = Consortium(Rules(chain.rules.consensus, epoch=1_000), chain.sealers)
    grow(chain, 450)
    rows, source = Rows(), ChainSource(chain)
    validators = Validators(pins_of(chain), rows)

    assert validators.catch_up(source, source.head, wanted=True)
    assert validators.place.number == (200 if chain.bft else 198)
    again = Validators(pins_of(chain), rows)
    assert again.place == validators.place
    assert caught_up(again, source) == 2
    assert again.place.number == (450 if chain.bft else 448)
    assert rows.written == 3


def test_what_was_followed_before_an_answer_is_missing_is_kept(chain: Consortium) -> None:
    grow(chain, 15)
    source, rows = ChainSource(chain), Rows()
    source.silent_from = 11
    validators = Validators(pins_of(chain), rows)

    with pytest.raises(NodeUnavailable):
        validators.catch_up(source, source.head, wanted=True)

    assert validators.place.number == (10 if chain.bft else 8)
    assert rows.written == 1


# --- A restart ---


def test_a_restart_goes_on_with_open_votes_and_last_signers(chain: Consortium) -> None:
    grow(chain, 4)
    one, two, three = in_turn(chain, 3)
    rows, source = Rows(), ChainSource(chain)
    for key in (one, two):
        vote(chain, NEW, key, add=True)
        chain.sealers.remove(NEW)
    grow(chain, 9)
    caught_up(Validators(pins_of(chain), rows), source)
    again = Validators(pins_of(chain), rows)
    assert again.place.number == (9 if chain.bft else 7)
    assert len(again.place.votes) == 2
    assert not again.begun_anew
    vote(chain, NEW, three, add=True)
    grow(chain, 14)

    caught_up(again, source)

    assert address(NEW) in again.known()
    assert Validators(pins_of(chain), rows).place == again.place


# --- Any chain ---


@settings(max_examples=50)
@given(st.data(), st.sampled_from(EVERY), st.integers(1, 5))
def test_by_jumps_or_by_steps_the_validators_are_those_of_the_chain(
    data: st.DataObject, consensus: Consensus, count: int
) -> None:
    chain = begun(consensus, count, epoch=data.draw(st.integers(3, 12), label="epoch"))
    everybody = [*keys(count), NEW, OTHER]
    places_of = [Place(0, chain.hash_of(0), chain.founders)]
    rows, source = Rows(), ChainSource(chain)
    validators = Validators(pins_of(chain), rows)
    for _ in range(data.draw(st.integers(10, 40), label="blocks")):
        place = places_of[-1]
        busy = {who for at, who in place.recent if at > place.number + 1 - (len(place.validators) // 2 + 1)}
        free = [key for key in everybody if address(key) in place.validators and address(key) not in busy]
        chain.sealers = [key for key in sorted(everybody, key=address) if address(key) in place.validators]
        signer = data.draw(st.sampled_from(free), label="signer")
        subject = data.draw(st.sampled_from(everybody), label="subject")
        add = subject is not signer and address(subject) not in place.validators
        votes = data.draw(st.booleans(), label="votes") and (add or len(chain.sealers) > 2)
        if chain.bft:
            others = [key for key in chain.sealers if key is not signer]
            chain.seal(signer, *others, **({"vote": (address(subject), add)} if votes else {}))
        elif votes and len(chain.headers) % chain.rules.epoch:
            chain.seal(signer, miner=address(subject), nonce=FOR if add else bytes(8))
        else:
            chain.seal(signer)
        places_of.append(follow(place, chain.headers[-1], chain.rules))
        if data.draw(st.integers(0, 5), label="catch up") == 0:
            validators = Validators(pins_of(chain), rows) if data.draw(st.booleans()) else validators
            caught_up(validators, source, wanted=data.draw(st.booleans(), label="wanted"))
            found = validators.place
            there = places_of[found.number]
            assert (found.block_hash, found.validators) == (there.block_hash, there.validators)


# --- Pins that are wrong ---


@pytest.mark.parametrize("pinned", [7, EPOCH * 100])
@pytest.mark.parametrize("wanted", [True, False])
def test_an_epoch_that_is_not_the_chains_accuses_no_node(pinned: int, *, wanted: bool) -> None:
    chain = begun(Consensus.CLIQUE)
    grow(chain, EPOCH + 9)
    pins = pins_of(chain)
    validators = Validators(replace(pins, rules=replace(pins.rules, epoch=pinned)), Rows())
    source = ChainSource(chain)

    if pinned > EPOCH and not wanted:  # nothing has shown it yet
        assert not validators.catch_up(source, source.head, wanted=False)
        return
    with pytest.raises(OtherRules, match=f"chain.epoch, {pinned}, is not this chain's"):
        validators.catch_up(source, source.head, wanted=wanted)
