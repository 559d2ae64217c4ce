"""``prosumer-operator replace-meter``: a meter that takes another's place, or began anew."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from agent.domain.errors import BadRequest
from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here
from agent.operator.enrolment import MeterStatement
from agent.operator.households import enrolled, standing
from agent.operator.options import Commands, Shared, account, add_command, named, opened, register_wh, sender
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender

# The contract's enum Meter, in its order.
METERS = ("production", "consumption")


@dataclass(frozen=True, slots=True)
class Replacement:
    """A meter that takes another's place.

    Attributes:
        meter: ``production`` or ``consumption``.
        new: the new meter, and its register when it was put in; for a reset the same meter.
        closing_wh: the old meter's last register, Wh; None for the last one that the contract booked.
        reset: whether it is the same meter, whose register began anew.
    """

    meter: str
    new: MeterStatement
    closing_wh: int | None
    reset: bool


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands, "replace-meter", "Enter a new meter, or a reset one.", [shared.chain, shared.key, shared.output]
    )
    command.add_argument("household", type=account, metavar="ADDRESS", help="the household's account")
    command.add_argument("--meter", required=True, choices=METERS, help="which of the two")
    command.add_argument("--profile", required=True, type=_model, metavar="MODEL", help="the new meter's model")
    command.add_argument("--serial", required=True, type=named, help="the new meter's serial number")
    command.add_argument(
        "--opening", required=True, type=register_wh, metavar="WH", help="its register when it was put in"
    )
    command.add_argument(
        "--closing", type=register_wh, metavar="WH", help="the old meter's last register (default: the last one booked)"
    )
    command.add_argument("--reset", action="store_true", help="it is the same meter, whose register began anew")
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    replacement = Replacement(
        meter=asked.meter,
        new=MeterStatement(asked.profile, asked.serial, asked.opening),
        closing_wh=asked.closing,
        reset=asked.reset,
    )
    with opened(asked) as wiring:
        return Answer(
            replace_meter(wiring.chain, sender(wiring, asked), wiring.deployments, asked.household, replacement)
        )


def replace_meter(
    chain: Chain, sending: Sender, deployments: Deployments, household: str, replacement: Replacement
) -> Told:
    """Book the old meter up to its closing register and open the next epoch with the new one's.

    Args:
        chain: the operator's node.
        sending: of transactions.
        deployments: the files.
        household: the household, checksummed.
        replacement: which meter, by which, at which registers.

    Raises:
        BadRequest: the household is not enrolled, or has that meter already.
        Rejected: the contract refuses: the closing register is below what is booked or more than the connection
            carries, the new meter is another household's, or the key is not the office's.
    """
    contract = deployed_here(chain, deployments).pin.contract
    state = enrolled(chain, contract, household)
    new = replacement.new
    if replacement.reset and replacement.closing_wh is None:
        # Without it the same command run twice would open two epochs, and no error would say so.
        raise BadRequest("a reset needs --closing: the register that the meter had before it began anew")
    booked = state.produced_wh if replacement.meter == METERS[0] else state.consumed_wh
    closing = booked if replacement.closing_wh is None else replacement.closing_wh
    data = chain.calldata(
        "replaceMeter", household, METERS.index(replacement.meter), new.meter_id, closing, new.register_wh
    )
    if not sending.interrupted(contract, data):
        theirs = chain.meter_owner(contract, new.meter_id) == household
        if theirs and not replacement.reset:
            raise BadRequest(
                f"meter {new.profile}:{new.serial} is household {household}'s already, which is in epoch {state.epoch};"
                " say --reset if it is the same meter and its register began anew"
            )
        if replacement.reset and not theirs:
            raise BadRequest(f"meter {new.profile}:{new.serial} is not household {household}'s: --reset is for its own")
    sent = sending.send(contract, data)
    sending.done()
    return {
        "household": household,
        "contract": contract,
        "transaction": sent.tx_hash,
        "meter": replacement.meter,
        "closingWh": closing,
        **standing(chain.household(contract, household)),
    }


def _model(text: str) -> str:
    if not text or ":" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no model's name, such as eastron_sdm120")
    return text
