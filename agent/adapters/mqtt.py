"""The MQTT broker, through paho; the one place that imports it.

Every attempt to connect is a client of its own: paho would keep unconfirmed messages over a reconnection and send them
again by itself, and then two parts would decide what a collector still needs (``agent.domain.replay`` does). For the
same reason the broker keeps no session of ours: what must last is in the journal.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.adapters.arrivals import Arrivals, drain
from agent.adapters.broker_place import Place, Presence
from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import BadRequest, BrokerUnavailable
from agent.domain.telemetry import Link

# The largest packet that we take. Three retained messages of 60 MB would else cost 200 MiB of memory.
_MOST_PACKET_BYTES = 65_536
# Fixed header, topic length, packet identifier and an empty property list, generously.
_PACKET_OVERHEAD_BYTES = 32
# Unconfirmed messages that the broker may send us at once; we listen for acknowledgements alone.
_RECEIVE_MAXIMUM = 16
# Our unconfirmed messages on their way; the broker may allow fewer. More would only fill a slow line's buffers.
_MOST_IN_FLIGHT = 20
_MOST_HEARD_BYTES = 1_024
# A dead peer is noticed after at most two of these; a household's router forgets idle connections in minutes.
_KEEPALIVE_S = 30
# TCP connect, and again the TLS handshake, each at most; a mobile line takes up to 5 s to wake.
_CONNECT_TIMEOUT_S = 10.0
# From the attempt's begin to the accepted session; longer than both of the above.
_ACCEPT_TIMEOUT_S = 30.0
# How often ``check`` looks, for a person who waits.
_CHECK_EVERY_S = 0.05
# One household's agent may come back at once, a thousand of them may not: the back-off is half random.
_BACKOFF = BackOff(first_s=5.0, most_s=600.0)


class Log(Protocol):
    """Where to say what concerns the connection itself (structlog fits)."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""


