"""What sources may say while validators are kept up with: lies, reorganisations, other forks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from agent.domain.errors import BadEvidence, NodeUnavailable, UnknownSealer
from agent.light.headers import Consensus
from agent.light.seals import Place, Rules
from agent.proving.validators import Validators
from tests.fakes.chain_source import EPOCH, ChainSource, Rows, begun, caught_up, grow, in_turn, pins_of, vote
from tests.fakes.consortium import FOR, Consortium, address, keys

EVERY = [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2]
NEW, OTHER = keys(2, offset=60)


@pytest.fixture(params=EVERY)
def chain(request: pytest.FixtureRequest) -> Consortium:
    return begun(request.param)


@contextmanager
def is_lie(validators: Validators, rows: Rows, why: str) -> Iterator[None]:
    before, text = validators.place, rows.text
    with pytest.raises(BadEvidence, match=why) as caught:
        yield
    assert not isinstance(caught.value, UnknownSealer)
    assert (validators.place, rows.text) == (before, text)


@pytest.mark.parametrize(
    ("rewrite", "why"),
    [
        (lambda told: {**told, "stateRoot": "0x" + "00" * 32}, "hashes to"),
        (lambda told: {**told, "hash": "0x" + "00" * 32}, "hashes to"),
        (lambda told: {key: value for key, value in told.items() if key != "extraData"}, "extraData is None"),
        (lambda _: "0x", "where an object belongs"),
    ],
)
# What a teller is handed rewrites JSON.
def test_an_answer_that_cannot_be_true_is_a_lie(chain: Consortium, rewrite: Any, why: str) -> None:  # noqa: ANN401
    grow(chain, EPOCH + 9)
    source, rows = ChainSource(chain), Rows()
    validators = Validators(pins_of(chain), rows)
    source.rewrite = rewrite

    with is_lie(validators, rows, why):
        validators.catch_up(source, source.head, wanted=False)


def test_another_block_than_was_asked_for_is_a_lie(chain: Consortium) -> None:
    grow(chain, 9)
    source, rows = ChainSource(chain), Rows()
    validators = Validators(pins_of(chain), rows)
    source.chain = replace(chain, headers=[chain.headers[0], *chain.headers[2:]])

    with is_lie(validators, rows, "asked for block 1, it told block 2"):
        validators.catch_up(source, 8, wanted=True)


def test_a_stranger_who_seals_upon_the_place_is_a_lie(chain: Consortium) -> None:
    grow(chain, 3)
    source, rows = ChainSource(chain), Rows()
    validators = Validators(pins_of(chain), rows)
    caught_up(validators, source)
    real = [*chain.headers]
    chain.headers = chain.headers[: validators.place.number + 1]
    chain.seal(*([NEW, OTHER, *keys(2, offset=70)]))
    chain.headers += [chain.headers[-1]] * 3

    with is_lie(validators, rows, "though every vote since block 0 is known"):
        validators.catch_up(source, source.head, wanted=True)
    chain.headers = real
    grow(chain, 9)
    caught_up(validators, source)
    assert validators.place.number == (9 if chain.bft else 7)


def test_a_chain_of_strangers_is_refused_whatever_it_lists(chain: Consortium) -> None:
    false = Consortium(chain.rules, keys(4, offset=70), [*chain.headers])
    grow(false, 2 * EPOCH + 9)
    source, rows = ChainSource(false), Rows()
    validators = Validators(pins_of(chain), rows)

    with is_lie(validators, rows, "is known"):
        validators.catch_up(source, source.head, wanted=False)


def test_one_liar_does_not_keep_another_from_being_believed(chain: Consortium) -> None:
    false = Consortium(chain.rules, keys(4, offset=70), [*chain.headers])
    grow(false, EPOCH + 9)
    grow(chain, EPOCH + 9)
    validators = Validators(pins_of(chain), Rows())
    with pytest.raises(BadEvidence):
        validators.catch_up(ChainSource(false), EPOCH + 9, wanted=False)
    honest = ChainSource(chain, "south")

    validators.catch_up(honest, honest.head, wanted=False)

    assert validators.place.number == EPOCH
    assert len(honest.asked) <= 3


def test_headers_of_one_node_that_do_not_hang_together_are_a_lie(chain: Consortium) -> None:
    grow(chain, 9)
    other = Consortium(chain.rules, chain.sealers, chain.headers[:3])
    other.seal(gas_used=5)
    grow(other, 9)
    source, rows = ChainSource(replace(chain, headers=[*chain.headers[:5], *other.headers[5:]])), Rows()
    validators = Validators(pins_of(chain), rows)

    with pytest.raises(BadEvidence, match="the same node's block 4 is") as caught:
        validators.catch_up(source, source.head, wanted=True)

    assert not isinstance(caught.value, UnknownSealer)
    assert validators.place.block_hash == chain.hash_of(validators.place.number)
    assert validators.place.number == (4 if chain.bft else 2)


def test_a_reorganisation_between_two_requests_is_no_lie() -> None:
    chain = begun(Consensus.CLIQUE)
    grow(chain, 9)
    other = Consortium(chain.rules, chain.sealers, chain.headers[:7])
    other.seal(gas_used=5)
    grow(other, 9)
    source = ChainSource(chain)
    validators = Validators(pins_of(chain), Rows())

    def reorganised(number: int) -> None:
        if number == 8:
            source.chain = other

    source.before_answer = reorganised
    with pytest.raises(NodeUnavailable, match="reorganised at block 7"):
        validators.catch_up(source, source.head, wanted=True)
    assert validators.place.number == 5
    caught_up(validators, source)
    assert validators.place.number == 7
    assert validators.place.block_hash == other.hash_of(7)


def test_a_tip_that_changes_never_leaves_the_place_on_what_is_gone() -> None:
    chain = begun(Consensus.CLIQUE)
    grow(chain, 9)
    validators = Validators(pins_of(chain), Rows())
    caught_up(validators, ChainSource(chain))
    for _ in range(3):  # two blocks are sealed anew each time, as far as half of the signers can
        chain.headers = chain.headers[:-2]
        first, second = in_turn(chain, 2)
        chain.seal(first, gas_used=len(chain.headers))
        chain.seal(second)
        grow(chain, len(chain.headers))
        caught_up(validators, ChainSource(chain))
        assert validators.place.block_hash == chain.hash_of(validators.place.number)
    assert validators.place.number == len(chain.headers) - 3


def test_half_of_the_signers_move_no_place_though_a_vote_of_theirs_decides() -> None:
    chain = begun(Consensus.CLIQUE)
    one, two, three, four = chain.sealers
    chain.seal(three, miner=address(four))
    chain.seal(four, miner=address(NEW), nonce=FOR)
    chain.seal(one, miner=address(four))
    validators = Validators(pins_of(chain), Rows())
    chain.seal(two, miner=address(four))  # three of four: now one and two are most of three, and seal for ever
    chain.sealers = [one, two, three]
    for at in range(12):
        chain.seal((one, two)[at % 2])
    caught_up(validators, ChainSource(chain))

    assert validators.place.number == 2  # which three of four have built upon
    chain.seal(three)
    chain.seal(one)
    caught_up(validators, ChainSource(chain))
    assert validators.place.number > 2


def test_a_known_signers_other_fork_is_no_lie_and_the_next_epoch_decides() -> None:
    chain = begun(Consensus.CLIQUE)
    grow(chain, 9)
    validators = Validators(pins_of(chain), Rows())
    caught_up(validators, ChainSource(chain))
    other = Consortium(chain.rules, chain.sealers, chain.headers[:5])
    other.seal(gas_used=5)
    grow(other, 12)
    source = ChainSource(other)

    with pytest.raises(NodeUnavailable, match="sealed another fork"):
        validators.catch_up(source, source.head, wanted=True)
    assert validators.place.number == 7
    grow(other, EPOCH + 5)
    caught_up(validators, source)
    assert validators.place.block_hash == other.hash_of(EPOCH + 3)


def test_a_final_block_has_no_other_after_it() -> None:
    chain = begun(Consensus.QBFT)
    grow(chain, 9)
    rows = Rows()
    validators = Validators(pins_of(chain), rows)
    caught_up(validators, ChainSource(chain))
    other = Consortium(chain.rules, chain.sealers, chain.headers[:5])
    other.seal(gas_used=5)
    grow(other, 12)

    with is_lie(validators, rows, "which is final"):
        validators.catch_up(ChainSource(other), 12, wanted=True)


def test_a_head_that_is_not_there_is_no_answer(chain: Consortium) -> None:
    grow(chain, 9)
    source = ChainSource(chain)

    for head in (EPOCH + 3, 1 << 60):
        with pytest.raises(NodeUnavailable, match="it does not have block"):
            Validators(pins_of(chain), Rows()).catch_up(source, head, wanted=False)


def test_what_a_contract_names_is_never_followed() -> None:
    chain = Consortium(Rules(Consensus.QBFT, epoch=EPOCH, named_by_contract=True), keys(4))
    while len(chain.headers) <= EPOCH + 2:
        chain.seal(validators=[])
    validators = Validators(pins_of(chain), Rows())
    caught_up(validators, ChainSource(chain))
    assert validators.place.number == EPOCH + 2
    chain.sealers = keys(4, offset=70)
    while len(chain.headers) <= 2 * EPOCH + 2:
        chain.seal(validators=[])

    for wanted in (True, False):
        with pytest.raises(UnknownSealer):
            validators.catch_up(ChainSource(chain), 2 * EPOCH + 2, wanted=wanted)


def test_votes_before_a_place_pinned_within_an_epoch_are_unknown_until_the_next() -> None:
    chain = begun(Consensus.CLIQUE)
    grow(chain, 3)
    one, two, three = in_turn(chain, 3)
    for key in (one, two):
        vote(chain, NEW, key, add=True)
        chain.sealers.remove(NEW)
    pinned = Place(5, chain.hash_of(5), chain.validators)
    vote(chain, NEW, three, add=True)
    grow(chain, 13)
    validators = Validators(replace(pins_of(chain), place=pinned), Rows())

    with pytest.raises(UnknownSealer):
        validators.catch_up(ChainSource(chain), 13, wanted=True)
    grow(chain, EPOCH + 6)
    caught_up(validators, ChainSource(chain))
    assert validators.known() == chain.validators
