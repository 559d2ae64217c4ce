"""Publish: status, live values, signed readings and events go to the distribution area's broker.

A reading is sent again until it is held: by the collector that acknowledges it, or, where none does, by the broker. The
broker's own word (a PUBACK) is no delivery where a collector acknowledges, since a broker that is killed forgets what
it had taken. Nothing here waits: the connection lives in a thread of its own, and each turn moves on what can move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from agent.domain.errors import BadRequest, JournalBusy
from agent.domain.replay import Mark, Replay
from agent.domain.samples import MeterRole, Sample
from agent.domain.telemetry import (
    JournalEvent,
    Link,
    Origin,
    SealedReading,
    Topics,
    event_message,
    live_message,
    parse_acknowledgement,
    reading_message,
    status_message,
)
from agent.stages.ports import Clock, Events

# The same fault is told at most this often: a broker that comes and goes must not fill a small disk.
_WARN_EVERY_S = 600.0
# After a refusal by the broker (no permission, a quota) the same message would be refused again at once.
_REFUSED_PAUSE_S = 60.0


class Broker(Protocol):
    """The MQTT broker. Nothing here blocks, and nothing raises because the broker is away."""

    def tend(self) -> Link:
        """Begin an attempt to connect if it is time for one; say how the connection stands."""

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int | None:
        """Hand one message over.

        Returns:
            A token that ``taken`` or ``refused`` names later, or None if it cannot be taken just now.

        Raises:
            BadRequest: the broker's packet limit forbids a message of this size.
        """

    def taken(self) -> list[int]:
        """Tokens of what the broker took (QoS 1) or what was written to it (QoS 0), since the last call."""

    def refused(self) -> list[tuple[int, str]]:
        """Tokens of what the broker refused, and why, since the last call."""

    def heard(self) -> list[bytes]:
        """What arrived on the acknowledgements' topic since the last call, bounded in number and size."""

    def renew(self, why: str) -> None:
        """End this session, so that the next attempt begins anew."""

    def close(self, deadline_s: float) -> None:
        """Send what is waiting, say goodbye and end, within ``deadline_s`` seconds."""


class ReadingSource(Protocol):
    """The journal's signed readings."""

    def sealed_after(self, epoch: int, sequence: int, limit: int) -> list[SealedReading]:
        """Up to ``limit`` signed readings that follow ``(epoch, sequence)``, in order.

        Raises:
            JournalBusy: the journal cannot be read just now.
        """

    def telemetry_mark(self) -> tuple[int, int]:
        """``(epoch, sequence)`` up to which readings are held by the collector; ``(0, 0)`` at first."""

    def set_telemetry_mark(self, epoch: int, sequence: int) -> None:
        """Remember it.

        Raises:
            JournalBusy: the journal takes no rows just now.
        """


class EventSource(Protocol):
    """The journal's events."""

    def events_after(self, id: int, limit: int) -> list[JournalEvent]:  # noqa: A002 # the journal's word for it
        """Up to ``limit`` events that follow number ``id``, in order.

        Raises:
            JournalBusy: the journal cannot be read just now.
        """

    def event_mark(self) -> int:
        """The number of the last event that was delivered; 0 at first."""

    def set_event_mark(self, id: int) -> None:  # noqa: A002 # the same
        """Remember it.

        Raises:
            JournalBusy: the journal takes no rows just now.
        """


class LiveSource(Protocol):
    """What the meters say now."""

    def latest(self) -> Mapping[MeterRole, Sample]:
        """The newest sample of each meter; a meter that has none is missing."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast telemetry goes.

    Attributes:
        live_every_s: least time between two live messages, seconds.
        window: most readings, and most events, that are sent and not held.
        per_run: most readings, and most events, that one run sends.
        replay_after_s: after how long without progress what is not held is sent again, seconds.
        acknowledged: whether a collector acknowledges readings.
        store_every_s: least time between two commits of what is held, seconds; after a crash what came since is sent
            again, and consumers drop it. Each commit wears the card.
    """

    live_every_s: float = 10.0
    window: int = 32
    per_run: int = 16
    replay_after_s: float = 120.0
    acknowledged: bool = False
    store_every_s: float = 0.0


