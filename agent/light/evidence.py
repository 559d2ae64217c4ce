"""Evidence: what lets anybody check offline that a transaction happened, or what a household's slot held.

Headers of consecutive blocks, sealed by those who are pinned, and under one of them a transaction with its receipt, or
a state proof, or both. ``verify`` asks nobody: it says what the evidence proves, and what it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from agent.domain.errors import BadEvidence
from agent.domain.market import ChainPin
from agent.light import receipts, runs, seals, state, transactions, tries
from agent.light.hashing import keccak, shown
from agent.light.headers import Consensus, Header
from agent.light.receipts import Receipt
from agent.light.runs import Run
from agent.light.seals import Place, Rules
from agent.light.state import Account, HouseholdSlot, SlotLayout
from agent.light.transactions import Transaction

MOST_HEADERS = 10_000
_MOST_INDEX = 1 << 24


@dataclass(frozen=True, slots=True)
class TransactionPiece:
    """A transaction and its receipt, in their block's tries.

    Attributes:
        tx_hash: 32 bytes.
        index: its place in the block, from 0.
        proof: nodes under ``transactionsRoot``, from the root down; the last one holds the transaction.
        receipt_proof: the same under ``receiptsRoot``.
    """

    tx_hash: bytes
    index: int
    proof: tuple[bytes, ...]
    receipt_proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StatePiece:
    """A household's account and its slot in the market, in a block's state.

    Attributes:
        household: the account, 20 bytes.
        account_proof: nodes from the state root to the household's account.
        contract_proof: nodes from the state root to the market's account.
        slot_proof: nodes from the market's storage root to the household's slot.
    """

    household: bytes
    account_proof: tuple[bytes, ...]
    contract_proof: tuple[bytes, ...]
    slot_proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is needed, beside the pins.

    Attributes:
        chain_id: of which chain.
        contract: the market, 20 bytes.
        block: number of the block that the pieces lie in.
        headers: of consecutive blocks, in RLP with their seals, that one among them; from the pinned place on if it is
            to be followed from there, and as many after it as the chain needs.
        transaction: the piece, if there is one.
        state: the piece, if there is one.
    """

    chain_id: int
    contract: bytes
    block: int
    headers: tuple[bytes, ...]
    transaction: TransactionPiece | None = None
    state: StatePiece | None = None


@dataclass(frozen=True, slots=True)
class Pins:
    """What is known beforehand, and rests on nobody's word of now.

    Attributes:
        chain: chain id, genesis, contract and its code's hash.
        rules: how blocks are sealed.
        place: a block that is trusted, and who may seal the next one; the genesis, or one that was followed since.
        layout: where the market's slot of a household lies and what is in it.
        depth: how many blocks a household waits for in a Clique chain before it acts on one. Evidence need not show
            them: that fewer follow is said of it.
    """

    chain: ChainPin
    rules: Rules
    place: Place
    layout: SlotLayout
    depth: int = 0


