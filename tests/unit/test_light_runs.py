"""Who vouches for a Clique block while validators come and go: most of those who might seal it, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence, UnknownSealer
from agent.light.headers import Consensus
from agent.light.runs import Run, followed
from agent.light.seals import Place
from tests.fakes.chain_source import begun, grow, in_turn, vote
from tests.fakes.consortium import FOR, Consortium, address, addresses, keys

NEW, OTHER = keys(2, offset=60)
STRANGERS = keys(4, offset=90)
HELD = 6
"""Number of the block that matters."""


def of_genesis(chain: Consortium) -> Place:
    return Place(0, chain.hash_of(0), chain.founders)


def judged(chain: Consortium, first: int, last: int | None = None, known: Sequence[bytes] | None = None) -> Run:
    place = of_genesis(chain)
    if known is not None:
        place = Place(0, place.block_hash, tuple(known))
    return followed(chain.headers[first : None if last is None else last + 1], HELD, place, chain.rules)


def changing(*, add: bool, held: int = HELD) -> Consortium:
    """A chain in which a vote takes effect behind a block: two of its three voices came before it."""
    chain = begun(Consensus.CLIQUE)
    grow(chain, held - 3)
    subject = NEW if add else chain.sealers[0]
    voters = [key for key in in_turn(chain, 4) if key is not subject][:3]
    for key in voters[:2]:
        chain.seal(key, miner=address(subject), nonce=FOR if add else bytes(8))
    chain.seal(next(key for key in in_turn(chain, 4) if key not in voters))  # the block itself
    vote(chain, subject, voters[2], add=add)
    grow(chain, held + 9)
    return chain


@pytest.mark.parametrize("add", [True, False])
def test_a_block_right_before_a_change_is_vouched_for_by_those_of_its_time(*, add: bool) -> None:
    chain = changing(add=add)

    for first in (1, HELD):
        found = judged(chain, first)
        assert (found.settled, found.linked) == (True, first == 1)
        assert (found.validators, found.after) == (4, 9)
        assert found.vouchers >= 3
    enough = next(last for last in range(HELD, HELD + 9) if judged(chain, 1, last).settled)
    assert enough > HELD + 1
    assert judged(chain, HELD, enough).settled


@pytest.mark.parametrize("first", [1, HELD])
def test_half_of_the_keys_are_never_enough_whoever_seals_beside_them(first: int) -> None:
    """Two of four, and an honest vote that is open: it makes them most of three, who are not the four."""
    chain = begun(Consensus.CLIQUE)
    one, two, three, four = chain.sealers
    chain.seal(three, miner=address(four))  # honest, as the next one is, and the last that are
    chain.seal(four)
    chain.seal(one, miner=address(four))
    chain.seal(two, miner=address(four))
    chain.sealers = [one, two, three]
    for at in range(12):
        chain.seal((one, two)[at % 2])

    if first == 1:
        found = judged(chain, 1)
        assert (found.settled, found.linked) == (False, True)
    else:
        with pytest.raises(UnknownSealer):
            judged(chain, HELD)
    chain.seal(three)  # an honest one upon it
    chain.seal(one)
    assert judged(chain, 1).settled


@settings(max_examples=100)
@given(st.data(), st.integers(1, 7))
def test_without_a_pinned_block_known_keys_are_counted_and_strangers_count_for_nothing(
    data: st.DataObject, count: int
) -> None:
    chain = begun(Consensus.CLIQUE, count, epoch=1_000)
    grow(chain, HELD - 1)
    makers = [*chain.sealers, *STRANGERS]
    by = data.draw(st.lists(st.sampled_from(makers), min_size=1, max_size=12))
    for key in by:
        chain.seal(key, difficulty=1)
    honest = len({address(key) for key in by} & {*chain.founders})

    try:
        found = judged(chain, HELD, known=chain.founders)
    except UnknownSealer:
        assert 2 * honest <= count
        return
    assert found.settled is (2 * honest > count)
    assert (found.vouchers, found.validators, found.linked) == (honest, count, False)


def test_what_has_not_the_form_is_refused_whoever_vouches() -> None:
    chain = changing(add=True)
    good = chain.headers
    for changed in ({"mix_hash": b"\1" * 32}, {"difficulty": 3}, {"nonce": b"\1" * 8}, {"uncles_hash": bytes(32)}):
        chain.headers = good[: HELD + 2]
        chain.seal(**changed)
        while len(chain.headers) < len(good):
            chain.seal(*in_turn(chain, 1))
        with pytest.raises(BadEvidence) as caught:
            judged(chain, HELD)
        assert not isinstance(caught.value, UnknownSealer), changed


def test_linked_headers_let_nobody_be_whom_no_vote_brought() -> None:
    chain = begun(Consensus.CLIQUE)
    grow(chain, HELD)
    honest = [key for key in chain.sealers if key not in in_turn(chain, 1)]
    chain.seal(STRANGERS[0])
    for key in (*honest, *honest):
        chain.seal(key)

    assert judged(chain, HELD, known=addresses(chain.sealers)).settled
    with pytest.raises(UnknownSealer):
        judged(chain, 1)
