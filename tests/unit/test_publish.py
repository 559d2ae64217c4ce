"""The publish stage, turn by turn."""

from __future__ import annotations

import json
from collections import deque

import pytest

from agent.domain.samples import MeterRole, Sample
from agent.domain.telemetry import JournalEvent, Link
from tests.unit.publish_house import START_S, House, sealed


def test_status_comes_first_on_each_connection() -> None:
    house = House(readings=1)
    house.turns(2)
    house.broker.reconnect()
    house.turns(2)

    assert house.broker.kinds() == ["status", "reading", "status"]
    assert house.broker.got[0][1]["online"] is True


def test_status_has_no_time_while_the_clock_is_not_set() -> None:
    house = House()
    house.clock.synchronised = False
    house.turns(1)

    assert house.broker.got[0][1]["at"] is None


def test_readings_go_out_in_order_and_paced() -> None:
    house = House(readings=40, per_run=5)
    house.turn()

    assert sum(topic.endswith("/reading") for _, topic, _, _ in house.broker.under_way) == 5
    house.turns(12)
    assert house.broker.readings() == [(1, number) for number in range(1, 41)]
    assert house.journal.mark == (1, 40)


def test_one_write_for_a_turn() -> None:
    house = House(readings=16)
    house.turns(2)
    house.turn()

    assert house.journal.writes == 1


def test_window_limits_what_nobody_acknowledges() -> None:
    house = House(readings=100, per_run=50, window=7, acknowledged=True)
    house.turns(10)

    assert len(house.broker.readings()) == 7
    assert house.journal.mark == (0, 0)


def test_puback_is_no_delivery_where_a_collector_acknowledges() -> None:
    house = House(readings=3, acknowledged=True)
    house.turn()
    house.broker.confirm_and_forget()
    house.turn()
    house.broker.reconnect()
    house.turns(1)

    assert house.broker.readings() == [(1, 1), (1, 2), (1, 3)]
    house.acknowledge(1, 3)
    house.turn()
    assert house.journal.mark == (1, 3)


def test_silence_of_the_collector_brings_a_replay() -> None:
    house = House(readings=2, acknowledged=True, replay_after_s=60.0)
    house.turn()
    house.broker.confirm_and_forget()
    house.turn()
    house.turn(58.0)
    assert house.broker.under_way == deque()
    house.turn(2.0)
    house.broker.deliver()

    assert house.broker.readings() == [(1, 1), (1, 2)]
    assert house.broker.renewed == []


def test_broker_that_confirms_nothing_is_left() -> None:
    house = House(readings=2, replay_after_s=60.0)
    house.turn()
    house.turn(61.0)

    assert len(house.broker.renewed) == 1


def test_restart_goes_on_from_what_is_held() -> None:
    house = House(readings=5, acknowledged=True)
    house.turns(2)
    house.acknowledge(1, 2)
    house.turn()
    house.broker.got.clear()
    house.restart()
    house.turns(1)

    assert house.broker.readings() == [(1, 3), (1, 4), (1, 5)]


@pytest.mark.parametrize(
    ("payload", "accepted"),
    [
        pytest.param(b'{"epoch":1,"sequence":3}', False, id="not sent yet, sealed after the start"),
        pytest.param(b'{"epoch":9,"sequence":1}', False, id="of an epoch that is not"),
        pytest.param(b'{"epoch":0,"sequence":0}', True, id="old, but sound"),
        pytest.param(b"{" * 200, False, id="no JSON"),
        pytest.param(b"[" * 100_000, False, id="huge"),
    ],
)
def test_hostile_acknowledgement_is_counted(payload: bytes, accepted: bool) -> None:
    house = House(readings=2, acknowledged=True)
    house.turns(2)
    house.journal.sealed.append(sealed(3, taken_at=START_S + 1_000))
    house.broker.room = 0
    house.broker.acknowledgements.append(payload)
    house.turn()

    assert house.stage.acknowledgements_rejected == (0 if accepted else 1)
    assert house.journal.mark == (0, 0)
    assert ("broker.bad_acknowledgement" in house.events.names()) is not accepted


def test_acknowledgement_of_what_an_earlier_run_sent() -> None:
    house = House(readings=30, acknowledged=True, per_run=2)
    house.acknowledge(1, 20)
    house.turns(2)

    assert house.journal.mark == (1, 20)
    assert house.stage.acknowledgements_rejected == 0
    assert house.broker.readings()[0] == (1, 21)


def test_acknowledgement_nobody_asked_for() -> None:
    house = House(readings=2)
    house.turn()
    house.acknowledge(1, 2)
    house.turn()

    assert house.journal.mark == (0, 0)
    assert house.stage.acknowledgements_rejected == 1


