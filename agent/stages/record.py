"""Record: minute rows, register states and the reading at each interval's end go to the journal.

Everything that concerns a boundary is one transaction. While the journal takes nothing (locked, full, read-only) the
rows wait in the polls' memory, polling goes on, and the next turn tries again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from agent.domain.errors import JournalBusy
from agent.domain.intervals import Close, Register, last_boundary
from agent.domain.readings import ClosedReading
from agent.domain.registers import RegisterState
from agent.domain.samples import MeterRole, MinuteRow
from agent.stages.ports import Clock, Events, Together


class Polled(Protocol):
    """What a meter's poll holds in memory."""

    role: MeterRole

    def newest(self) -> Register | None:
        """The newest register that may be booked."""

    def state(self) -> RegisterState:
        """What is known of the register."""

    def ended_epochs(self) -> int:
        """How many epochs its discontinuities have ended since the process began."""

    def minutes(self) -> list[MinuteRow]:
        """Minutes that are over, oldest first."""

    def forget(self, count: int) -> None:
        """Forget the oldest minutes."""


class MeterRows(Protocol):
    """The journal's rows about meters."""

    def add_minutes(self, rows: Iterable[MinuteRow]) -> None:
        """Keep minute rows."""

    def save_register(self, role: MeterRole, state: RegisterState) -> None:
        """Keep what is known of a register."""

    def epoch(self) -> int:
        """The epoch in force; 0 before the contract named the first."""

    def end_epochs(self, ended: int) -> int:
        """Count epochs that ended; returns the one in force."""


class ReadingRows(Protocol):
    """The journal's rows about readings."""

    def close(self, reading: ClosedReading) -> bool:
        """Keep an interval's reading; returns whether it was new."""

    def last_end(self) -> int | None:
        """The last boundary that is closed, here or on the chain."""

    def last_stated(self, epoch: int) -> tuple[int, int] | None:
        """Both registers of an epoch's last reading that was not refused, Wh, or None."""

    def discard_closed(self, after: int) -> int:
        """Forget readings of intervals that end after ``after``, unless they are signed; returns how many."""


class Contract(Protocol):
    """What the contract said last."""

    def reporting_period_s(self) -> int | None:
        """The reporting period in force, seconds; None until the contract has been asked once."""

    def booked(self, epoch: int) -> tuple[int, int] | None:
        """Both registers that it holds of the household in an epoch, Wh; None if that is not known."""


class Record:
    """Writes what the polls hold, and closes intervals.

    Args:
        minutes_at_once: how many minutes of a meter one commit takes, unless an interval ends before: a commit of one
            minute wears the card as much as one of two. What a power cut takes of them is no energy.
    """

    def __init__(
        self,
        *,
        production: Polled,
        consumption: Polled,
        meters: MeterRows,
        readings: ReadingRows,
        journal: Together,
        contract: Contract,
        clock: Clock,
        events: Events,
        minutes_at_once: int = 1,
    ) -> None:
        self._production = production
        self._consumption = consumption
        self._meters = meters
        self._readings = readings
        self._journal = journal
        self._contract = contract
        self._clock = clock
        self._events = events
        self._counted_epochs = {production.role: 0, consumption.role: 0}
        self._last_end: int | None = None
        self._minutes_at_once = minutes_at_once
        self._busy = False

    def stop(self) -> None:
        """Write the minutes that still wait, at the end; if the journal takes none, they are lost."""
        self._minutes_at_once = 1
        self.run_once()

    def run_once(self) -> bool:
        """Write what is due; returns whether an interval was closed."""
        try:
            closed = self._write()
        except JournalBusy as error:
            if not self._busy:
                self._busy = True
                self._events.warning(
                    "journal.busy",
                    problem=str(error),
                    advice="free space on the disk, or end the program that holds the journal; rows wait in memory",
                )
            return False
        if self._busy:
            self._busy = False
            self._events.info("journal.back")
        return closed

    def _write(self) -> bool:
        polls = (self._production, self._consumption)
        ended = {poll.role: poll.ended_epochs() for poll in polls}
        new_epochs = sum(ended[role] - self._counted_epochs[role] for role in ended)
        minutes = [poll.minutes() for poll in polls]
        states = [poll.state() for poll in polls]
        reading = None if new_epochs else self._due()
        enough = any(len(rows) >= self._minutes_at_once for rows in minutes)
        if not new_epochs and reading is None and not enough:
            return False
        if {poll.role: poll.ended_epochs() for poll in polls} != ended:
            return False  # an epoch ended while we looked: what was gathered mixes two; the next turn sorts it out
        closed = False
        with self._journal.transaction():
            self._meters.add_minutes(sorted((row for rows in minutes for row in rows), key=lambda row: row.minute))
            # As gathered: a newer state may belong to an epoch that is not counted in this commit.
            for poll, state in zip(polls, states, strict=True):
                self._meters.save_register(poll.role, state)
            if new_epochs:
                self._meters.end_epochs(new_epochs)
            if reading is not None:
                closed = self._readings.close(reading)
        self._counted_epochs = ended
        for poll, rows in zip(polls, minutes, strict=True):
            poll.forget(len(rows))
        if reading is not None:
            self._last_end = reading.interval_end
        if closed and reading is not None:
            self._events.info(
                "interval.closed",
                interval_end=reading.interval_end,
                produced_wh=reading.produced_wh,
                consumed_wh=reading.consumed_wh,
                flags=int(reading.flags),
                gap_s=reading.gap_s,
            )
        return closed

    def _discard(self, boundary: int) -> None:
        """The clock was ahead and has been put right: what was closed for times to come was never signed."""
        discarded = self._readings.discard_closed(boundary)
        if discarded:
            self._last_end = self._readings.last_end()
            self._events.warning(
                "interval.discarded",
                count=discarded,
                advice="the clock was ahead for a while; registers are cumulative, so no energy is lost",
            )

    def _due(self) -> ClosedReading | None:
        """The reading of the latest boundary, if it has none yet and there is something to state."""
        period_s = self._contract.reporting_period_s()
        if period_s is None or not self._clock.trusted():
            return None
        boundary = last_boundary(self._clock.now_ms() // 1000, period_s)
        if self._last_end is not None and self._last_end - period_s <= boundary <= self._last_end:
            return None
        # Asked again at each boundary: a restored journal may have learnt meanwhile what the chain holds.
        self._last_end = self._readings.last_end()
        if self._last_end is not None and boundary < self._last_end - period_s:
            self._discard(boundary)
        if self._last_end is not None and boundary <= self._last_end:
            return None
        epoch = self._meters.epoch()
        if epoch == 0:  # not enrolled: there is nobody to state it to
            return None
        close = Close(
            boundary=boundary,
            period_s=period_s,
            epoch=epoch,
            previous_end=self._last_end,
            production=self._production.newest(),
            consumption=self._consumption.newest(),
            stated=self._stated(epoch),
        )
        return close.at(self._clock.now_ms())  # after the registers were taken, so that none is from the future

    def _stated(self, epoch: int) -> tuple[int, int] | None:
        """Both registers as stated last. The journal is ahead of the chain, or behind it as a restored copy."""
        known = [pair for pair in (self._readings.last_stated(epoch), self._contract.booked(epoch)) if pair is not None]
        if not known:
            return None
        return max(produced for produced, _ in known), max(consumed for _, consumed in known)
