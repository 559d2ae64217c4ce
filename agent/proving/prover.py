"""Proving how an outbox entry ended: asking full nodes for proofs, and believing only what they prove.

One state proof under a sealed header shows the account's nonce and the household's slot in the market, and so every
reading up to the slot's: it is asked for once an interval, however many entries wait. An order, a purchase, a
redemption, and whatever reverted, is shown by its transaction and its receipt under the header of its own block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import BadEvidence, NodeUnavailable
from agent.domain.outbox import Inclusion, Kind
from agent.domain.proofs import Claim, Proof
from agent.domain.readings import Reading
from agent.light import evidence_file
from agent.light.quantities import number_of
from agent.light.state import Account, HouseholdSlot
from agent.proving import building
from agent.proving.asking import Asking, Following, Nodes
from agent.proving.questions import Heard, NotThere, Questions, Told

# The newest proof of the slot covers all before it, so a copy an hour is enough; each wears the card by 12 kB.
_KEEP_EVERY_S = 3_600
# All that an interval sends is final within so long; an older proof could be of a chain that was left.
_SLOT_S = 60.0
# All that one entry's proof may take: several sources, each asked some ten questions, are no turn that hangs.
_TURN_S = 15.0
_BACKOFF = BackOff(first_s=2.0, most_s=60.0)
# Blocks that a source does not have: a few while the chain is reorganised, as many as are made up by one who lies.
_MOST_LEFT = 64
_PLAIN = frozenset({Kind.OPENING, Kind.FILLER})

_ADVICE = (
    "readings and orders are safe and wait; full nodes must serve eth_getProof for the last 100 blocks and"
    " eth_getBlockReceipts: ask who runs them"
)


class Rows(Protocol):
    """The journal's evidence. Every method may raise JournalBusy."""

    def keep_slot(self, block: int, now: int, file: str) -> None:
        """Keep the newest proof of the household's slot in place of the one before."""

    def keep_entry(self, entry_id: int, block: int, now: int, file: str) -> None:
        """Keep the evidence of an entry; once more replaces it."""


class Events(Protocol):
    """Where it is told that nothing can be proven."""

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The household's slot and account, proven.

    Attributes:
        block: number of the block after which they were so.
        account: the household's.
        slot: the market's of it.
        file: the evidence file that shows it.
    """

    block: int
    account: Account
    slot: HouseholdSlot
    file: str

    def shows(self, claim: Claim) -> bool:
        """Whether this is enough to call an entry carried out."""
        entry, found = claim.entry, claim.found
        if not found.succeeded or self.block < found.block_number or not self.used(claim):
            return False
        return entry.kind in _PLAIN or (
            entry.kind is Kind.REPORT and bool(claim.readings) and self._covers(claim.readings[-1])
        )

    def used(self, claim: Claim) -> bool:
        """Whether the account has used the entry's nonce."""
        return claim.entry.nonce is not None and self.account.nonce > claim.entry.nonce

    def _covers(self, reading: Reading) -> bool:
        """Whether the contract has booked it, or a later one of its epoch, whose registers hold its energy."""
        last = self.slot.last_reading(bytes.fromhex(reading.household[2:]))
        if last is None or last.epoch != reading.epoch or last.sequence < reading.sequence:
            return False
        held = last.taken_at, last.produced_wh, last.consumed_wh
        return last.sequence > reading.sequence or held == (
            reading.taken_at,
            reading.produced_wh,
            reading.consumed_wh,
        )


