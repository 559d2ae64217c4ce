"""Numbers rise whatever the clock and the journal say, and each candidate has a place of its own."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.order_numbers import candidates
from agent.domain.orders import MOST_NUMBER, PLACES

numbers = st.integers(0, MOST_NUMBER)


@given(now=numbers, last=numbers)
def test_candidates_rise_above_the_last_and_name_every_place_once(now: int, last: int) -> None:
    found = list(candidates(now, last))

    assert all(number > last and number >= now for number in found)
    assert all(after > before for before, after in pairwise(found))
    assert all(number <= MOST_NUMBER for number in found)
    assert len({number % PLACES for number in found}) == len(found)
    assert len(found) == min(PLACES, MOST_NUMBER + 1 - max(now, last + 1))


@given(now=st.integers(1, MOST_NUMBER - 10**6), later=st.integers(1, 10**6))
def test_a_lost_journal_numbers_above_what_it_numbered(now: int, later: int) -> None:
    """One order a second at most was numbered before it was lost."""
    assert next(candidates(now + later, 0)) > next(candidates(now, 0))
