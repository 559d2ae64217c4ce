"""Collect: what households publish is verified, stored, and only then acknowledged.

A turn takes what has come, verifies each signature, and stores readings, counters and what follows from them in one
transaction of the database. After that, and not before, the broker is told that the messages are done with, and each
household up to where nothing of it is missing. So a collector that is killed at any moment is sent again what it had
not stored, and what it had stored it knows again. Nothing rests on the broker: one that forgets everything costs time
alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.domain.collecting import (
    Kept,
    Key,
    Lost,
    Message,
    NotTaken,
    Origin,
    Refusal,
    check_signer,
    parse_reading,
    parse_status,
    parse_topic,
)
from agent.domain.errors import BadReading, Retry
from agent.domain.readings import SignedReading
from agent.domain.replay import NOTHING
from agent.domain.signing import SigningDomain
from agent.domain.silence import PERIODS, quiet
from agent.domain.standing import Standing
from agent.domain.telemetry import Link, Topics, acknowledgement_message
from agent.stages.collection import Register, Rows, Source, Store
from agent.stages.collection_words import Telling
from agent.stages.ports import Clock, Events

# A database that is away is asked again after this long.
_STORE_PAUSE_S = 1.0
# A household that is not enrolled may be so soon; the full node is not asked at each of its messages.
_ASK_AGAIN_S = 300.0
# Who is silent changes with the reporting period, not by the second.
_LOOK_EVERY_S = 1.0
# Where the chain is not asked, anyone whom the broker lets in may bring accounts of his own making.
_MOST_STRANGERS = 100_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How the collector works.

    Attributes:
        batch: most messages that one transaction stores.
        periods: so many reporting periods a household may let pass before it counts as silent.
        most_strangers: most households that are kept where the chain is not asked.
    """

    batch: int = 512
    periods: int = PERIODS
    most_strangers: int = _MOST_STRANGERS


@dataclass(slots=True)
class Counts:
    """What has been done since the start.

    Attributes:
        received: messages that were looked at.
        verified: readings whose signature was recovered.
        stored: readings that were new.
        dropped: messages of QoS 0, which no agent sends as readings, beyond what memory is kept for.
        refused: messages that were not taken, by reason.
    """

    received: int = 0
    verified: int = 0
    stored: int = 0
    dropped: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)


@dataclass(slots=True)
class _Batch:
    """What one transaction will store."""

    receipts: list[int] = field(default_factory=list)
    readings: list[tuple[Kept, str]] = field(default_factory=list)
    statuses: list[tuple[Origin, bool]] = field(default_factory=list)
    refused: Counter[tuple[str, Refusal]] = field(default_factory=Counter)
    strangers: set[str] = field(default_factory=set)


class _Outcome:
    """What follows from a batch once it is stored; until then nobody else sees it."""

    def __init__(self, standings: Mapping[str, Standing], refused: Counter[tuple[str, Refusal]]) -> None:
        self._before = standings
        self.standings: dict[str, Standing] = {}
        self.lost: list[Lost] = []
        self.refused = Counter(refused)
        self.again: set[str] = set()
        self.contradictions: list[Kept] = []
        self.stored = 0

    def of(self, household: str, area: str) -> Standing:
        """The household's standing, to be changed."""
        standing = self.standings.get(household)
        if standing is None:
            before = self._before.get(household)
            standing = self.standings[household] = before.copy() if before else Standing(household, area)
        return standing


