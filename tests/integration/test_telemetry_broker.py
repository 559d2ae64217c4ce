"""Telemetry on a real broker: what a collector ends up with, whatever breaks."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.adapters.broker_place import Place
from agent.domain.telemetry import JournalEvent
from simulators.broker import Broker
from simulators.collector import Collector
from tests.integration.telemetry_house import (
    AREA,
    HOUSEHOLD,
    PATIENCE_S,
    TOPICS,
    HouseOnTheLine,
    connect_without_binding,
    sealed,
)

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_without_binding(monkeypatch)


class Listener:
    """Hears everything on one topic filter, newest last."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="listener", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_message = lambda _client, _data, message: self.got.append(
            (message.topic, bytes(message.payload), message.retain)
        )
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.connect(*broker.address)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def messages(self, topic: str) -> list[dict[str, object]]:
        return [json.loads(payload) for heard, payload, _ in list(self.got) if heard == topic]

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def wait(self, topic: str, count: int) -> list[dict[str, object]]:
        end = time.monotonic() + PATIENCE_S
        while len(found := self.messages(topic)) < count:
            assert time.monotonic() < end, f"{topic}: {found}"
            time.sleep(0.02)
        return found

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    hearing = Listener(broker, "energy/#")
    yield hearing
    hearing.close()


def test_everything_arrives_on_its_topic(broker: Broker, listener: Listener) -> None:
    with HouseOnTheLine(Place(*broker.address)) as house:
        house.journal.sealed = [sealed(1)]
        house.journal.happened = [JournalEvent(1, 1_700_000_000, "meter.lost", "warning", {"meter": "production"})]
        house.until(lambda: (house.journal.mark, house.journal.event) == ((1, 1), 1), "both marks")
        house.stage.stop("the service was stopped", 5.0)

    status = listener.wait(TOPICS.status, 2)
    assert [told["online"] for told in status] == [True, False]
    assert status[-1]["reason"] == "the service was stopped"
    assert listener.wait(TOPICS.reading, 1)[0]["producedWh"] == 100
    assert listener.wait(TOPICS.event, 1)[0]["name"] == "meter.lost"
    assert set(listener.wait(TOPICS.live, 1)[0]["meters"]) == {"production", "consumption"}  # type: ignore[call-overload] # an object


def test_collector_verifies_every_signature(broker: Broker) -> None:
    with Collector(broker.address, AREA, HOUSEHOLD) as collector, HouseOnTheLine(Place(*broker.address)) as house:
        house.journal.sealed = [sealed(number) for number in range(1, 6)]
        house.until(lambda: set(collector.held()) == house.journal.keys(), "all five held")

    assert collector.forged == []


_AGENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from agent.adapters.broker_place import Place
from tests.integration.telemetry_house import HouseOnTheLine
house = HouseOnTheLine(Place("127.0.0.1", int(sys.argv[2])))
while True:
    house.stage.run_once()
    time.sleep(0.02)
