"""The journal's rows about readings: closed, sealed, bundled, final."""

from __future__ import annotations

from collections.abc import Sequence

from agent.adapters.journal import Journal, Row
from agent.domain.readings import ClosedReading, Flags, Reading, ReadingState, SignedReading
from agent.domain.telemetry import SealedReading

_FLOOR = "sequence_floor"
_END_FLOOR = "end_floor"
_TELEMETRY_EPOCH, _TELEMETRY_SEQUENCE = "telemetry_epoch", "telemetry_sequence"


class ReadingRows:
    """Readings on their way from closed to final.

    Args:
        journal: the open journal.
        household: the account that every reading is of.
    """

    def __init__(self, journal: Journal, household: str) -> None:
        self._journal = journal
        self._household = household

    def close(self, reading: ClosedReading) -> bool:
        """Keep an interval's reading; an interval that has one already keeps it.

        Returns:
            Whether it was new.
        """
        with self._journal.transaction() as journal:
            return bool(
                journal.execute(
                    "INSERT INTO reading (interval_end, period_s, epoch, taken_at, produced_wh, consumed_wh, flags,"
                    " gap_s, raw_production, raw_consumption, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (interval_end) DO NOTHING",
                    (
                        reading.interval_end,
                        reading.period_s,
                        reading.epoch,
                        reading.taken_at,
                        reading.produced_wh,
                        reading.consumed_wh,
                        int(reading.flags),
                        reading.gap_s,
                        reading.raw_production,
                        reading.raw_consumption,
                        ReadingState.CLOSED,
                    ),
                )
            )

    def discard_closed(self, after: int) -> int:
        """Forget readings of intervals that end after ``after``, unless they are signed; returns how many."""
        with self._journal.transaction() as journal:
            return journal.execute(
                "DELETE FROM reading WHERE state = ? AND interval_end > ?", (ReadingState.CLOSED, after)
            )

    def last_end(self) -> int | None:
        """UTC epoch seconds of the last closed boundary, here or (for a restored journal) on the chain, or None."""
        row = self._journal.one("SELECT max(interval_end) AS last FROM reading")
        last = 0 if row is None or row["last"] is None else int(row["last"])
        return max(last, int(self._journal.fact(_END_FLOOR) or 0)) or None

    def interval_of(self, epoch: int, sequence: int) -> tuple[int, int] | None:
        """End and length of the interval that a reading states, UTC epoch seconds and seconds.

        None if this journal does not know, or if another life of it has gone on from there: that one may have acted.
        """
        row = self._journal.one(
            "SELECT interval_end, period_s FROM reading WHERE epoch = ? AND sequence = ? AND interval_end > ?",
            (epoch, sequence, int(self._journal.fact(_END_FLOOR) or 0)),
        )
        return None if row is None else (row["interval_end"], row["period_s"])

    def last_stated(self, epoch: int) -> tuple[int, int] | None:
        """Production and consumption register of an epoch's last reading that was not refused, Wh, or None."""
        row = self._journal.one(
            "SELECT produced_wh, consumed_wh FROM reading WHERE epoch = ? AND state != ? ORDER BY id DESC LIMIT 1",
            (epoch, ReadingState.REFUSED),
        )
        return None if row is None else (row["produced_wh"], row["consumed_wh"])

    def raise_end(self, taken_at: int) -> None:
        """The chain holds a reading of ``taken_at`` that this journal lacks: no interval up to it is stated again.

        Those that are closed here, but in no transaction, are covered by it.
        """
        with self._journal.transaction() as journal:
            if taken_at > int(journal.fact(_END_FLOOR) or 0):
                journal.set_fact(_END_FLOOR, str(taken_at))
            journal.execute(
                "UPDATE reading SET state = ?, why = ? WHERE state IN (?, ?) AND interval_end <= ?",
                (
                    ReadingState.COVERED,
                    "the chain already holds a reading of this interval or a later one",
                    ReadingState.CLOSED,
                    ReadingState.SEALED,
                    taken_at,
                ),
            )

    def closed(self, limit: int) -> list[tuple[int, ClosedReading]]:
        """Readings that are neither numbered nor signed, oldest first, with their row ids."""
        rows = self._journal.query(
            "SELECT * FROM reading WHERE state = ? ORDER BY id LIMIT ?", (ReadingState.CLOSED, limit)
        )
        return [(row["id"], _closed(row)) for row in rows]

    def next_sequence(self, epoch: int) -> int:
        """The sequence of the next reading of an epoch: above every one used here and above the floor."""
        row = self._journal.one("SELECT max(sequence) AS last FROM reading WHERE epoch = ?", (epoch,))
        used = 0 if row is None or row["last"] is None else int(row["last"])
        return max(used, int(self._journal.fact(f"{_FLOOR}:{epoch}") or 0)) + 1

    def raise_floor(self, epoch: int, sequence: int) -> None:
        """Never number a reading of ``epoch`` at or below ``sequence`` again."""
        floor = int(self._journal.fact(f"{_FLOOR}:{epoch}") or 0)
        if sequence > floor:
            self._journal.set_fact(f"{_FLOOR}:{epoch}", str(sequence))

    def seal(self, row_id: int, signed: SignedReading) -> None:
        """Number and sign a closed reading."""
        with self._journal.transaction() as journal:
            journal.execute(
                "UPDATE reading SET sequence = ?, signature = ?, state = ? WHERE id = ? AND state = ?",
                (signed.reading.sequence, signed.signature, ReadingState.SEALED, row_id, ReadingState.CLOSED),
            )

    def sealed(self, epoch: int, limit: int) -> list[tuple[int, SignedReading]]:
        """Signed readings of one epoch that are in no transaction, oldest first, with their row ids."""
        rows = self._journal.query(
            "SELECT * FROM reading WHERE state = ? AND epoch = ? ORDER BY sequence LIMIT ?",
            (ReadingState.SEALED, epoch, limit),
        )
        return [(row["id"], self._signed(row)) for row in rows]

    def waiting_epochs(self) -> list[int]:
        """Epochs that have signed readings in no transaction, lowest first."""
        rows = self._journal.query(
            "SELECT DISTINCT epoch FROM reading WHERE state = ? ORDER BY epoch", (ReadingState.SEALED,)
        )
        return [row["epoch"] for row in rows]

    def of_entry(self, entry_id: int) -> list[tuple[int, SignedReading]]:
        """The readings that a transaction carries, in order."""
        rows = self._journal.query("SELECT * FROM reading WHERE entry_id = ? ORDER BY sequence", (entry_id,))
        return [(row["id"], self._signed(row)) for row in rows]

    def set_state(self, row_ids: Sequence[int], state: ReadingState, why: str = "") -> None:
        """Move readings to a state; leaving a transaction forgets it and counts a refusal."""
        with self._journal.transaction() as journal:
            for row_id in row_ids:
                journal.execute("UPDATE reading SET state = ?, why = ? WHERE id = ?", (state, why, row_id))
                if state is ReadingState.SEALED:
                    journal.execute(
                        "UPDATE reading SET entry_id = NULL, refusals = refusals + 1 WHERE id = ?", (row_id,)
                    )

    def refusals(self, row_id: int) -> int:
        """How often a reading came back out of a transaction."""
        row = self._journal.one("SELECT refusals FROM reading WHERE id = ?", (row_id,))
        return 0 if row is None else int(row["refusals"])

    def sealed_after(self, epoch: int, sequence: int, limit: int) -> list[SealedReading]:
        """Signed readings after ``(epoch, sequence)``, whatever became of them on the chain, in order."""
        rows = self._journal.query(
            "SELECT * FROM reading WHERE sequence IS NOT NULL AND (epoch, sequence) > (?, ?)"
            " ORDER BY epoch, sequence LIMIT ?",
            (epoch, sequence, limit),
        )
        return [SealedReading(self._signed(row), row["interval_end"], row["period_s"]) for row in rows]

    def telemetry_mark(self) -> tuple[int, int]:
        """``(epoch, sequence)`` up to which the collector holds everything; (0, 0) at first."""
        journal = self._journal
        return int(journal.fact(_TELEMETRY_EPOCH) or 0), int(journal.fact(_TELEMETRY_SEQUENCE) or 0)

    def set_telemetry_mark(self, epoch: int, sequence: int) -> None:
        """Note up to where the collector holds everything."""
        with self._journal.transaction() as journal:
            journal.set_fact(_TELEMETRY_EPOCH, str(epoch))
            journal.set_fact(_TELEMETRY_SEQUENCE, str(sequence))

    def prune(self, before: int) -> int:
        """Delete readings that have ended and are older than ``before``; the newest stays, since numbers go on from it.

        The transactions that carried them stay too: they say which nonces were given away.
        """
        with self._journal.transaction() as journal:
            return journal.execute(
                "DELETE FROM reading WHERE interval_end < ? AND state IN (?, ?, ?)"
                " AND id < (SELECT max(id) FROM reading)",
                (before, ReadingState.FINAL, ReadingState.COVERED, ReadingState.REFUSED),
            )

    def _signed(self, row: Row) -> SignedReading:
        reading = Reading(
            household=self._household,
            epoch=row["epoch"],
            sequence=row["sequence"],
            taken_at=row["taken_at"],
            produced_wh=row["produced_wh"],
            consumed_wh=row["consumed_wh"],
            flags=Flags(row["flags"]),
        )
        return SignedReading(reading, bytes(row["signature"]))


def _closed(row: Row) -> ClosedReading:
    return ClosedReading(
        interval_end=row["interval_end"],
        period_s=row["period_s"],
        epoch=row["epoch"],
        taken_at=row["taken_at"],
        produced_wh=row["produced_wh"],
        consumed_wh=row["consumed_wh"],
        flags=Flags(row["flags"]),
        gap_s=row["gap_s"],
        raw_production=bytes(row["raw_production"]),
        raw_consumption=bytes(row["raw_consumption"]),
    )