class Collect:
    """Collects readings, one batch at a turn; one thread calls it.

    Args:
        source: the subscription.
        store: the database.
        market: the chain and contract for which readings must be signed.
        recover: who signed a reading for a market, checksummed; raises BadReading.
        register: who is enrolled; None to take any household that signs for itself.
        clock: time.
        events: where to say what happened.
        pace: how it works.
    """

    def __init__(
        self,
        *,
        source: Source,
        store: Store,
        market: SigningDomain,
        recover: Callable[[SignedReading, SigningDomain], str],
        register: Register | None,
        clock: Clock,
        events: Events,
        pace: Pace,
    ) -> None:
        self._source = source
        self._store = store
        self._market = market
        self._recover = recover
        self._register = register
        self._clock = clock
        self._telling = Telling(events, clock)
        self._pace = pace
        self._standings: dict[str, Standing] | None = None
        self._batch: _Batch | None = None
        # Households that are owed an acknowledgement; a dict, since it keeps the order.
        self._owed: dict[str, None] = {}
        self._not_enrolled: dict[str, float] = {}
        self._paused_until = float("-inf")
        self._look_at = float("-inf")
        self._generation = 0
        self._listening_since: int | None = None
        self.counts = Counts()

    def run_once(self) -> bool:
        """Take one batch through; returns whether there was something to do."""
        now = self._clock.monotonic()
        self._notice(self._source.tend())
        if (dropped := self._source.dropped()) > self.counts.dropped:
            self._telling.dropped(dropped - self.counts.dropped)
            self.counts.dropped = dropped
        if now < self._paused_until:
            return False
        try:
            if self._standings is None:
                self._standings = {one.household: one for one in self._store.standings()}
            if self._batch is None:
                self._batch = self._take(self._source.fetch(self._pace.batch), self._standings)
            moved = bool(self._batch and self._keep(self._batch, self._standings))
            if now >= self._look_at:
                self._look_at = now + _LOOK_EVERY_S
                self._look(self._standings)
        except Retry as away:
            self._paused_until = now + _STORE_PAUSE_S
            self._telling.database_away(away)
            return False
        return self._acknowledge(self._standings) or moved

    @property
    def owes(self) -> bool:
        """Whether acknowledgements wait until the broker has confirmed others: it allows 20 on their way, often."""
        return bool(self._owed) and self._listening_since is not None

    def stop(self, deadline_s: float) -> None:
        """Say goodbye to the broker; what was not confirmed it sends again.

        Args:
            deadline_s: the most that it may take, seconds.
        """
        self._source.close(deadline_s)

    # What has come.

    def _take(self, messages: list[Message], standings: Mapping[str, Standing]) -> _Batch | None:
        if not messages:
            return None
        batch = _Batch([message.receipt for message in messages])
        self.counts.received += len(messages)
        at = self._clock.now_ms() // 1000
        for message in messages:
            household = ""
            try:
                origin = parse_topic(message.topic)
                household = origin.household if origin.household in standings else ""
                if origin.kind == "reading":
                    kept = self._verified(message, origin, at)
                    self._admit(origin.household, batch, standings)
                    batch.readings.append((kept, origin.area))
                elif household and message.payload:  # an empty one is how a retained status is deleted
                    batch.statuses.append((origin, parse_status(origin, message.payload)))
            except NotTaken as refused:
                batch.refused[household, refused.reason] += 1
                self._telling.refused(refused, message.topic)
        return batch

    def _verified(self, message: Message, origin: Origin, at: int) -> Kept:
        heard = parse_reading(origin, message.payload, self._market, at)
        try:
            signer = self._recover(heard.signed, self._market)
        except BadReading as wrong:
            raise NotTaken(Refusal.FORGED, str(wrong)) from wrong
        self.counts.verified += 1
        check_signer(heard, signer)
        return Kept(heard, at)

    def _admit(self, household: str, batch: _Batch, standings: Mapping[str, Standing]) -> None:
        """Whether a household's readings are kept.

        Raises:
            NotTaken: they are not, or nobody can say just now.
        """
        known = standings.get(household)
        if self._register is None:
            if known is None and household not in batch.strangers:
                if len(standings) + len(batch.strangers) >= self._pace.most_strangers:
                    raise NotTaken(Refusal.TOO_MANY, f"{len(standings)} households are kept, and no chain is asked")
                batch.strangers.add(household)
        elif not (known and known.enrolled) and household not in batch.strangers:
            self._ask(self._register, household)
            batch.strangers.add(household)

    def _ask(self, register: Register, household: str) -> None:
        now = self._clock.monotonic()
        if now - self._not_enrolled.get(household, float("-inf")) >= _ASK_AGAIN_S:
            try:
                if register.enrolled(household):
                    return
            except Retry as away:
                raise NotTaken(Refusal.UNCHECKED, str(away)) from away
            if len(self._not_enrolled) >= _MOST_STRANGERS:
                self._not_enrolled.clear()
            self._not_enrolled[household] = now
        raise NotTaken(Refusal.NOT_ENROLLED, f"{household} is not enrolled in this market")

    # What is stored.

    def _keep(self, batch: _Batch, standings: dict[str, Standing]) -> bool:
        at = self._clock.now_ms() // 1000
        outcome = _Outcome(standings, batch.refused)
        with self._store.transaction() as rows:
            self._add(batch, rows, outcome, at)
            for origin, online in batch.statuses:
                standing = outcome.of(origin.household, origin.area)
                if standing.online is not online:
                    standing.online, standing.online_at = online, at
            rows.put(outcome.standings.values())
            rows.lose(outcome.lost)
            rows.count(outcome.refused, at)
        # Now, and not before, it is on the disk.
        self._batch = None
        self._source.confirm(batch.receipts)
        self.counts.stored += outcome.stored
        for (_, reason), count in outcome.refused.items():
            self.counts.refused[reason] += count
        for household, standing in outcome.standings.items():
            before = standings.get(household)
            standings[household] = standing
            self._telling.changed(before, standing)
            acknowledged = before.holding.acknowledged if before else NOTHING
            if household in outcome.again or standing.holding.acknowledged != acknowledged:
                self._owed[household] = None
        self._telling.lost(outcome.lost)
        self._telling.contradictions(outcome.contradictions)
        return True

    def _add(self, batch: _Batch, rows: Rows, outcome: _Outcome, at: int) -> None:
        """Store the batch's readings and work out what is held with them."""
        unique: dict[Key, Kept] = {}
        for kept, _ in batch.readings:
            unique.setdefault(kept.key, kept)
        stored = rows.add(list(unique.values())) if unique else {}
        for kept, area in batch.readings:
            household = kept.key[0]
            word, new = stored[kept.key]
            if kept.heard.signed.reading.packed() != word:
                outcome.refused[household, Refusal.CONTRADICTION] += 1
                outcome.contradictions.append(kept)
                continue
            standing = outcome.of(household, area)
            standing.enrolled |= self._register is not None
            if new and unique[kept.key] is kept:
                outcome.stored += 1
                self._freshen(standing, kept, area, at)
            else:
                outcome.refused[household, Refusal.REPLAYED] += 1
                outcome.again.add(household)
            holes = standing.holding.take(kept.heard.mark, kept.heard.follows, kept.heard.delivered)
            outcome.lost += [Lost(household, hole, at) for hole in holes]

    @staticmethod
    def _freshen(standing: Standing, kept: Kept, area: str, at: int) -> None:
        """Note a new reading; a repeated one proves nothing about where the household is, or that it lives."""
        taken_at = kept.heard.signed.reading.taken_at
        standing.area, standing.heard_at = area, at
        standing.highest = max(standing.highest, kept.heard.mark)
        if standing.newest is None or taken_at >= standing.newest:
            standing.newest, standing.period_s = taken_at, kept.heard.period_s

    # Who has fallen silent.

    def _notice(self, link: Link) -> None:
        """Note since when it has been listening; while the broker is away nobody is called silent."""
        self._telling.link(link)
        if not link.connected:
            self._listening_since = None
        elif self._listening_since is None or link.generation != self._generation:
            self._generation = link.generation
            self._listening_since = self._clock.now_ms() // 1000

    def _look(self, standings: dict[str, Standing]) -> None:
        """Note who has fallen silent or is back, by the clock alone or by a status."""
        since = self._listening_since
        if since is None:
            return
        at = self._clock.now_ms() // 1000
        changed: list[Standing] = []
        for standing in standings.values():
            if standing.heard_at is None:
                continue
            # What was before this session began says nothing: the retained status is still to come, and so is what
            # waits at the household. One that was silent then stays so until it is heard.
            begun = since if standing.quiet is None else 0
            offline_since = max(begun, standing.online_at or 0) if standing.online is False else None
            heard_at = max(begun, standing.heard_at)
            now_quiet = quiet(at, heard_at, standing.period_s, offline_since, self._pace.periods)
            if (now_quiet is None) != (standing.quiet is None):
                changed.append(new := standing.copy())
                new.quiet, new.quiet_at = now_quiet, at if now_quiet else None
        if not changed:
            return
        with self._store.transaction() as rows:
            rows.put(changed)
        for standing in changed:
            self._telling.changed(standings[standing.household], standing)
            standings[standing.household] = standing

    def _acknowledge(self, standings: Mapping[str, Standing]) -> bool:
        """Tell households up to where everything is stored, as many as the line takes."""
        told = False
        for household in list(self._owed):
            standing = standings[household]
            if standing.holding.acknowledged != NOTHING:
                topic = Topics(standing.area, household).acknowledgement
                payload = acknowledgement_message(standing.holding.acknowledged)
                if self._source.publish(topic, payload, qos=1, retain=True) is None:
                    break
            del self._owed[household]
            told = True
        return told
