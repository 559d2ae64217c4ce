"""A collector with everything around it in memory, and households that sign for themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from eth_account import Account

from agent.adapters.keystore import Keystore, recover_reading
from agent.domain.collecting import Kept, Key, Lost, Message, Refusal
from agent.domain.errors import DatabaseUnavailable, NodeUnavailable
from agent.domain.readings import Reading
from agent.domain.replay import NOTHING, Mark
from agent.domain.signing import SigningDomain
from agent.domain.standing import Standing
from agent.domain.telemetry import Link, Origin, SealedReading, Topics, parse_acknowledgement, reading_message
from agent.domain.telemetry import status_message as status_of
from agent.stages.collect import Collect, Pace
from tests.unit.publish_house import START_S, FakeClock, FakeEvents

MARKET = SigningDomain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
AREA = "north"
PERIOD_S = 900


@dataclass(frozen=True)
class Household:
    """A key of the tests' own, and what it signs."""

    number: int

    @property
    def key(self) -> Keystore:
        return Keystore(Account.from_key(self.number.to_bytes(32, "big")), Path("unused"))

    @property
    def address(self) -> str:
        return self.key.address

    @property
    def topics(self) -> Topics:
        return Topics(AREA, self.address)

    def reading(self, mark: Mark, *, taken_at: int | None = None, produced_wh: int | None = None) -> Reading:
        epoch, sequence = mark
        at = min(START_S, START_S - 100_000 + PERIOD_S * sequence) if taken_at is None else taken_at
        produced = 10 * sequence if produced_wh is None else produced_wh
        return Reading(self.address, epoch, sequence, at, produced, 5 * sequence)

    def message(
        self,
        mark: Mark,
        *,
        follows: Mark | None = None,
        delivered: Mark = NOTHING,
        market: SigningDomain = MARKET,
        reading: Reading | None = None,
        signed_by: Household | None = None,
    ) -> bytes:
        stated = reading or self.reading(mark)
        signer = (signed_by or self).key
        signed = signer.sign_reading(replace(stated, household=signer.address), market)
        sealed = SealedReading(replace(signed, reading=stated), stated.taken_at, PERIOD_S)
        before = (mark[0], mark[1] - 1) if mark[1] > 1 else NOTHING
        origin = Origin(stated.household, market, "0.1.0")
        return reading_message(origin, sealed, follows=before if follows is None else follows, delivered=delivered)

    def status(self, *, online: bool) -> bytes:
        return status_of(Origin(self.address, MARKET, "0.1.0"), online=online, reason="a test", at=None)


@dataclass
class FakeSource:
    """Messages that wait, those that were confirmed, and what was published."""

    link: Link = field(default_factory=lambda: Link(connected=True, generation=1, problem=None))
    waiting: list[Message] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    acknowledged: list[tuple[str, Mark]] = field(default_factory=list)
    room: int = 1_000
    receipt: int = 0
    lost: int = 0
    closed: float | None = None

    def bring(self, topic: str, payload: bytes) -> int:
        self.receipt += 1
        self.waiting.append(Message(topic, payload, self.receipt))
        return self.receipt

    def tend(self) -> Link:
        return self.link

    def fetch(self, most: int) -> list[Message]:
        fetched, self.waiting = self.waiting[:most], self.waiting[most:]
        return fetched

    def confirm(self, receipts: Iterable[int]) -> None:
        self.confirmed += receipts

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        assert (qos, retain) == (1, True)
        if not self.room:
            return None
        self.room -= 1
        self.acknowledged.append((topic, parse_acknowledgement(payload)))
        return self.room

    def dropped(self) -> int:
        return self.lost

    def close(self, deadline_s: float) -> None:
        self.closed = deadline_s


@dataclass
class FakeStore:
    """The database's promises in memory: everything in a transaction, or nothing."""

    readings: dict[Key, Kept] = field(default_factory=dict)
    kept: dict[str, Standing] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    refused: Counter[tuple[str, Refusal]] = field(default_factory=Counter)
    away: bool = False
    fails_at_commit: bool = False
    loses_the_answer: bool = False
    transactions: int = 0

    @contextmanager
    def transaction(self) -> Iterator[FakeStore]:
        if self.away:
            raise DatabaseUnavailable("database: it is away")
        inner = FakeStore(dict(self.readings), dict(self.kept), list(self.lost), Counter(self.refused))
        yield inner
        if self.fails_at_commit:
            raise DatabaseUnavailable("database: the disk is full")
        self.readings, self.kept, self.lost, self.refused = inner.readings, inner.kept, inner.lost, inner.refused
        self.transactions += 1
        if self.loses_the_answer:
            raise DatabaseUnavailable("database: the connection was lost")

    def mend(self) -> None:
        self.fails_at_commit = self.loses_the_answer = False

    def standings(self) -> list[Standing]:
        if self.away:
            raise DatabaseUnavailable("database: it is away")
        # What is only in memory does not come back.
        return [
            replace(one, holding=replace(one.holding, ahead={})) for one in (one.copy() for one in self.kept.values())
        ]

    def add(self, readings: Sequence[Kept]) -> Mapping[Key, tuple[int, bool]]:
        assert len({kept.key for kept in readings}) == len(readings)
        new = {kept.key for kept in readings if kept.key not in self.readings}
        self.readings |= {kept.key: kept for kept in readings if kept.key in new}
        return {kept.key: (self.readings[kept.key].heard.signed.reading.packed(), kept.key in new) for kept in readings}

    def put(self, standings: Iterable[Standing]) -> None:
        self.kept |= {one.household: one.copy() for one in standings}

    def lose(self, lost: Sequence[Lost]) -> None:
        self.lost += lost

    def count(self, refused: Mapping[tuple[str, Refusal], int], at: int) -> None:  # noqa: ARG002 # the port's
        self.refused.update(refused)

    def marks(self, household: Household) -> set[Mark]:
        return {(epoch, sequence) for account, epoch, sequence in self.readings if account == household.address}


@dataclass
class FakeRegister:
    """Who is enrolled."""

    known: set[str] = field(default_factory=set)
    away: bool = False
    asked: int = 0

    def enrolled(self, household: str) -> bool:
        self.asked += 1
        if self.away:
            raise NodeUnavailable("the full node does not answer")
        return household in self.known


class Office:
    """A collector; ``restart`` begins it anew, with nothing but what the database holds."""

    def __init__(self, register: FakeRegister | None = None, **pace: int) -> None:
        self.clock = FakeClock()
        self.events = FakeEvents()
        self.source = FakeSource()
        self.store = FakeStore()
        self.register = register
        self.pace = replace(Pace(), **pace)
        self.stage = self.restart()

    def restart(self) -> Collect:
        self.source = FakeSource(receipt=self.source.receipt)
        self.stage = Collect(
            source=self.source,
            store=self.store,
            market=MARKET,
            recover=recover_reading,
            register=self.register,
            clock=self.clock,
            events=self.events,
            pace=self.pace,
        )
        return self.stage

    def turn(self, seconds: float = 1.0) -> bool:
        self.clock.seconds += seconds
        return self.stage.run_once()

    def hear(self, household: Household, *payloads: bytes) -> None:
        for payload in payloads:
            self.source.bring(household.topics.reading, payload)
        self.turn()

    def acknowledged(self, household: Household) -> Mark:
        told = [mark for topic, mark in self.source.acknowledged if topic == household.topics.acknowledgement]
        return told[-1] if told else NOTHING

    def refused(self) -> dict[str, int]:
        return {str(reason): times for reason, times in self.stage.counts.refused.items()}
