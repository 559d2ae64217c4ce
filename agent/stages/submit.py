"""Submit: signed readings and other intents go to the full nodes' mempool.

Sign, persist, then broadcast. A transaction's bytes, hash and nonce are committed before the first byte leaves, and
the same bytes are sent again after a crash; so it is mined at most once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.domain.errors import JournalBusy, NodeUnavailable, NotYet
from agent.domain.fees import TRANSFER_GAS, Fee, FeeQuote, offer
from agent.domain.market import HouseholdState, Parameters
from agent.domain.market_calls import MARKET_GAS
from agent.domain.outbox import (
    MOST_IN_FLIGHT,
    Attempt,
    Broadcast,
    Entry,
    Halt,
    Intent,
    Kind,
    Move,
    Rules,
    Sighting,
    State,
    Suspect,
    next_step,
)
from agent.domain.readings import SignedReading
from agent.stages.bundle import Bundle, Readings
from agent.stages.bundle import Codec as BundleCodec
from agent.stages.ports import Clock, Events, Together
from agent.stages.ports import Outbox as OutboxPort
from agent.stages.rehearse import Codec as RehearsalCodec
from agent.stages.rehearse import Nodes as RehearsalNodes
from agent.stages.rehearse import Refusals, Rehearsal

# Half of what may be in flight: the other half stays free for readings.
_MOST_BEFORE_ORDERS_WAIT = MOST_IN_FLIGHT // 2
# The watchdog takes a turn that lasts too long for one that hangs.
_ORDERS_TURN_S = 10.0


class Nodes(RehearsalNodes, Protocol):
    """The full nodes, asked together: those that answer, are on the pinned chain and do not lag."""

    def mined_nonce(self) -> int:
        """How many of the account's transactions are mined, the lowest that a usable node says.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

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


class Codec(BundleCodec, RehearsalCodec, Protocol):
    """The contract's calls."""


class Signer(Protocol):
    """The household's key, as far as transactions go."""

    @property
    def address(self) -> str:
        """The account, checksummed."""

    def sign_transaction(  # noqa: PLR0917 - a transaction's fields in the order of every Ethereum library
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int
    ) -> tuple[str, bytes]:
        """Sign an EIP-1559 transaction for the pinned chain.

        Returns:
            ``(hash as 0x hex, signed bytes)``.
        """

    def made_by(self, signed: SignedReading) -> str:
        """The address whose key signed a reading; raises BadReading."""


