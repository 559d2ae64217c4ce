"""The journal's rows of events: what happened, for the household, the installer and telemetry."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agent.adapters.journal import Journal
from agent.addresses import without_secrets
from agent.domain.telemetry import JournalEvent

_MARK = "event_mark"


class EventRows:
    """Events in the order in which they happened."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, events: Sequence[tuple[int, str, str, dict[str, object]]]) -> None:
        """Keep events in one commit.

        Args:
            events: UTC epoch seconds, stable name (``meter.lost``), level (``info``, ``warning`` or ``error``) and
                facts of each; values that JSON does not know, as an exception, are kept as text.
        """
        with self._journal.transaction() as journal:
            for at, name, level, facts in events:
                journal.execute(
                    "INSERT INTO event (at, name, level, facts) VALUES (?, ?, ?, ?)",
                    (at, name, level, json.dumps(facts, sort_keys=True, default=_as_text)),
                )

    def events_after(self, id: int, limit: int) -> list[JournalEvent]:  # noqa: A002 # the port's name for it
        """Events after row ``id``, oldest first."""
        rows = self._journal.query("SELECT * FROM event WHERE id > ? ORDER BY id LIMIT ?", (id, limit))
        return [JournalEvent(row["id"], row["at"], row["name"], row["level"], json.loads(row["facts"])) for row in rows]

    def event_mark(self) -> int:
        """The last event that was handed to the broker; 0 at first."""
        return int(self._journal.fact(_MARK) or 0)

    def set_event_mark(self, id: int) -> None:  # noqa: A002 # the port's name for it
        """Note the last event that was handed to the broker."""
        self._journal.set_fact(_MARK, str(id))

    def prune(self, before: int) -> int:
        """Delete events older than ``before`` (UTC epoch seconds); returns how many."""
        with self._journal.transaction() as journal:
            return journal.execute("DELETE FROM event WHERE at < ?", (before,))


def _as_text(value: object) -> str:
    return without_secrets(str(value))
