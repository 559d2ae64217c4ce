"""No single node decides: properties of what several answers come to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.adapters import node_votes
from agent.adapters.node_votes import Look
from agent.domain.errors import NotYet, Rejected
from agent.domain.fees import Fee, FeeQuote
from agent.domain.market import Head, HouseholdState, Parameters
from agent.domain.outbox import Attempt, Entry, Inclusion, Kind, State

PLACES = [None, *(Inclusion("0x01", number, f"0x{number:064x}", succeeded=True) for number in (7, 8))]
ENTRIES = st.sampled_from(PLACES).map(
    lambda place: Entry(
        1, "k", Kind.REPORT, "0x", b"", 1, State.SENT, 0, 5, (Attempt("0x01", b"", Fee(1, 1), 0),), inclusion=place
    )
)
HEADS = st.builds(Head, st.integers(0, 300), st.just("0x"), st.integers(0, 5000))
LOOKS = st.builds(Look, HEADS, st.integers(0, 9), st.sampled_from(PLACES), st.booleans())


@given(ENTRIES, st.lists(LOOKS, min_size=1, max_size=5))
def test_the_answer_of_most_is_chosen(entry: Entry, looks: list[Look]) -> None:
    seen = node_votes.sighting(entry, looks)
    said = [look for look in looks if look.inclusion == seen.inclusion]
    assert seen.agreeing == len(said)
    assert all(sum(look.inclusion == place for look in looks) <= seen.agreeing for place in PLACES)
    assert seen.head == min(look.head.number for look in said)
    assert seen.mined_nonce == min(look.mined_nonce for look in said)


@given(ENTRIES, LOOKS, LOOKS)
def test_two_that_differ_leave_an_entry_where_it_is(entry: Entry, one: Look, other: Look) -> None:
    seen = node_votes.sighting(entry, [one, other])
    if one.inclusion != other.inclusion:
        assert seen.agreeing == 1
        assert seen.inclusion in {entry.inclusion, None} or {one.inclusion, other.inclusion}.isdisjoint(
            {entry.inclusion, None}
        )
        if entry.inclusion in {one.inclusion, other.inclusion}:
            assert seen.inclusion == entry.inclusion


@given(st.lists(HEADS, min_size=1, max_size=5))
def test_somebody_is_always_in_line(heads: list[Head]) -> None:
    named = {str(index): head for index, head in enumerate(heads)}
    assert len(node_votes.out_of_line(named)) < len(heads)


def heads(*numbers: int) -> dict[str, Head]:
    return {f"n{index}": Head(number, "0x", 10 * number) for index, number in enumerate(numbers)}


def test_nodes_within_ten_blocks_are_in_line() -> None:
    assert node_votes.out_of_line(heads(100, 90)) == {}


def test_a_node_eleven_blocks_behind_is_not() -> None:
    assert list(node_votes.out_of_line(heads(100, 89))) == ["n1"]


def test_a_node_two_slow_blocks_behind_is_not() -> None:
    named = {"a": Head(10, "0x", 1000), "b": Head(8, "0x", 800)}
    assert list(node_votes.out_of_line(named)) == ["b"]


def test_one_slow_block_behind_is_in_line() -> None:
    assert node_votes.out_of_line({"a": Head(10, "0x", 9000), "b": Head(9, "0x", 0)}) == {}


def test_one_of_three_that_claims_to_be_far_ahead_is_out() -> None:
    wrong = node_votes.out_of_line(heads(100, 99, 10**9))
    assert list(wrong) == ["n2"]
    assert "no other node comes near" in wrong["n2"]


def state(sequence: int) -> HouseholdState:
    return HouseholdState(True, True, 1, sequence, 100, 1, 1, 1, 5000)


def test_a_household_is_what_most_say_and_else_the_one_with_less() -> None:
    assert node_votes.household([state(3), state(9), state(3)]) == state(3)
    assert node_votes.household([state(9), state(3)]) == state(3)


def test_parameters_are_what_most_say_and_else_the_own_areas() -> None:
    one, other = Parameters(900, 1, 1, 1, False), Parameters(60, 1, 1, 1, False)
    assert node_votes.parameters([one, other], None) == one
    assert node_votes.parameters([one, other, other], one) == other


def test_parameters_stay_while_the_nodes_are_split() -> None:
    one, other, third = (Parameters(period, 1, 1, 1, False) for period in (900, 60, 1))
    assert node_votes.parameters([one, other], other) == other
    assert node_votes.parameters([one, other], third) == one


def test_the_pending_nonce_is_the_highest_that_is_plausible() -> None:
    assert node_votes.pending_nonce([7]) == 7
    assert node_votes.pending_nonce([7, 9]) == 9
    assert node_votes.pending_nonce([7, 10**9]) == 7
    assert node_votes.pending_nonce([10**9, 7, 8]) == 8


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(0, 1 << 64))
def test_no_single_node_lifts_the_nonce_beyond_what_can_be_in_flight(told: list[int], lie: int) -> None:
    assert node_votes.pending_nonce([*told, lie]) <= max(told) + 16


def test_one_node_cannot_raise_the_fee() -> None:
    quotes = [FeeQuote(10, 1), FeeQuote(10**12, 10**12), FeeQuote(11, 2)]
    assert node_votes.fee_quote(quotes) == FeeQuote(11, 2)
    assert node_votes.fee_quote(quotes[:2]) == FeeQuote(10, 1)


def test_a_refusal_needs_more_than_half() -> None:
    refused, waits = Rejected("RegisterFell"), NotYet("paused")
    assert node_votes.verdict([refused, None]) is None
    assert node_votes.verdict([refused, waits]) is waits
    assert node_votes.verdict([refused, refused, None]) is refused
    assert node_votes.verdict([None]) is None


def test_of_what_two_nodes_tell_the_least_is_believed_and_of_three_the_most() -> None:
    def itself(number: int) -> int:
        return number

    assert node_votes.least_of_most([5, 3], itself) == 3
    assert node_votes.least_of_most([5, 3, 5], itself) == 5
