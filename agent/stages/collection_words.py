"""What the collect stage says: once when something begins, once when it ends, and never a flood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agent.domain.collecting import Kept, Lost, NotTaken, Refusal
from agent.domain.errors import Retry
from agent.domain.standing import Standing
from agent.domain.telemetry import Link
from agent.stages.ports import Clock, Events

# The same fault is told at most this often: a flood of forgeries must not fill the log.
_WARN_EVERY_S = 60.0
# What a stranger wrote is cut before it is logged.
_MOST_SHOWN = 120
_MOST_GAPS = 5


class Telling:
    """The collector's words.

    Args:
        events: where to say them.
        clock: time.
    """

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._generation = 0
        self._said_lost = False
        self._said: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def link(self, link: Link) -> None:
        """Say a loss of the broker once, and its return once."""
        if link.connected:
            if link.generation != self._generation:
                self._generation, self._said_lost = link.generation, False
                self._events.info("collect.listening")
        elif link.problem is not None and not self._said_lost:
            self._said_lost = True
            self._events.warning(
                "collect.broker_lost",
                problem=link.problem,
                advice="look at the broker and at --broker; readings wait at the households",
            )

    def database_away(self, away: Retry) -> None:
        """The database takes nothing."""
        self._warn(
            "collect.database_away",
            problem=str(away),
            advice="look at the database; nothing is lost, since what is not stored is not acknowledged",
        )

    def dropped(self, count: int) -> None:
        """Messages were dropped unread."""
        self._warn(
            "collect.dropped",
            messages=count,
            advice="somebody floods the readings' topics with QoS 0, which no agent does: look at the broker's clients",
        )

    def refused(self, refused: NotTaken, topic: str) -> None:
        """A message was refused."""
        self._warn(f"collect.{refused.reason}", topic=topic[:_MOST_SHOWN], problem=str(refused))

    def contradictions(self, readings: Sequence[Kept]) -> None:
        """Readings differ from what is stored under their numbers."""
        for kept in readings:
            household, epoch, sequence = kept.key
            self._warn(
                f"collect.{Refusal.CONTRADICTION}",
                household=household,
                epoch=epoch,
                sequence=sequence,
                problem="another reading is stored under this number, and stays",
            )

    def lost(self, lost: Sequence[Lost]) -> None:
        """Readings will never come."""
        for one in lost:
            self._events.warning(
                "readings.never_come",
                household=one.household,
                epoch=one.hole.epoch,
                first=one.hole.first,
                last=one.hole.last,
                why=str(one.hole.why),
                advice="their energy is in the next reading; the chain has those that were reported",
            )

    def changed(self, before: Standing | None, now: Standing) -> None:
        """Say what changed with a household."""
        facts: dict[str, object] = {"household": now.household, "area": now.area}
        was_quiet, was_incomplete = (before.quiet, before.holding.incomplete) if before else (None, False)
        if now.quiet is not None and was_quiet is None:
            advice = "call the household: its computer, its line or its meters are down; its registers go on counting"
            self._events.warning("household.silent", **facts, why=str(now.quiet), heard_at=now.heard_at, advice=advice)
        elif now.quiet is None and was_quiet is not None:
            self._events.info("household.back", **facts)
        if now.holding.incomplete and not was_incomplete:
            missing = [f"{after} to {upto}" for after, upto in now.holding.missing()[:_MOST_GAPS]]
            self._events.warning("readings.missing", **facts, after=missing, advice="the household sends them again")
        elif was_incomplete and not now.holding.incomplete:
            self._events.info("readings.complete", **facts, upto=now.holding.mark)

    def _warn(self, event: str, **facts: object) -> None:
        """Say a warning unless the same was said a moment ago; the next one says how many were not."""
        now = self._clock.monotonic()
        if now - self._said.get(event, float("-inf")) < _WARN_EVERY_S:
            self._unsaid[event] += 1
            return
        self._said[event] = now
        if unsaid := self._unsaid.pop(event, 0):
            facts["unsaid"] = unsaid
        self._events.warning(event, **facts)
