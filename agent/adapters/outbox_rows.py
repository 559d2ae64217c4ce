"""The journal's rows of the outbox: entries and the signed attempts for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.adapters.journal import Journal, Row
from agent.domain.fees import Fee
from agent.domain.outbox import MOST_IN_FLIGHT, Attempt, Entry, Inclusion, Intent, Kind, State
from agent.domain.readings import ReadingState

_NONCE_FLOOR = "nonce_floor"
_HALTED = "halted"
_FORGIVEN = "forgiven_entry"
_ADOPT = "adopt_nonce"


class OutboxRows:
    """The outbox. Each method is one commit, or part of the caller's."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def queue(self, intent: Intent, now: int, readings: Sequence[int] = ()) -> bool:
        """Put an intent in; with the same key it is there once.

        Args:
            intent: what the household wants on the chain.
            now: UTC epoch seconds.
            readings: row ids of the readings that it carries; they are bound to it in the same commit.

        Returns:
            Whether it was new.
        """
        with self._journal.transaction() as journal:
            if journal.one("SELECT 1 FROM entry WHERE key = ?", (intent.key,)) is not None:
                return False
            entry_id = journal.insert(
                "INSERT INTO entry (key, kind, target, data, gas, value, state, created_at, expires_at, changed_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    intent.key,
                    intent.kind,
                    intent.to,
                    intent.data,
                    intent.gas,
                    str(intent.value),
                    State.QUEUED,
                    now,
                    intent.expires_at,
                    now,
                ),
            )
            for row_id in readings:
                journal.execute(
                    "UPDATE reading SET entry_id = ?, state = ? WHERE id = ?", (entry_id, ReadingState.BUNDLED, row_id)
                )
            return True

    def open_entries(self) -> list[Entry]:
        """Entries that have not ended, oldest first."""
        rows = self._journal.query(
            "SELECT * FROM entry WHERE state IN ('queued', 'signed', 'sent', 'included') ORDER BY id"
        )
        return [self._entry(row) for row in rows]

    def newest(self, kind: Kind, limit: int) -> list[Entry]:
        """The newest entries of a kind in any state, newest first."""
        rows = self._journal.query("SELECT * FROM entry WHERE kind = ? ORDER BY id DESC LIMIT ?", (kind, limit))
        return [self._entry(row) for row in rows]

    def newest_id(self) -> int:
        """The newest row; 0 if there is none."""
        row = self._journal.one("SELECT max(id) AS last FROM entry")
        return int(row["last"] or 0) if row else 0

    def live_after(self, entry_id: int) -> list[Entry]:
        """Entries newer than a row that were neither refused nor expired nor replaced, oldest first."""
        rows = self._journal.query(
            "SELECT * FROM entry WHERE id > ? AND state NOT IN ('refused', 'expired', 'replaced') ORDER BY id",
            (entry_id,),
        )
        return [self._entry(row) for row in rows]

    def by_key(self, key: str) -> Entry | None:
        """The entry with an idempotency key, or None."""
        row = self._journal.one("SELECT * FROM entry WHERE key = ?", (key,))
        return None if row is None else self._entry(row)

    def by_transaction(self, tx_hash: str) -> Entry | None:
        """The entry that a signed transaction belongs to, mined or not; None if it is none of ours."""
        row = self._journal.one(
            "SELECT * FROM entry WHERE included_hash = ? OR id = (SELECT entry_id FROM attempt WHERE tx_hash = ?)",
            (tx_hash, tx_hash),
        )
        return None if row is None else self._entry(row)

    def why(self, entry_id: int) -> str:
        """Why an entry is in its state, in words; empty in good order."""
        row = self._journal.one("SELECT why FROM entry WHERE id = ?", (entry_id,))
        return str(row["why"]) if row else ""

    def newest_ended(self) -> Iterator[Entry]:
        """The newest entries that ended with a nonce, highest nonce first: what a deep reorganisation can have removed.

        It removes the newest first, so the next turn finds the rest; and one node that says 0 cannot make this a walk
        through years.
        """
        rows = self._journal.query(
            "SELECT * FROM entry WHERE state IN (?, ?, ?) AND nonce IS NOT NULL ORDER BY nonce DESC LIMIT ?",
            (State.FINAL, State.REFUSED, State.REPLACED, MOST_IN_FLIGHT),
        )
        return (self._entry(row) for row in rows)  # one by one: mostly the first is all that is wanted

    def next_nonce(self) -> int:
        """The lowest nonce that this journal has not given away."""
        row = self._journal.one("SELECT max(nonce) AS last FROM entry")
        given = 0 if row is None or row["last"] is None else int(row["last"]) + 1
        return max(given, int(self._journal.fact(_NONCE_FLOOR) or 0))

    def raise_nonce_floor(self, nonce: int) -> None:
        """Never give a nonce below ``nonce`` away."""
        self._journal.set_fact(_NONCE_FLOOR, str(nonce))

    def left_out(self, nonce: int) -> bool:
        """Whether this journal continued above ``nonce`` without ever giving it away."""
        if not 0 <= nonce < int(self._journal.fact(_NONCE_FLOOR) or 0):
            return False
        return self._journal.one("SELECT 1 FROM entry WHERE nonce = ?", (nonce,)) is None

    def adopt_nonce(self, nonce: int) -> None:
        """Continue above what another has used, if a person resumed submission since; else do nothing."""
        if self._journal.fact(_ADOPT) is None:
            return
        with self._journal.transaction() as journal:
            self.raise_nonce_floor(max(nonce, self.next_nonce()))
            journal.set_fact(_ADOPT, None)

    def sign(self, entry_id: int, nonce: int, attempt: Attempt) -> None:
        """Keep the nonce and the signed bytes: from here on only these bytes are sent."""
        with self._journal.transaction() as journal:
            journal.execute(
                "UPDATE entry SET state = ?, nonce = ?, changed_at = ? WHERE id = ?",
                (State.SIGNED, nonce, attempt.signed_at, entry_id),
            )
            self._add_attempt(entry_id, attempt)

    def bump(self, entry_id: int, attempt: Attempt) -> None:
        """Keep signed bytes with a higher fee beside the earlier ones."""
        with self._journal.transaction():
            self._add_attempt(entry_id, attempt)

    def sent(self, entry_id: int, tx_hash: str, now: int, *, accepted: bool) -> None:
        """Note that bytes left, and whether a node took them."""
        with self._journal.transaction() as journal:
            journal.execute("UPDATE attempt SET sent_at = ? WHERE tx_hash = ?", (now, tx_hash))
            if accepted:
                journal.execute(
                    "UPDATE attempt SET accepted_at = coalesce(accepted_at, ?) WHERE tx_hash = ?", (now, tx_hash)
                )
                journal.execute(
                    "UPDATE entry SET state = ?, changed_at = ? WHERE id = ? AND state = ?",
                    (State.SENT, now, entry_id, State.SIGNED),
                )

    def move(self, entry_id: int, to: State, now: int, inclusion: Inclusion | None = None, why: str = "") -> None:
        """Change an entry's state and what is known of its inclusion; the readings it carries follow."""
        found = inclusion
        with self._journal.transaction() as journal:
            journal.execute(
                "UPDATE entry SET state = ?, changed_at = ?, why = ?, foreign_sightings = 0, included_hash = ?,"
                " included_number = ?, included_block = ?, included_ok = ? WHERE id = ?",
                (
                    to,
                    now,
                    why,
                    found.tx_hash if found else None,
                    found.block_number if found else None,
                    found.block_hash if found else None,
                    int(found.succeeded) if found else None,
                    entry_id,
                ),
            )
            if to is State.FINAL:
                self._move_readings(entry_id, ReadingState.FINAL, why)
            elif to in {State.SENT, State.INCLUDED}:
                self._move_readings(entry_id, ReadingState.BUNDLED, why)

    def suspect(self, entry_id: int) -> None:
        """Count a sighting of the entry's nonce used by somebody else."""
        with self._journal.transaction() as journal:
            journal.execute("UPDATE entry SET foreign_sightings = foreign_sightings + 1 WHERE id = ?", (entry_id,))

    def forget_signed(self, before: int) -> int:
        """Delete the signed bytes of what became final before ``before``; returns how many.

        The entries stay, and where they were mined. Those that a reorganisation could still bring back keep their bytes
        however old they are.
        """
        with self._journal.transaction() as journal:
            return journal.execute(
                "DELETE FROM attempt WHERE signed_at < :before AND (SELECT state = :final AND changed_at < :before"
                " AND nonce < (SELECT max(nonce) FROM entry) - :newest FROM entry WHERE entry.id = attempt.entry_id)",
                {"before": before, "final": State.FINAL, "newest": 4 * MOST_IN_FLIGHT},
            )

    def halt(self, why: str) -> None:
        """Stop submission until a person resumes it."""
        self._journal.set_fact(_HALTED, why)

    def halted(self) -> str | None:
        """Why submission is stopped, or None."""
        return self._journal.fact(_HALTED)

    def resume(self) -> None:
        """A person has looked: go on above what the other has used, and give up what lost its nonce to him."""
        with self._journal.transaction() as journal:
            last = journal.one("SELECT max(id) AS last FROM entry")
            journal.set_fact(_HALTED, None)
            journal.set_fact(_ADOPT, "1")
            journal.set_fact(_FORGIVEN, str(last["last"] or 0 if last else 0))

    def forgiven(self, entry_id: int) -> bool:
        """Whether a person resumed submission after this entry was made."""
        return entry_id <= int(self._journal.fact(_FORGIVEN) or 0)

    def _move_readings(self, entry_id: int, to: ReadingState, why: str) -> None:
        self._journal.execute("UPDATE reading SET state = ?, why = ? WHERE entry_id = ?", (to, why, entry_id))

    def _add_attempt(self, entry_id: int, attempt: Attempt) -> None:
        self._journal.execute(
            "INSERT INTO attempt (tx_hash, entry_id, raw, max_fee, priority_fee, signed_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tx_hash) DO NOTHING",
            (
                attempt.tx_hash,
                entry_id,
                attempt.raw,
                attempt.fee.max_fee,
                attempt.fee.priority_fee,
                attempt.signed_at,
            ),
        )

    def _entry(self, row: Row) -> Entry:
        attempts = self._journal.query("SELECT * FROM attempt WHERE entry_id = ? ORDER BY rowid", (row["id"],))
        return Entry(
            id=row["id"],
            key=row["key"],
            kind=Kind(row["kind"]),
            to=row["target"],
            data=bytes(row["data"]),
            gas=row["gas"],
            state=State(row["state"]),
            created_at=row["created_at"],
            nonce=row["nonce"],
            attempts=tuple(_attempt(attempt) for attempt in attempts),
            inclusion=_inclusion(row),
            expires_at=row["expires_at"],
            foreign_sightings=row["foreign_sightings"],
            value=int(row["value"]),
        )


def _attempt(row: Row) -> Attempt:
    return Attempt(
        tx_hash=row["tx_hash"],
        raw=bytes(row["raw"]),
        fee=Fee(row["max_fee"], row["priority_fee"]),
        signed_at=row["signed_at"],
        accepted_at=row["accepted_at"],
        sent_at=row["sent_at"],
    )


def _inclusion(row: Row) -> Inclusion | None:
    if row["included_hash"] is None:
        return None
    return Inclusion(row["included_hash"], row["included_number"], row["included_block"], bool(row["included_ok"]))
