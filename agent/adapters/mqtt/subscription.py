"""The collector's side of MQTT: it hears many households, and says what it holds of each.

A message is confirmed to the broker when it is done with, and the broker sends no more than it may send unconfirmed. So
a slow database slows the broker, and fills no memory here. The broker keeps the session while the collector is away;
what it forgets all the same, the households send again.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.adapters.broker_place import Place, Presence
from agent.adapters.mqtt.line import Line
from agent.adapters.mqtt.session import Log, Session
from agent.domain.backoff import BackOff
from agent.domain.collecting import Message

# What the broker may send unconfirmed: some batches, so that it never waits for one to be stored.
RECEIVE_MAXIMUM = 2_000
# Acknowledgements on their way: a batch of households.
_MOST_IN_FLIGHT = 500
# Messages of QoS 0 are not held back by the broker; readings come with QoS 1, so these are nobody's.
_MOST_UNASKED = 1_000
# For as long as a collector may be away before the broker forgets what it kept for it.
_SESSION_EXPIRY_S = 7 * 24 * 3600
# Where thousands of households wait for one collector, it comes back soon.
_BACKOFF = BackOff(first_s=1.0, most_s=60.0)


class _Inbox:
    """What has come and was not fetched; a deque takes both sides without a lock."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.dropped = 0


class _CollectorSession(Session):
    """A session that leaves what it hears in ``inbox``."""

    def __init__(
        self,
        place: Place,
        presence: Presence,
        *,
        number: int,
        begun: float,
        log: Log,
        topics: Sequence[str],
        inbox: _Inbox,
    ) -> None:
        self._topics = topics
        self._inbox = inbox
        super().__init__(
            place,
            presence,
            number=number,
            begun=begun,
            log=log,
            in_flight=_MOST_IN_FLIGHT,
            receive_maximum=RECEIVE_MAXIMUM,
            session_expiry_s=_SESSION_EXPIRY_S,
        )

    def confirm(self, receipts: Iterable[int]) -> None:
        """Send PUBACKs for messages of this session; an earlier one's are sent again by the broker."""
        for receipt in receipts:
            if receipt >> 16 == self._number:
                self._client.ack(receipt & 0xFFFF, 1)

    def _listen(self, client: Client) -> None:
        client.manual_ack_set(on=True)
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open

    def _subscribe(self, client: Client) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    @staticmethod
    def _on_socket_open(_client: Client, _data: object, opened: object) -> None:
        # Nagle's algorithm would hold small packets back until the broker's TCP answers for the one before, 40 ms.
        if isinstance(opened, socket.socket):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_publish(self, _client: Client, _data: object, _mid: int, code: ReasonCode, _properties: Properties) -> None:
        self._confirmed += 1
        if code.is_failure:
            self.end(f"{self._place} refused an acknowledgement: {code}; let the collector write energy/v1/+/+/ack")

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure]
        if refused:
            self.end(f"{self._place} refused the subscription to {', '.join(refused)}; let the collector read them")

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        inbox = self._inbox
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # none of ours: it is refused as such, and counted
        if message.qos == 0 and len(inbox.messages) >= _MOST_UNASKED + RECEIVE_MAXIMUM:
            inbox.dropped += 1
            return
        # Number 0 is no session's: there is nothing to confirm.
        inbox.messages.append(Message(topic, bytes(message.payload), self._token(message.mid) if message.qos else 0))


class Subscription(Line[_CollectorSession]):
    """A collector's connection to one broker.

    Args:
        place: the broker.
        client_id: unique at the broker, and the same after a restart: the session that waits there is its.
        topics: the filters to subscribe to.
        log: where to say what concerns the connection itself.
        random: a number in [0, 1).
        backoff: how long to wait after a failure.
        monotonic: seconds that never step.
    """

    def __init__(
        self,
        *,
        place: Place,
        client_id: str,
        topics: Sequence[str],
        log: Log,
        random: Callable[[], float],
        backoff: BackOff = _BACKOFF,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(place, random=random, backoff=backoff, monotonic=monotonic)
        self._presence = Presence(client_id)
        self._topics = topics
        self._log = log
        self._inbox = _Inbox()
        if place.plain_off_loopback:
            log.warning("broker.plain", broker=place.host, advice="anyone on the way can read it: use mqtts://")

    def _begin(self, number: int, now: float) -> _CollectorSession:
        # What an earlier session brought and nobody fetched comes again, from the broker or from the households.
        self._inbox.messages.clear()
        return _CollectorSession(
            self._place,
            self._presence,
            number=number,
            begun=now,
            log=self._log,
            topics=self._topics,
            inbox=self._inbox,
        )

    def fetch(self, most: int) -> list[Message]:
        """Up to ``most`` messages that have come, oldest first."""
        messages = self._inbox.messages
        return [messages.popleft() for _ in range(min(most, len(messages)))]

    def confirm(self, receipts: Iterable[int]) -> None:
        """These messages are done with."""
        if self._session is not None:
            self._session.confirm(receipts)

    def dropped(self) -> int:
        """How many messages of QoS 0 were dropped unread since the start."""
        return self._inbox.dropped
