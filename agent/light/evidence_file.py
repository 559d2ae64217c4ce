"""Evidence as a file: canonical JSON, described in this folder's README and in ``agent/schemas/evidence.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NoReturn

from agent.domain.errors import BadEvidence
from agent.light.evidence import MOST_HEADERS, Evidence, StatePiece, TransactionPiece
from agent.light.quantities import octets_of, shown

SCHEMA = 1
MOST_BYTES = 32 << 20
"""Ten thousand headers, which is the most, with twenty seals each."""

_ADDRESS_BYTES, _HASH_BYTES = 20, 32
_MOST_NODES = 65
_MOST_BRACKETS = 16  # nine are the most that a file has
_MOST_NUMBER = (1 << 63) - 1
_TOP = frozenset({"schema", "chainId", "contract", "block", "headers"})
_PIECES = frozenset({"transaction", "state"})
_TRANSACTION = frozenset({"hash", "index", "proof", "receiptProof"})
_STATE = frozenset({"household", "accountProof", "contractProof", "slotProof"})


def written(evidence: Evidence) -> str:
    """The file's text: keys sorted, no spaces, one line feed at the end; equal evidence has equal bytes."""
    told: dict[str, object] = {
        "schema": SCHEMA,
        "chainId": evidence.chain_id,
        "contract": _hex(evidence.contract),
        "block": evidence.block,
        "headers": _all_hex(evidence.headers),
    }
    if evidence.transaction is not None:
        told["transaction"] = {
            "hash": _hex(evidence.transaction.tx_hash),
            "index": evidence.transaction.index,
            "proof": _all_hex(evidence.transaction.proof),
            "receiptProof": _all_hex(evidence.transaction.receipt_proof),
        }
    if evidence.state is not None:
        told["state"] = {
            "household": _hex(evidence.state.household),
            "accountProof": _all_hex(evidence.state.account_proof),
            "contractProof": _all_hex(evidence.state.contract_proof),
            "slotProof": _all_hex(evidence.state.slot_proof),
        }
    return json.dumps(told, sort_keys=True, separators=(",", ":")) + "\n"


def read(text: str) -> Evidence:
    """The evidence that a file holds.

    Raises:
        BadEvidence: it is not of this form, or longer than any.
    """
    if len(text) > MOST_BYTES:
        raise BadEvidence(f"the file has {len(text)} characters, where at most {MOST_BYTES} are read")
    if "\\" in text:
        raise BadEvidence("the file has an escape (\\), where its strings are written plainly")
    # Python's decoder recurses, and a library lifts the interpreter's limit: deep nesting would end the process.
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        raise BadEvidence("the file has more lists and objects than evidence has")
    try:
        told = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_no_number, parse_int=_whole
        )
    except (ValueError, RecursionError) as error:
        raise BadEvidence(f"the file is not JSON ({error})") from error
    top = _object(told, "the file", _TOP, _PIECES)
    if top["schema"] != SCHEMA or isinstance(top["schema"], bool):
        raise BadEvidence(f"schema is {shown(top['schema'])}; this release reads {SCHEMA}")
    return Evidence(
        chain_id=_number(top["chainId"], "chainId"),
        contract=_octets(top["contract"], "contract", _ADDRESS_BYTES),
        block=_number(top["block"], "block"),
        headers=_octets_list(top["headers"], "headers", MOST_HEADERS),
        transaction=_transaction(top["transaction"]) if "transaction" in top else None,
        state=_state(top["state"]) if "state" in top else None,
    )


def _transaction(value: object) -> TransactionPiece:
    told = _object(value, "transaction", _TRANSACTION)
    return TransactionPiece(
        tx_hash=_octets(told["hash"], "transaction.hash", _HASH_BYTES),
        index=_number(told["index"], "transaction.index"),
        proof=_octets_list(told["proof"], "transaction.proof", _MOST_NODES),
        receipt_proof=_octets_list(told["receiptProof"], "transaction.receiptProof", _MOST_NODES),
    )


def _state(value: object) -> StatePiece:
    told = _object(value, "state", _STATE)
    return StatePiece(
        household=_octets(told["household"], "state.household", _ADDRESS_BYTES),
        account_proof=_octets_list(told["accountProof"], "state.accountProof", _MOST_NODES),
        contract_proof=_octets_list(told["contractProof"], "state.contractProof", _MOST_NODES),
        slot_proof=_octets_list(told["slotProof"], "state.slotProof", _MOST_NODES),
    )


# --- JSON, read strictly ---


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadEvidence("the file names a member twice")
    return found


def _whole(text: str) -> int:
    return _no_number(text) if text == "-0" else int(text)


def _no_number(text: str) -> NoReturn:
    raise BadEvidence(f"the file holds {shown(text)}, where whole numbers belong")


def _object(
    value: object, what: str, needed: frozenset[str], allowed: frozenset[str] = frozenset()
) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadEvidence(f"{what} is {shown(value)}, where an object belongs")
    if missing := sorted(needed - value.keys()):
        raise BadEvidence(f"{what} lacks {', '.join(missing)}")
    if unknown := sorted(value.keys() - needed - allowed):
        raise BadEvidence(f"{what} has {shown(unknown[0])}, which this release does not know")
    return value


def _number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_NUMBER:
        raise BadEvidence(f"{what} is {shown(value)}, where a whole number from 0 on belongs")
    return value


def _octets(value: object, what: str, length: int | None = None) -> bytes:
    found = octets_of(value, what, length)
    if value != _hex(found):
        raise BadEvidence(f"{what} has capital digits, where the file has small ones")
    return found


def _octets_list(value: object, what: str, most: int) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise BadEvidence(f"{what} is {shown(value)}, where a list of at most {most} belongs")
    return tuple(_octets(one, f"{what}[{place}]") for place, one in enumerate(value))


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _all_hex(values: Sequence[bytes]) -> list[str]:
    return [_hex(value) for value in values]