class Publish:
    """Sends telemetry, one turn at a time; one thread calls it."""

    def __init__(
        self,
        *,
        broker: Broker,
        readings: ReadingSource,
        history: EventSource,
        live: LiveSource,
        clock: Clock,
        events: Events,
        topics: Topics,
        origin: Origin,
        pace: Pace,
    ) -> None:
        self._broker = broker
        self._readings = readings
        self._history = history
        self._live = live
        self._clock = clock
        self._events = events
        self._topics = topics
        self._origin = origin
        self._pace = pace
        self._started_at = clock.now_ms() // 1000
        self._generation = 0
        self._status_due = False
        self._reading_replay = self._replay(acknowledged=pace.acknowledged)
        self._event_replay = self._replay(acknowledged=False)
        # What the journal holds of the two marks; None until it has been read.
        self._stored: tuple[Mark, Mark] | None = None
        self._stored_at = float("-inf")
        self._live_token: int | None = None
        self._live_at = float("-inf")
        self._paused_until = float("-inf")
        self._lost = False
        self._warned: dict[str, float] = {}
        self.acknowledgements_rejected = 0
        """How many messages on the acknowledgements' topic were no acknowledgement of something that was sent."""

    def _replay(self, *, acknowledged: bool) -> Replay:
        return Replay(self._pace.window, self._pace.replay_after_s, acknowledged)

    def run_once(self) -> bool:
        """Move on what can move.

        Returns:
            Whether it did something.
        """
        now = self._clock.monotonic()
        link = self._broker.tend()
        self._notice(link, now)
        moved = self._settle(now)
        if link.connected:
            self._begin(link)
            self._replay_overdue(now)
            moved |= self._send_status()
            moved |= self._send_live(now)
        try:
            self._load_marks(now)
            moved |= self._hear(now)
            if link.connected and now >= self._paused_until:
                moved |= self._send_readings(now)
                moved |= self._send_events(now)
            if now - self._stored_at >= self._pace.store_every_s:
                self._store_marks()
                self._stored_at = now
        except JournalBusy as busy:
            advice = "free space on the disk, or end the program that holds the journal; nothing is lost"
            self._warn("publish.waiting", now, problem=str(busy), advice=advice)
        return moved

    def stop(self, reason: str, deadline_s: float) -> None:
        """Say that the agent goes, and end the connection.

        Args:
            reason: why, for whoever watches the status.
            deadline_s: the most that it may take, seconds.
        """
        if self._broker.tend().connected:
            # QoS 0 goes straight to the line; QoS 1 could wait behind unconfirmed readings until it is too late.
            self._status(online=False, reason=reason, qos=0)
        self._broker.close(deadline_s)
        with suppress(JournalBusy):  # what is not stored is sent again after the next start
            self._store_marks()

    def _notice(self, link: Link, now: float) -> None:
        """Say a loss once and a return once; losses in quick succession are one."""
        if link.connected:
            if self._lost:
                self._events.info("broker.back", topic=self._topics.status)
            self._lost = False
        elif link.problem is not None and not self._lost:
            advice = "check [telemetry] and the broker, or run 'prosumer-agent check'; readings wait in the journal"
            self._lost = self._warn("broker.lost", now, problem=link.problem, advice=advice)

    def _warn(self, event: str, now: float, **facts: object) -> bool:
        """Say a warning unless the same was said a moment ago; returns whether it was said."""
        if now - self._warned.get(event, float("-inf")) < _WARN_EVERY_S:
            return False
        self._warned[event] = now
        self._events.warning(event, **facts)
        return True

    def _begin(self, link: Link) -> None:
        """A new session: what the earlier one had not delivered for good may be lost."""
        if link.generation == self._generation:
            return
        self._generation = link.generation
        self._status_due = True
        self._live_token = None
        self._reading_replay.go_back()
        self._event_replay.go_back()

    def _replay_overdue(self, now: float) -> None:
        for replay in (self._reading_replay, self._event_replay):
            if replay.overdue(now):
                if replay.untaken:
                    self._broker.renew("it took messages and confirmed none for too long")
                replay.go_back(fruitless=True)

    def _load_marks(self, now: float) -> None:
        if self._stored is None:
            self._stored = self._readings.telemetry_mark(), (0, self._history.event_mark())
            for replay, mark in zip((self._reading_replay, self._event_replay), self._stored, strict=True):
                replay.hold(mark, now)

    def _store_marks(self) -> None:
        """Write what is held, once for everything that one turn brought."""
        if self._stored is None:
            return
        reading, event = self._stored
        if self._reading_replay.held != reading:
            reading = self._reading_replay.held
            self._readings.set_telemetry_mark(*reading)
            self._stored = reading, event
        if self._event_replay.held != event:
            event = self._event_replay.held
            self._history.set_event_mark(event[1])
            self._stored = reading, event

    def _settle(self, now: float) -> bool:
        moved = False
        for token in self._broker.taken():
            if token == self._live_token:
                self._live_token = None
            moved |= self._reading_replay.taken(token, now) or self._event_replay.taken(token, now)
        for token, why in self._broker.refused():
            self._reading_replay.refused(token)
            self._event_replay.refused(token)
            self._refused(why, now)
        return moved

    def _refused(self, why: str, now: float) -> None:
        """The broker takes no more for now (no permission, a quota): asking again at once would only be refused."""
        self._paused_until = now + _REFUSED_PAUSE_S
        prefix = self._topics.status.removesuffix("status")
        advice = f"let this household publish below {prefix} at the broker, and look at its quota and packet limit"
        self._warn("broker.refused", now, problem=why, advice=advice)

    def _hear(self, now: float) -> bool:
        moved = False
        for payload in self._broker.heard():
            try:
                moved |= self._reading_replay.hold(self._acknowledgement(payload), now)
            except BadRequest as wrong:
                self.acknowledgements_rejected += 1
                advice = "let nobody but the collector publish on the ack topic, and check the collector"
                self._warn("broker.bad_acknowledgement", now, problem=str(wrong), advice=advice)
        return moved

    def _acknowledgement(self, payload: bytes) -> Mark:
        """What a message on the acknowledgements' topic says.

        Raises:
            BadRequest: it is none, nobody asked for it, or it is beyond what was sent.
        """
        if not self._pace.acknowledged:
            raise BadRequest("an acknowledgement arrived, but telemetry is configured without them")
        mark = parse_acknowledgement(payload)
        if mark > self._reading_replay.highest and not self._sent_by_an_earlier_run(mark):
            raise BadRequest(f"an acknowledgement of epoch {mark[0]}, sequence {mark[1]}, which was never sent")
        return mark

    def _sent_by_an_earlier_run(self, mark: Mark) -> bool:
        """A retained acknowledgement may be newer than what this run has sent: it must name a reading that is older."""
        epoch, sequence = mark
        for sealed in self._readings.sealed_after(epoch, sequence - 1, 1):
            return _mark(sealed) == mark and sealed.signed.reading.taken_at <= self._started_at
        return False

    def _status(self, *, online: bool, reason: str, qos: int = 1) -> bool:
        at = self._clock.now_ms() // 1000 if self._clock.trusted() else None
        payload = status_message(self._origin, online=online, reason=reason, at=at)
        return self._broker.publish(self._topics.status, payload, qos=qos, retain=True) is not None

    def _send_status(self) -> bool:
        if not self._status_due or not self._status(online=True, reason="running"):
            return False
        self._status_due = False
        return True

    def _send_readings(self, now: float) -> bool:
        replay = self._reading_replay
        most = min(replay.room, self._pace.per_run)
        waiting = self._readings.sealed_after(*replay.after, most) if most else []
        # One by one, each when the one before has been handed over: it states which one that was.
        messages = (
            (_mark(one), reading_message(self._origin, one, follows=replay.after, delivered=replay.held))
            for one in waiting
        )
        return self._send(replay, self._topics.reading, messages, now)

    def _send_events(self, now: float) -> bool:
        replay = self._event_replay
        most = min(replay.room, self._pace.per_run)
        waiting = self._history.events_after(replay.after[1], most) if most else []
        messages = (((0, event.id), event_message(self._origin, event)) for event in waiting)
        return self._send(replay, self._topics.event, messages, now)

    def _send(self, replay: Replay, topic: str, messages: Iterable[tuple[Mark, bytes]], now: float) -> bool:
        """Hand messages over in order until one cannot be taken; returns whether one was."""
        sent = False
        for mark, payload in messages:
            try:
                token = self._broker.publish(topic, payload, qos=1)
            except BadRequest as wrong:
                self._refused(str(wrong), now)
                break
            if token is None:
                break
            replay.sent(mark, token, now)
            sent = True
        return sent

    def _send_live(self, now: float) -> bool:
        """Newest values, unless the last ones still wait to be written: a slow line gets fewer, not a queue."""
        if now - self._live_at < self._pace.live_every_s or self._live_token is not None:
            return False
        samples = self._live.latest()
        if not samples:
            return False
        at_ms, trusted = self._clock.now_ms(), self._clock.trusted()
        payload = live_message(self._origin, samples, at_ms=at_ms, clock_trusted=trusted)
        self._live_token = self._broker.publish(self._topics.live, payload, qos=0)
        if self._live_token is None:
            return False
        self._live_at = now
        return True


def _mark(sealed: SealedReading) -> Mark:
    reading = sealed.signed.reading
    return reading.epoch, reading.sequence
