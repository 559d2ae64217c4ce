"""Evidence put together from what a full node tells over JSON-RPC; each part is checked as it is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def transaction_piece(
    under: Header, told_transactions: Sequence[Told], told_receipts: Sequence[Told], tx_hash: bytes
) -> TransactionPiece:
    """One transaction's proofs; both tries of its block are rebuilt, since no node gives them.

    Args:
        under: the block's header.
        told_transactions: all of the block's, in their order: ``eth_getBlockByNumber`` with transactions.
        told_receipts: all of the block's, in their order.
        tx_hash: whose, 32 bytes.

    Raises:
        BadEvidence: they are not the header's, or the transaction is not among them.
    """
    index = next(
        (place for place, one in enumerate(told_transactions) if one.get("hash") == "0x" + tx_hash.hex()), None
    )
    if index is None:
        raise BadEvidence(f"block {under.number} has no transaction 0x{tx_hash.hex()}")
    key = tries.place(index)
    return TransactionPiece(
        tx_hash=tx_hash,
        index=index,
        proof=receipts.transactions_trie(under, told_transactions).proof(key),
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
    slots = told_contract.get("storageProof")
    if not isinstance(slots, list) or len(slots) != 1 or not isinstance(slots[0], dict):
        raise BadEvidence(f"storageProof is {shown(slots)}, where the proof of one slot belongs")
    return StatePiece(
        household=household,
        account_proof=_nodes(told_account.get("accountProof"), "accountProof of the household"),
        contract_proof=_nodes(told_contract.get("accountProof"), "accountProof of the market"),
        slot_proof=_nodes(slots[0].get("proof"), "storageProof"),
    )


def _nodes(value: object, what: str) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > _MOST_NODES:
        raise BadEvidence(f"{what} is {shown(value)}, where a list of at most {_MOST_NODES} nodes belongs")
    return tuple(octets_of(node, f"{what}: node {place}") for place, node in enumerate(value))
