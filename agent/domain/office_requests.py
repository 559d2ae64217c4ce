"""Requests to the registration office: their signed text, and what becomes of them.

::

    RECEIVED ─┬─▶ APPROVED   the chain holds what was asked for
              └─▶ REFUSED    a person said no, and why

A decision stands: whoever was refused asks anew, and what was approved is edited by another request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from agent.domain.errors import BadRequest
from agent.domain.personal_data import PersonalData

ENROLMENT_SCHEMA = "prosumer-agent/enrolment/2"
EDIT_SCHEMA = "prosumer-agent/profile-edit/1"


class RequestKind(Enum):
    """What is asked for."""

    ENROLMENT = "enrolment"
    EDIT = "edit"


class RequestState(Enum):
    """What has become of it."""

    RECEIVED = "received"
    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, repr=False)
class NewRequest:
    """A request that was verified, as it is taken in. It has no ``repr``: it holds personal data.

    Attributes:
        kind: what is asked for.
        chain_id: EIP-155 chain id.
        contract: the market, checksummed.
        household: the account, checksummed; it signed the document.
        created_at: when it did, UTC epoch seconds.
        personal: the personal data.
        salt: what the household hashed them with.
        personal_data_hash: ``0x`` hex.
        document: the signed request, JSON.
        digest: ``0x`` hex of what stands for the signed text; the same document is taken in once.
    """

    kind: RequestKind
    chain_id: int
    contract: str
    household: str
    created_at: int
    personal: PersonalData
    salt: bytes
    personal_data_hash: str
    document: str
    digest: str


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request as the office keeps it, without personal data.

    Attributes:
        number: the office's own, from 1.
        kind: what is asked for.
        chain_id: EIP-155 chain id.
        contract: the market, checksummed.
        household: the account, checksummed.
        created_at: when the household signed it, UTC epoch seconds.
        personal_data_hash: ``0x`` hex; what the chain shall hold.
        state: what has become of it.
        received_at: UTC epoch seconds.
        decided_at: UTC epoch seconds; None while it waits.
        decided_by: who decided; empty while it waits.
        why: the reason of a refusal; empty otherwise.
        transaction: hash of the transaction that carried it out; empty otherwise.
        erased_at: when its personal data were erased, UTC epoch seconds; None if they are there.
    """

    number: int
    kind: RequestKind
    chain_id: int
    contract: str
    household: str
    created_at: int
    personal_data_hash: str
    state: RequestState
    received_at: int
    decided_at: int | None
    decided_by: str
    why: str
    transaction: str
    erased_at: int | None


def signed_text(request: Mapping[str, object]) -> str:
    """The text that the household signs: the request without its signature, keys sorted, no spaces, ASCII escapes."""
    unsigned = {name: value for name, value in request.items() if name != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":"))


def approvable(request: KeptRequest, newest_approved_at: int | None) -> None:
    """Make sure that a request may be carried out.

    Args:
        request: the one.
        newest_approved_at: when the household signed the newest request of its that is approved, UTC epoch seconds;
            None if there is none.

    Raises:
        BadRequest: it was decided, its personal data are gone, or a newer one was approved: an older edit that is
            brought once more must not undo a newer.
    """
    _waiting(request)
    if request.erased_at is not None:
        raise BadRequest(f"request {request.number}: its personal data were erased; have the household ask anew")
    if newest_approved_at is not None and request.created_at <= newest_approved_at:
        raise BadRequest(
            f"request {request.number} was signed at {request.created_at}, and one of the same household signed at"
            f" {newest_approved_at} is approved; have the household ask anew"
        )


def refusable(request: KeptRequest) -> None:
    """Make sure that a request may be refused.

    Raises:
        BadRequest: it was decided.
    """
    _waiting(request)


def _waiting(request: KeptRequest) -> None:
    if request.state is not RequestState.RECEIVED:
        decided = request.decided_at
        at = "" if decided is None else f" at {datetime.fromtimestamp(decided, UTC):%Y-%m-%d %H:%M:%SZ}"
        raise BadRequest(f"request {request.number} was {request.state.value}{at}; that stands")
