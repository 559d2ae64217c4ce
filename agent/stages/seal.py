"""Seal: closed readings are numbered and signed, in order and without holes."""

from __future__ import annotations

from typing import Protocol

from agent.domain.errors import BadReading, JournalBusy
from agent.domain.readings import ClosedReading, Reading, ReadingState, SignedReading
from agent.stages.ports import Clock, Together

# Enough for a day at the shortest sensible period; the next turn takes the rest.
_AT_ONCE = 96


class ReadingRows(Protocol):
    """The journal's rows about readings."""

    def closed(self, limit: int) -> list[tuple[int, ClosedReading]]:
        """Readings neither numbered nor signed, oldest first, with their row ids."""

    def next_sequence(self, epoch: int) -> int:
        """The sequence of the epoch's next reading."""

    def seal(self, row_id: int, signed: SignedReading) -> None:
        """Number and sign a closed reading."""

    def set_state(self, row_ids: list[int], state: ReadingState, why: str = "") -> None:
        """Move readings to a state."""


class Signer(Protocol):
    """The household's key, as far as readings go."""

    @property
    def address(self) -> str:
        """The account, checksummed."""

    def sign_reading(self, reading: Reading) -> SignedReading:
        """Sign by EIP-712 for the pinned chain and contract."""


class Gate(Protocol):
    """Whether numbers may be given out."""

    def may_number(self) -> bool:
        """False while the chain might know later numbers than this journal (an old copy was restored)."""


class Seal:
    """Numbers and signs closed readings."""

    def __init__(self, *, readings: ReadingRows, journal: Together, signer: Signer, gate: Gate, clock: Clock) -> None:
        self._readings = readings
        self._journal = journal
        self._signer = signer
        self._gate = gate
        self._clock = clock

    def run_once(self) -> bool:
        """Seal what is closed; returns whether there was anything."""
        if not self._clock.trusted() or not self._gate.may_number():
            return False
        try:
            closed = self._readings.closed(_AT_ONCE)
            if not closed:
                return False
            with self._journal.transaction():
                for row_id, reading in closed:
                    self._seal(row_id, reading)
        except JournalBusy:  # the record stage says so; the readings wait
            return False
        return True

    def _seal(self, row_id: int, closed: ClosedReading) -> None:
        reading = Reading(
            household=self._signer.address,
            epoch=closed.epoch,
            sequence=self._readings.next_sequence(closed.epoch),
            taken_at=closed.taken_at,
            produced_wh=closed.produced_wh,
            consumed_wh=closed.consumed_wh,
            flags=closed.flags,
        )
        try:
            reading.packed()
        except BadReading as error:
            self._readings.set_state([row_id], ReadingState.REFUSED, str(error))
            return
        self._readings.seal(row_id, self._signer.sign_reading(reading))
