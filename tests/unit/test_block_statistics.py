"""Who built which blocks: counted from headers, against chains that were made to known rules."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.block_statistics import BuiltBlock, Intervals, Origin, Rotation, Share, consensus
from tests.fakes.logs import ACCOUNTS

PEERS = sorted(ACCOUNTS, key=str.lower)


def blocks(producers: str, every_s: int = 5, first: int = 100) -> list[BuiltBlock]:
    """Blocks built by the peers that the letters name."""
    return [
        BuiltBlock(first + place, 1000 + every_s * place, PEERS["abcd".index(letter)], Origin.STATED)
        for place, letter in enumerate(producers)
    ]


def missed(producers: str) -> dict[str, int | None]:
    return {"abcd"[PEERS.index(share.producer)]: share.missed for share in consensus(blocks(producers)).shares}


def test_a_round_without_fault() -> None:
    found = consensus(blocks("abcabcab"))
    assert (found.rotation, found.blocks) == (Rotation.AFTER_THE_LAST, 8)
    assert found.intervals == Intervals(5, 5, 5, fixed=5)
    assert found.shares[0] == Share(PEERS[0], 3, 106, 1030, 2, 0)
    assert [share.blocks for share in found.shares] == [3, 3, 2]


@pytest.mark.parametrize(
    ("producers", "expected"),
    [
        ("abcabcac", {"a": 0, "b": 1, "c": 0}),
        ("abcabca", {"a": 0, "b": 0, "c": 0}),
        ("abcabcaabcabc", {"a": 0, "b": 1, "c": 1}),  # a built twice: the two others were passed over
        ("abcdabcdacdabcd", {"a": 0, "b": 1, "c": 0, "d": 0}),
    ],
)
def test_whoever_is_passed_over_missed_a_turn(producers: str, expected: dict[str, int]) -> None:
    assert missed(producers) == expected


def test_one_producer_takes_no_turns() -> None:
    found = consensus(blocks("aaaa"))
    assert (found.rotation, found.shares[0].missed) == (Rotation.ONE_PRODUCER, None)


@pytest.mark.parametrize("producers", ["acbacbacb", "abababcc", "aabbaabb"])
def test_without_an_order_no_turn_is_called_missed(producers: str) -> None:
    found = consensus(blocks(producers))
    if found.rotation is not Rotation.AFTER_THE_LAST:
        assert {share.missed for share in found.shares} == {None}
    assert consensus(blocks("acbacbacb")).rotation is Rotation.NONE_SEEN


def test_without_a_fixed_time_no_turn_is_called_missed() -> None:
    uneven = [BuiltBlock(place, place * place, PEERS[place % 2], Origin.STATED) for place in range(1, 9)]
    found = consensus(uneven)
    assert found.rotation is Rotation.NONE_SEEN
    assert found.intervals == Intervals(3, 9, 15, fixed=None)
    assert consensus(blocks("abab", every_s=0)).rotation is Rotation.NONE_SEEN


def test_a_single_block_has_no_interval() -> None:
    found = consensus(blocks("a"))
    assert found.intervals is None
    assert found.shares == (Share(PEERS[0], 1, 100, 1000, 0, None),)


def clique(producers: str, in_turn: str) -> list[BuiltBlock]:
    """From block 99 on, which is a multiple of three."""
    return [
        BuiltBlock(block.number, block.at, block.producer, Origin.SEALED, mark == "+")
        for block, mark in zip(blocks(producers, first=99), in_turn, strict=True)
    ]


def test_a_header_that_says_out_of_turn_tells_who_missed_it() -> None:
    found = consensus(clique("abcaacabc", "++++-++++"))
    assert found.rotation is Rotation.BY_NUMBER
    assert {share.producer: share.missed for share in found.shares} == {PEERS[0]: 0, PEERS[1]: 1, PEERS[2]: 0}


def test_a_signer_that_is_not_seen_leaves_no_turn_to_be_told() -> None:
    # A third one takes turns too: by two, the numbers do not fit.
    assert consensus(clique("abaab", "++-++")).rotation is Rotation.NONE_SEEN


@given(st.integers(2, 4), st.lists(st.booleans(), min_size=8, max_size=60))
def test_the_model_rotation_with_single_skips(count: int, skips: list[bool]) -> None:
    """Each turn is taken or, at most every fourth time, missed."""
    producers: list[str] = []
    expected: Counter[str] = Counter()
    turn = 0
    for place, skip in enumerate(skips):
        if skip and place % 4 == 3:
            expected["abcd"[turn % count]] += 1
            turn += 1
        producers.append("abcd"[turn % count])
        turn += 1
    found = missed("".join(producers))
    seen = set(producers)
    if len(seen) == count:  # whoever built nothing is not known
        assert found == {letter: expected[letter] for letter in seen}


@given(st.text("abcd", min_size=1, max_size=60), st.integers(0, 10))
def test_the_shares_are_the_whole(producers: str, every_s: int) -> None:
    found = consensus(blocks(producers, every_s))
    assert sum(share.blocks for share in found.shares) == found.blocks == len(producers)
    assert {share.producer for share in found.shares} == {PEERS["abcd".index(letter)] for letter in producers}
    assert [share.blocks for share in found.shares] == sorted((share.blocks for share in found.shares), reverse=True)
    for share in found.shares:
        letter = "abcd"[PEERS.index(share.producer)]
        longest = max(len(run) for run in producers.split(letter))
        assert share.longest_gap == longest
        assert share.last_block == 100 + producers.rindex(letter)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=40))
def test_intervals_are_between_neighbours(times: list[int]) -> None:
    times.sort()
    found = consensus([BuiltBlock(place, at, PEERS[0], Origin.STATED) for place, at in enumerate(times)]).intervals
    between = [later - earlier for earlier, later in pairwise(times)]
    assert found is not None
    assert (found.shortest, found.longest) == (min(between), max(between))
    assert sorted(between)[(len(between) - 1) // 2] == found.median
    assert found.fixed in {None, found.median}
