"""A collect stage on a real connection with a real database, and a client that publishes what it is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.adapters.broker_place import Place, Tls
from agent.adapters.keystore import recover_reading
from agent.adapters.mqtt import Subscription
from agent.adapters.office_database import Database
from agent.adapters.office_database.collected import COLLECTED, CollectedReadings
from agent.domain.backoff import BackOff
from agent.domain.standing import Account as Collected
from agent.domain.telemetry import reading_message
from agent.stages.collect import Collect, Pace
from simulators.broker import Broker
from tests.integration.conftest import DatabasePlace
from tests.integration.telemetry_house import (
    CHAIN,
    HOUSEHOLD,
    ORIGIN,
    PATIENCE_S,
    TOPICS,
    HouseOnTheLine,
    Said,
    SystemClock,
    sealed,
)


class CollectorOnTheLine:
    """A collect stage, its subscription and its database; leaving the context stops it."""

    def __init__(self, broker: Broker, place: DatabasePlace, *, tls: Tls | None = None, **pace: int) -> None:
        self.said = Said()
        self.database = Database(place.url, [COLLECTED], password_file=place.password_file)
        self.store = CollectedReadings(self.database)
        self.store.claim(CHAIN)
        self.source = Subscription(
            place=Place(*broker.address, tls),
            client_id="prosumer-collector",
            topics=["energy/v1/+/+/reading", "energy/v1/+/+/status"],
            log=self.said,
            random=lambda: 0.5,
            backoff=BackOff(first_s=0.1, most_s=0.4),
        )
        self.stage = Collect(
            source=self.source,
            store=self.store,
            market=CHAIN,
            recover=recover_reading,
            register=None,
            clock=SystemClock(),
            events=self.said,
            pace=replace(Pace(), **pace),
        )

    def until(self, reached: Callable[[], bool], what: str, house: HouseOnTheLine | None = None) -> None:
        """Run the stage, and a household's, until ``reached``."""
        end = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < end, f"not reached: {what}; said: {self.said.lines}; {self.stage.counts}"
            if house is not None:
                house.stage.run_once()
            if not self.stage.run_once():
                time.sleep(0.005)

    def listening(self) -> bool:
        return "collect.listening" in self.said.names()

    def held(self) -> set[tuple[int, int]]:
        return held(self.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stage.stop(5.0)
        self.database.close()


def held(database: Database) -> set[tuple[int, int]]:
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT household, epoch, sequence FROM collected_reading").all()
    assert {row[0] for row in rows} <= {HOUSEHOLD}
    return {(row[1], row[2]) for row in rows}


@contextmanager
def opened(place: DatabasePlace) -> Iterator[Database]:
    with Database(place.url, [COLLECTED], password_file=place.password_file) as database:
        yield database


class Publisher:
    """Publishes what it is told, as a hostile client may."""

    def __init__(self, broker: Broker) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="other", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.max_queued_messages = 0
        self._client.max_inflight_messages = 1_000
        self._client.connect(*broker.address)
        self._client.loop_start()

    def send(self, *payloads: bytes, topic: str = TOPICS.reading, qos: int = 1) -> None:
        sent = [self._client.publish(topic, payload, qos=qos) for payload in payloads]
        for one in sent:
            one.wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def message(sequence: int) -> bytes:
    before = (1, sequence - 1) if sequence > 1 else (0, 0)
    return reading_message(ORIGIN, sealed(sequence), follows=before, delivered=(0, 0))


def report(place: DatabasePlace) -> tuple[list[Collected], dict[str, int]]:
    with opened(place) as database:
        return CollectedReadings(database).report()
