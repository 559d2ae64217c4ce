"""A broker to be connected to, again and again, and the sessions that come of it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from agent.adapters.broker_place import Place
from agent.adapters.mqtt.session import Session
from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import BrokerUnavailable
from agent.domain.telemetry import Link

# From the attempt's begin to the accepted session; longer than TCP's connect and the TLS handshake together.
_ACCEPT_TIMEOUT_S = 30.0
# How often ``check`` looks, for a person who waits.
_CHECK_EVERY_S = 0.05

_Kind = TypeVar("_Kind", bound=Session)


class Line(ABC, Generic[_Kind]):
    """The connection to one broker: ``tend`` moves it on, and nothing but ``check`` and ``close`` waits.

    One thread calls it.

    Args:
        place: the broker.
        random: a number in [0, 1), so that clients do not come back together.
        backoff: how long to wait after a failure; a session that was accepted begins it anew.
        monotonic: seconds that never step.
    """

    def __init__(
        self, place: Place, *, random: Callable[[], float], backoff: BackOff, monotonic: Callable[[], float]
    ) -> None:
        self._place = place
        self._monotonic = monotonic
        self._patience = Patience(backoff, random)
        self._session: _Kind | None = None
        self._attempts = 0
        self._generation = 0
        self._problem: str | None = None
        self._closed = False

    @abstractmethod
    def _begin(self, number: int, now: float) -> _Kind:
        """A new attempt; raises BrokerUnavailable if not even that can be made."""

    def tend(self) -> Link:
        """Begin an attempt if it is time for one; say how the connection stands."""
        now = self._monotonic()
        if self._session is not None:
            self._look_at(self._session, now)
        if self._session is None and not self._closed and self._patience.ready(now):
            self._attempts += 1
            try:
                self._session = self._begin(self._attempts, now)
            except BrokerUnavailable as wrong:
                self._failed(str(wrong), now)
        connected = self._session is not None and self._session.noticed and self._session.connected
        return Link(connected=connected, generation=self._generation, problem=None if connected else self._problem)

    def _look_at(self, session: _Kind, now: float) -> None:
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

    def renew(self, why: str) -> None:
        """End this session, so that the next attempt begins anew."""
        if self._session is not None:
            self._session.end(why)

    def close(self, deadline_s: float) -> None:
        """Send what is waiting, say goodbye and end, within ``deadline_s`` seconds, for good."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            session.end("the program stopped")
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
