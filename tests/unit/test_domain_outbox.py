"""The outbox's state machine: every arrow of the drawing in agent/domain/outbox.py, and that ends are ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.fees import Fee
from agent.domain.outbox import (
    Attempt,
    Broadcast,
    Bump,
    Entry,
    Halt,
    Inclusion,
    Kind,
    Move,
    Prove,
    Rules,
    Sighting,
    Sign,
    State,
    Suspect,
    Wait,
    next_step,
)

RULES = Rules(depth=3, agreement=2)
NOW = 10_000
SIGNED = Attempt("0xa", b"a", Fee(100, 10), signed_at=NOW - 20)
SENT = replace(SIGNED, accepted_at=NOW - 15, sent_at=NOW - 15)
FOUND = Inclusion("0xa", 50, "0xb50", succeeded=True)
NOTHING = Sighting(head=60, mined_nonce=7, inclusion=None, agreeing=2, pooled=True)


def entry(state: State, *attempts: Attempt, inclusion: Inclusion | None = None) -> Entry:
    nonce = None if state is State.QUEUED else 7
    return Entry(1, "k", Kind.REPORT, "0xto", b"", 1, state, 0, nonce, attempts, inclusion)


def mined(found: Inclusion | None = FOUND, *, head: int = 53, agreeing: int = 2) -> Sighting:
    return Sighting(head, 8, found, agreeing, pooled=False)


INCLUDED = entry(State.INCLUDED, SENT, inclusion=FOUND)


def test_queued_is_signed() -> None:
    assert next_step(entry(State.QUEUED), None, NOW, RULES) == Sign()


@pytest.mark.parametrize(("expires_at", "to"), [(NOW, State.EXPIRED), (NOW + 1, None)])
def test_queued_expires(expires_at: int, to: State | None) -> None:
    step = next_step(replace(entry(State.QUEUED), expires_at=expires_at), None, NOW, RULES)

    assert (step.to if isinstance(step, Move) else None) is to


@pytest.mark.parametrize("sighting", [None, NOTHING, replace(NOTHING, pooled=False)])
def test_bytes_never_sent_are_sent_at_once(sighting: Sighting | None) -> None:
    assert next_step(entry(State.SIGNED, SIGNED), sighting, NOW, RULES) == Broadcast(SIGNED)


def test_bytes_whose_nonce_is_gone_are_not_sent_again() -> None:
    """Nonce and receipt are looked at before each sending: one kind of node executes nonce 0 twice."""
    assert next_step(entry(State.SIGNED, SIGNED), mined(None), NOW, RULES) == Suspect()


@pytest.mark.parametrize("attempt", [SIGNED, SENT])
@pytest.mark.parametrize("state", [State.SIGNED, State.SENT])
def test_a_receipt_makes_it_included(state: State, attempt: Attempt) -> None:
    assert next_step(entry(state, attempt), mined(), NOW, RULES) == Move(State.INCLUDED, FOUND)


def test_a_receipt_of_an_earlier_attempt_counts() -> None:
    bumped = Attempt("0xa2", b"a2", Fee(200, 20), signed_at=NOW - 1)

    assert next_step(entry(State.SENT, SENT, bumped), mined(), NOW, RULES) == Move(State.INCLUDED, FOUND)
    assert next_step(entry(State.SENT, SENT, bumped), NOTHING, NOW, RULES) == Broadcast(bumped)


def test_nobody_asked_nothing_done() -> None:
    for one in (entry(State.SENT, SENT), INCLUDED, replace(INCLUDED, state=State.FINAL)):
        assert next_step(one, None, NOW, RULES) == Wait()


@pytest.mark.parametrize(
    ("state", "pooled", "sent_at", "again"),
    [
        (State.SIGNED, False, NOW - 10, True),  # sent, and no node took it
        (State.SIGNED, False, NOW - 9, False),
        (State.SENT, False, NOW - 10, True),  # evicted
        (State.SENT, False, NOW - 9, False),
        (State.SENT, True, NOW - 10, False),
        (State.SENT, False, NOW + 30 * 86_400, True),  # the clock was set back since
    ],
)
def test_what_no_pool_holds_is_sent_again(state: State, pooled: bool, sent_at: int, again: bool) -> None:
    attempt = replace(SENT, sent_at=sent_at)
    step = next_step(entry(state, attempt), replace(NOTHING, pooled=pooled), NOW, RULES)

    assert step == (Broadcast(attempt) if again else Wait())


@pytest.mark.parametrize(
    ("age", "max_fee", "raised"), [(180, 100, True), (179, 100, False), (180, 0, False), (-86_400, 100, True)]
)
def test_what_waits_long_in_a_pool_is_bumped(age: int, max_fee: int, raised: bool) -> None:
    attempt = replace(SENT, signed_at=NOW - age, sent_at=NOW, fee=Fee(max_fee, 0))

    assert next_step(entry(State.SENT, attempt), NOTHING, NOW, RULES) == (Bump(attempt) if raised else Wait())


@pytest.mark.parametrize(("sightings", "step"), [(0, Suspect), (1, Suspect), (2, Halt)])
def test_a_nonce_taken_by_another_halts_after_repeated_sightings(sightings: int, step: type) -> None:
    one = replace(entry(State.SENT, SENT), foreign_sightings=sightings)

    assert isinstance(next_step(one, mined(None), NOW, RULES), step)


@pytest.mark.parametrize(
    ("sighting", "final"),
    [
        (mined(), True),
        (mined(head=52), False),
        (mined(agreeing=1), False),
        (mined(head=1000, agreeing=1), False),
    ],
)
def test_final_needs_depth_and_agreement(sighting: Sighting, final: bool) -> None:
    assert next_step(INCLUDED, sighting, NOW, RULES) == (Move(State.FINAL, FOUND) if final else Wait())


def test_a_revert_is_refused_when_deep_and_agreed() -> None:
    reverted = replace(FOUND, succeeded=False)
    one = replace(INCLUDED, inclusion=reverted)
    step = next_step(one, mined(reverted), NOW, RULES)

    assert isinstance(step, Move)
    assert (step.to, step.inclusion) == (State.REFUSED, reverted)
    assert next_step(one, mined(reverted, head=52), NOW, RULES) == Wait()
    assert next_step(one, mined(reverted, agreeing=1), NOW, RULES) == Wait()


def test_a_block_holds_a_transaction_in_one_way_so_another_outcome_is_for_proofs_and_no_reorganisation() -> None:
    proven = replace(RULES, proven=True)
    otherwise = replace(FOUND, succeeded=False)

    assert next_step(INCLUDED, mined(otherwise), NOW, proven) == Prove(otherwise)
    assert next_step(replace(INCLUDED, state=State.FINAL), mined(otherwise), NOW, proven) == Wait()
    told = next_step(replace(INCLUDED, state=State.FINAL), mined(otherwise), NOW, RULES)
    assert isinstance(told, Move)


def test_a_reorganisation_moves_it_back_or_along() -> None:
    elsewhere = replace(FOUND, block_hash="0xother")
    back, along = next_step(INCLUDED, NOTHING, NOW, RULES), next_step(INCLUDED, mined(elsewhere), NOW, RULES)

    assert isinstance(back, Move)
    assert (back.to, back.inclusion) == (State.SENT, None)
    assert isinstance(along, Move)
    assert (along.to, along.inclusion) == (State.INCLUDED, elsewhere)


@pytest.mark.parametrize(
    ("sighting", "back"),
    [
        (NOTHING, True),
        (replace(NOTHING, agreeing=1), False),  # one node's word
        (mined(), False),
        (mined(None), False),
    ],
)
def test_final_falls_only_when_as_many_nodes_say_so(sighting: Sighting, back: bool) -> None:
    step = next_step(replace(INCLUDED, state=State.FINAL), sighting, NOW, RULES)

    assert (step.to if isinstance(step, Move) else None) is (State.SENT if back else None)


@pytest.mark.parametrize("state", [State.FINAL, State.REFUSED])
def test_what_lies_in_another_block_than_it_ended_in_is_followed_again(state: State) -> None:
    ended = replace(INCLUDED, state=state)
    elsewhere = Inclusion("0xa", 51, "0xb51", succeeded=False)

    step = next_step(ended, mined(elsewhere), NOW, RULES)

    assert isinstance(step, Move)
    assert (step.to, step.inclusion) == (State.INCLUDED, elsewhere)
    assert next_step(ended, mined(elsewhere, agreeing=1), NOW, RULES) == Wait()


sightings = st.one_of(
    st.none(),
    st.builds(
        Sighting,
        head=st.integers(0, 100),
        mined_nonce=st.integers(0, 10),
        inclusion=st.sampled_from([None, FOUND, replace(FOUND, succeeded=False)]),
        agreeing=st.integers(1, 3),
        pooled=st.booleans(),
    ),
)


@given(st.sampled_from([State.REFUSED, State.EXPIRED, State.REPLACED]), sightings, st.integers(0, 2**32))
def test_ends_are_ends_while_their_nonce_is_used(state: State, sighting: Sighting | None, now: int) -> None:
    ended = entry(state, SENT)
    freed = sighting is not None and sighting.mined_nonce <= 7 and sighting.agreeing >= RULES.agreement
    told = sighting is not None and sighting.agreeing >= RULES.agreement
    moved = told and sighting is not None and sighting.inclusion is not None  # these ended in no block
    back = None if state is State.EXPIRED else State.INCLUDED if moved else State.SENT if freed else None

    assert state.ended
    assert next_step(replace(ended, nonce=None), sighting, now, RULES) == Wait()
    step = next_step(ended, sighting, now, RULES)
    assert (step.to if isinstance(step, Move) else None) is back


@given(st.sampled_from([State.SIGNED, State.SENT, State.INCLUDED]), sightings, st.integers(0, 2**32))
def test_final_only_from_included_with_agreement_and_depth(state: State, sighting: Sighting | None, now: int) -> None:
    one = entry(state, SENT, inclusion=FOUND if state is State.INCLUDED else None)
    step = next_step(one, sighting, now, RULES)

    assert state.in_flight
    if isinstance(step, Move) and step.to in {State.FINAL, State.REFUSED}:
        assert state is State.INCLUDED
        assert sighting is not None
        assert sighting.agreeing >= RULES.agreement
        assert sighting.head - FOUND.block_number >= RULES.depth
