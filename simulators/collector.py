"""A distribution company's collector in small: hears one household's readings, verifies and acknowledges them.

It takes the signed data from the message alone.
"""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from eth_account import Account
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators.signing import reading_message

_CONNECT_S: Final = 10.0
# The packed word, lowest field first: its name in the message and its width in bits.
_LAYOUT: Final = (
    ("consumedWh", 40),
    ("producedWh", 40),
    ("takenAt", 32),
    ("sequence", 24),
    ("epoch", 8),
    ("flags", 8),
)

# What a household says about its sending, which a repetition says anew; the rest of a message stays the same.
_SAID_ANEW: Final = ("follows", "delivered")


def _stated(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in _SAID_ANEW}


def signer(message: dict[str, Any]) -> str:
    """The address that signed a reading message."""
    word, shift = 0, 0
    for name, bits in _LAYOUT:
        word |= message[name] << shift
        shift += bits
    signed = reading_message(message["chainId"], message["contract"], word)
    return str(Account.recover_message(signed, signature=message["signature"]))


class Collector:
    """Listens to one household.

    Args:
        address: The broker's host and port.
        area: The household's area.
        household: Its account.
        acknowledging: Whether it says what it holds.
    """

    def __init__(self, address: tuple[str, int], area: str, household: str, *, acknowledging: bool = True) -> None:
        self._address = address
        self._prefix = f"energy/v1/{area}/{household}/"
        self._household = household
        self._acknowledging = acknowledging
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self.readings: dict[tuple[int, int], dict[str, Any]] = {}
        self.contradictions: list[dict[str, Any]] = []
        self.forged: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.received = 0
        # One name a household: a broker ends the older of two sessions that share one.
        name = f"collector-{household}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho ships it untyped
        properties.SessionExpiryInterval = 3600
        host, port = self._address
        # From loopback, since the broker is there: paho would else bind to every interface first.
        self._client.connect(host, port, bind_address="127.0.0.1", clean_start=False, properties=properties)
        self._client.loop_start()
        if not self._subscribed.wait(_CONNECT_S):
            raise TimeoutError(f"the broker at {host}:{port} granted no subscription within {_CONNECT_S:g} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def held(self) -> dict[tuple[int, int], dict[str, Any]]:
        """What it holds after de-duplication on (epoch, sequence)."""
        with self._lock:
            return dict(self.readings)

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([(self._prefix + "reading", 1), (self._prefix + "event", 1)])

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed.set()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        told: dict[str, Any] = json.loads(message.payload)
        with self._lock:
            if message.topic.endswith("/event"):
                self.events.append(told)
                return
            self.received += 1
            if signer(told) != self._household or told["household"] != self._household:
                self.forged.append(told)
                return
            key = (int(told["epoch"]), int(told["sequence"]))
            known = self.readings.setdefault(key, told)
            if _stated(known) != _stated(told):
                self.contradictions.append(told)
            held = self._held_up_to()
        if self._acknowledging and held is not None:
            self._client.publish(
                self._prefix + "ack", json.dumps({"epoch": held[0], "sequence": held[1]}), qos=1, retain=True
            )

    def _held_up_to(self) -> tuple[int, int] | None:
        """The last reading before the first hole of the newest epoch."""
        epoch = max(key[0] for key in self.readings)
        sequences = {sequence for known, sequence in self.readings if known == epoch}
        last = min(sequences)
        while last + 1 in sequences:
            last += 1
        return epoch, last
