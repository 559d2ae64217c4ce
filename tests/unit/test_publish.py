"""The publish stage against a broker of the tests' own that loses what real ones lose."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.errors import BadRequest, JournalBusy
from agent.domain.readings import Reading, SignedReading
from agent.domain.samples import MeterRole, Sample
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import JournalEvent, Link, Origin, SealedReading, Topics
from agent.stages.publish import Pace, Publish

HOUSEHOLD = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
START_S = 1_800_000_000


@dataclass
class FakeClock:
    seconds: float = 0.0
    synchronised: bool = True

    def now_ms(self) -> int:
        return int((START_S + self.seconds) * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def trusted(self) -> bool:
        return self.synchronised


@dataclass
class FakeEvents:
    said: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **facts: object) -> None:
        self.said.append(("info", event, facts))

    def warning(self, event: str, **facts: object) -> None:
        self.said.append(("warning", event, facts))

    def error(self, event: str, **facts: object) -> None:
        self.said.append(("error", event, facts))

    def names(self) -> list[str]:
        return [event for _, event, _ in self.said]


@dataclass
class FakeJournal:
    """Readings, events and their marks; ``busy`` makes every call fail."""

    sealed: list[SealedReading] = field(default_factory=list)
    happened: list[JournalEvent] = field(default_factory=list)
    mark: tuple[int, int] = (0, 0)
    event: int = 0
    busy: bool = False
    writes: int = 0

    def _check(self) -> None:
        if self.busy:
            raise JournalBusy("journal: the disk is full")

    def sealed_after(self, epoch: int, sequence: int, limit: int) -> list[SealedReading]:
        self._check()
        return [sealed for sealed in self.sealed if _key(sealed) > (epoch, sequence)][:limit]

    def telemetry_mark(self) -> tuple[int, int]:
        self._check()
        return self.mark

    def set_telemetry_mark(self, epoch: int, sequence: int) -> None:
        self._check()
        assert (epoch, sequence) > self.mark
        self.mark = epoch, sequence
        self.writes += 1

    def events_after(self, id: int, limit: int) -> list[JournalEvent]:  # noqa: A002 # the port's name
        self._check()
        return [event for event in self.happened if event.id > id][:limit]

    def event_mark(self) -> int:
        self._check()
        return self.event

    def set_event_mark(self, id: int) -> None:  # noqa: A002 # the port's name
        self._check()
        self.event = id
        self.writes += 1


@dataclass
class FakeBroker:
    """Takes messages; ``deliver`` hands them to the collector and confirms them, ``lose`` forgets them."""

    link: Link = field(default_factory=lambda: Link(connected=True, generation=1, problem=None))
    room: int = 1_000
    most_bytes: int = 65_536
    under_way: deque[tuple[int, str, bytes, int]] = field(default_factory=deque)
    got: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    denied: list[tuple[int, str]] = field(default_factory=list)
    acknowledgements: list[bytes] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    closed: float | None = None
    token: int = 0

    def tend(self) -> Link:
        return self.link

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        assert retain is topic.endswith("/status")
        if not self.link.connected or len(self.under_way) >= self.room:
            return None
        if len(payload) > self.most_bytes:
            raise BadRequest(f"a message of {len(payload)} bytes; the broker allows {self.most_bytes}")
        self.token += 1
        self.under_way.append((self.token, topic, payload, qos))
        return self.token

    def deliver(self) -> None:
        while self.under_way:
            token, topic, payload, _ = self.under_way.popleft()
            self.got.append((topic.rsplit("/", 1)[1], json.loads(payload)))
            self.confirmed.append(token)

    def confirm_and_forget(self) -> None:
        self.confirmed += [token for token, *_ in self.under_way]
        self.under_way.clear()

    def reconnect(self) -> None:
        self.under_way.clear()
        self.link = Link(connected=True, generation=self.link.generation + 1, problem=None)

    def lose(self, problem: str = "nothing listens there") -> None:
        self.link = replace(self.link, connected=False, problem=problem)

    def taken(self) -> list[int]:
        fetched, self.confirmed = self.confirmed, []
        return fetched

    def refused(self) -> list[tuple[int, str]]:
        fetched, self.denied = self.denied, []
        return fetched

    def heard(self) -> list[bytes]:
        fetched, self.acknowledgements = self.acknowledgements, []
        return fetched

    def renew(self, why: str) -> None:
        self.renewed.append(why)

    def close(self, deadline_s: float) -> None:
        self.closed = deadline_s

    def readings(self) -> list[tuple[object, object]]:
        return [(message["epoch"], message["sequence"]) for kind, message in self.got if kind == "reading"]

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.got]


@dataclass
class FakeMeters:
    newest: dict[MeterRole, Sample] = field(default_factory=dict)

    def latest(self) -> Mapping[MeterRole, Sample]:
        return self.newest


def _key(sealed: SealedReading) -> tuple[int, int]:
    return sealed.signed.reading.epoch, sealed.signed.reading.sequence


def _sealed(sequence: int, epoch: int = 1, taken_at: int = START_S - 10) -> SealedReading:
    reading = Reading(HOUSEHOLD, epoch, sequence, taken_at, 10 * sequence, 5 * sequence)
    return SealedReading(SignedReading(reading, bytes(64) + b"\x1b"), taken_at, 900)


class House:
    """A stage and everything around it."""

    def __init__(self, readings: int = 0, **pace: object) -> None:
        self.clock = FakeClock()
        self.events = FakeEvents()
        self.journal = FakeJournal([_sealed(number) for number in range(1, readings + 1)])
        self.broker = FakeBroker()
        self.meters = FakeMeters()
        self.pace = replace(Pace(), **pace)  # type: ignore[arg-type] # names are Pace's own
        self.stage = self.restart()

    def restart(self) -> Publish:
        self.stage = Publish(
            broker=self.broker,
            readings=self.journal,
            history=self.journal,
            live=self.meters,
            clock=self.clock,
            events=self.events,
            topics=Topics("north", HOUSEHOLD),
            origin=Origin(HOUSEHOLD, SigningDomain(31337, HOUSEHOLD), "0.1.0"),
            pace=self.pace,
        )
        return self.stage

    def turn(self, seconds: float = 1.0) -> bool:
        self.clock.seconds += seconds
        return self.stage.run_once()

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.turn()
            self.broker.deliver()

    def acknowledge(self, epoch: int, sequence: int) -> None:
        self.broker.acknowledgements.append(json.dumps({"epoch": epoch, "sequence": sequence}).encode())


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
    house.journal.sealed.append(_sealed(3, taken_at=START_S + 1_000))
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


def _restart(house: House) -> None:
    house.broker.reconnect()
    house.restart()


def _wait(house: House) -> None:
    house.clock.seconds += 30.0


def _seal(house: House) -> None:
    number = sum(_key(sealed)[0] == 2 for sealed in house.journal.sealed) + 1
    house.journal.sealed.append(_sealed(number, epoch=2, taken_at=START_S + 5))


def _busy(house: House) -> None:
    house.journal.busy = not house.journal.busy


def _hostile(house: House) -> None:
    house.broker.acknowledgements.append(b'{"epoch":200,"sequence":1}')


def _collector_acknowledges(house: House) -> None:
    """Up to the first reading that is missing, as a sound collector does."""
    have = {*house.broker.readings()}
    mark = None
    for sealed in house.journal.sealed:
        if _key(sealed) not in have:
            break
        mark = _key(sealed)
    if mark is not None:
        house.acknowledge(*mark)


_MISHAPS = {
    "deliver": lambda house: house.broker.deliver(),
    "forget": lambda house: house.broker.confirm_and_forget(),
    "reconnect": lambda house: house.broker.reconnect(),
    "lose": lambda house: house.broker.lose(),
    "restart": _restart,
    "acknowledge": _collector_acknowledges,
    "wait": _wait,
    "seal": _seal,
    "busy": _busy,
    "hostile": _hostile,
}


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(_MISHAPS)), max_size=40), st.integers(1, 9), st.integers(1, 4))
def test_collector_ends_with_the_journal(mishaps: list[str], window: int, per_run: int) -> None:
    house = House(readings=6, acknowledged=True, window=window, per_run=per_run, replay_after_s=20.0)
    for mishap in mishaps:
        _MISHAPS[mishap](house)
        house.turn()
    house.journal.busy = False
    house.broker.reconnect()
    for _ in range(60):
        house.turn(5.0)
        house.broker.deliver()
        _collector_acknowledges(house)
    house.turn()

    assert {*house.broker.readings()} == {_key(sealed) for sealed in house.journal.sealed}
    assert house.journal.mark == _key(house.journal.sealed[-1])
