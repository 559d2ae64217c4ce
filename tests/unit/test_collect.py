"""The collect stage: verified, stored, and only then acknowledged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.collecting import Refusal
from agent.domain.holding import Hole, Why
from agent.domain.replay import NOTHING, Mark
from agent.domain.signing import SigningDomain
from agent.domain.silence import Quiet
from agent.domain.telemetry import Link, Topics
from tests.unit.collect_house import AREA, MARKET, PERIOD_S, FakeRegister, Household, Office
from tests.unit.publish_house import START_S

ONE, TWO = Household(7), Household(8)
ELSEWHERE = SigningDomain(31337, ONE.address)


def test_readings_are_stored_confirmed_and_acknowledged() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 2)))
    office.hear(TWO, TWO.message((1, 1)))
    assert office.store.marks(ONE) == {(1, 1), (1, 2)}
    assert office.source.confirmed == [1, 2, 3]
    assert (office.acknowledged(ONE), office.acknowledged(TWO)) == ((1, 2), (1, 1))
    assert (office.stage.counts.received, office.stage.counts.verified, office.stage.counts.stored) == (3, 3, 3)


def test_nothing_is_confirmed_before_it_is_stored() -> None:
    office = Office()
    office.store.fails_at_commit = True
    office.hear(ONE, ONE.message((1, 1)))
    assert (office.source.confirmed, office.source.acknowledged) == ([], [])
    assert "collect.database_away" in office.events.names()
    office.store.fails_at_commit = False
    office.turn()
    assert (office.source.confirmed, office.acknowledged(ONE)) == ([1], (1, 1))


def test_a_commit_whose_answer_was_lost_stores_nothing_twice() -> None:
    office = Office()
    office.store.loses_the_answer = True
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 2)))
    assert office.source.acknowledged == []
    office.store.loses_the_answer = False
    office.turn()
    assert office.store.marks(ONE) == {(1, 1), (1, 2)}
    assert office.acknowledged(ONE) == (1, 2)


def test_killed_between_commit_and_acknowledgement() -> None:
    office = Office()
    office.source.room = 0
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 2)))
    assert office.acknowledged(ONE) == NOTHING
    office.restart()
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 2)))  # the household was told nothing, and sends again
    assert (office.acknowledged(ONE), office.refused()) == ((1, 2), {"replayed": 2})
    assert len(office.store.readings) == 2


def test_what_the_line_does_not_take_is_acknowledged_later() -> None:
    office = Office()
    office.source.room = 1
    office.hear(ONE, ONE.message((1, 1)))
    office.hear(TWO, TWO.message((1, 1)))
    assert (office.acknowledged(TWO), office.stage.owes) == (NOTHING, True)
    office.source.link = Link(connected=False, generation=1, problem=None)
    office.turn()
    assert not office.stage.owes, "without a broker there is nothing to hurry for"
    office.source.link = Link(connected=True, generation=2, problem=None)
    office.source.room = 9
    office.turn()
    assert (office.acknowledged(TWO), office.stage.owes) == ((1, 1), False)


def test_a_batch_is_bounded() -> None:
    office = Office(batch=2)
    for sequence in (1, 2, 3):
        office.source.bring(ONE.topics.reading, ONE.message((1, sequence)))
    office.turn()
    assert (len(office.source.waiting), office.acknowledged(ONE)) == (1, (1, 2))


FORGED = json.loads(ONE.message((1, 1)))
REFUSED: dict[str, tuple[str, bytes, Refusal]] = {
    "foreign": (ONE.topics.reading, ONE.message((1, 1), signed_by=TWO), Refusal.FOREIGN),
    "altered": (ONE.topics.reading, json.dumps(FORGED | {"producedWh": 11}).encode(), Refusal.FOREIGN),
    "no signature": (
        ONE.topics.reading,
        json.dumps(FORGED | {"signature": "0x" + "00" * 65}).encode(),
        Refusal.FORGED,
    ),
    "another household's topic": (TWO.topics.reading, ONE.message((1, 1)), Refusal.ANOTHER_HOUSEHOLD),
    "another contract": (ONE.topics.reading, ONE.message((1, 1), market=ELSEWHERE), Refusal.ANOTHER_MARKET),
    "another chain": (
        ONE.topics.reading,
        ONE.message((1, 1), market=replace(MARKET, chain_id=1)),
        Refusal.ANOTHER_MARKET,
    ),
    # Relabelled for this market, the same signature recovers to a stranger.
    "another chain, relabelled": (
        ONE.topics.reading,
        json.dumps(json.loads(ONE.message((1, 1), market=replace(MARKET, chain_id=1))) | {"chainId": 31337}).encode(),
        Refusal.FOREIGN,
    ),
    "future": (
        ONE.topics.reading,
        ONE.message((1, 1), reading=ONE.reading((1, 1), taken_at=START_S + 600)),
        Refusal.FUTURE,
    ),
    "too large": (ONE.topics.reading, b"[" * 60_000, Refusal.TOO_LARGE),
    "no JSON": (ONE.topics.reading, b"\xff", Refusal.MALFORMED),
    "another area's form": (f"energy/v1/\x07/{ONE.address}/reading", ONE.message((1, 1)), Refusal.MALFORMED),
    "another topic": ("energy/v1/north/reading", ONE.message((1, 1)), Refusal.MALFORMED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_counted(name: str) -> None:
    topic, payload, reason = REFUSED[name]
    office = Office()
    office.source.bring(topic, payload)
    office.turn()
    assert office.refused() == {str(reason): 1}
    assert office.store.refused == {("", reason): 1}
    assert (office.store.readings, office.source.acknowledged) == ({}, [])
    assert office.source.confirmed == [1], "the broker is not to send it again"
    assert office.events.names() == ["collect.listening", f"collect.{reason}"]


def test_refusals_of_a_known_household_are_counted_as_its_own() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.hear(ONE, ONE.message((1, 2), signed_by=TWO), ONE.message((1, 2), signed_by=TWO))
    assert office.store.refused == {(ONE.address, Refusal.FOREIGN): 2}


def test_a_flood_of_forgeries_is_one_line_a_minute() -> None:
    office = Office()
    for _ in range(5):
        office.hear(ONE, ONE.message((1, 1), signed_by=TWO))
    assert office.events.names().count("collect.foreign") == 1
    office.clock.seconds += 60
    office.hear(ONE, ONE.message((1, 1), signed_by=TWO))
    assert office.events.said[-1][2]["unsaid"] == 4


def test_a_reading_that_differs_never_replaces_the_stored_one() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    other = ONE.message((1, 1), reading=ONE.reading((1, 1), produced_wh=99))
    office.hear(ONE, other)
    assert office.refused() == {"contradiction": 1}
    (kept,) = office.store.readings.values()
    assert kept.heard.signed.reading.produced_wh == 10


def test_a_contradiction_within_one_batch() -> None:
    office = Office()
    other = ONE.message((1, 1), reading=ONE.reading((1, 1), produced_wh=99))
    office.hear(ONE, ONE.message((1, 1)), other, ONE.message((1, 1)))
    assert (office.refused(), len(office.store.readings)) == ({"contradiction": 1, "replayed": 1}, 1)


def test_a_repetition_is_acknowledged_again() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.source.acknowledged.clear()  # a killed broker forgets what was retained
    office.hear(ONE, ONE.message((1, 1)))
    assert office.acknowledged(ONE) == (1, 1)


def test_a_gap_is_said_when_it_opens_and_when_it_closes() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 3)))
    assert office.acknowledged(ONE) == (1, 1)
    office.hear(ONE, ONE.message((1, 2)))
    assert office.acknowledged(ONE) == (1, 3)
    assert office.events.names()[1:] == ["readings.missing", "readings.complete"]


def test_a_leap_is_acknowledged_and_told() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 1_002), follows=(1, 1)))
    assert office.acknowledged(ONE) == (1, 1_002)
    assert [one.hole for one in office.store.lost] == [Hole(1, 2, 1_001, Why.NEVER_WAS)]


def test_a_replayed_reading_moves_no_household_to_another_area() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.source.bring(Topics("south", ONE.address).reading, ONE.message((1, 1)))
    office.turn()
    assert {topic for topic, _ in office.source.acknowledged} == {Topics(AREA, ONE.address).acknowledgement}
    assert office.store.kept[ONE.address].area == AREA


# Who is enrolled.


def test_only_enrolled_households_are_kept() -> None:
    office = Office(FakeRegister({ONE.address}))
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 2)))
    office.hear(TWO, TWO.message((1, 1)), TWO.message((1, 2)))
    assert office.refused() == {"not_enrolled": 2}
    assert office.store.kept[ONE.address].enrolled
    assert TWO.address not in office.store.kept
    assert office.register is not None
    assert office.register.asked == 2, "neither is asked about at each message"


def test_a_household_that_is_enrolled_later_is_let_in_later() -> None:
    register = FakeRegister()
    office = Office(register)
    office.hear(ONE, ONE.message((1, 1)))
    register.known.add(ONE.address)
    office.clock.seconds += 300
    office.hear(ONE, ONE.message((1, 1)))
    assert office.acknowledged(ONE) == (1, 1)


def test_while_the_node_is_away_known_households_go_on_and_others_wait() -> None:
    register = FakeRegister({ONE.address, TWO.address})
    office = Office(register)
    office.hear(ONE, ONE.message((1, 1)))
    register.away = True
    office.restart()
    office.hear(ONE, ONE.message((1, 2)))
    office.hear(TWO, TWO.message((1, 1)))
    assert office.acknowledged(ONE) == (1, 2)
    assert office.refused() == {"unchecked": 1}
    register.away = False
    office.hear(TWO, TWO.message((1, 1)))
    assert office.acknowledged(TWO) == (1, 1)


def test_without_a_node_anyone_who_signs_is_kept_up_to_a_number() -> None:
    office = Office(most_strangers=1)
    office.hear(ONE, ONE.message((1, 1)), ONE.message((1, 2)))
    office.hear(TWO, TWO.message((1, 1)))
    assert office.refused() == {"too_many": 1}
    assert not office.store.kept[ONE.address].enrolled


# Who is silent.


def silence(office: Office, household: Household) -> Quiet | None:
    return office.store.kept[household.address].quiet


def test_a_household_without_readings_falls_silent_and_comes_back() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.turn(3 * PERIOD_S - 1)
    assert silence(office, ONE) is None
    office.turn()
    assert silence(office, ONE) is Quiet.NO_READING
    office.turn()
    office.hear(ONE, ONE.message((1, 1)))
    assert silence(office, ONE) is Quiet.NO_READING, "a repetition is no sign of life"
    office.hear(ONE, ONE.message((1, 2)))
    assert silence(office, ONE) is None
    assert office.events.names()[1:] == ["household.silent", "household.back"]


def test_a_last_will_counts_after_a_period() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.source.bring(ONE.topics.status, ONE.status(online=False))
    office.turn()
    office.turn(PERIOD_S - 1)
    assert silence(office, ONE) is None
    office.turn()
    assert silence(office, ONE) is Quiet.OFFLINE
    office.source.bring(ONE.topics.status, ONE.status(online=True))
    office.turn()
    assert silence(office, ONE) is None


def test_a_status_of_nobody_known_is_nothing() -> None:
    office = Office()
    office.source.bring(ONE.topics.status, ONE.status(online=False))
    office.source.bring(ONE.topics.status, b"")
    office.turn()
    assert (office.store.kept, office.refused()) == ({}, {})


def test_a_bad_status_is_refused() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.source.bring(ONE.topics.status, TWO.status(online=False))
    office.turn()
    assert office.refused() == {"another_household": 1}


def test_nobody_is_silent_while_the_collector_or_its_broker_was_away() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.source.link = Link(connected=False, generation=1, problem="nothing listens there")
    office.turn(10 * PERIOD_S)
    office.source.link = Link(connected=True, generation=2, problem=None)
    office.turn()
    office.clock.seconds += 100 * PERIOD_S
    office.restart()
    office.turn()
    assert silence(office, ONE) is None
    assert office.events.names().count("collect.broker_lost") == 1


def test_who_was_silent_before_a_restart_is_not_back_by_it() -> None:
    office = Office()
    office.hear(ONE, ONE.message((1, 1)))
    office.turn(3 * PERIOD_S)
    office.restart()
    office.turn()
    assert silence(office, ONE) is Quiet.NO_READING
    assert "household.back" not in office.events.names()


def test_what_was_dropped_is_counted_and_said_once_a_minute() -> None:
    office = Office()
    for lost in (5, 9):
        office.source.lost = lost
        office.turn()
    assert office.stage.counts.dropped == 9
    assert office.events.names().count("collect.dropped") == 1


def test_stopping_says_goodbye() -> None:
    office = Office()
    office.stage.stop(2.0)
    assert office.source.closed == 2.0


JOURNAL: list[Mark] = [(1, 1), (1, 2), (1, 3), (1, 1_004), (2, 1), (2, 2)]
MESSAGES = {
    (house, mark): house.message(mark, follows=before)
    for house in (ONE, TWO)
    for before, mark in zip([NOTHING, *JOURNAL], JOURNAL, strict=False)
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.sampled_from(sorted(MESSAGES, key=str))),
        st.sampled_from(["turn", "restart", "fail", "mend", "lose answer"]).map(lambda name: (name, None)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_order_loss_and_doubling_ends_in_the_same_store(steps: list[tuple[str, tuple[Household, Mark]]]) -> None:
    """I4: and at each moment what was acknowledged is stored with everything before it."""
    office = Office(batch=3)
    doing: dict[str, Callable[[], object]] = {
        "turn": lambda: office.turn(2.0),
        "restart": office.restart,
        "fail": lambda: setattr(office.store, "fails_at_commit", True),
        "lose answer": lambda: setattr(office.store, "loses_the_answer", True),
        "mend": office.store.mend,
    }
    for name, what in steps:
        if name == "hear":
            office.source.bring(what[0].topics.reading, MESSAGES[what])
        else:
            doing[name]()
        for house in (ONE, TWO):
            assert {mark for mark in JOURNAL if mark <= office.acknowledged(house)} <= office.store.marks(house)

    office.store.mend()
    for (house, _), payload in MESSAGES.items():  # what is not acknowledged is sent again
        office.source.bring(house.topics.reading, payload)
    while office.source.waiting or office.turn(2.0):
        office.turn(2.0)
    for house in (ONE, TWO):
        assert office.store.marks(house) == set(JOURNAL)
        assert office.acknowledged(house) == JOURNAL[-1]
    assert len(office.store.readings) == 2 * len(JOURNAL)
