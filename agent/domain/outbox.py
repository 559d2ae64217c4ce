"""The outbox: the household's own transactions on their way to final.

One *entry* is one thing the household wants on the chain. It has one nonce and may have many *attempts* (the same
intent signed with a higher fee, each with a hash of its own). ``next_step`` is a pure function of the entry, what the
full nodes say, and the time::

    QUEUED ──sign──▶ SIGNED ──accepted──▶ SENT ──receipt──▶ INCLUDED ──deep, proven──▶ FINAL
      │                                    ▲                   │
      ├─expired─▶ EXPIRED                  └───reorganised─────┤
      └─refused─▶ REFUSED ◀────────────── reverted, deep ──────┘
                  REPLACED: another transaction of ours took the nonce

Where nothing can be proven (a development chain), it is agreed by several nodes in place of proven.

An end is an end while the chain holds it: a reorganisation deeper than the depth moves FINAL, REFUSED and REPLACED back
to SENT, since a nonce that nobody uses would hold up all after it, or to INCLUDED where it is mined in another block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from agent.domain.fees import Fee

# In flight at once: more would only lengthen the queue that one lost transaction holds up, and pools limit it too.
MOST_IN_FLIGHT = 16


class State(StrEnum):
    """How far an entry has come."""

    QUEUED = "queued"
    SIGNED = "signed"
    SENT = "sent"
    INCLUDED = "included"
    FINAL = "final"
    REFUSED = "refused"
    EXPIRED = "expired"
    REPLACED = "replaced"

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done; a reorganisation may still move one that has a nonce back."""
        return self in {State.FINAL, State.REFUSED, State.EXPIRED, State.REPLACED}

    @property
    def in_flight(self) -> bool:
        """Whether it holds a nonce that is not final yet."""
        return self in {State.SIGNED, State.SENT, State.INCLUDED}


class Kind(StrEnum):
    """What an entry is for."""

    OPENING = "opening"
    """a transfer of nothing to oneself that takes nonce 0: one development node executes nonce 0 twice"""
    REPORT = "report"
    """readings"""
    OFFER = "offer"
    """a sell order"""
    CANCEL = "cancel"
    """the end of a sell order"""
    BUY = "buy"
    """a purchase of all or part of another's order"""
    REDEEM = "redeem"
    """tokens burned against the household's own consumption"""
    FILLER = "filler"
    """a transfer of nothing to oneself that takes a nonce which would else hold up those after it"""


@dataclass(frozen=True, slots=True)
class Intent:
    """Something that the household wants on the chain.

    Attributes:
        key: idempotency key; a second intent with the same key is the same intent.
        kind: what it is for.
        to: address called, ``0x`` hex.
        data: calldata.
        gas: gas limit.
        expires_at: UTC epoch seconds after which an unsigned one is not worth sending; None for never.
        value: wei sent along.
    """

    key: str
    kind: Kind
    to: str
    data: bytes
    gas: int
    expires_at: int | None = None
    value: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction for an entry.

    Attributes:
        tx_hash: ``0x`` hex.
        raw: the signed bytes as broadcast.
        fee: what it offers.
        signed_at: UTC epoch seconds.
        accepted_at: when a full node first took it, UTC epoch seconds; None if none has. Kept apart from
            ``signed_at``, since about to send and sent are different facts.
        sent_at: when it was last broadcast, UTC epoch seconds.
    """

    tx_hash: str
    raw: bytes
    fee: Fee
    signed_at: int
    accepted_at: int | None = None
    sent_at: int | None = None


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where an attempt was mined."""

    tx_hash: str
    block_number: int
    block_hash: str
    succeeded: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One logical transaction.

    Attributes:
        id: row in the outbox; rising with age.
        key: idempotency key; a second entry with the same key is the same entry.
        to: address called, ``0x`` hex.
        data: calldata.
        gas: gas limit.
        nonce: None until signed.
        expires_at: UTC epoch seconds after which an unsigned entry is not worth sending; None for never.
        foreign_sightings: how often in a row the nonce was seen used by a transaction that is not ours.
        value: wei sent along.
    """

    id: int
    key: str
    kind: Kind
    to: str
    data: bytes
    gas: int
    state: State
    created_at: int
    nonce: int | None = None
    attempts: tuple[Attempt, ...] = field(default=())
    inclusion: Inclusion | None = None
    expires_at: int | None = None
    foreign_sightings: int = 0
    value: int = 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the full nodes say of one entry.

    Attributes:
        head: number of the lowest head among those who agree.
        mined_nonce: how many transactions of the account are mined, as the agreeing nodes say.
        inclusion: where one of the attempts was mined, if a node says so.
        agreeing: how many nodes say exactly that.
        pooled: whether a node still holds one of the attempts in its mempool.
    """

    head: int
    mined_nonce: int
    inclusion: Inclusion | None
    agreeing: int
    pooled: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """When to call what done.

    Attributes:
        depth: blocks on top before an inclusion is final.
        agreement: how many nodes must say the same before anything is final, where it cannot be proven.
        proven: whether it must be proven; ``Confirm`` sets it where something proves. Then one node's word is enough to
            ask for the proof, and no number of nodes' words is enough without it.
        resend_s: seconds after which a transaction that no pool holds is sent again.
        bump_s: seconds without inclusion after which a pooled transaction gets a higher fee.
        foreign_after: sightings in a row before a used nonce counts as somebody else's.
    """

    depth: int
    agreement: int
    proven: bool = False
    resend_s: int = 10
    bump_s: int = 180
    foreign_after: int = 3


