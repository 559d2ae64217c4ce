"""Evidence put together from what a full node tells over JSON-RPC; each part is checked as it is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.domain.errors import BadEvidence
from agent.light import receipts, tries
from agent.light.evidence import StatePiece, TransactionPiece
from agent.light.headers import Consensus, Header, checked_hash
from agent.light.quantities import octets_of, shown

Told = Mapping[str, object]
"""A JSON object of a node's."""

_HASH_BYTES = 32
_MOST_NODES = 65


def header(told: Told, consensus: Consensus, what: str = "block") -> Header:
    """A block's header, which hashes to what the node calls it.

    Args:
        told: of ``eth_getBlockByNumber``.
        consensus: how it is hashed.
        what: what it is called in an error.

    Raises:
        BadEvidence: it does not, or a field is missing or malformed.
    """
    found = Header.of_fields(told, what)
    checked_hash(found, consensus, octets_of(told.get("hash"), f"{what}: hash", _HASH_BYTES), what)
    return found


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction among all of its block.

    Attributes:
        tx_hash: 32 bytes.
        index: its place in the block, from 0.
        trie: the block's transactions.
    """

    tx_hash: bytes
    index: int
    trie: tries.Trie


def mined(under: Header, told_transactions: Sequence[Told], tx_hash: bytes) -> Mined | None:
    """A transaction in its block, going by its bytes; None where the block does not hold it.

    Args:
        under: the block's header.
        told_transactions: all of the block's, in their order: ``eth_getBlockByNumber`` with transactions.
        tx_hash: whose, 32 bytes.

    Raises:
        BadEvidence: they are not the header's.
    """
    trie = receipts.transactions_trie(under, told_transactions)
    for index, one in enumerate(told_transactions):
        if octets_of(one.get("hash"), "transaction: hash", _HASH_BYTES) == tx_hash:  # each hashes to what it is called
            return Mined(tx_hash, index, trie)
    return None


def transaction_piece(under: Header, found: Mined, told_receipts: Sequence[Told]) -> TransactionPiece:
    """One transaction's proofs; both tries of its block are rebuilt, since no node gives them.

    Args:
        under: the block's header.
        found: the transaction.
        told_receipts: all of the block's, in their order.

    Raises:
        BadEvidence: they are not the header's.
    """
    key = tries.place(found.index)
    return TransactionPiece(
        tx_hash=found.tx_hash,
        index=found.index,
        proof=found.trie.proof(key),
        receipt_proof=receipts.receipts_trie(under, told_receipts).proof(key),
    )


def state_piece(household: bytes, told_account: Told, told_contract: Told) -> StatePiece:
    """The proofs of a household's account and slot; ``verify`` checks them.

    Args:
        household: 20 bytes.
        told_account: ``eth_getProof`` of the household, without slots.
        told_contract: ``eth_getProof`` of the market with the household's slot alone.

    Raises:
        BadEvidence: what is told has another form.
    """
    contract_proof, (slot_proof,) = market_proofs(told_contract, 1)
    return StatePiece(
        household=household,
        account_proof=_nodes(told_account.get("accountProof"), "accountProof of the household"),
        contract_proof=contract_proof,
        slot_proof=slot_proof,
    )


def market_proofs(told: Told, slots: int) -> tuple[tuple[bytes, ...], tuple[tuple[bytes, ...], ...]]:
    """The proofs of the market's account and of so many of its slots, in the order in which they were asked for.

    Args:
        told: ``eth_getProof`` of the market.
        slots: how many were asked for.

    Raises:
        BadEvidence: what is told has another form.
    """
    proofs = told.get("storageProof")
    if not isinstance(proofs, list) or len(proofs) != slots or not all(isinstance(one, dict) for one in proofs):
        raise BadEvidence(f"storageProof is {shown(proofs)}, where proofs of {slots} slot(s) belong")
    return (
        _nodes(told.get("accountProof"), "accountProof of the market"),
        tuple(_nodes(one.get("proof"), "storageProof") for one in proofs),
    )


def _nodes(value: object, what: str) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > _MOST_NODES:
        raise BadEvidence(f"{what} is {shown(value)}, where a list of at most {_MOST_NODES} nodes belongs")
    return tuple(octets_of(node, f"{what}: node {place}") for place, node in enumerate(value))
