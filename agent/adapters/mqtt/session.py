"""One attempt to connect to a broker and the session that may come of it, through paho."""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from typing import Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.adapters.broker_place import Place, Presence
from agent.domain.errors import BadRequest

# The largest packet that we take. Three retained messages of 60 MB would else cost 200 MiB of memory.
_MOST_PACKET_BYTES = 65_536
# Fixed header, topic length, packet identifier and an empty property list, generously.
_PACKET_OVERHEAD_BYTES = 32
# A dead peer is noticed after at most two of these; a household's router forgets idle connections in minutes.
_KEEPALIVE_S = 30
# TCP connect, and again the TLS handshake, each at most; a mobile line takes up to 5 s to wake.
_CONNECT_TIMEOUT_S = 10.0


class Log(Protocol):
    """Where to say what concerns the connection itself (structlog fits)."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the program itself will try to end."""


class Session(ABC):
    """One attempt to connect and the session that may come of it; what it is for is its subclass's.

    paho calls the ``_on_…`` methods in its thread, one at a time, holding locks of its own; so they hold none and only
    set attributes that this side reads.

    Args:
        place: the broker.
        presence: who connects.
        number: counts attempts; part of each token.
        begun: monotonic seconds.
        log: where to say what concerns the connection itself.
        in_flight: our unconfirmed messages on their way, at most; the broker may allow fewer.
        receive_maximum: unconfirmed messages that the broker may send us at once.
        session_expiry_s: how long the broker is to keep the session after the connection ended; 0 begins each anew.
    """

    def __init__(
        self,
        place: Place,
        presence: Presence,
        *,
        number: int,
        begun: float,
        log: Log,
        in_flight: int,
        receive_maximum: int,
        session_expiry_s: int = 0,
    ) -> None:
        self.begun = begun
        self.accepted = False
        self.noticed = False
        self.ended: str | None = None
        self.most_packet = _MOST_PACKET_BYTES
        self._place = place
        self._presence = presence
        self._log = log
        self._number = number
        self._handed = 0
        self._confirmed = 0
        self._most_in_flight = in_flight
        self._paho_said = ""
        self._thread: threading.Thread | None = None
        self._client = self._prepare()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho left it so
        properties.MaximumPacketSize = _MOST_PACKET_BYTES
        properties.ReceiveMaximum = receive_maximum
        properties.SessionExpiryInterval = session_expiry_s
        self._client.connect_async(
            place.host, place.port, keepalive=_KEEPALIVE_S, clean_start=not session_expiry_s, properties=properties
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
        client.max_inflight_messages = self._most_in_flight
        if self._presence.will_topic is not None:
            client.will_set(self._presence.will_topic, self._presence.will_payload, qos=1, retain=True)
        client.on_pre_connect = self._on_pre_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        self._listen(client)
        client.on_log = self._on_log
        return client

    @abstractmethod
    def _listen(self, client: Client) -> None:
        """Set what a subclass wants to be called for."""

    @abstractmethod
    def _subscribe(self, client: Client) -> None:
        """Subscribe to what a subclass wants to hear; the session has been accepted."""

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
            allowed = getattr(properties, "ReceiveMaximum", self._most_in_flight)
            self._most_in_flight = min(self._most_in_flight, allowed)
            self._subscribe(client)
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

    def _on_log(self, _client: Client, _data: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._paho_said = text