class _Session:
    """One attempt to connect and the session that may come of it.

    paho calls the ``_on_…`` methods in its thread, one at a time, holding locks of its own; so they hold none and only
    set attributes that this side reads.
    """

    def __init__(
        self, place: Place, presence: Presence, *, number: int, begun: float, arrivals: Arrivals, log: Log
    ) -> None:
        self.begun = begun
        self.accepted = False
        self.noticed = False
        self.ended: str | None = None
        self.most_packet = _MOST_PACKET_BYTES
        self._arrivals = arrivals
        self._place = place
        self._presence = presence
        self._log = log
        self._number = number
        self._handed = 0
        self._confirmed = 0
        self._most_in_flight = _MOST_IN_FLIGHT
        self._paho_said = ""
        self._thread: threading.Thread | None = None
        self._client = self._prepare()
        self._client.connect_async(
            place.host, place.port, keepalive=_KEEPALIVE_S, clean_start=True, properties=_connect_properties()
        )
        self._client.loop_start()

    def _prepare(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._presence.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if self._place.tls is not None:
            client.tls_set_context(self._place.tls.context())
        if self._place.username is not None:
            client.username_pw_set(self._place.username, self._place.password())
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_inflight_messages = _MOST_IN_FLIGHT
        if self._presence.will_topic is not None:
            client.will_set(self._presence.will_topic, self._presence.will_payload, qos=1, retain=True)
        client.on_pre_connect = self._on_pre_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_log = self._on_log
        return client

    @property
    def connected(self) -> bool:
        """Whether the broker accepted it and it stands."""
        return self.accepted and self.ended is None and not self.over

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self._thread is not None and not self._thread.is_alive()

    def end(self, why: str) -> None:
        """Leave; the first reason given is the one that is told."""
        if self.ended is None:
            self.ended = why
        self._client.disconnect()

    def join(self, deadline_s: float) -> None:
        """Wait for paho's thread to end, at most ``deadline_s`` seconds."""
        if self._thread is not None:
            self._thread.join(deadline_s)

    def release(self) -> None:
        """Let go of paho's client, whose callbacks hold this; else its sockets wait for the cyclic collector."""
        client = self._client
        client.on_pre_connect = client.on_connect_fail = client.on_connect = client.on_disconnect = None
        client.on_publish = client.on_subscribe = client.on_message = client.on_log = None

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> int | None:
        """Hand one message to paho; see ``Telemetry.publish``."""
        size = len(topic.encode()) + len(payload) + _PACKET_OVERHEAD_BYTES
        if size > self.most_packet:
            raise BadRequest(f"a message of {size} bytes on {topic}; the broker allows {self.most_packet}")
        # Where the line is slower than we are: a live value that waits is no live value.
        full = (
            self._handed - self._confirmed >= self._most_in_flight if qos else self._client.want_write() and not retain
        )
        if full:
            return None
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        self._handed += 1
        return self._token(info.mid)

    def _token(self, packet_id: int) -> int:
        """Packet identifiers begin again with each session; tokens do not."""
        return self._number << 16 | packet_id

    def _on_pre_connect(self, _client: Client, _data: object) -> None:
        self._thread = threading.current_thread()

    def _on_connect_fail(self, client: Client, _data: object) -> None:
        # paho calls this while it handles the error and does not pass it on.
        error = sys.exception()
        why = self._place.explain(error) if isinstance(error, OSError) else "the connection failed"
        self.ended = self.ended or why
        # Without this paho sleeps before its thread ends.
        client.disconnect()

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.ended = self.ended or f"{self._place} refused us: {code}"
        elif self.ended is not None:
            client.disconnect()
        elif getattr(properties, "MaximumQoS", 1) < 1 or not getattr(properties, "RetainAvailable", 1):
            self.end("the broker allows no QoS 1 or no retained messages; telemetry needs both")
        else:
            self.most_packet = min(self.most_packet, getattr(properties, "MaximumPacketSize", self.most_packet))
            self._most_in_flight = min(_MOST_IN_FLIGHT, getattr(properties, "ReceiveMaximum", _MOST_IN_FLIGHT))
            if self._presence.listen_topic is not None:
                client.subscribe(self._presence.listen_topic, qos=1)
            self.accepted = True

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if self.ended is not None:
            return
        if flags.is_disconnect_packet_from_server:
            self.ended = f"{self._place} ended the session: {code}"
        elif self.accepted:
            self.ended = f"{self._place}: the connection was lost ({self._paho_said or code})"
        else:
            # With TLS 1.3 a broker refuses the household's certificate, or the lack of one, only after the handshake.
            shown = self._place.tls is not None and self._place.tls.certificate_file is not None
            hint = "" if self._place.tls is None or shown else "; it may want a client certificate"
            self.ended = f"{self._place} ended the connection before accepting us ({self._paho_said or code}){hint}"

    def _on_publish(self, _client: Client, _data: object, mid: int, code: ReasonCode, _properties: Properties) -> None:
        self._confirmed += 1
        if code.is_failure:
            self._arrivals.refused.append((self._token(mid), str(code)))
        else:
            self._arrivals.taken.append(self._token(mid))

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for code in codes:
            if code.is_failure:
                self._log.warning(
                    "broker.subscription_refused",
                    topic=self._presence.listen_topic,
                    problem=str(code),
                    advice="let this household read its ack topic at the broker, or turn acknowledgements off",
                )

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        # Nothing else was asked for; cut, a long one is still too long to be an acknowledgement.
        self._arrivals.heard.append(bytes(message.payload[:_MOST_HEARD_BYTES]))

    def _on_log(self, _client: Client, _data: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._paho_said = text


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho left it so
    properties.MaximumPacketSize = _MOST_PACKET_BYTES
    properties.ReceiveMaximum = _RECEIVE_MAXIMUM
    # The broker may forget us at once: the journal knows what is still to be sent.
    properties.SessionExpiryInterval = 0
    return properties


class Telemetry:
    """The connection to one broker: ``tend`` moves it on, and nothing but ``check`` and ``close`` waits.

    One thread calls it.
    """

    def __init__(
        self,
        *,
        place: Place,
        presence: Presence,
        log: Log,
        random: Callable[[], float],
        backoff: BackOff = _BACKOFF,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects to nothing yet.

        Args:
            place: the broker.
            presence: who connects.
            log: where to say what concerns the connection itself.
            random: a number in [0, 1), so that households do not come back together.
            backoff: how long to wait after a failure; a session that was accepted begins it anew.
            monotonic: seconds that never step.
        """
        self._place = place
        self._presence = presence
        self._log = log
        self._monotonic = monotonic
        self._patience = Patience(backoff, random)
        self._session: _Session | None = None
        self._attempts = 0
        self._generation = 0
        self._problem: str | None = None
        self._closed = False
        self._arrivals = Arrivals()
        if place.plain_off_loopback:
            log.warning(
                "broker.plain", broker=place.host, advice="anyone on the way can read it: set telemetry.ca_file"
            )

    def tend(self) -> Link:
        """Begin an attempt if it is time for one; say how the connection stands."""
        now = self._monotonic()
        if self._session is not None:
            self._look_at(self._session, now)
        if self._session is None and not self._closed and self._patience.ready(now):
            self._attempts += 1
            try:
                self._session = _Session(
                    self._place,
                    self._presence,
                    number=self._attempts,
                    begun=now,
                    arrivals=self._arrivals,
                    log=self._log,
                )
            except BrokerUnavailable as wrong:
                self._failed(str(wrong), now)
        connected = self._session is not None and self._session.noticed and self._session.connected
        return Link(connected=connected, generation=self._generation, problem=None if connected else self._problem)

    def _look_at(self, session: _Session, now: float) -> None:
        if session.accepted and not session.noticed:
            session.noticed = True
            self._generation += 1
            self._patience.succeeded()
            self._problem = None
        if session.over:
            session.release()
            self._session = None
            self._failed(session.ended or "the connection's thread ended", now)
        elif not session.accepted and session.ended is None and now - session.begun > _ACCEPT_TIMEOUT_S:
            session.end(f"{self._place}: no session within {_ACCEPT_TIMEOUT_S:.0f} s")
            self._problem = session.ended

    def _failed(self, why: str, now: float) -> None:
        self._problem = why
        self._patience.failed(now)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """Hand one message over; it never waits for the line.

        Args:
            topic: where to.
            payload: the message.
            qos: 0 (lost if the line is lost) or 1.
            retain: whether the broker keeps it for those who subscribe later.

        Returns:
            A token that ``taken`` or ``refused`` names later; None if there is no session, or too much is on its way.

        Raises:
            BadRequest: the broker's packet limit forbids a message of this size.
        """
        session = self._session
        if session is None or not session.noticed or not session.connected:
            return None
        return session.publish(topic, payload, qos, retain=retain)

    def taken(self) -> list[int]:
        """Tokens of what the broker took (QoS 1) or what was written to it (QoS 0), since the last call."""
        return drain(self._arrivals.taken)

    def refused(self) -> list[tuple[int, str]]:
        """Tokens of what the broker refused, and its reason, since the last call."""
        return drain(self._arrivals.refused)

    def heard(self) -> list[bytes]:
        """What arrived since the last call: the newest 64 messages at most, cut after 1024 bytes."""
        return drain(self._arrivals.heard)

    def renew(self, why: str) -> None:
        """End this session, so that the next attempt begins anew."""
        if self._session is not None:
            self._session.end(why)

    def close(self, deadline_s: float) -> None:
        """Send what is waiting, say goodbye and end, within ``deadline_s`` seconds, for good."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            session.end("the agent stopped")
            session.join(deadline_s)
            session.release()

    def check(self, deadline_s: float) -> None:
        """Wait for a session, to tell an installer whether one comes about.

        Args:
            deadline_s: the most that it may take, seconds.

        Raises:
            BrokerUnavailable: none came about, and why.
        """
        until = self._monotonic() + deadline_s
        while not (link := self.tend()).connected:
            if link.problem is not None:
                raise BrokerUnavailable(link.problem)
            if self._monotonic() >= until:
                raise BrokerUnavailable(f"{self._place}: no session within {deadline_s:g} s")
            time.sleep(_CHECK_EVERY_S)
