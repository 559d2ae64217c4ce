"""The registration office at work: requests taken in, shown to a person, carried out on the chain, and recorded.

The chain is asked first and the database told second. A command that ends between the two is run again: the hash that
the chain then holds, made with the household's own salt, says that it was this very request.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.cli import table
from agent.domain.errors import BadRequest
from agent.domain.office_requests import KeptRequest, RequestKind, RequestState, approvable
from agent.domain.personal_data import PersonalData
from agent.operator import enrolment
from agent.operator.answer import Told
from agent.operator.deployed import deployed_here
from agent.operator.enrolment import Asked, Connection, MeterStatement
from agent.operator.ports import Chain, Deployments, Register
from agent.operator.sending import Sender


def on_duty() -> str:
    """Who runs this command, by the account on this machine."""
    return pwd.getpwuid(os.getuid()).pw_name


def now() -> int:
    """UTC epoch seconds."""
    return int(time.time())


@dataclass(frozen=True, slots=True)
class Approval:
    """How a request is to be approved.

    Attributes:
        rated_power_w: the connection's rating by its contract, W; None to believe the request.
        fund: wei that the household's account shall hold at least; None for whatever it has.
        most_age_s: how old an enrolment's registers may be, seconds: what a register may have gained at its first
            reading grows with its age.
        agreed: shows a person the text and asks; whether the person agrees.
        by: who approves.
        at: now, UTC epoch seconds.
    """

    rated_power_w: int | None
    fund: int | None
    most_age_s: int
    agreed: Callable[[str], bool]
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Office:
    """The registration office of one market.

    Attributes:
        chain: the operator's node.
        deployments: the files.
        register: keeps the requests.
        recover: who signed a text.
    """

    chain: Chain
    deployments: Deployments
    register: Register
    recover: Callable[[str, str], str]

    def take_in(self, path: Path, at: int) -> KeptRequest:
        """Verify a request's file and keep it. Doing it twice is doing it once.

        Args:
            path: the request's file.
            at: now, UTC epoch seconds.

        Raises:
            BadRequest: it cannot be read, or is wrong.
        """
        pin = deployed_here(self.chain, self.deployments).pin
        try:
            with path.open("rb") as file:
                content = file.read(enrolment.MOST_BYTES + 1)
        except OSError as error:
            raise BadRequest(f"{path}: {error.strerror}; name the file that prosumer-agent enrol wrote") from error
        return self.register.take_in(enrolment.read(content, pin.chain_id, pin.contract, self.recover).request, at)

    def approve(self, sending: Sender, number: int, approval: Approval) -> Told:
        """Carry out a request on the chain and record that.

        Args:
            sending: of transactions.
            number: the request's.
            approval: how.

        Raises:
            BadRequest: the request was decided, is too old, or does not fit what the chain holds; or the person said
                no; or the document was changed in the database.
            Rejected: the contract refuses, for example since a meter is in use or the key is not the office's.
        """
        chain, pin = self.chain, deployed_here(self.chain, self.deployments).pin
        kept = self.register.request(number)
        if (kept.chain_id, kept.contract) != (pin.chain_id, pin.contract):
            raise BadRequest(
                f"request {number} is for market {kept.contract} on chain {kept.chain_id}, and the one here is"
                f" {pin.contract} on chain {pin.chain_id}"
            )
        asked: Asked | None = None
        if approval.rated_power_w is not None:
            asked = self._asked(kept)
            _as_contracted(asked, approval.rated_power_w)
        told: Told = {"request": number, "household": kept.household, "contract": kept.contract}
        if self._stands(kept):
            # Only what an earlier run may have left undone is done.
            if approval.fund is None:
                raise BadRequest(f"household {kept.household} is enrolled already, by request {number} itself")
            told["enrolled"] = "before"
        else:
            approvable(kept, self.register.newest_approved_at(kept.chain_id, kept.contract, kept.household))
            asked = asked or self._asked(kept)
            if (asked.request.household, asked.request.personal_data_hash) != (kept.household, kept.personal_data_hash):
                raise BadRequest(f"request {number} was changed in the database; refuse it, and have it brought anew")
            told |= self._carried_out(sending, kept, asked, approval)
        if approval.fund is not None:
            told |= top_up(chain, sending, kept.household, approval.fund)
        state = chain.household(pin.contract, kept.household)
        return {
            **told,
            "epoch": state.epoch,
            "producedWh": state.produced_wh,
            "consumedWh": state.consumed_wh,
            "ratedPowerW": state.rated_power_w,
            "balanceWei": chain.balance(kept.household),
        }

    def _asked(self, kept: KeptRequest) -> Asked:
        document = self.register.document(kept.number)
        return enrolment.read(document, kept.chain_id, kept.contract, self.recover)

    def _stands(self, kept: KeptRequest) -> bool:
        return (
            kept.kind is RequestKind.ENROLMENT
            and kept.state is RequestState.APPROVED
            and self.chain.household(kept.contract, kept.household).enrolled
        )

    def _carried_out(self, sending: Sender, kept: KeptRequest, asked: Asked, approval: Approval) -> Told:
        chain, household, contract = self.chain, kept.household, kept.contract
        function, arguments = asked.call()
        data = chain.calldata(function, *arguments)
        enrolled = chain.household(contract, household).enrolled
        held = f"0x{chain.personal_data_hash(contract, household).hex()}"
        done, begun = enrolled and held == kept.personal_data_hash, sending.interrupted(contract, data)
        if kept.kind is RequestKind.EDIT and not enrolled:
            raise BadRequest(f"household {household} is not enrolled, so there is no profile to edit; it enrols first")
        if kept.kind is RequestKind.ENROLMENT and enrolled and not done:
            raise BadRequest(
                f"household {household} is enrolled already, by another request; a new meter comes by replace-meter,"
                " and other personal data by 'prosumer-agent enrol --edit'"
            )
        if not (done or begun):
            if asked.connection is not None:
                _young(chain, kept, approval.most_age_s)
            personal = asked.request.personal
            others = self.register.others_of(personal.national_id, household)
            if not approval.agreed(review(kept, personal, asked.connection, others)):
                raise BadRequest(f"request {kept.number} still waits: approve it, or refuse it with --why")
        transaction = sending.send(contract, data).tx_hash if begun or not done else ""
        self.register.approved(kept.number, approval.by, approval.at, transaction)
        if transaction:
            sending.done()
        told: Told = {} if asked.connection is None else {"area": asked.connection.area, "enrolled": "now"}
        return {**told, "personalDataHash": kept.personal_data_hash, "transaction": transaction or "by an earlier run"}


def _as_contracted(asked: Asked, rated_power_w: int) -> None:
    if asked.connection is not None and asked.connection.rated_power_w != rated_power_w:
        stated_w = asked.connection.rated_power_w
        raise BadRequest(
            f"the request states a rating of {stated_w} W, and --rated-power is {rated_power_w} W; compare with the"
            " connection's contract: if the request is wrong, the household puts household.rated_power_w right and runs"
            " 'prosumer-agent enrol' anew"
        )


def _young(chain: Chain, kept: KeptRequest, most_age_s: int) -> None:
    if (age := chain.head().timestamp - kept.created_at) > most_age_s:
        raise BadRequest(
            f"the request's registers were read {age} s before the newest block, and at most {most_age_s} s are"
            " taken: have the household run 'prosumer-agent enrol' anew, or say --max-age"
        )


def top_up(chain: Chain, sending: Sender, household: str, balance: int) -> Told:
    """Give an account what it lacks of a balance. Doing it twice is doing it once.

    Args:
        chain: the operator's node.
        sending: of transactions.
        household: the account, checksummed.
        balance: wei that it shall hold at least.

    Raises:
        BadRequest: the operator's account has not so much.
    """
    # What an interrupted run sent may arrive at any moment, and would be lacking no more.
    sending.settle()
    if (lacking := balance - chain.balance(household)) <= 0:
        return {}
    sent = sending.send(household, b"", lacking)
    sending.done()
    return {"fundingTransaction": sent.tx_hash, "fundedWei": lacking}


def review(
    kept: KeptRequest, personal: PersonalData | None, connection: Connection | None, others: Sequence[str]
) -> str:
    """A request for the person who decides; no other text of the operator's shows personal data.

    Args:
        kept: the request.
        personal: who asks; None once that is erased.
        connection: what an enrolment states of its meters; None for an edit, and once erased.
        others: further households of the same national ID.
    """
    erased = "erased" if kept.erased_at is not None else None
    pairs: list[tuple[str, object]] = [
        ("request", f"{kept.number}, {kept.kind.value}"),
        ("first name", personal.first_name if personal else erased),
        ("family name", personal.family_name if personal else erased),
        ("national ID", personal.national_id if personal else erased),
    ]
    if others:
        pairs.append(("same national ID", ", ".join(others)))
    pairs.append(("household", kept.household))
    if connection is not None:
        pairs += [
            ("area", connection.area),
            ("rated power", f"{connection.rated_power_w} W"),
            ("production meter", _meter(connection.production)),
            ("consumption meter", _meter(connection.consumption)),
        ]
    pairs += [
        ("market", f"{kept.contract} on chain {kept.chain_id}"),
        ("signed", table.moment(kept.created_at)),
        ("received", table.moment(kept.received_at)),
        ("state", kept.state.value),
    ]
    if kept.decided_at is not None:
        pairs.append(("decided", f"{table.moment(kept.decided_at)} by {kept.decided_by}"))
    if kept.why:
        pairs.append(("why", kept.why))
    if kept.transaction:
        pairs.append(("transaction", kept.transaction))
    return table.facts(pairs)


def _meter(meter: MeterStatement) -> str:
    return f"{meter.profile}, number {meter.serial}, {table.kwh(meter.register_wh)} kWh"
