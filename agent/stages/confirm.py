"""Confirm: follow what was sent until it is final, and move it back when the chain reorganises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from agent.domain.errors import JournalBusy, NodeUnavailable
from agent.domain.fees import FeeQuote, bump
from agent.domain.outbox import (
    Attempt,
    Broadcast,
    Bump,
    Entry,
    Halt,
    Inclusion,
    Kind,
    Move,
    Prove,
    Rules,
    Sighting,
    State,
    Step,
    Suspect,
    Wait,
    end_of,
    next_step,
)
from agent.domain.proofs import Claim, Proof
from agent.stages.bundle import Readings, release
from agent.stages.ports import Clock, Events, Together
from agent.stages.ports import Outbox as OutboxPort
from agent.stages.rehearse import Codec, Refusals
from agent.stages.submit import Fees, Signer

# After so long the rest have their turn next time: a slow node takes half a minute for one entry's questions, and a
# turn with sixteen entries would look like one that hangs.
_TURN_S = 8.0


class Nodes(Protocol):
    """The full nodes, asked together."""

    def sight(self, entry: Entry) -> Sighting:
        """What the nodes say of one entry; raises NodeUnavailable."""

    def broadcast(self, raw: bytes) -> bool:
        """Send the same bytes to every usable node; raises NodeUnavailable."""

    def fee_quote(self) -> FeeQuote:
        """What gas costs now; raises NodeUnavailable."""

    def mined_nonce(self) -> int:
        """How many of the account's transactions are mined, the lowest that a usable node says.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """


class Proofs(Protocol):
    """What proves an end."""

    def prove(self, claim: Claim) -> Proof | None:
        """What shows how an entry ended; None if nothing shows it yet. Raises JournalBusy."""

    def keep(self, entry_id: int, proof: Proof) -> None:
        """Keep it with the entry; once more does no harm."""


class Outbox(OutboxPort, Protocol):
    """The outbox's rows."""

    def newest_ended(self) -> Iterable[Entry]:
        """The newest entries that ended with a nonce, highest nonce first."""

    def suspect(self, entry_id: int) -> None:
        """Count a sighting of the entry's nonce used by somebody else."""

    def forgiven(self, entry_id: int) -> bool:
        """Whether a person resumed submission after this entry was made."""


