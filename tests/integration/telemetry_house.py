"""A household's publish stage on a real connection, with a journal in memory."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from eth_account import Account

from agent.adapters.broker_place import Place, Presence
from agent.adapters.keystore import Keystore
from agent.adapters.mqtt import Telemetry
from agent.domain.backoff import BackOff
from agent.domain.readings import Reading
from agent.domain.samples import MeterRole, Sample
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import JournalEvent, Origin, SealedReading, Topics, status_message
from agent.stages.publish import Pace, Publish, ReadingSource

AREA = "north"
PERIOD_S = 900
CHAIN = SigningDomain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
# A key of the tests' own: it guards nothing.
KEY = Keystore(Account.from_key(bytes(31) + b"\x07"), Path("unused"))
HOUSEHOLD = KEY.address
TOPICS = Topics(AREA, HOUSEHOLD)
ORIGIN = Origin(HOUSEHOLD, CHAIN, "0.1.0")
# Long enough for a loaded machine; what works takes a fraction of a second.
PATIENCE_S = 20.0


def connect_without_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep paho from binding to every interface before it connects, which the guard of tests/conftest.py forbids."""
    connect = socket.create_connection

    def unbound(
        address: tuple[str, int], timeout: float | None = None, source_address: tuple[str, int] | None = None
    ) -> socket.socket:
        assert source_address in (None, ("", 0), ("127.0.0.1", 0))
        return connect(address, timeout)

    monkeypatch.setattr(socket, "create_connection", unbound)


def sealed(sequence: int) -> SealedReading:
    taken_at = 1_700_000_100 + PERIOD_S * sequence
    reading = Reading(HOUSEHOLD, 1, sequence, taken_at, 100 * sequence, 70 * sequence)
    return SealedReading(KEY.sign_reading(reading, CHAIN), taken_at, PERIOD_S)


@dataclass
class MemoryJournal:
    """Readings and events with their marks, and a meter each."""

    sealed: list[SealedReading] = field(default_factory=list)
    happened: list[JournalEvent] = field(default_factory=list)
    mark: tuple[int, int] = (0, 0)
    event: int = 0

    def keys(self) -> set[tuple[int, int]]:
        return {(one.signed.reading.epoch, one.signed.reading.sequence) for one in self.sealed}

    def sealed_after(self, epoch: int, sequence: int, limit: int) -> list[SealedReading]:
        later = [
            one for one in self.sealed if (one.signed.reading.epoch, one.signed.reading.sequence) > (epoch, sequence)
        ]
        return later[:limit]

    def telemetry_mark(self) -> tuple[int, int]:
        return self.mark

    def set_telemetry_mark(self, epoch: int, sequence: int) -> None:
        self.mark = epoch, sequence

    def events_after(self, id: int, limit: int) -> list[JournalEvent]:  # noqa: A002 # the port's name
        return [event for event in self.happened if event.id > id][:limit]

    def event_mark(self) -> int:
        return self.event

    def set_event_mark(self, id: int) -> None:  # noqa: A002 # the port's name
        self.event = id

    def latest(self) -> Mapping[MeterRole, Sample]:
        return {role: Sample(role, 1_700_000_000_000, 1_000, 250) for role in MeterRole}


class SystemClock:
    """The machine's."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def trusted(self) -> bool:
        return True


@dataclass
class Said:
    """What was said, as (event, facts)."""

    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **facts: object) -> None:
        self.lines.append((event, facts))

    warning = info
    error = info

    def names(self) -> list[str]:
        return [event for event, _ in self.lines]


class HouseOnTheLine:
    """A publish stage and its connection; leaving the context ends both."""

    def __init__(
        self,
        place: Place,
        *,
        listen: str | None = None,
        client_id: str = "house",
        readings: ReadingSource | None = None,
        **pace: object,
    ) -> None:
        self.journal = MemoryJournal()
        self.said = Said()
        self.runs = 0
        will = status_message(ORIGIN, online=False, reason="the connection was lost", at=None)
        self.telemetry = Telemetry(
            place=place,
            presence=Presence(client_id, TOPICS.status, will, listen),
            log=self.said,
            random=lambda: 0.5,
            backoff=BackOff(first_s=0.1, most_s=0.4),
        )
        self.stage = Publish(
            broker=self.telemetry,
            readings=readings or self.journal,
            history=self.journal,
            live=self.journal,
            clock=SystemClock(),
            events=self.said,
            topics=TOPICS,
            origin=ORIGIN,
            pace=replace(Pace(), acknowledged=listen is not None, **pace),  # type: ignore[arg-type] # Pace's names
        )

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Run the stage until ``reached``.

        Raises:
            AssertionError: it took too long.
        """
        end = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < end, f"not reached: {what}; said so far: {self.said.lines}"
            self.stage.run_once()
            self.runs += 1
            time.sleep(0.02)

    def connected(self) -> bool:
        return self.telemetry.tend().connected

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.telemetry.close(5.0)