@dataclass(frozen=True, slots=True)
class Sign:
    """Give it a nonce, sign it and keep the bytes."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send these bytes, again or for the first time."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Bump:
    """Sign it again with a higher fee and the same nonce, if the fee limits allow it."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Move:
    """Change its state."""

    to: State
    inclusion: Inclusion | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Prove:
    """It seems final: have it proven, and what is proven is its end."""

    found: Inclusion


@dataclass(frozen=True, slots=True)
class Suspect:
    """Its nonce looks used by somebody else; count the sighting."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop submitting and say why."""

    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now."""


Step = Sign | Broadcast | Bump | Move | Prove | Suspect | Halt | Wait


def next_step(entry: Entry, sighting: Sighting | None, now: int, rules: Rules) -> Step:
    """What to do with an entry next.

    Args:
        entry: the entry as the journal has it.
        sighting: what the nodes say of it; None if none could be asked.
        now: UTC epoch seconds.
        rules: when to call what done.
    """
    match entry.state:
        case State.QUEUED:
            if entry.expires_at is not None and now >= entry.expires_at:
                return Move(State.EXPIRED, why="its time passed before it could be sent")
            return Sign()
        case State.SIGNED | State.SENT:
            return _next_of_broadcast(entry, sighting, now, rules)
        case State.INCLUDED:
            return Wait() if sighting is None else _next_of_included(entry, sighting, rules)
        case State.FINAL | State.REFUSED | State.REPLACED:
            return Wait() if sighting is None else _next_of_ended(entry, sighting, rules)
        case State.EXPIRED:
            return Wait()


def _next_of_broadcast(entry: Entry, sighting: Sighting | None, now: int, rules: Rules) -> Step:
    last = entry.attempts[-1]
    if sighting is not None and sighting.inclusion is not None:
        return Move(State.INCLUDED, sighting.inclusion)
    if sighting is not None and entry.nonce is not None and sighting.mined_nonce > entry.nonce:
        return _nonce_taken(entry, rules)
    if last.sent_at is None:
        # Bytes may have left before a crash; sending the same ones again is harmless while their nonce is free.
        return Broadcast(last)
    if sighting is None:
        return Wait()
    if entry.state is State.SIGNED or not sighting.pooled:
        return Broadcast(last) if _passed(last.sent_at, now, rules.resend_s) else Wait()
    stuck = last.fee.max_fee > 0 and _passed(last.signed_at, now, rules.bump_s)
    return Bump(last) if stuck else Wait()


def _passed(since: int, now: int, seconds: int) -> bool:
    """Whether so much time has passed; a time that is still to come was noted before the clock was set back."""
    return not since <= now < since + seconds


def _nonce_taken(entry: Entry, rules: Rules) -> Step:
    """The account moved past the nonce without us; a lagging node may only know the nonce before the receipt."""
    if entry.foreign_sightings + 1 < rules.foreign_after:
        return Suspect()
    return Halt(
        f"nonce {entry.nonce} was used by a transaction that this agent did not make:"
        " the key is in use elsewhere, or an old copy of the journal was restored"
    )


def _next_of_included(entry: Entry, sighting: Sighting, rules: Rules) -> Step:
    found = sighting.inclusion
    if found is None:
        return Move(State.SENT, why="the block that held it is no longer part of the chain")
    if found != entry.inclusion and not (rules.proven and _same_place(found, entry.inclusion)):
        return Move(State.INCLUDED, found, why="it was mined again in another block")
    if sighting.head - found.block_number < rules.depth:
        return Wait()
    if rules.proven:
        return Prove(found)
    return Wait() if sighting.agreeing < rules.agreement else end_of(found)


def _same_place(found: Inclusion, before: Inclusion | None) -> bool:
    """Whether it is the same transaction in the same block, which went one way only, whatever nodes say of it."""
    return before is not None and (found.tx_hash, found.block_hash) == (before.tx_hash, before.block_hash)


def end_of(found: Inclusion) -> Move:
    """The end of an entry that is mined and final: carried out, or reverted."""
    if not found.succeeded:
        return Move(State.REFUSED, found, why="the contract reverted it")
    return Move(State.FINAL, found)


def _next_of_ended(entry: Entry, sighting: Sighting, rules: Rules) -> Step:
    """A reorganisation deeper than the depth: as many nodes as made it final must say that it is gone.

    One that was reverted or replaced goes back too: its nonce is free again, and all after it would wait for ever.
    """
    if entry.nonce is None or sighting.agreeing < rules.agreement:
        return Wait()
    found = sighting.inclusion
    if found is not None and rules.proven and _same_place(found, entry.inclusion):
        return Wait()
    if found is not None and found != entry.inclusion:
        # It was mined anew before anybody looked, perhaps with another outcome.
        return Move(State.INCLUDED, found, why="a reorganisation deeper than the configured depth moved it")
    if sighting.mined_nonce > entry.nonce:
        return Wait()
    return Move(State.SENT, why="a reorganisation deeper than the configured depth removed it")
