"""The collector on a real broker and both databases: what it holds in the end, whatever breaks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account

from agent.adapters.broker_place import Place, Tls
from agent.adapters.journal import open_journal
from agent.adapters.keystore import Keystore
from agent.adapters.mqtt.subscription import RECEIVE_MAXIMUM
from agent.adapters.office_database.collected import CollectedReadings
from agent.adapters.reading_rows import ReadingRows
from agent.domain.errors import ConfigurationInvalid
from agent.domain.readings import ClosedReading, Flags
from agent.domain.signing import SigningDomain
from agent.domain.silence import Quiet
from agent.domain.telemetry import Origin, SealedReading, reading_message, status_message
from simulators.broker import Broker, Security
from simulators.certificates import Authority
from tests.integration.collector_line import (
    CollectorOnTheLine,
    Publisher,
    message,
    opened,
    report,
)
from tests.integration.conftest import DatabasePlace
from tests.integration.telemetry_house import (
    CHAIN,
    HOUSEHOLD,
    KEY,
    ORIGIN,
    PERIOD_S,
    TOPICS,
    HouseOnTheLine,
    connect_without_binding,
    sealed,
)

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
WEEK = 7 * 24 * 3600 // PERIOD_S
STRANGER = Keystore(Account.from_key(bytes(31) + b"\x09"), Path("unused"))


@pytest.fixture(autouse=True)
def _unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_without_binding(monkeypatch)


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    sending = Publisher(broker)
    yield sending
    sending.close()


def week_of_readings(directory: Path, count: int) -> ReadingRows:
    """A real journal with that many signed readings."""
    journal, _ = open_journal(directory)
    rows = ReadingRows(journal, HOUSEHOLD)
    with journal.transaction():
        for sequence in range(1, count + 1):
            signed = sealed(sequence).signed
            end = signed.reading.taken_at
            reading = signed.reading
            assert rows.close(
                ClosedReading(end, PERIOD_S, 1, end, reading.produced_wh, reading.consumed_wh, Flags.NONE)
            )
            ((row_id, _),) = rows.closed(1)
            rows.seal(row_id, signed)
    return rows


def test_a_collector_that_was_stopped_for_a_week_misses_nothing(
    broker: Broker, database_place: DatabasePlace, tmp_path: Path
) -> None:
    """I4: a week of readings waits at the household; the broker, which had some of them, is killed meanwhile."""
    with CollectorOnTheLine(broker, database_place) as collector:
        collector.until(collector.listening, "the session that the broker keeps")
    rows = week_of_readings(tmp_path, WEEK)
    place = Place(*broker.address)
    pace = {"window": 32, "per_run": 16, "replay_after_s": 0.5}
    with HouseOnTheLine(place, listen=TOPICS.acknowledgement, readings=rows, **pace) as house:
        replay = house.stage._reading_replay
        house.until(lambda: replay.highest == (1, 32) and not replay.untaken, "the broker has the window")
        broker.kill()
        house.until(lambda: not house.connected(), "the loss noticed")
        broker.start()
        house.until(house.connected, "back")
        with CollectorOnTheLine(broker, database_place) as collector:
            collector.until(lambda: rows.telemetry_mark() == (1, WEEK), "all acknowledged", house)
            assert collector.held() == {(1, sequence) for sequence in range(1, WEEK + 1)}
            assert "readings.never_come" not in collector.said.names()
        (told,), unknown = report(database_place)
        assert (told.missing, told.never, unknown) == ([], [], {})
        assert (told.standing.holding.acknowledged, told.standing.newest) == (
            (1, WEEK),
            sealed(WEEK).signed.reading.taken_at,
        )


def test_the_broker_is_killed_again_and_again_while_collecting(
    broker: Broker, database_place: DatabasePlace, tmp_path: Path
) -> None:
    rows = week_of_readings(tmp_path, 200)
    pace = {"window": 32, "per_run": 4, "replay_after_s": 0.5}
    with (
        HouseOnTheLine(Place(*broker.address), listen=TOPICS.acknowledgement, readings=rows, **pace) as house,
        CollectorOnTheLine(broker, database_place, batch=8) as collector,
    ):
        for reached in (40, 90, 140):
            collector.until(lambda: rows.telemetry_mark() >= (1, reached), "some are acknowledged", house)  # noqa: B023 # run at once
            broker.kill()
            broker.start()
        collector.until(lambda: rows.telemetry_mark() == (1, 200), "all acknowledged", house)
        assert collector.held() == {(1, sequence) for sequence in range(1, 201)}


def test_hostile_readings_are_refused_and_counted(
    broker: Broker, database_place: DatabasePlace, publisher: Publisher
) -> None:
    good = json.loads(message(2))
    stranger = replace(sealed(2).signed.reading, household=STRANGER.address)
    foreign = STRANGER.sign_reading(stranger, CHAIN).signature.hex()
    elsewhere = SigningDomain(1, CHAIN.contract)
    other = KEY.sign_reading(replace(sealed(1).signed.reading, produced_wh=1), CHAIN)
    contradiction = SealedReading(other, sealed(1).interval_end, PERIOD_S)
    hostile = {
        "foreign": json.dumps(good | {"signature": f"0x{foreign}"}).encode(),
        "forged": json.dumps(good | {"signature": "0x" + "11" * 64 + "1d"}).encode(),
        "another_market": reading_message(
            Origin(HOUSEHOLD, elsewhere, "0.1.0"),
            SealedReading(KEY.sign_reading(sealed(2).signed.reading, elsewhere), 0, PERIOD_S),
            follows=(1, 1),
            delivered=(0, 0),
        ),
        "replayed": message(1),
        "contradiction": reading_message(ORIGIN, contradiction, follows=(0, 0), delivered=(0, 0)),
        "malformed": b'{"epoch":' + b"9" * 3_000,
        "too_large": b"[" * 50_000,
    }
    with CollectorOnTheLine(broker, database_place) as collector:
        collector.until(collector.listening, "listening")
        publisher.send(message(1))
        collector.until(lambda: collector.stage.counts.stored == 1, "one reading")
        publisher.send(*hostile.values())
        collector.until(lambda: collector.stage.counts.refused.total() == len(hostile), "all refused")
        assert collector.held() == {(1, 1)}
    (told,), unknown = report(database_place)
    assert (told.refused, unknown) == (dict.fromkeys(sorted(hostile), 1), {})
    assert told.standing.holding.acknowledged == (1, 1)


def test_the_broker_holds_back_what_is_not_stored(broker: Broker, tmp_path: Path, publisher: Publisher) -> None:
    """A database that is away fills no memory, and costs no message that the broker may keep."""
    total = RECEIVE_MAXIMUM + 500
    with CollectorOnTheLine(broker, DatabasePlace(f"sqlite:///{tmp_path / 'office.sqlite'}", None)) as collector:
        collector.until(collector.listening, "listening")
        publisher.send(*(message(1 + number % 3) for number in range(total)))
        publisher.send(*(b"x" for _ in range(2_000)), qos=0)
        inbox = collector.source._inbox.messages
        end = time.monotonic() + 2
        while len(inbox) < RECEIVE_MAXIMUM and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len([one for one in inbox if one.receipt]) == RECEIVE_MAXIMUM
        assert len(inbox) <= RECEIVE_MAXIMUM + 1_000
        collector.until(lambda: collector.stage.counts.verified == total, "all of them, once it goes on")
        counts = collector.stage.counts
        collector.until(lambda: counts.received + counts.dropped == total + 2_000, "each is counted")
        assert counts.dropped > 0
        assert "collect.dropped" in collector.said.names()
        assert collector.held() == {(1, 1), (1, 2), (1, 3)}


def test_what_another_collector_had_is_reported_and_stalls_nobody(
    broker: Broker, database_place: DatabasePlace, publisher: Publisher
) -> None:
    with CollectorOnTheLine(broker, database_place) as collector:
        collector.until(collector.listening, "listening")
        first = reading_message(ORIGIN, sealed(51), follows=(1, 50), delivered=(1, 50))
        leapt = reading_message(ORIGIN, sealed(61), follows=(1, 51), delivered=(1, 51))
        waits = reading_message(ORIGIN, sealed(65), follows=(1, 64), delivered=(1, 61))
        publisher.send(first, leapt, waits)
        collector.until(lambda: collector.stage.counts.stored == 3, "all three")
        publisher.send(message(20))  # found after all
        collector.until(lambda: collector.stage.counts.stored == 4, "the fourth")
    (told,), _ = report(database_place)
    assert told.standing.holding.acknowledged == (1, 61)
    assert [(hole.epoch, hole.first, hole.last, str(hole.why)) for hole in told.never] == [
        (1, 1, 19, "delivered"),
        (1, 21, 50, "delivered"),
        (1, 52, 60, "never_was"),
    ]
    assert told.missing == [(1, 62, 64)]


def test_a_household_falls_silent_by_its_last_will_and_comes_back(
    broker: Broker, database_place: DatabasePlace, publisher: Publisher
) -> None:
    quick = [replace(sealed(sequence), period_s=1) for sequence in (1, 2)]
    with CollectorOnTheLine(broker, database_place, periods=1_000) as collector:
        collector.until(collector.listening, "listening")
        with HouseOnTheLine(Place(*broker.address), listen=TOPICS.acknowledgement) as house:
            house.journal.sealed = quick[:1]
            collector.until(lambda: house.journal.mark == (1, 1), "its first reading", house)
            publisher.send(
                status_message(ORIGIN, online=False, reason="the connection was lost", at=None), topic=TOPICS.status
            )
            collector.until(lambda: "household.silent" in collector.said.names(), "it is silent")
            ((silent,), _) = report(database_place)
            assert silent.standing.quiet is Quiet.OFFLINE
            house.journal.sealed = quick
            house.telemetry.renew("the test asks for it")
            collector.until(lambda: "household.back" in collector.said.names(), "it is back", house)
    ((back,), _) = report(database_place)
    assert (back.standing.quiet, back.standing.online) == (None, True)


READS_ALONE = "pattern readwrite energy/v1/+/%u/#\nuser collector\ntopic read energy/#\n"


def test_a_broker_that_takes_no_acknowledgements_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    own, theirs = authority.client("collector"), authority.client(HOUSEHOLD)
    files = Tls(authority.certificate, theirs.certificate, theirs.key)
    with (
        Broker(security=Security(authority, rules=READS_ALONE), embedded=False) as broker,
        CollectorOnTheLine(
            broker,
            DatabasePlace(f"sqlite:///{tmp_path / 'office.sqlite'}", None),
            tls=Tls(authority.certificate, own.certificate, own.key),
        ) as collector,
        HouseOnTheLine(Place(*broker.address, files), listen=TOPICS.acknowledgement) as house,
    ):
        collector.until(collector.listening, "listening")
        house.journal.sealed = [sealed(1)]
        collector.until(lambda: "collect.broker_lost" in collector.said.names(), "the refusal", house)
    (lost,) = [facts for event, facts in collector.said.lines if event == "collect.broker_lost"]
    assert "refused an acknowledgement: Not authorized; let the collector write energy/v1/+/+/ack" in str(
        lost["problem"]
    )


def test_a_database_is_one_markets(database_place: DatabasePlace) -> None:
    with opened(database_place) as database:
        store = CollectedReadings(database)
        store.claim(CHAIN)
        store.claim(CHAIN)
        with pytest.raises(ConfigurationInvalid, match="holds the readings of chain 31337"):
            store.claim(SigningDomain(1, CHAIN.contract))