class Outcome(StrEnum):
    """What becomes of evidence."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    """all of it fits together, and too few vouch for it"""
    REFUSED = "refused"
    """something in it is wrong"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What evidence is worth.

    Attributes:
        outcome: in one word.
        proves: what it shows, a sentence each, the first of the block; empty where it is refused. Where it is unproven,
            this is only claimed.
        lacks: what it does not show, a sentence each; where it is refused, why.
        header: the block that the pieces lie in; None where it is refused.
        block_hash: its hash.
        linked: whether its headers hang on the pinned block, so that it is of the pinned chain.
        after: how many blocks of the evidence follow it.
        transaction: what was carried out or reverted.
        receipt: what it did.
        account: the household's account.
        slot: the household's slot in the market.
    """

    outcome: Outcome
    proves: tuple[str, ...]
    lacks: tuple[str, ...]
    header: Header | None = None
    block_hash: bytes = b""
    linked: bool = False
    after: int = 0
    transaction: Transaction | None = None
    receipt: Receipt | None = None
    account: Account | None = None
    slot: HouseholdSlot | None = None


def verify(evidence: Evidence, pins: Pins) -> Verdict:
    """What the evidence proves to somebody who has these pins. It reads nothing else."""
    try:
        return checked(evidence, pins)
    except BadEvidence as error:
        return Verdict(Outcome.REFUSED, (), (str(error),))


def checked(evidence: Evidence, pins: Pins) -> Verdict:
    """What the evidence proves, where nothing in it is wrong; it may still be unproven.

    Raises:
        UnknownSealer: a block in it is sealed by somebody who is not known to be a validator.
        BadEvidence: something in it is wrong.
    """
    if evidence.chain_id != pins.chain.chain_id:
        raise BadEvidence(f"it is of chain {evidence.chain_id}, the pinned one is {pins.chain.chain_id}")
    if evidence.contract != bytes.fromhex(pins.chain.contract[2:]):
        raise BadEvidence(f"it is of the contract {shown(evidence.contract)}, the pinned one is {pins.chain.contract}")
    if evidence.transaction is None and evidence.state is None:
        raise BadEvidence("it holds neither a transaction nor a state")
    run = _followed(evidence.headers, evidence.block, pins)
    transaction = receipt = account = slot = None
    if evidence.transaction is not None:
        transaction, receipt = _transaction(evidence.transaction, run.header, pins)
    if evidence.state is not None:
        account, slot = _state(evidence.state, run.header, pins)
    short = _too_few(run, pins)
    proves = [_sealed(run, pins)]
    if transaction is not None and receipt is not None:
        proves.append(_told_transaction(transaction, receipt))
    if evidence.state is not None and account is not None and slot is not None:
        proves += _told_state(evidence.state.household, account, slot)
    return Verdict(
        outcome=Outcome.UNPROVEN if short else Outcome.PROVEN,
        proves=tuple(proves),
        lacks=(*([short] if short else []), *_limits(run, evidence, pins)),
        header=run.header,
        block_hash=run.block_hash,
        linked=run.linked,
        after=run.after,
        transaction=transaction,
        receipt=receipt,
        account=account,
        slot=slot,
    )


# --- Headers ---


def weighed(raw_headers: tuple[bytes, ...], block: int, pins: Pins) -> tuple[Header, bytes, str]:
    """A block's header, its hash, and why too few vouch for it; empty where it is proven.

    Args:
        raw_headers: of consecutive blocks, in RLP with their seals, that one among them.
        block: its number.
        pins: by which the chain is known.

    Raises:
        UnknownSealer: a block is sealed by somebody who is not known to be a validator.
        BadEvidence: something else in them is wrong.
    """
    run = _followed(raw_headers, block, pins)
    return run.header, run.block_hash, _too_few(run, pins)


def _followed(raw_headers: tuple[bytes, ...], block: int, pins: Pins) -> Run:
    if not 0 < len(raw_headers) <= MOST_HEADERS:
        raise BadEvidence(f"it holds {len(raw_headers)} headers, where 1 to {MOST_HEADERS} belong")
    headers = [Header.decode(raw, f"header {place}") for place, raw in enumerate(raw_headers)]
    return runs.followed(headers, block, pins.place, pins.rules)


def _too_few(run: Run, pins: Pins) -> str:
    """Why it is not proven, if it is not."""
    if pins.rules.consensus is Consensus.UNSEALED:
        return "unproven: nobody seals the blocks of this chain, so whoever runs its node can write anything"
    if run.settled:
        return ""
    if 2 * run.vouchers > run.validators:
        return "unproven: validators changed before it, and too few of those before have built upon that change"
    return (
        f"unproven: {run.vouchers} of {run.validators} signers sealed it or a block after it, and more than half must:"
        " it may still be reorganised"
    )


# --- Pieces ---


def _transaction(piece: TransactionPiece, header: Header, pins: Pins) -> tuple[Transaction, Receipt]:
    if not 0 <= piece.index < _MOST_INDEX:
        raise BadEvidence(f"the transaction's index is {piece.index}, where 0 to {_MOST_INDEX - 1} belong")
    key = tries.place(piece.index)
    raw = _there(tries.proven(header.transactions_root, key, piece.proof, "proof of the transaction"), "transaction")
    found = _there(tries.proven(header.receipts_root, key, piece.receipt_proof, "proof of the receipt"), "receipt")
    if keccak(raw) != piece.tx_hash:
        raise BadEvidence(
            f"the transaction at index {piece.index} is 0x{keccak(raw).hex()}, not 0x{piece.tx_hash.hex()}"
        )
    transaction, receipt = transactions.decode(raw), receipts.decode(found)
    if transaction.chain_id not in {None, pins.chain.chain_id}:
        raise BadEvidence(f"the transaction is for chain {transaction.chain_id}, not {pins.chain.chain_id}")
    if transaction.kind != receipt.kind:
        raise BadEvidence(f"the receipt is of type {receipt.kind}, the transaction of type {transaction.kind}")
    if any(own & ~every for own, every in zip(receipt.bloom, header.logs_bloom, strict=True)):
        raise BadEvidence("the receipt has logs that the header's bloom filter does not know")
    return transaction, receipt


def _there(value: bytes | None, what: str) -> bytes:
    if value is None:
        raise BadEvidence(f"the block has no {what} at that index")
    return value


def _state(piece: StatePiece, header: Header, pins: Pins) -> tuple[Account, HouseholdSlot]:
    account = state.account(header.state_root, piece.household, piece.account_proof)
    contract = market(header, piece.contract_proof, pins)
    word = state.slot(contract.storage_root, pins.layout.key(piece.household), piece.slot_proof)
    return account, pins.layout.unpack(word)


def market(header: Header, proof: tuple[bytes, ...], pins: Pins) -> Account:
    """The market's account, which has the pinned code.

    Args:
        header: whose state it is of.
        proof: nodes from the state root to the account.
        pins: by which the market is known.

    Raises:
        BadEvidence: the proof does not lead there, or the code is another.
    """
    address = bytes.fromhex(pins.chain.contract[2:])
    contract = state.account(header.state_root, address, proof)
    if "0x" + contract.code_hash.hex() != pins.chain.code_hash.lower():
        raise BadEvidence(
            f"the code at {pins.chain.contract} hashes to 0x{contract.code_hash.hex()}, the pinned one to "
            f"{pins.chain.code_hash}"
        )
    return contract


# --- Words ---


def _sealed(run: Run, pins: Pins) -> str:
    what = f"Block {run.header.number} (0x{run.block_hash.hex()})"
    if pins.rules.consensus is Consensus.UNSEALED:
        return f"{what} fits together; nobody sealed it."
    if not run.validators:
        return f"{what} is the pinned block."
    if pins.rules.consensus is Consensus.CLIQUE:
        return (
            f"{what} and the blocks upon it are sealed by {run.vouchers} of {run.validators} signers, each of whom "
            f"checks all before it; {_blocks_follow(run.after)}."
        )
    return f"{what} is sealed by at least {seals.quorum(run.validators)} of {run.validators} validators, and final."


def _blocks_follow(blocks: int) -> str:
    return "1 block follows it" if blocks == 1 else f"{blocks} blocks follow it"


def _told_transaction(transaction: Transaction, receipt: Receipt) -> str:
    to = "created a contract" if transaction.to is None else f"called {shown(transaction.to)}"
    how = "was carried out" if receipt.succeeded else "reverted, so it did nothing"
    return (
        f"In it {shown(transaction.sender)} {to} with transaction 0x{transaction.tx_hash.hex()} (nonce "
        f"{transaction.nonce}, {transaction.value} wei); it {how} and left {len(receipt.logs)} logs."
    )


def _told_state(household: bytes, account: Account, slot: HouseholdSlot) -> Iterator[str]:
    yield (
        f"After it the account {shown(household)} had sent {account.nonce} transactions and had {account.balance} wei."
    )
    reading = slot.last_reading(household)
    if reading is None:
        yield f"The market held no reading of it in epoch {slot.epoch}, and {slot.tokens_wh} Wh of energy tokens."
        return
    yield (
        f"The market's last reading of it was epoch {reading.epoch}, sequence {reading.sequence}, taken at "
        f"{reading.taken_at}: {reading.produced_wh} Wh produced, {reading.consumed_wh} Wh consumed. It covers every "
        f"reading before it. It held {slot.tokens_wh} Wh of energy tokens."
    )


def _limits(run: Run, evidence: Evidence, pins: Pins) -> Iterator[str]:
    if pins.rules.consensus is not Consensus.UNSEALED:
        yield "It rests on the pinned validators: a majority that lies together could seal anything."
        if not run.linked:
            yield (
                f"Its headers are not followed from the pinned block {pins.place.number}, so it is taken, and not "
                "shown, that they are of the pinned chain and of no other with the same chain id that the pinned "
                "validators sealed too, and that those were still the right ones. Evidence with --linked shows both."
            )
        if pins.rules.consensus is Consensus.CLIQUE and run.validators:
            yield "A Clique chain can be reorganised, the less likely the more blocks follow."
            if run.after < pins.depth:
                yield (
                    f"{_blocks_follow(run.after).capitalize()} here; chain.depth of the pins, for which a household "
                    f"waits before it acts, is {pins.depth}."
                )
    if evidence.state is not None:
        yield f"What the household's slot holds after block {run.header.number} is not shown."
    if evidence.transaction is not None:
        yield "That the contract's code did what it should is not shown: the receipt is what the validators computed."
        if evidence.state is None:
            yield "Which code the contract has is not shown: evidence of the readings shows it."