"""


def test_last_will_of_a_killed_agent(broker: Broker, listener: Listener) -> None:
    agent = subprocess.Popen([sys.executable, "-c", _AGENT, str(ROOT), str(broker.port)])
    try:
        assert listener.wait(TOPICS.status, 1)[0]["online"] is True
    finally:
        agent.send_signal(signal.SIGKILL)
        agent.wait()

    last = listener.wait(TOPICS.status, 2)[-1]
    assert (last["online"], last["at"], last["reason"]) == (False, None, "the connection was lost")
    late = Listener(broker, TOPICS.status)
    try:
        assert late.wait(TOPICS.status, 1)[0]["online"] is False, "retained for those who come later"
    finally:
        late.close()


@pytest.mark.parametrize("kills", [1, 3])
def test_broker_killed_with_its_session_loses_no_reading(broker: Broker, kills: int) -> None:
    """Fault 43, I4: what the broker had confirmed for an absent collector is gone, and is sent again."""
    with Collector(broker.address, AREA, HOUSEHOLD):
        pass  # its durable session stays at the broker
    place = Place(*broker.address)
    with HouseOnTheLine(place, listen=TOPICS.acknowledgement, window=200, per_run=50) as house:
        for kill in range(1, kills + 1):
            house.journal.sealed += [sealed(number) for number in range(40 * kill - 39, 40 * kill + 1)]
            replay = house.stage._reading_replay
            house.until(lambda: replay.after == (1, 40 * kill) and not replay.untaken, "all confirmed")  # noqa: B023 # run at once
            assert house.journal.mark == (0, 0), "a confirmation is no delivery"
            broker.kill()
            house.until(lambda: not house.connected(), "the loss noticed")
            broker.start()
            house.until(house.connected, "back")
        with Collector(broker.address, AREA, HOUSEHOLD) as collector:
            house.telemetry.renew("the test asks for it")
            house.until(lambda: house.journal.mark == (1, 40 * kills), "the collector acknowledged all")

    assert set(collector.held()) == house.journal.keys()
    assert collector.contradictions == []
    assert house.stage.acknowledgements_rejected == 0
    assert house.said.names().count("broker.lost") == 1


def test_confirmed_messages_really_are_lost_without_replay(broker: Broker) -> None:
    """Why PUBACK does not count: the same kill without acknowledgements leaves the collector with nothing."""
    with Collector(broker.address, AREA, HOUSEHOLD):
        pass
    with HouseOnTheLine(Place(*broker.address)) as house:
        house.journal.sealed = [sealed(number) for number in range(1, 41)]
        house.until(lambda: house.journal.mark == (1, 40), "all confirmed")
        broker.kill()
        broker.start()
        with Collector(broker.address, AREA, HOUSEHOLD) as collector:
            house.until(house.connected, "back")
            time.sleep(0.5)

    assert collector.held() == {}


def test_backlog_drains_paced(broker: Broker) -> None:
    """Fault 42: five days of readings, never more than the window under way."""
    place = Place(*broker.address)
    with (
        Collector(broker.address, AREA, HOUSEHOLD) as collector,
        HouseOnTheLine(place, listen=TOPICS.acknowledgement, per_run=16, window=32) as house,
    ):
        house.journal.sealed = [sealed(number) for number in range(1, 501)]
        house.until(lambda: house.journal.mark == (1, 500), "all acknowledged")

    assert set(collector.held()) == house.journal.keys()
    assert collector.received == 500, "nothing was sent twice"
    assert house.runs >= 500 // 16


def test_subscribes_to_nothing_by_default(broker: Broker) -> None:
    with HouseOnTheLine(Place(*broker.address), client_id="quiet-house") as house:
        house.journal.sealed = [sealed(1)]
        house.until(lambda: house.journal.mark == (1, 1), "published")
        log = broker.output()
    assert "PUBLISH from quiet-house" in log
    assert "SUBSCRIBE from quiet-house" not in log

    with HouseOnTheLine(Place(*broker.address), client_id="listening-house", listen=TOPICS.acknowledgement) as house:
        house.until(lambda: "SUBSCRIBE from listening-house" in broker.output(), "the one subscription")


def test_hostile_acknowledgements_on_the_wire(broker: Broker, listener: Listener) -> None:
    with HouseOnTheLine(Place(*broker.address), listen=TOPICS.acknowledgement) as house:
        house.until(house.connected, "connected")
        hostile = [b"", b"\xff" * 50_000, b"[" * 60_000, b'{"epoch":1,"sequence":9}', b'{"epoch":' + b"9" * 60_000]
        for payload in hostile:
            listener.publish(TOPICS.acknowledgement, payload)
        house.until(lambda: house.stage.acknowledgements_rejected == len(hostile), "all counted")

        assert house.connected()
        assert house.journal.mark == (0, 0)


def _resident_kib() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found
    return int(found[1])


_BOMB = """
import sys
from paho.mqtt import publish
publish.single(sys.argv[2], b"x" * int(sys.argv[3]), qos=1, retain=True, port=int(sys.argv[1]), hostname="127.0.0.1")
"""


def test_retained_bombs_cost_no_memory(broker: Broker, listener: Listener) -> None:
    """Fault 44: the broker is told the largest packet we take, and keeps the bombs to itself."""
    listener.close()
    topic = TOPICS.acknowledgement
    for number in range(3):
        bomb = f"{topic}/{number}"
        subprocess.run([sys.executable, "-c", _BOMB, str(broker.port), bomb, str(60_000_000)], check=True, timeout=120)
    subprocess.run([sys.executable, "-c", _BOMB, str(broker.port), f"{topic}/small", "10"], check=True, timeout=60)
    before = _resident_kib()
    with HouseOnTheLine(Place(*broker.address), listen=f"{topic}/#") as house:
        house.until(lambda: house.stage.acknowledgements_rejected == 1, "the small one arrived")
        for _ in range(50):
            house.stage.run_once()
            time.sleep(0.02)
        grown = _resident_kib() - before

        assert house.connected()
        assert house.stage.acknowledgements_rejected == 1, "no bomb did"
    assert grown < 5 * 1024


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    with HouseOnTheLine(Place("127.0.0.1", port)) as house:
        house.journal.sealed = [sealed(1)]
        longest = 0.0
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            begun = time.monotonic()
            house.stage.run_once()
            longest = max(longest, time.monotonic() - begun)
            time.sleep(0.02)

    assert house.said.names() == ["broker.lost"]
    assert f"127.0.0.1:{port}: nothing listens there" in str(house.said.lines[0][1]["problem"])
    assert longest < 1.0, "the broker being away held the caller up"


def test_silent_server_holds_nobody_up() -> None:
    """A server that accepts the connection and says nothing: turns stay short, and leaving does too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with HouseOnTheLine(Place("127.0.0.1", server.getsockname()[1])) as house:
            for _ in range(50):
                begun = time.monotonic()
                house.stage.run_once()
                assert time.monotonic() - begun < 1.0
                time.sleep(0.01)
            begun = time.monotonic()
        assert time.monotonic() - begun < 10.0


def _connack() -> bytes:
    return bytes([0x20, 0x03, 0x00, 0x00, 0x00])


def _garbage(seed: int) -> bytes:
    dice = random.Random(seed)  # noqa: S311 # a seeded fault, no secret
    packets = b""
    for _ in range(dice.randint(1, 4)):
        body = dice.randbytes(dice.randint(0, 40))
        packets += bytes(
            [dice.choice([0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x90, 0xB0, 0xD0, 0xE0, dice.randrange(256)])]
        )
        packets += bytes([len(body)]) + body
    return packets


def test_hostile_server() -> None:
    """Fault 45: two hundred sessions that turn to nonsense; each ends in words, none in a stack trace."""
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        seed = 0
        while not stop.is_set():
            try:
                peer, _ = server.accept()
            except TimeoutError:
                continue
            with peer:
                seed += 1
                peer.settimeout(5.0)
                peer.recv(4_096)
                peer.sendall((_connack() if seed % 3 else b"") + _garbage(seed))
                served.append(seed)

    served: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            with HouseOnTheLine(Place("127.0.0.1", server.getsockname()[1]), listen=TOPICS.acknowledgement) as house:
                house.telemetry._patience.backoff = type(house.telemetry._patience.backoff)(0.001, 0.001)
                house.journal.sealed = [sealed(number) for number in range(1, 4)]
                house.until(lambda: len(served) >= 200, "two hundred sessions")
        finally:
            stop.set()
            thread.join()
    assert house.journal.mark == (0, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) < 200
