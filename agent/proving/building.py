"""Evidence built from what one full node tells: a household's slot, or a transaction with its receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.domain.attested import OrderWord
from agent.domain.errors import BadEvidence, NodeUnavailable
from agent.domain.outbox import Inclusion
from agent.light import clique, gathering, state, transactions
from agent.light.checkpoints import vouched
from agent.light.evidence import Evidence, Outcome, Pins, Verdict, checked, market, weighed
from agent.light.hashing import keccak
from agent.light.headers import Consensus, Header, block_hash
from agent.light.orders import OrderLayout
from agent.light.receipts import Receipt, receipts_trie, transactions_trie
from agent.light.receipts import of_fields as receipt_of
from agent.light.state import Account, HouseholdSlot
from agent.proving.questions import NotThere, Questions, Told

# Full nodes keep the state of 128 blocks as a rule. What is asked to lie deeper is so by the number of its block.
_MOST_BACK = 96


def followers(pins: Pins) -> int:
    """How many headers must follow a block, at least, before more than half of the validators have built on it."""
    return len(pins.place.validators) // 2 if pins.rules.consensus is Consensus.CLIQUE else 0


def most_headers(pins: Pins) -> int:
    """How many headers are gathered at most, so that a block is vouched for: a turn of all, though as many joined."""
    return 1 + 2 * len(pins.place.validators) if pins.rules.consensus is Consensus.CLIQUE else 1


def deep_enough(questions: Questions, pins: Pins, depth: int) -> int:
    """The number of the newest block that lies deep enough to be proven, and is none of the pinned genesis.

    Args:
        questions: whom to ask.
        pins: with the validators of now.
        depth: blocks on top, as far as full nodes keep their state.

    Raises:
        NodeUnavailable: it gave no answer, or its chain is too short.
    """
    back = max(min(depth, _MOST_BACK), followers(pins))
    number = questions.newest() - back
    if number <= 0:
        raise NodeUnavailable(f"its chain has {number + back} blocks, and {back} must follow what is proven")
    return number


def slot(questions: Questions, pins: Pins, household: str, number: int) -> Evidence:
    """Evidence of a household's account and slot, as a block has them.

    Args:
        questions: whom to ask.
        pins: by which the chain is known, with the validators of that block.
        household: the account, ``0x`` hex.
        number: of the block.

    Raises:
        NodeUnavailable: it gave no answer.
        BadEvidence: what it told has not its form.
    """
    headers = _vouched_for(questions, pins, questions.header(number))
    key = pins.layout.key(bytes.fromhex(household[2:]))
    return Evidence(
        chain_id=pins.chain.chain_id,
        contract=bytes.fromhex(pins.chain.contract[2:]),
        block=number,
        headers=tuple(header.encoded() for header in headers),
        state=questions.state(household.lower(), pins.chain.contract, key, number),
    )


def transaction(
    questions: Questions, pins: Pins, block: tuple[Header, Sequence[Told], Sequence[Told]], tx_hash: str
) -> Evidence | None:
    """Evidence of a transaction and its receipt; None where the block does not hold it.

    Args:
        questions: whom to ask for the headers that must follow.
        pins: by which the chain is known, with the validators of that block.
        block: header, transactions and receipts of the block that holds it.
        tx_hash: ``0x`` hex.

    Raises:
        NotThere: the block is not, or no longer, part of its chain.
        NodeUnavailable: it gave no answer, or does not have the headers yet.
        BadEvidence: what it told is not the block's.
    """
    header, held, receipts = block
    found = gathering.mined(header, held, bytes.fromhex(tx_hash[2:]))
    if found is None:
        return None
    headers = _vouched_for(questions, pins, header)
    if len(headers) > 1 and headers[1].parent_hash != block_hash(header, pins.rules.consensus):
        # Nodes keep blocks that a reorganisation left, and tell them to whoever knows their hash.
        raise NotThere(f"block {header.number} of its chain is another one")
    return Evidence(
        chain_id=pins.chain.chain_id,
        contract=bytes.fromhex(pins.chain.contract[2:]),
        block=header.number,
        headers=tuple(one.encoded() for one in headers),
        transaction=gathering.transaction_piece(header, found, receipts),
    )


def sealed(questions: Questions, pins: Pins, number: int) -> tuple[Header, bytes]:
    """The header of a block of a source's chain, proven, and its hash.

    Args:
        questions: whom to ask.
        pins: by which the chain is known, with the validators of that block.
        number: of the block.

    Raises:
        NodeUnavailable: it gave no answer, or too few vouch for the block yet.
        UnknownSealer: somebody sealed a block who is not known to be a validator.
        BadEvidence: what it told is wrong.
    """
    run = _vouched_for(questions, pins, questions.header(number))
    header, found, short = weighed(tuple(one.encoded() for one in run), number, pins)
    if short:
        raise NodeUnavailable(short)
    return header, found


@dataclass(frozen=True, slots=True)
class Carried:
    """What one transaction of a proven block did.

    Attributes:
        tx_hash: ``0x`` hex.
        receipt: its receipt.
        first_log: index in the block of the first of its logs.
    """

    tx_hash: str
    receipt: Receipt
    first_log: int


def carried(questions: Questions, header: Header, named: bytes) -> list[Carried]:
    """Every transaction of a block with its receipt, in their order, all of them proven by the header.

    Args:
        questions: whom to ask.
        header: the block's, proven.
        named: its hash.

    Raises:
        NotThere: it does not have the block.
        NodeUnavailable: it gave no answer.
        BadEvidence: what it told is not the block's.
    """
    _, held, told = questions.block("0x" + named.hex())
    transactions_trie(header, held)
    receipts_trie(header, told)
    found: list[Carried] = []
    logs = 0
    for one, receipt in zip(held, told, strict=True):
        name = "0x" + keccak(transactions.encoded_of(one, "transaction")).hex()
        found.append(Carried(name, receipt_of(receipt), logs))
        logs += len(found[-1].receipt.logs)
    return found


def orders(
    questions: Questions, pins: Pins, layout: OrderLayout, header: Header, keys: Sequence[int]
) -> dict[int, OrderWord]:
    """What the market keeps in some places of orders, proven, by the slots' keys.

    Args:
        questions: whom to ask.
        pins: by which the market is known.
        layout: what is in a slot.
        header: whose state it is, proven.
        keys: the slots', ascending, each once: Besu tells them so, whatever the order in which they are asked for.

    Raises:
        NodeUnavailable: it gave no answer, or no longer has that state.
        BadEvidence: what it told is not the state's.
    """
    told = questions.market(pins.chain.contract, keys, header.number)
    contract_proof, proofs = gathering.market_proofs(told, len(keys))
    root = market(header, contract_proof, pins).storage_root
    return {key: layout.unpack(state.slot(root, key, proof)) for key, proof in zip(keys, proofs, strict=True)}


def _vouched_for(questions: Questions, pins: Pins, header: Header) -> list[Header]:
    """A block's header and those after it, until more than half of the validators have sealed one of them.

    Where validators come or go meanwhile, more must follow than half as many as there were.
    """
    headers = [header]
    if pins.rules.consensus is not Consensus.CLIQUE:
        return headers
    headers += questions.run(header.number + 1, followers(pins))
    known = pins.place.validators
    sealers = [clique.sealer(one.fields()) for one in headers]
    while not {*known}.isdisjoint(sealers) and not vouched(known, sealers) and len(headers) < most_headers(pins):
        try:
            headers.append(questions.header(headers[-1].number + 1))
        except NodeUnavailable:  # as far as its chain goes: what is shown by then is weighed, whoever sealed it
            break
        sealers.append(clique.sealer(headers[-1].fields()))
    return headers


def proven_slot(evidence: Evidence, pins: Pins) -> tuple[Account, HouseholdSlot]:
    """The account and the slot that evidence proves; raises as ``proven``."""
    verdict = proven(evidence, pins)
    if verdict.account is None or verdict.slot is None:
        raise BadEvidence("it holds no proof of a slot")
    return verdict.account, verdict.slot


def proven_inclusion(evidence: Evidence, pins: Pins) -> Inclusion:
    """Where and how the transaction was carried out that evidence proves; raises as ``proven``."""
    verdict = proven(evidence, pins)
    if verdict.transaction is None or verdict.receipt is None:
        raise BadEvidence("it holds no proof of a transaction")
    tx_hash, block_hash = ("0x" + found.hex() for found in (verdict.transaction.tx_hash, verdict.block_hash))
    return Inclusion(tx_hash, evidence.block, block_hash, verdict.receipt.succeeded)


def proven(evidence: Evidence, pins: Pins) -> Verdict:
    """What evidence proves.

    Raises:
        NodeUnavailable: too few vouch for it yet.
        UnknownSealer: somebody sealed a block who is not known to be a validator.
        BadEvidence: something in it is wrong.
    """
    verdict = checked(evidence, pins)
    if verdict.outcome is not Outcome.PROVEN:
        raise NodeUnavailable("; ".join(verdict.lacks))
    return verdict
