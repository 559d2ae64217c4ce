"""A publish stage with everything around it in memory, and a broker that loses what real ones lose."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
        return [one for one in self.sealed if key(one) > (epoch, sequence)][:limit]

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


def key(one: SealedReading) -> tuple[int, int]:
    return one.signed.reading.epoch, one.signed.reading.sequence


def sealed(sequence: int, epoch: int = 1, taken_at: int = START_S - 10) -> SealedReading:
    reading = Reading(HOUSEHOLD, epoch, sequence, taken_at, 10 * sequence, 5 * sequence)
    return SealedReading(SignedReading(reading, bytes(64) + b"\x1b"), taken_at, 900)


class House:
    """A stage and everything around it."""

    def __init__(self, readings: int = 0, **pace: object) -> None:
        self.clock = FakeClock()
        self.events = FakeEvents()
        self.journal = FakeJournal([sealed(number) for number in range(1, readings + 1)])
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
