"""Submit: signed readings and other intents go to the full nodes' mempool.

Sign, persist, then broadcast. A transaction's bytes, hash and nonce are committed before the first byte leaves, and
the same bytes are sent again after a crash; so it is mined at most once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.domain.errors import BadReading, JournalBusy, NodeUnavailable, NotYet, Rejected
from agent.domain.fees import TRANSFER_GAS, Fee, FeeQuote, offer, report_gas
from agent.domain.market import HouseholdState
from agent.domain.outbox import (
    MOST_IN_FLIGHT,
    Attempt,
    Broadcast,
    Entry,
    Intent,
    Kind,
    Move,
    Rules,
    Sighting,
    State,
    next_step,
)
from agent.domain.readings import ReadingState, SignedReading
from agent.stages.ports import Clock, Events, Together
from agent.stages.ports import Outbox as OutboxPort

# A day of quarter hours in one transaction: 2,500 gas each, far below any block's limit.
READINGS_AT_ONCE = 96
# Out of a transaction this often, a reading is refused for good: its energy is in the next one.
_MOST_REFUSALS = 3


class Nodes(Protocol):
    """The full nodes, asked together: those that answer, are on the pinned chain and do not lag."""

    def pending_nonce(self) -> int:
        """The account's next nonce, counting what waits in the mempools (the highest that a usable node says).

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def fee_quote(self) -> FeeQuote:
        """What gas costs now.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def balance(self) -> int:
        """The account's balance, wei.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def household(self) -> HouseholdState:
        """What the contract holds of the household, at the newest block.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def rehearse(self, to: str, data: bytes) -> None:
        """Call it as the account would, without sending (``eth_call``).

        Raises:
            Rejected: the contract would reject it for good.
            NotYet: it would be rejected now but may be taken later (paused, suspended, taken in the future).
            NodeUnavailable: no node gave a usable answer.
        """

    def broadcast(self, raw: bytes) -> bool:
        """Send the same bytes to every usable node.

        Returns:
            Whether a node took it, or has it already (decided by looking up, never by an error's text).

        Raises:
            NodeUnavailable: no node could be asked.
        """

    def sight(self, entry: Entry) -> Sighting:
        """What the nodes say of one entry.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """


class Signer(Protocol):
    """The household's key, as far as transactions go."""

    @property
    def address(self) -> str:
        """The account, checksummed."""

    def sign_transaction(self, nonce: int, to: str, data: bytes, gas: int, fee: Fee) -> tuple[str, bytes]:
        """Sign an EIP-1559 transaction of no value for the pinned chain.

        Returns:
            ``(hash as 0x hex, signed bytes)``.
        """

    def made_by(self, signed: SignedReading) -> str:
        """The address whose key signed a reading."""


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


class Outbox(OutboxPort, Protocol):
    """The outbox's rows."""

    def queue(self, intent: Intent, now: int, readings: Sequence[int] = ()) -> bool:
        """Put an intent in; with the same key it is there once."""

    def next_nonce(self) -> int:
        """The lowest nonce that this journal has not given away."""

    def sign(self, entry_id: int, nonce: int, attempt: Attempt) -> None:
        """Keep the nonce and the signed bytes."""


@dataclass(frozen=True, slots=True)
class Fees:
    """The household's limits: the most that it pays for a unit of gas, wei."""

    most: int


class Submit:
    """Takes intents from queued to sent.

    Args:
        contract: the market's address.
        may_submit: whether the journal has been compared with the chain since the process began.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        readings: Readings,
        journal: Together,
        nodes: Nodes,
        signer: Signer,
        codec: Codec,
        contract: str,
        rules: Rules,
        fees: Fees,
        may_submit: Callable[[], bool],
        clock: Clock,
        events: Events,
    ) -> None:
        self._outbox = outbox
        self._readings = readings
        self._journal = journal
        self._nodes = nodes
        self._signer = signer
        self._codec = codec
        self._contract = contract
        self._rules = rules
        self._fees = fees
        self._may_submit = may_submit
        self._clock = clock
        self._events = events
        self._waiting = ""

    def run_once(self) -> bool:
        """Send what can be sent; returns whether a node took something new."""
        if self._outbox.halted() is not None or not self._may_submit() or not self._clock.trusted():
            return False
        try:
            self._bundle()
            sent = self._send()
        except NotYet as wait:
            self._wait(f"the contract takes nothing from this household now: {wait}")
            return False
        except (NodeUnavailable, JournalBusy):  # the pool and the record stage say so; everything stays where it is
            return False
        return sent

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    # -- from readings to intents

    def _bundle(self) -> None:
        """Put waiting readings into as few transactions as possible."""
        waiting = self._readings.waiting_epochs()
        if not waiting or self._room() == 0:
            return
        household = self._nodes.household()
        if not household.active:
            raise NotYet("it is not enrolled, or suspended; ask the registration office")
        for epoch in waiting:
            if epoch > household.epoch:
                raise NotYet(
                    f"readings of epoch {epoch} wait until the registration office confirms the meter (it has epoch"
                    f" {household.epoch})"
                )
            while self._room() > 0 and (batch := self._next_batch(epoch)):
                self._bundle_batch(household, batch)

    def _next_batch(self, epoch: int) -> list[tuple[int, SignedReading]]:
        """The oldest waiting readings; one that was refused in company goes alone, so that it takes no other down."""
        batch = self._readings.sealed(epoch, READINGS_AT_ONCE)
        tried = [index for index, (row, _) in enumerate(batch) if self._readings.refusals(row)]
        return batch[: max(1, tried[0])] if tried else batch

    def _room(self) -> int:
        return MOST_IN_FLIGHT - len(self._outbox.open_entries())

    def _bundle_batch(self, household: HouseholdState, batch: list[tuple[int, SignedReading]]) -> None:
        held = (household.epoch, household.sequence)
        covered = [row for row, signed in batch if (signed.reading.epoch, signed.reading.sequence) <= held]
        if covered:
            self._readings.set_state(covered, ReadingState.COVERED, "the contract already holds a later reading")
            self._events.warning("reading.covered", count=len(covered), held_sequence=household.sequence)
            return
        bad = [row for row, signed in batch if not self._sound(signed)]
        if bad:
            self._readings.set_state(bad, ReadingState.REFUSED, "the stored reading does not match its signature")
            self._events.error(
                "reading.tampered",
                rows=bad,
                advice="the journal was changed from outside or the card is failing: keep a copy, replace the card",
            )
            return
        first, last = batch[0][1].reading, batch[-1][1].reading
        intent = Intent(
            key=f"report:{first.epoch}:{first.sequence}-{last.sequence}:{self._readings.refusals(batch[0][0])}",
            kind=Kind.REPORT,
            to=self._contract,
            data=self._codec.report([signed.reading.packed() for _, signed in batch]),
            gas=report_gas(len(batch)),
        )
        self._outbox.queue(intent, self._now(), [row for row, _ in batch])

    def _sound(self, signed: SignedReading) -> bool:
        try:
            return self._signer.made_by(signed) == self._signer.address
        except BadReading:
            return False

    # -- from intents to the mempool

    def _send(self) -> bool:
        sent = False
        for entry in self._outbox.open_entries():
            if entry.state is State.QUEUED:
                sent |= self._sign_and_send(entry)
            elif entry.state is State.SIGNED:
                sent |= self._send_again(entry)
        return sent

    def _sign_and_send(self, entry: Entry) -> bool:
        step = next_step(entry, None, self._now(), self._rules)
        if isinstance(step, Move):
            self._outbox.move(entry.id, step.to, self._now(), why=step.why)
            return False
        nonce = self._next_nonce()
        if nonce is None:
            return False
        if nonce == 0 and entry.kind is not Kind.OPENING:
            self._open()
            return False
        if not self._rehearsed(entry):
            return False
        fee = offer(self._nodes.fee_quote(), self._fees.most)
        self._check_funds(entry, fee)
        tx_hash, raw = self._signer.sign_transaction(nonce, entry.to, entry.data, entry.gas, fee)
        attempt = Attempt(tx_hash, raw, fee, signed_at=self._now())
        self._outbox.sign(entry.id, nonce, attempt)
        return self._broadcast(entry, attempt)

    def _next_nonce(self) -> int | None:
        """The nonce for the next signature, or None after halting."""
        ours, theirs = self._outbox.next_nonce(), self._nodes.pending_nonce()
        if theirs > ours:
            why = (
                f"the account's next nonce is {theirs}, but this agent has used only those below {ours}:"
                " the key is in use elsewhere"
            )
            self._outbox.halt(why)
            self._events.error(
                "submit.halted",
                why=why,
                advice="find out who else has the key; then run 'prosumer-agent keys resume'",
            )
            return None
        return ours

    def _open(self) -> None:
        """Use nonce 0 up with something that may safely happen twice: one kind of node executes it twice."""
        opening = Intent(key="opening", kind=Kind.OPENING, to=self._signer.address, data=b"", gas=TRANSFER_GAS)
        if self._outbox.queue(opening, self._now()):
            for entry in self._outbox.open_entries():
                if entry.kind is Kind.OPENING:
                    self._sign_and_send(entry)

    def _rehearsed(self, entry: Entry) -> bool:
        """Whether the contract would take it; with others in flight it cannot be asked, since it builds on them."""
        if any(other.state.in_flight for other in self._outbox.open_entries()):
            return True
        try:
            self._nodes.rehearse(entry.to, entry.data)
        except Rejected as rejected:
            self._refuse(entry, str(rejected))
            return False
        if self._waiting:
            self._waiting = ""
            self._events.info("submit.resumed")
        return True

    def _refuse(self, entry: Entry, why: str) -> None:
        """The contract will not take it: let its readings go."""
        carried = self._readings.of_entry(entry.id)
        with self._journal.transaction():
            self._outbox.move(entry.id, State.REFUSED, self._now(), why=why)
            release(self._readings, [row for row, _ in carried], why)
        self._events.error(
            "transaction.refused",
            why=why,
            readings=len(carried),
            advice="run 'prosumer-agent readings' and give the refused ones to the distribution company",
        )

    def _check_funds(self, entry: Entry, fee: Fee) -> None:
        cost = entry.gas * fee.max_fee
        if cost and (balance := self._nodes.balance()) < cost:
            raise NotYet(
                f"the account holds {balance} wei and the next transaction may cost {cost};"
                f" send funds to {self._signer.address}"
            )

    def _send_again(self, entry: Entry) -> bool:
        """Signed before a crash or while no node could be reached: look first, then send the same bytes."""
        sighting = self._nodes.sight(entry)
        step = next_step(entry, sighting, self._now(), self._rules)
        if isinstance(step, Move):
            self._outbox.move(entry.id, step.to, self._now(), step.inclusion, step.why)
        elif isinstance(step, Broadcast):
            return self._broadcast(entry, step.attempt)
        elif sighting.pooled:
            self._outbox.sent(entry.id, entry.attempts[-1].tx_hash, self._now(), accepted=True)
        return False

    def _broadcast(self, entry: Entry, attempt: Attempt) -> bool:
        accepted = self._nodes.broadcast(attempt.raw)
        self._outbox.sent(entry.id, attempt.tx_hash, self._now(), accepted=accepted)
        if accepted:
            self._events.info("transaction.sent", kind=entry.kind, tx_hash=attempt.tx_hash, entry=entry.id)
        return accepted

    def _wait(self, why: str) -> None:
        if why != self._waiting:
            self._waiting = why
            self._events.warning("submit.waiting", problem=why, advice="nothing is lost: readings wait in the journal")


def release(readings: Readings, rows: Sequence[int], why: str) -> None:
    """Take readings out of a transaction that the contract refused; one that is refused again and again is refused."""
    again = [row for row in rows if readings.refusals(row) + 1 < _MOST_REFUSALS]
    readings.set_state(again, ReadingState.SEALED, why)
    readings.set_state([row for row in rows if row not in again], ReadingState.REFUSED, why)