class Prover:
    """Proves how entries ended.

    Not for several threads at once: the confirm stage alone asks it.

    Args:
        household: the account, ``0x`` hex.
        nodes: who is asked.
        following: who may seal.
        rows: where evidence is kept.
        events: told once when nothing can be proven, and once when it can again.
        depth: blocks on top of what is proven, as far as full nodes keep their state.
        monotonic: seconds that never step.
        now: UTC epoch seconds.
        random: gives a number in [0, 1).
    """

    def __init__(
        self,
        *,
        household: str,
        nodes: Nodes,
        following: Following,
        rows: Rows,
        events: Events,
        depth: int,
        monotonic: Callable[[], float],
        now: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._household = household.lower()
        self._nodes = nodes
        self._following = following
        self._asking = Asking(nodes, following, monotonic)
        self._rows = rows
        self._events = events
        self._depth = depth
        self._monotonic = monotonic
        self._now = now
        self._random = random
        self._patience: dict[str, Patience] = {}
        self._left: dict[tuple[str, str], Patience] = {}
        self._whole_blocks: set[str] = set()
        self._slot: Slot | None = None
        self._seen_at = 0.0
        self._kept_at: float | None = None
        self._kept_epoch = 0  # none, while the slot kept shows no reading
        self._missing = False

    def prove(self, claim: Claim) -> Proof | None:
        """What shows how an entry ended, by the word of no node; None if nothing shows it yet.

        A node that is caught lying on the way is put aside.

        Raises:
            JournalBusy: nothing could be kept; ask again later.
        """
        if self._slot is not None and self._monotonic() - self._seen_at >= _SLOT_S:
            self._slot = None
        if self._slot is not None and self._slot.shows(claim):
            return Proof(claim.found, self._slot.block)
        problem, waiting = "no full node may be asked just now", False
        until = self._monotonic() + _TURN_S
        for source in self._nodes.sources():
            patience = self._patience.setdefault(source.name, Patience(_BACKOFF, self._random))
            left = self._left.get((source.name, claim.found.block_hash))
            if not patience.ready(self._monotonic()) or (left is not None and not left.ready(self._monotonic())):
                continue
            try:
                proof = self._asking.of(source, partial(self._asked, claim), until)
            except NotThere as error:  # others' claims are still asked of it: who made up one block stalls no other
                problem = f"{source.name}: {error}"
                self._left_alone(source.name, claim.found.block_hash)
                continue
            except NodeUnavailable as error:
                problem = f"{source.name}: {error}"
                patience.failed(self._monotonic())
                continue
            patience.succeeded()
            if proof is not None:
                self._tell_found()
                return proof
            waiting = True
        if not waiting:
            self._tell_missing(problem)
        return None

    def keep(self, entry_id: int, proof: Proof) -> None:
        """Keep an entry's evidence, where it has some of its own."""
        if proof.file is not None:
            self._rows.keep_entry(entry_id, proof.block, self._now(), proof.file)

    def _left_alone(self, name: str, block_hash: str) -> None:
        if len(self._left) >= _MOST_LEFT:
            self._left.clear()
        self._left.setdefault((name, block_hash), Patience(_BACKOFF, self._random)).failed(self._monotonic())

    def _tell_missing(self, problem: str) -> None:
        if not self._missing:
            self._missing = True
            self._events.warning("proof.missing", problem=problem, advice=_ADVICE)

    def _tell_found(self) -> None:
        if self._missing:
            self._missing = False
            self._events.info("proof.found")

    # --- One source ---

    def _asked(self, claim: Claim, heard: Heard) -> Proof | None:
        """What one source proves.

        Raises:
            NodeUnavailable: it proves nothing just now.
            BadEvidence: what it told cannot be true.
        """
        questions = Questions(heard, self._following.pins().rules.consensus, self._whole_blocks)
        seen = self._slot
        if seen is None or seen.block < claim.found.block_number or not seen.used(claim):
            seen = self._newest_slot(questions)
        if seen.shows(claim):
            return Proof(claim.found, seen.block)
        if seen.block < claim.found.block_number:
            return None
        # Where the chain is past the block and the nonce is free, looking at the block shows who made that up.
        proof = self._transaction(questions, claim)
        return proof if seen.used(claim) else None

    # --- The household's slot ---

    def _newest_slot(self, questions: Questions) -> Slot:
        number = building.deep_enough(questions, self._following.pins(), self._depth)
        pins = self._following.pins(number)
        evidence = building.slot(questions, pins, self._household, number)
        account, held = building.proven_slot(evidence, pins)
        self._slot = Slot(evidence.block, account, held, evidence_file.written(evidence))
        self._seen_at = self._monotonic()
        self._keep_slot(self._slot)
        return self._slot

    def _keep_slot(self, slot: Slot) -> None:
        now, epoch = self._monotonic(), slot.slot.epoch if slot.slot.sequence else 0
        if self._kept_at is None or now - self._kept_at >= _KEEP_EVERY_S or epoch != self._kept_epoch:
            self._rows.keep_slot(slot.block, self._now(), slot.file)
            self._kept_at, self._kept_epoch = now, epoch

    # --- One transaction ---

    def _transaction(self, questions: Questions, claim: Claim) -> Proof | None:
        """The transaction and its receipt under their block's header.

        Where the block does not hold it, or the receipt says otherwise, whoever told so lied, and not who proves it.
        """
        found = claim.found
        block = questions.block(found.block_hash)
        pins = self._following.pins(block[0].number)
        evidence = building.transaction(questions, pins, block, found.tx_hash)
        if evidence is None:
            self._expose(found, succeeded=None)
            return None
        inclusion = building.proven_inclusion(evidence, pins)
        if inclusion.succeeded != found.succeeded:
            self._expose(found, succeeded=inclusion.succeeded)
        return Proof(inclusion, evidence.block, evidence_file.written(evidence))

    def _expose(self, found: Inclusion, *, succeeded: bool | None) -> None:
        """Put those aside who say of a proven block what it disproves.

        Args:
            found: what was told.
            succeeded: how the transaction went; None if the block does not hold it.
        """
        until = self._monotonic() + _TURN_S
        for source in self._nodes.sources():
            try:
                told = Questions(Heard(source, self._monotonic, until), self._following.pins().rules.consensus).receipt(
                    found.tx_hash
                )
            except NodeUnavailable:
                continue  # it is asked again when it says so again
            if told is None or told.get("blockHash") != found.block_hash:
                continue
            if succeeded is None:
                why = f"it says that {found.tx_hash} is in block {found.block_hash}, which does not hold it"
            elif _says(told) is (not succeeded):
                why = f"it says that {found.tx_hash} {_went(not succeeded)}, and it {_went(succeeded)}"
            else:
                continue
            self._nodes.caught(source.name, why, told)


def _says(receipt: Told) -> bool | None:
    """Whether a receipt says that its transaction was carried out; None if it says nothing of it, as old forms."""
    try:
        return number_of(receipt.get("status"), "status", 1) == 1  # some nodes write it as a byte, 0x01
    except BadEvidence:
        return None


def _went(succeeded: bool) -> str:  # noqa: FBT001 - a word for each
    return "was carried out" if succeeded else "reverted"
