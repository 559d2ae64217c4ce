"""Looking into the journal beside a running agent: what ``status`` and ``readings`` show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.adapters.attested_rows import AttestedRows
from agent.adapters.chain_rows import ChainRows
from agent.adapters.decision_rows import DecisionRows
from agent.adapters.event_rows import EventRows
from agent.adapters.evidence_rows import EvidenceRows
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.journal_hold import held
from agent.adapters.lie_rows import LieRows
from agent.adapters.meter_rows import MeterRows
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.domain.attested import Attested
from agent.domain.decisions import Decision
from agent.domain.errors import BadRequest
from agent.domain.lies import Lie
from agent.domain.market import Head, HouseholdState, Parameters
from agent.domain.outbox import Entry, State
from agent.domain.readings import Flags, ReadingState
from agent.domain.registers import RegisterState
from agent.domain.samples import MeterRole
from agent.domain.telemetry import JournalEvent

_LIES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ReadingView:
    """One reading as a person looks at it.

    Attributes:
        sequence: None until sealed.
        state: how far it has come.
        tx_hash: the transaction that it is in, as last sent or as mined; empty if none.
        block: block number that holds it, None if none does.
        why: why it is refused, covered or came back; empty in good order.
    """

    interval_end: int
    period_s: int
    epoch: int
    sequence: int | None
    taken_at: int
    produced_wh: int
    consumed_wh: int
    flags: Flags
    gap_s: int
    state: ReadingState
    tx_hash: str
    block: int | None
    why: str


@dataclass(frozen=True, slots=True)
class StatusView:
    """The agent at one glance, from the journal alone.

    Attributes:
        running: whether an agent holds the journal now.
        registers: what is known of each meter's register.
        newest_minute: UTC epoch seconds of the newest minute row, None if there is none: how old the journal is.
        readings: how many readings are in each state.
        entries: how many outbox entries are in each state.
        halted: why submission is stopped, None in good order.
        parameters: the market's parameters as the contract stated them last.
        household: what the contract held of the household, and at which block.
        telemetry_mark: ``(epoch, sequence)`` up to which the collector holds everything.
        events: the newest warnings and errors, newest first.
        lies: the newest that full nodes were caught at, newest first.
        attested: how far the contract's events are proven; None in a journal of another release.
    """

    epoch: int
    running: bool
    registers: dict[MeterRole, RegisterState]
    newest_minute: int | None
    readings: dict[ReadingState, int]
    entries: dict[State, int]
    halted: str | None
    parameters: Parameters | None
    household: tuple[HouseholdState, Head] | None
    telemetry_mark: tuple[int, int]
    events: list[JournalEvent]
    lies: list[Lie]
    attested: Attested | None


class JournalView:
    """A journal opened for looking only.

    Args:
        directory: where the journal lives.
        household: the account.

    Raises:
        BadRequest: there is no journal yet.
        JournalBusy: it cannot be opened just now.
        JournalDamaged: it is damaged.
    """

    def __init__(self, directory: Path, household: str) -> None:
        path = directory / FILE_NAME
        if not path.exists():
            raise BadRequest(f"there is no journal at {path}; has the agent been started once?")
        self._journal = Journal(path, read_only=True)
        self._household = household

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()

    def status(self, events: int = 5) -> StatusView:
        """The agent at one glance, with the newest ``events`` warnings and errors."""
        meters, outbox, chain = MeterRows(self._journal), OutboxRows(self._journal), ChainRows(self._journal)
        newest = self._journal.query("SELECT max(id) - 200 AS low FROM event")[0]["low"] or 0
        told = [event for event in EventRows(self._journal).events_after(newest, 200) if event.level != "info"]
        return StatusView(
            epoch=meters.epoch(),
            running=held(self._journal.path.parent),
            registers={role: meters.register(role) for role in MeterRole},
            newest_minute=meters.newest_minute(),
            readings={ReadingState(row[0]): row[1] for row in self._counts("reading")},
            entries={State(row[0]): row[1] for row in self._counts("entry")},
            halted=outbox.halted(),
            parameters=chain.parameters(),
            household=chain.household(),
            telemetry_mark=ReadingRows(self._journal, self._household).telemetry_mark(),
            events=told[::-1][:events],
            lies=self.lies(_LIES_SHOWN),
            attested=AttestedRows(self._journal).attested() if self._journal.current() else None,
        )

    def lies(self, limit: int) -> list[Lie]:
        """What full nodes said that cannot be true, newest first; none in a journal from before they were kept."""
        return LieRows(self._journal).newest(limit) if self._journal.current() else []

    def lies_judge(self) -> str | None:
        """By which release and pins those were called lies; None where nobody judged yet."""
        return LieRows(self._journal).judge()

    def readings(self, limit: int, since: int = 0) -> list[ReadingView]:
        """The newest readings whose interval ended at or after ``since``, newest first."""
        rows = self._journal.query(
            "SELECT reading.*, entry.included_hash, entry.included_number, (SELECT tx_hash FROM attempt"
            "   WHERE attempt.entry_id = reading.entry_id ORDER BY attempt.rowid DESC LIMIT 1) AS last_hash"
            " FROM reading LEFT JOIN entry ON entry.id = reading.entry_id"
            " WHERE interval_end >= ? ORDER BY interval_end DESC LIMIT ?",
            (since, limit),
        )
        return [
            ReadingView(
                interval_end=row["interval_end"],
                period_s=row["period_s"],
                epoch=row["epoch"],
                sequence=row["sequence"],
                taken_at=row["taken_at"],
                produced_wh=row["produced_wh"],
                consumed_wh=row["consumed_wh"],
                flags=Flags(row["flags"]),
                gap_s=row["gap_s"],
                state=ReadingState(row["state"]),
                tx_hash=row["included_hash"] or row["last_hash"] or "",
                block=row["included_number"],
                why=row["why"],
            )
            for row in rows
        ]

    def decisions(self, limit: int) -> list[Decision]:
        """What the standing rule decided after the latest intervals, newest first."""
        return DecisionRows(self._journal).newest(limit)

    def entry_of(self, tx_hash: str) -> Entry | None:
        """The entry that a transaction of the household belongs to; None if it is none of its."""
        return OutboxRows(self._journal).by_transaction(tx_hash)

    def evidence_of(self, tx_hash: str) -> str | None:
        """The evidence file that is kept of a transaction."""
        kept = EvidenceRows(self._journal).of_transaction(tx_hash)
        return None if kept is None else kept.file

    def slot_evidence(self) -> str | None:
        """The newest evidence file of the household's slot that is kept."""
        kept = EvidenceRows(self._journal).slot()
        return None if kept is None else kept.file

    def place(self) -> str | None:
        """How far the validators were followed, as text."""
        return ChainRows(self._journal).place()

    def _counts(self, table: str) -> list[tuple[str, int]]:
        queries = {
            "reading": "SELECT state, count(*) FROM reading GROUP BY state",
            "entry": "SELECT state, count(*) FROM entry GROUP BY state",
        }
        return [(row[0], row[1]) for row in self._journal.query(queries[table])]
