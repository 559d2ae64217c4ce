"""What the registration office does with a household that is enrolled: suspend it, and replace a meter."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.errors import BadRequest
from agent.domain.market import HouseholdState
from agent.operator.commands import Told, deployed_here
from agent.operator.enrolment import MeterStatement
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


def suspend(chain: Chain, sender: Sender, deployments: Deployments, account: str, *, lift: bool) -> Told:
    """Refuse a household's readings, or accept them again. Doing it twice is doing it once.

    Args:
        chain: the operator's node.
        sender: of transactions.
        deployments: the files.
        account: the household, checksummed.
        lift: accept them again.

    Raises:
        BadRequest: the household is not enrolled.
        Rejected: the contract refuses, for example since the key is not the office's.
    """
    contract = deployed_here(chain, deployments).pin.contract
    told: Told = {"household": account, "contract": contract}
    if _enrolled(chain, contract, account).active is not lift:
        told["transaction"] = sender.send(contract, chain.calldata("suspend", account, not lift)).tx_hash
        sender.done()
    return {**told, **_standing(chain.household(contract, account))}


def replace_meter(
    chain: Chain, sender: Sender, deployments: Deployments, account: str, replacement: Replacement
) -> Told:
    """Book the old meter up to its closing register and open the next epoch with the new one's.

    Args:
        chain: the operator's node.
        sender: of transactions.
        deployments: the files.
        account: the household, checksummed.
        replacement: which meter, by which, at which registers.

    Raises:
        BadRequest: the household is not enrolled, or has that meter already.
        Rejected: the contract refuses: the closing register is below what is booked or more than the connection
            carries, the new meter is another household's, or the key is not the office's.
    """
    contract = deployed_here(chain, deployments).pin.contract
    state = _enrolled(chain, contract, account)
    new = replacement.new
    if replacement.reset and replacement.closing_wh is None:
        # Without it the same command run twice would open two epochs, and no error would say so.
        raise BadRequest("a reset needs --closing: the register that the meter had before it began anew")
    booked = state.produced_wh if replacement.meter == METERS[0] else state.consumed_wh
    closing = booked if replacement.closing_wh is None else replacement.closing_wh
    data = chain.calldata(
        "replaceMeter", account, METERS.index(replacement.meter), new.meter_id, closing, new.register_wh
    )
    if not sender.interrupted(contract, data):
        theirs = chain.meter_owner(contract, new.meter_id) == account
        if theirs and not replacement.reset:
            raise BadRequest(
                f"meter {new.profile}:{new.serial} is household {account}'s already, which is in epoch {state.epoch};"
                " say --reset if it is the same meter and its register began anew"
            )
        if replacement.reset and not theirs:
            raise BadRequest(f"meter {new.profile}:{new.serial} is not household {account}'s: --reset is for its own")
    sent = sender.send(contract, data)
    sender.done()
    return {
        "household": account,
        "contract": contract,
        "transaction": sent.tx_hash,
        "meter": replacement.meter,
        "closingWh": closing,
        **_standing(chain.household(contract, account)),
    }


def _enrolled(chain: Chain, contract: str, account: str) -> HouseholdState:
    state = chain.household(contract, account)
    if not state.enrolled:
        raise BadRequest(f"household {account} is not enrolled in the market {contract}; approve its request first")
    return state


def _standing(state: HouseholdState) -> Told:
    return {
        "active": state.active,
        "epoch": state.epoch,
        "producedWh": state.produced_wh,
        "consumedWh": state.consumed_wh,
    }
