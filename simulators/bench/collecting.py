"""Ten thousand households that report to one collector: how many readings a second, and what it costs."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paho.mqtt.client as mqtt
from eth_account import Account
from paho.mqtt.enums import CallbackAPIVersion

from simulators.bench import programs
from simulators.bench.figures import BenchError, Figure, Section
from simulators.bench.process_cost import Standing
from simulators.broker import Broker
from simulators.process import Child
from simulators.signing import reading_message

NAME: Final = "collector"
HOUSEHOLDS: Final = 10_000
QUICK_HOUSEHOLDS: Final = 1_000
MEMORY_LIMIT_MIB: Final = 256

_READINGS: Final = 2  # of each household: the first makes it known, the second is everyday work
_CONNECTIONS: Final = 4
_IN_FLIGHT: Final = 500
_AREAS: Final = ("north", "south")
_CHAIN: Final = 31337
_CONTRACT: Final = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
_PERIOD_S: Final = 900
_PATIENCE_S: Final = 180.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a household."""

    topic: str
    payload: str


def readings(households: int, now: int) -> list[list[Said]]:
    """Each household's readings, signed one by one with a key of its own.

    Args:
        households: How many.
        now: UTC epoch seconds; the last reading was taken then.
    """
    return [_household(number, now) for number in range(1, households + 1)]


def _household(number: int, now: int) -> list[Said]:
    account = Account.from_key(number.to_bytes(32, "big"))
    topic = f"energy/v1/{_AREAS[number % len(_AREAS)]}/{account.address}/reading"
    said = []
    for sequence in range(1, _READINGS + 1):
        taken_at = now - _PERIOD_S * (_READINGS - sequence)
        produced, consumed = 100 * number + 10 * sequence, 50 * number + 20 * sequence
        word = consumed | produced << 40 | taken_at << 80 | sequence << 112 | 1 << 136
        signed = account.sign_message(reading_message(_CHAIN, _CONTRACT, word))
        before = {"epoch": int(sequence > 1), "sequence": sequence - 1}
        message = {
            "schema": 1,
            "household": account.address,
            "epoch": 1,
            "sequence": sequence,
            "takenAt": taken_at,
            "producedWh": produced,
            "consumedWh": consumed,
            "flags": 0,
            "flagNames": [],
            "intervalEnd": taken_at,
            "periodS": _PERIOD_S,
            "signature": "0x" + bytes(signed.signature).hex(),
            "chainId": _CHAIN,
            "contract": _CONTRACT,
            "follows": before,
            "delivered": {"epoch": 0, "sequence": 0},
        }
        said.append(Said(topic, json.dumps(message)))
    return said


class _Answers:
    """Hears the collector's acknowledgements, and notes when the last household has its last one."""

    def __init__(self, broker: Broker, households: int) -> None:
        self._open = households
        self._done: set[str] = set()
        self.at = 0.0
        self.all_told = threading.Event()
        self._subscribed = threading.Event()
        self._client = _client("answers")
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe("energy/v1/+/+/ack", qos=0)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        _connect(self._client, broker)
        if not self._subscribed.wait(_PATIENCE_S):
            raise BenchError("the broker granted no subscription to the acknowledgements")

    @property
    def told(self) -> int:
        """How many households have their last acknowledgement."""
        return len(self._done)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if json.loads(message.payload)["sequence"] != _READINGS:
            return
        self._done.add(message.topic)
        if len(self._done) == self._open:
            self.at = time.monotonic()
            self.all_told.set()

    def close(self) -> None:
        """Leave the broker."""
        _leave(self._client)


def measure(households: int, say: Callable[[str], None]) -> Section:
    """Have so many households report at once, and wait until each has its acknowledgement.

    Args:
        households: How many.
        say: Told what is done next.

    Raises:
        BenchError: The collector ended, or did not acknowledge everything in time.
        StartError: There is no Mosquitto.
    """
    say(f"collector: signing {households * _READINGS} readings of {households} households")
    now = int(time.time())
    told = readings(households, now)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        alone = _alone(directory / "messages", told, now)
        broker = stack.enter_context(Broker(embedded=False, busy=True))
        child = _collector(broker, directory / "office.sqlite")
        stack.callback(child.kill)
        _wait(child, lambda: "prosumer-collector" in broker.output(), "it subscribed to nothing")
        answers = _Answers(broker, households)
        stack.callback(answers.close)
        clients = [_client(f"households-{number}") for number in range(_CONNECTIONS)]
        for client in clients:
            _connect(client, broker)
            stack.callback(_leave, client)
        say(f"collector: {households} households report over {_CONNECTIONS} connections")
        begin = Standing.of(child.pid)
        _publish(clients, told)
        _wait(child, answers.all_told.is_set, lambda: f"{answers.told} of {households} households have an answer")
        end = Standing.of(child.pid)
        seconds = answers.at - begin.at
        child.stop()
    count = households * _READINGS
    return Section(
        NAME,
        f"{households:,} households with {_READINGS} signed readings each, through Mosquitto, all on one machine;"
        " verified, stored in SQLite and acknowledged by 'prosumer-operator collect'",
        [
            Figure("messages, published to acknowledged", count / seconds, "a second", remark=f"{count} messages"),
            alone,
            Figure(
                "processor for a message",
                1000 * (end.cpu_s - begin.cpu_s) / count,
                "ms",
                remark="of the collector, all threads",
            ),
            Figure("resident memory", end.rss_mib, "MiB", MEMORY_LIMIT_MIB, "Rss of smaps_rollup, at the end"),
            Figure("most that was ever resident", end.peak_mib, "MiB", remark="VmHWM"),
        ],
    )


def _alone(path: Path, told: Sequence[Sequence[Said]], now: int) -> Figure:
    lines = (json.dumps([one.topic, one.payload]) for said in told for one in said)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return programs.verifying(path, _CHAIN, _CONTRACT, now)


def _collector(broker: Broker, database: Path) -> Child:
    host, port = broker.address
    words = [
        *("collect", "--broker", f"mqtt://{host}:{port}", "--all-areas", "--database", f"sqlite:///{database}"),
        *("--chain-id", str(_CHAIN), "--contract", _CONTRACT),
    ]
    return Child([sys.executable, "-m", "agent.operator", *words], "collector")


def _publish(clients: Sequence[mqtt.Client], told: Sequence[Sequence[Said]]) -> None:
    """Each household's readings in order over one connection; first everybody's first."""
    for turn in range(_READINGS):
        for number, said in enumerate(told):
            clients[number % len(clients)].publish(said[turn].topic, said[turn].payload, qos=1)


def _client(name: str) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    client.max_inflight_messages = _IN_FLIGHT
    return client


def _connect(client: mqtt.Client, broker: Broker) -> None:
    host, port = broker.address
    client.connect(host, port, bind_address="127.0.0.1")
    client.loop_start()


def _leave(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


def _wait(child: Child, reached: Callable[[], bool], what: str | Callable[[], str]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not reached():
        if not child.running or time.monotonic() > until:
            state = "did not go on" if child.running else "ended"
            raise BenchError(f"the collector {state}: {what if isinstance(what, str) else what()}\n{child.output()}")
        time.sleep(_POLL_S)