class Confirm:
    """Follows what was sent.

    Args:
        rules: when to call what done; ``proofs`` says whether it must be proven.
        proofs: None on a chain where nothing can be proven.
        began_at: UTC epoch seconds at which this process began. An entry older than that whose nonce was used by an
            unknown transaction tells of a restored journal, not of a stolen key: it is replaced, not a reason to halt.
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
        rules: Rules,
        fees: Fees,
        proofs: Proofs | None,
        began_at: int,
        clock: Clock,
        events: Events,
    ) -> None:
        self._outbox = outbox
        self._readings = readings
        self._journal = journal
        self._nodes = nodes
        self._signer = signer
        self._refusals = Refusals(
            outbox=outbox, readings=readings, journal=journal, codec=codec, clock=clock, events=events
        )
        self._rules = replace(rules, proven=proofs is not None)
        self._fees = fees
        self._proofs = proofs
        self._began_at = began_at
        self._clock = clock
        self._events = events
        self._looked_back = False
        self._next_id = 0

    def run_once(self) -> bool:
        """Take everything in flight one step on; returns whether anything changed its state."""
        changed = False
        try:
            if self._outbox.halted() is not None:
                return False
            in_flight = [entry for entry in self._outbox.open_entries() if entry.state.in_flight]
            if in_flight or not self._looked_back:
                changed = self._look_back()
            # What is signed and has not been taken is the submit stage's.
            until = self._clock.monotonic() + _TURN_S
            for entry in self._in_turn([entry for entry in in_flight if entry.state is not State.SIGNED]):
                if self._clock.monotonic() >= until:
                    self._next_id = entry.id
                    break
                sighting = self._nodes.sight(entry)
                changed |= self._apply(entry, next_step(entry, sighting, self._now(), self._rules))
        except (NodeUnavailable, JournalBusy):  # the pool and the record stage say so; the next turn asks again
            return changed
        return changed

    def _in_turn(self, entries: list[Entry]) -> list[Entry]:
        """Oldest first, but those first that the last turn had no time for."""
        first, self._next_id = self._next_id, 0
        return sorted(entries, key=lambda entry: (entry.id < first, entry.id))

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    def _look_back(self) -> bool:
        """Whether anything that ended has gone or moved: a reorganisation takes the newest first.

        The account's nonce alone does not tell, since what was removed may be mined again before anybody looks. Where
        the newest still lies in its block, so does all before it.
        """
        changed = False
        mined_nonce = self._nodes.mined_nonce()
        for entry in self._outbox.newest_ended():
            step = next_step(entry, self._nodes.sight(entry), self._now(), self._rules)
            changed |= self._apply(entry, step)
            used = entry.nonce is not None and entry.nonce < mined_nonce
            if used and entry.inclusion is not None and isinstance(step, Wait):
                break
        self._looked_back = True
        return changed

    def _apply(self, entry: Entry, step: Step) -> bool:
        match step:
            case Move():
                return self._move(entry, step)
            case Broadcast(attempt):
                accepted = self._nodes.broadcast(attempt.raw)
                self._outbox.sent(entry.id, attempt.tx_hash, self._now(), accepted=accepted)
                self._events.info("transaction.sent_again", tx_hash=attempt.tx_hash, entry=entry.id, accepted=accepted)
            case Bump(attempt):
                self._bump(entry, attempt)
            case Prove(found):
                return self._prove(entry, found)
            case Suspect():
                self._outbox.suspect(entry.id)
            case Halt(why):
                return self._nonce_taken(entry, why)
            case _:
                pass
        return False

    def _move(self, entry: Entry, step: Move) -> bool:
        if step.to is State.REFUSED:
            self._refusals.on_the_chain(entry, step)
            return True
        self._outbox.move(entry.id, step.to, self._now(), step.inclusion, step.why)
        facts = self._refusals.facts(entry) | {"nonce": entry.nonce}
        if step.inclusion is not None:
            facts |= {"tx_hash": step.inclusion.tx_hash, "block": step.inclusion.block_number}
        if step.why:
            self._events.warning("transaction.reorganised", **facts, problem=step.why, advice="it is followed again")
        else:
            self._events.info(f"transaction.{step.to}", **facts)
        return True

    def _prove(self, entry: Entry, found: Inclusion) -> bool:
        """End an entry as it is proven to have ended, which need not be as the nodes told it."""
        if self._proofs is None:
            return False
        readings = tuple(signed.reading for _, signed in self._readings.of_entry(entry.id))
        proof = self._proofs.prove(Claim(entry, found, readings))
        if proof is None:
            return False
        # Kept first: should the power go between the two, it is proven anew and written over.
        self._proofs.keep(entry.id, proof)
        return self._move(entry, end_of(proof.inclusion))

    def _bump(self, entry: Entry, last: Attempt) -> None:
        fee = bump(last.fee, self._nodes.fee_quote(), self._fees.most)
        if fee is None or entry.nonce is None:
            if self._now() - (last.sent_at or 0) >= self._rules.bump_s:
                self._nodes.broadcast(last.raw)
                self._outbox.sent(entry.id, last.tx_hash, self._now(), accepted=True)
            return
        tx_hash, raw = self._signer.sign_transaction(entry.nonce, entry.to, entry.data, entry.gas, fee, entry.value)
        attempt = Attempt(tx_hash, raw, fee, signed_at=self._now())
        self._outbox.bump(entry.id, attempt)
        accepted = self._nodes.broadcast(raw)
        self._outbox.sent(entry.id, tx_hash, self._now(), accepted=accepted)
        self._events.info("transaction.bumped", entry=entry.id, tx_hash=tx_hash, max_fee=fee.max_fee)

    def _nonce_taken(self, entry: Entry, why: str) -> bool:
        rows = [row for row, _ in self._readings.of_entry(entry.id)]
        # A hole that somebody else has filled is filled.
        ours = entry.created_at >= self._began_at and not self._outbox.forgiven(entry.id)
        if entry.kind is Kind.FILLER or not ours:
            with self._journal.transaction():
                self._outbox.move(entry.id, State.REPLACED, self._now(), why=why)
                release(self._readings, rows, why)
            self._events.warning(
                "journal.behind_chain",
                nonce=entry.nonce,
                problem=why,
                advice="if no backup was restored and no card copied, run 'prosumer-agent keys' to see who has the key",
            )
            return True
        self._outbox.halt(why)
        self._events.error(
            "submit.halted", why=why, advice="find out who else has the key; then run 'prosumer-agent keys resume'"
        )
        return True