class Outbox(OutboxPort, Protocol):
    """The outbox's rows."""

    def queue(self, intent: Intent, now: int, readings: Sequence[int] = ()) -> bool:
        """Put an intent in; with the same key it is there once."""

    def next_nonce(self) -> int:
        """The lowest nonce that this journal has not given away."""

    def adopt_nonce(self, nonce: int) -> None:
        """Continue above what another has used, if a person resumed submission since; else do nothing."""

    def left_out(self, nonce: int) -> bool:
        """Whether this journal continued above ``nonce`` without ever giving it away."""

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
        self._bundle = Bundle(
            outbox=outbox,
            readings=readings,
            nodes=nodes,
            verifier=signer,
            codec=codec,
            contract=contract,
            agreement=rules.agreement,
            clock=clock,
            events=events,
        )
        self._refusals = Refusals(
            outbox=outbox, readings=readings, journal=journal, codec=codec, clock=clock, events=events
        )
        self._rehearsal = Rehearsal(outbox=outbox, nodes=nodes, refusals=self._refusals, account=signer.address)
        self._rules = rules
        self._fees = fees
        self._may_submit = may_submit
        self._clock = clock
        self._events = events
        self._waiting = ""
        self._untaken = ""
        self._orders_waiting: dict[int, str] = {}

    def run_once(self) -> bool:
        """Send what can be sent; returns whether a node took something new."""
        try:
            if self._outbox.halted() is not None or not self._may_submit() or not self._clock.trusted():
                return False
            return self._turn()
        except (NodeUnavailable, JournalBusy):  # the pool and the record stage say so; everything stays where it is
            return False

    def _turn(self) -> bool:
        # What is signed goes first: nothing that the contract thinks of newer readings may hold it up.
        self._untaken = ""
        sent = self._send_signed()
        self._fill()
        self._expire()
        sent, why = self._report(sent=sent)
        sent |= self._trade()
        if why := why or self._untaken:
            self._wait(why)
        elif sent and self._waiting:
            self._waiting = ""
            self._events.info("submit.resumed")
        return sent

    def _report(self, *, sent: bool) -> tuple[bool, str]:
        """Readings, which go before orders; one that has to wait holds up those after it, which build on it."""
        try:
            why = self._bundle.run()
            for entry in self._of(State.QUEUED):
                if entry.kind not in MARKET_GAS:
                    sent |= self._sign_and_send(entry)
        except NotYet as wait:
            return sent, f"nothing can be sent from this household now: {wait}"
        return sent, why

    def _trade(self) -> bool:
        """Orders; one that has to wait holds up nothing but itself."""
        sent = False
        queued = [entry for entry in self._of(State.QUEUED) if entry.kind in MARKET_GAS]
        known = {entry.id: self._orders_waiting.get(entry.id, "") for entry in queued}
        self._orders_waiting = known
        began = self._clock.monotonic()
        for entry in queued:
            if self._clock.monotonic() - began >= _ORDERS_TURN_S:  # slow nodes; the rest has the next turn
                return sent
            flying = sum(other.state.in_flight for other in self._outbox.open_entries())
            if self._outbox.halted() is not None or flying >= _MOST_BEFORE_ORDERS_WAIT:
                return sent
            try:
                sent |= self._sign_and_send(entry)
            except NotYet as wait:
                if known[entry.id] != str(wait):
                    known[entry.id] = str(wait)
                    self._events.warning(
                        "order.waiting",
                        problem=str(wait),
                        **self._refusals.facts(entry),
                        advice="it is tried again until its time is over; readings go on",
                    )
        return sent

    def _expire(self) -> None:
        for entry in self._of(State.QUEUED):
            step = next_step(entry, None, self._now(), self._rules)
            if isinstance(step, Move):
                self._outbox.move(entry.id, step.to, self._now(), why=step.why)
                self._events.warning(
                    "transaction.expired",
                    problem=step.why,
                    **self._refusals.facts(entry),
                    advice="nothing was sent and nothing was spent; ask again if it is still wanted",
                )

    def _of(self, state: State) -> list[Entry]:
        return [entry for entry in self._outbox.open_entries() if entry.state is state]

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    def _sign_and_send(self, entry: Entry) -> bool:
        nonce = self._next_nonce()
        if nonce is None:
            return False
        if nonce == 0 and entry.kind is not Kind.OPENING:
            self._open()
            return False
        fee = offer(self._nodes.fee_quote(), self._fees.most)
        if entry.value:  # nodes do not run a call with more money than there is
            self._rehearsal.check_funds(entry, fee.max_fee)
        if not self._rehearsal.passes(entry):
            return False
        if not entry.value:
            self._rehearsal.check_funds(entry, fee.max_fee)
        return self._broadcast(entry, self._sign(entry, nonce, fee))

    def _sign(self, entry: Entry, nonce: int, fee: Fee) -> Attempt:
        tx_hash, raw = self._signer.sign_transaction(nonce, entry.to, entry.data, entry.gas, fee, entry.value)
        attempt = Attempt(tx_hash, raw, fee, signed_at=self._now())
        self._outbox.sign(entry.id, nonce, attempt)
        return attempt

    def _next_nonce(self) -> int | None:
        """The nonce for the next signature, or None after halting."""
        theirs = self._nodes.pending_nonce()
        self._outbox.adopt_nonce(theirs)
        ours = self._outbox.next_nonce()
        if theirs > ours:
            if self._nodes.mined_nonce() <= ours:
                # A person must end a halt, so one node's word about its mempool, or a lie, is not enough for one.
                raise NotYet(f"a full node says that the account's next nonce is {theirs}, and ours is {ours}")
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
            for entry in self._of(State.QUEUED):
                if entry.kind is Kind.OPENING:
                    self._sign_and_send(entry)

    def _fill(self) -> None:
        """A nonce that an older life of this journal used, and that no node knows any more, holds up all others."""
        waiting = [entry.nonce for entry in self._outbox.open_entries() if entry.nonce is not None]
        if not any(self._outbox.left_out(nonce - 1) for nonce in waiting):
            return
        hole = self._nodes.pending_nonce()
        if hole > max(waiting) or not self._outbox.left_out(hole):
            return
        filler = Intent(f"filler:{hole}", Kind.FILLER, self._signer.address, b"", TRANSFER_GAS)
        fee = offer(self._nodes.fee_quote(), self._fees.most)
        with self._journal.transaction():
            self._outbox.queue(filler, self._now())
            entry = next(entry for entry in self._of(State.QUEUED) if entry.key == filler.key)
            attempt = self._sign(entry, hole, fee)
        self._broadcast(entry, attempt)

    def _send_signed(self) -> bool:
        """Signed before a crash or while no node could be reached: look first, then send the same bytes."""
        sent = False
        for entry in self._of(State.SIGNED):
            sighting = self._nodes.sight(entry)
            step = next_step(entry, sighting, self._now(), self._rules)
            if isinstance(step, Move):
                self._outbox.move(entry.id, step.to, self._now(), step.inclusion, step.why)
            elif isinstance(step, Broadcast):
                sent |= self._broadcast(entry, step.attempt)
            elif sighting.pooled or isinstance(step, Suspect | Halt):
                # It is out, or another transaction has its nonce: either way the confirm stage follows it.
                self._outbox.sent(entry.id, entry.attempts[-1].tx_hash, self._now(), accepted=True)
        return sent

    def _broadcast(self, entry: Entry, attempt: Attempt) -> bool:
        accepted = self._nodes.broadcast(attempt.raw)
        self._outbox.sent(entry.id, attempt.tx_hash, self._now(), accepted=accepted)
        if accepted:
            self._events.info("transaction.sent", kind=entry.kind, tx_hash=attempt.tx_hash, entry=entry.id)
        else:
            offered = f"{attempt.fee.max_fee} wei for a unit of gas"
            self._untaken = (
                f"no full node takes a transaction that offers {offered}: their mempools may be full, or"
                f" {self._signer.address} holds less than it may cost"
            )
        return accepted

    def _wait(self, why: str) -> None:
        if why != self._waiting:
            self._waiting = why
            self._events.warning("submit.waiting", problem=why, advice="nothing is lost: readings wait in the journal")
