"""The household's side of MQTT: it publishes, and hears acknowledgements alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.adapters.arrivals import Arrivals, drain
from agent.adapters.broker_place import Place, Presence
from agent.adapters.mqtt.line import Line
from agent.adapters.mqtt.session import Log, Session
from agent.domain.backoff import BackOff

# Unconfirmed messages that the broker may send us at once; we listen for acknowledgements alone.
_RECEIVE_MAXIMUM = 16
# Our unconfirmed messages on their way. More would only fill a slow line's buffers.
_MOST_IN_FLIGHT = 20
_MOST_HEARD_BYTES = 1_024
# One household's agent may come back at once, a thousand of them may not: the back-off is half random.
_BACKOFF = BackOff(first_s=5.0, most_s=600.0)


class _HouseholdSession(Session):
    """A session that leaves what happens in ``arrivals``."""

    def __init__(
        self, place: Place, presence: Presence, *, number: int, begun: float, arrivals: Arrivals, log: Log
    ) -> None:
        self._arrivals = arrivals
        # The broker may forget us at once: the journal knows what is still to be sent.
        super().__init__(
            place,
            presence,
            number=number,
            begun=begun,
            log=log,
            in_flight=_MOST_IN_FLIGHT,
            receive_maximum=_RECEIVE_MAXIMUM,
        )

    def _listen(self, client: Client) -> None:
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    def _subscribe(self, client: Client) -> None:
        if self._presence.listen_topic is not None:
            client.subscribe(self._presence.listen_topic, qos=1)

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


class Telemetry(Line[_HouseholdSession]):
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
        super().__init__(place, random=random, backoff=backoff, monotonic=monotonic)
        self._presence = presence
        self._log = log
        self._arrivals = Arrivals()
        if place.plain_off_loopback:
            log.warning(
                "broker.plain", broker=place.host, advice="anyone on the way can read it: set telemetry.ca_file"
            )

    def _begin(self, number: int, now: float) -> _HouseholdSession:
        return _HouseholdSession(
            self._place, self._presence, number=number, begun=now, arrivals=self._arrivals, log=self._log
        )

    def taken(self) -> list[int]:
        """Tokens of what the broker took (QoS 1) or what was written to it (QoS 0), since the last call."""
        return drain(self._arrivals.taken)

    def refused(self) -> list[tuple[int, str]]:
        """Tokens of what the broker refused, and its reason, since the last call."""
        return drain(self._arrivals.refused)

    def heard(self) -> list[bytes]:
        """What arrived since the last call: the newest 64 messages at most, cut after 1024 bytes."""
        return drain(self._arrivals.heard)