def test_flood_of_bad_acknowledgements_is_one_line() -> None:
    house = House(acknowledged=True)
    for _ in range(50):
        house.broker.acknowledgements += [b"x"] * 20
        house.turn()

    assert house.events.names().count("broker.bad_acknowledgement") == 1
    assert house.stage.acknowledgements_rejected == 1_000


def test_loss_and_return_are_said_once() -> None:
    house = House()
    house.broker.lose()
    for _ in range(5):
        house.turn()
    house.broker.reconnect()
    house.turn()
    house.turn()

    assert house.events.names() == ["broker.lost", "broker.back"]
    facts = house.events.said[0][2]
    assert facts["problem"] == "nothing listens there"
    assert "prosumer-agent check" in str(facts["advice"])


def test_flapping_is_not_told_each_time_but_a_lasting_loss_is() -> None:
    house = House()
    for _ in range(20):
        house.broker.lose()
        house.turn()
        house.broker.reconnect()
        house.turn()
    assert house.events.names() == ["broker.lost", "broker.back"]

    house.broker.lose()
    for _ in range(700):
        house.turn()
    assert house.events.names() == ["broker.lost", "broker.back", "broker.lost"]


def test_first_attempt_under_way_is_no_loss() -> None:
    house = House()
    house.broker.link = Link(connected=False, generation=0, problem=None)
    house.turn()

    assert house.events.said == []


def test_refusal_pauses_and_says_so_once() -> None:
    house = House(readings=3)
    house.turn()
    house.broker.denied = [
        (token, "Not authorized") for token, topic, *_ in house.broker.under_way if "reading" in topic
    ]
    house.broker.under_way.clear()
    house.turn()
    house.turn(30.0)

    assert house.broker.under_way == deque()
    assert house.events.names() == ["broker.refused"]
    house.turn(31.0)
    house.broker.deliver()
    assert house.broker.readings() == [(1, 1), (1, 2), (1, 3)]


def test_too_large_for_the_broker() -> None:
    house = House(readings=1)
    house.broker.most_bytes = 300
    house.turn()

    assert house.events.names() == ["broker.refused"]
    assert "300" in str(house.events.said[0][2]["problem"])


def test_busy_journal_stalls_neither_status_nor_live() -> None:
    house = House(readings=3)
    house.meters.newest = {MeterRole.PRODUCTION: Sample(MeterRole.PRODUCTION, 1, 100, 50)}
    house.journal.busy = True
    house.turns(3)

    assert house.broker.kinds() == ["status", "live"]
    assert house.events.names() == ["publish.waiting"]
    house.journal.busy = False
    house.turns(2)
    assert len(house.broker.readings()) == 3


def test_mark_is_written_when_the_journal_takes_it_again() -> None:
    house = House(readings=3)
    house.turns(1)
    house.journal.busy = True
    house.turn()
    house.journal.busy = False
    house.turn()

    assert house.journal.mark == (1, 3)


def test_live_no_more_often_than_asked() -> None:
    house = House(live_every_s=10.0)
    house.meters.newest = {MeterRole.PRODUCTION: Sample(MeterRole.PRODUCTION, 1, 100, 50)}
    house.turns(31)

    assert house.broker.kinds().count("live") == 4


def test_live_waits_for_the_last_one_to_leave() -> None:
    house = House(live_every_s=10.0)
    house.meters.newest = {MeterRole.PRODUCTION: Sample(MeterRole.PRODUCTION, 1, 100, 50)}
    for _ in range(100):
        house.turn()

    assert sum(topic.endswith("/live") for _, topic, *_ in house.broker.under_way) == 1


def test_no_sample_no_live() -> None:
    house = House()
    house.turns(30)

    assert "live" not in house.broker.kinds()


def test_events_go_out_once_and_in_order() -> None:
    house = House(per_run=3)
    house.journal.happened = [JournalEvent(number, START_S, "meter.lost", "warning", {}) for number in range(1, 11)]
    house.turns(6)
    house.turn()

    assert [message["id"] for kind, message in house.broker.got if kind == "event"] == list(range(1, 11))
    assert house.journal.event == 10


def test_idle_turn_says_so() -> None:
    house = House(readings=1)
    assert house.turn()
    house.broker.deliver()
    assert house.turn()
    assert not house.turn()


def test_stop_says_goodbye() -> None:
    house = House()
    house.turns(1)
    house.stage.stop("the service was stopped", 2.0)

    _, topic, payload, qos = house.broker.under_way[-1]
    message = json.loads(payload)
    assert (topic.endswith("/status"), qos) == (True, 0)
    assert (message["online"], message["reason"]) == (False, "the service was stopped")
    assert house.broker.closed == 2.0
