"""The journal's rows of what the standing rule decided."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from agent.adapters.journal import Journal, Row
from agent.domain.decisions import Act, Buy, Cancel, Decision, Offer, Redeem, Step, kind_of
from agent.domain.outbox import Kind

_ACTS: Mapping[Kind, type[Act]] = {Kind.REDEEM: Redeem, Kind.OFFER: Offer, Kind.CANCEL: Cancel, Kind.BUY: Buy}


class DecisionRows:
    """Decisions, one an interval. Each method is one commit, or part of the caller's."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, decision: Decision) -> bool:
        """Keep a decision; an interval that has one keeps it. Returns whether it was new."""
        with self._journal.transaction() as journal:
            return bool(
                journal.execute(
                    "INSERT INTO decision (interval_end, decided_at, steps) VALUES (?, ?, ?)"
                    " ON CONFLICT (interval_end) DO NOTHING",
                    (decision.interval_end, decision.decided_at, json.dumps([_plain(step) for step in decision.steps])),
                )
            )

    def last(self) -> Decision | None:
        """The one of the latest interval, or None."""
        return next(iter(self.newest(1)), None)

    def newest(self, limit: int) -> list[Decision]:
        """Those of the latest intervals, newest first."""
        return _decisions(self._journal.query("SELECT * FROM decision ORDER BY interval_end DESC LIMIT ?", (limit,)))

    def since(self, at: int) -> list[Decision]:
        """Those made at or after ``at``, UTC epoch seconds, oldest first."""
        return _decisions(
            self._journal.query("SELECT * FROM decision WHERE decided_at >= ? ORDER BY interval_end", (at,))
        )

    def prune(self, before: int) -> int:
        """Delete those of intervals that ended before ``before``, but never the last; returns how many."""
        with self._journal.transaction() as journal:
            return journal.execute(
                "DELETE FROM decision WHERE interval_end < ?"
                " AND interval_end < (SELECT max(interval_end) FROM decision)",
                (before,),
            )


def _plain(step: Step) -> dict[str, Any]:
    act = None if step.act is None else {"kind": kind_of(step.act), **asdict(step.act)}
    return {"act": act, "why": step.why, "facts": dict(step.facts)}


def _decisions(rows: Iterable[Row]) -> list[Decision]:
    return [
        Decision(row["interval_end"], row["decided_at"], tuple(_step(kept) for kept in json.loads(row["steps"])))
        for row in rows
    ]


def _step(kept: dict[str, Any]) -> Step:
    act = kept["act"]
    if act is not None:
        fields = dict(act)
        act = _ACTS[Kind(fields.pop("kind"))](**fields)
    return Step(act, kept["why"], kept["facts"])
