"""``prosumer-operator approve``: an enrolment request, verified and entered."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from agent.domain.errors import BadRequest
from agent.operator import enrolment
from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here
from agent.operator.options import Commands, Shared, opened, seconds, sender, whole
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender

# Registration takes a day or two; a register that is older has carried energy which nobody watched.
_MOST_AGE_S = 7 * 24 * 3600


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = commands.add_parser(
        "approve",
        parents=[shared.chain, shared.key, shared.output],
        help="verify an enrolment request and enrol it",
    )
    command.add_argument("request", type=Path, metavar="REQUEST.json", help="written by prosumer-agent enrol")
    command.add_argument(
        "--fund", type=whole, metavar="WEI", help="top the household's account up to this balance, for its gas"
    )
    command.add_argument(
        "--max-age",
        type=seconds,
        default=_MOST_AGE_S,
        metavar="S",
        help="how old its registers may be (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    with opened(asked) as wiring:
        return Answer(
            approve(
                wiring.chain,
                sender(wiring, asked),
                wiring.deployments,
                asked.request,
                recover=wiring.recover,
                fund=asked.fund,
                most_age_s=asked.max_age,
            )
        )


def approve(
    chain: Chain,
    sending: Sender,
    deployments: Deployments,
    request: Path,
    *,
    recover: Callable[[str, str], str],
    fund: int | None,
    most_age_s: int,
) -> Told:
    """Enrol the household that made a request.

    Args:
        chain: the operator's node.
        sending: of transactions.
        deployments: the files.
        request: the request's file.
        recover: who signed a text.
        most_age_s: how old the request's registers may be, seconds: what a register may have gained at its first
            reading grows with its age.
        fund: wei that the household's account shall hold at least; None for whatever it has.

    Raises:
        BadRequest: the request is wrong, or the household is enrolled already.
        Rejected: the contract refuses, for example since a meter is in use or the key is not the office's.
    """
    deployed = deployed_here(chain, deployments)
    contract = deployed.pin.contract
    try:
        with request.open("rb") as file:
            content = file.read(enrolment.MOST_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"{request}: {error.strerror}; name the file that prosumer-agent enrol wrote") from error
    asked = enrolment.read(content, deployed.pin.chain_id, contract, recover)
    data = chain.calldata("enrol", asked.words())
    told: Told = {"household": asked.household, "area": asked.area, "contract": contract}
    enrolled = chain.household(contract, asked.household).enrolled
    if enrolled and not sending.interrupted(contract, data):
        # Only what an earlier run may have left undone is done; whether its meters were these, the office decides.
        if fund is None:
            raise BadRequest(f"household {asked.household} is enrolled already; a new meter comes by replace-meter")
        told["enrolled"] = "before"
    else:
        if (age := chain.head().timestamp - asked.created_at) > most_age_s and not enrolled:
            raise BadRequest(
                f"the request's registers were read {age} s before the newest block, and at most {most_age_s} s are"
                " taken: have the household run 'prosumer-agent enrol' anew, or say --max-age"
            )
        told["transaction"] = sending.send(contract, data).tx_hash
        told["enrolled"] = "now"
        sending.done()
    if fund is not None and (lacking := fund - chain.balance(asked.household)) > 0:
        told["fundingTransaction"] = sending.send(asked.household, b"", lacking).tx_hash
        told["fundedWei"] = lacking
        sending.done()
    state = chain.household(contract, asked.household)
    return {
        **told,
        "epoch": state.epoch,
        "producedWh": state.produced_wh,
        "consumedWh": state.consumed_wh,
        "ratedPowerW": state.rated_power_w,
        "balanceWei": chain.balance(asked.household),
    }
