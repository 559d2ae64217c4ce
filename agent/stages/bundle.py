"""Bundle: waiting readings become as few transactions as possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.domain.errors import BadReading, NotYet
from agent.domain.fees import report_gas
from agent.domain.market import HouseholdState, Parameters
from agent.domain.market_calls import MARKET_GAS
from agent.domain.outbox import MOST_IN_FLIGHT, Entry, Intent, Kind
from agent.domain.readings import Reading, ReadingState, SignedReading
from agent.stages.ports import Clock, Events

# A day of quarter hours in one transaction: 2,500 gas each, far below any block's limit.
READINGS_AT_ONCE = 96
# Out of a transaction this often, a reading is refused for good: its energy is in the next one.
_MOST_REFUSALS = 3


class Nodes(Protocol):
    """The full nodes, asked together."""

    def household(self, witnesses: int = 1) -> HouseholdState:
        """What the contract holds of the household, at the newest block, said by so many nodes or more.

        Raises:
            NodeUnavailable: fewer nodes gave a usable answer.
        """

    def parameters(self) -> Parameters:
        """The market's parameters, at the newest block.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """


class Verifier(Protocol):
    """Who signed a reading."""

    @property
    def address(self) -> str:
        """The household's account, checksummed."""

    def made_by(self, signed: SignedReading) -> str:
        """The address whose key signed a reading; raises BadReading."""


class Codec(Protocol):
    """The contract's calls."""

    def report(self, words: Sequence[int]) -> bytes:
        """Calldata that reports packed readings, oldest first."""


class Readings(Protocol):
    """The journal's rows about readings."""

    def waiting_epochs(self) -> list[int]:
        """Epochs that have signed readings in no transaction, lowest first."""

    def sealed(self, epoch: int, limit: int) -> list[tuple[int, SignedReading]]:
        """Signed readings of one epoch that are in no transaction, oldest first, with their row ids."""

    def of_entry(self, entry_id: int) -> list[tuple[int, SignedReading]]:
        """The readings that a transaction carries."""

    def set_state(self, row_ids: Sequence[int], state: ReadingState, why: str = "") -> None:
        """Move readings to a state; leaving a transaction counts a refusal."""

    def refusals(self, row_id: int) -> int:
        """How often a reading came back out of a transaction."""


class Outbox(Protocol):
    """The outbox's rows."""

    def open_entries(self) -> list[Entry]:
        """Entries that have not ended, oldest first."""

    def queue(self, intent: Intent, now: int, readings: Sequence[int] = ()) -> bool:
        """Put an intent in; with the same key it is there once."""


class Bundle:
    """Puts waiting readings into the outbox.

    Args:
        contract: the market's address.
        agreement: how many nodes must say that the contract holds a later reading than one that waits: that one is
            never sent.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        readings: Readings,
        nodes: Nodes,
        verifier: Verifier,
        codec: Codec,
        contract: str,
        agreement: int,
        clock: Clock,
        events: Events,
    ) -> None:
        self._outbox = outbox
        self._readings = readings
        self._nodes = nodes
        self._verifier = verifier
        self._codec = codec
        self._contract = contract
        self._agreement = agreement
        self._clock = clock
        self._events = events

    def run(self) -> str:
        """Bundle what can be bundled.

        Returns:
            Why some readings wait, or nothing.

        Raises:
            NotYet: the contract takes nothing at all from this household now.
            NodeUnavailable: no node gave a usable answer.
            JournalBusy: the rest stays as it is.
        """
        waiting = self._readings.waiting_epochs()
        if not waiting or self._room() == 0:
            return ""
        household = self._nodes.household()
        if not household.active:
            raise NotYet("it is not enrolled, or suspended; ask the registration office")
        # Behind other readings in flight none is rehearsed, and what is sent into a pause reverts.
        if self._nodes.parameters().paused:
            raise NotYet("the distribution agent has paused the market")
        for epoch in waiting:
            if epoch > household.epoch:
                return (
                    f"readings of epoch {epoch} wait until the registration office confirms the meter (it has epoch"
                    f" {household.epoch})"
                )
            while self._room() > 0 and (batch := self._next_batch(epoch)):
                if not self._bundle(household, batch):
                    break
        return ""

    def _next_batch(self, epoch: int) -> list[tuple[int, SignedReading]]:
        """The oldest waiting readings; one that was refused in company goes alone, so that it takes no other down."""
        batch = self._readings.sealed(epoch, READINGS_AT_ONCE)
        tried = [index for index, (row, _) in enumerate(batch) if self._readings.refusals(row)]
        return batch[: max(1, tried[0])] if tried else batch

    def _room(self) -> int:
        """How many more transactions; orders that wait to be signed take none of the readings' room."""
        entries = self._outbox.open_entries()
        return MOST_IN_FLIGHT - sum(entry.state.in_flight or entry.kind not in MARKET_GAS for entry in entries)

    def _bundle(self, household: HouseholdState, batch: list[tuple[int, SignedReading]]) -> bool:
        """Put one batch in, or out of the way; returns whether that changed anything."""
        if any(_covered(signed.reading, household) for _, signed in batch):
            household = self._nodes.household(self._agreement)
        covered = [row for row, signed in batch if _covered(signed.reading, household)]
        if covered:
            self._readings.set_state(covered, ReadingState.COVERED, "the contract already holds a later reading")
            self._events.warning("reading.covered", count=len(covered), held_sequence=household.sequence)
            return True
        bad = [row for row, signed in batch if not self._sound(signed)]
        if bad:
            self._readings.set_state(bad, ReadingState.REFUSED, "the stored reading does not match its signature")
            self._events.error(
                "reading.tampered",
                rows=bad,
                advice="the journal was changed from outside or the card is failing: keep a copy, replace the card",
            )
            return True
        first, last = batch[0][1].reading, batch[-1][1].reading
        intent = Intent(
            key=f"report:{first.epoch}:{first.sequence}-{last.sequence}:{self._readings.refusals(batch[0][0])}",
            kind=Kind.REPORT,
            to=self._contract,
            data=self._codec.report([signed.reading.packed() for _, signed in batch]),
            gas=report_gas(len(batch)),
        )
        return self._outbox.queue(intent, self._clock.now_ms() // 1000, [row for row, _ in batch])

    def _sound(self, signed: SignedReading) -> bool:
        try:
            return self._verifier.made_by(signed) == self._verifier.address
        except BadReading:
            return False


def _covered(reading: Reading, household: HouseholdState) -> bool:
    """Whether the contract holds a later one: it takes neither an earlier number nor an earlier time."""
    if reading.epoch < household.epoch:
        return True
    return reading.sequence <= household.sequence or reading.taken_at <= household.taken_at


def release(readings: Readings, rows: Sequence[int], why: str) -> None:
    """Take readings out of a transaction that the contract refused; one that is refused again and again is refused."""
    again = [row for row in rows if readings.refusals(row) + 1 < _MOST_REFUSALS]
    readings.set_state(again, ReadingState.SEALED, why)
    readings.set_state([row for row in rows if row not in again], ReadingState.REFUSED, why)
