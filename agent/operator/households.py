"""How an enrolled household stands in the contract."""

from __future__ import annotations

from agent.domain.errors import BadRequest
from agent.domain.market import HouseholdState
from agent.operator.answer import Told
from agent.operator.ports import Chain


def enrolled(chain: Chain, contract: str, account: str) -> HouseholdState:
    """What the contract holds of an enrolled household.

    Raises:
        BadRequest: it is not enrolled.
    """
    state = chain.household(contract, account)
    if not state.enrolled:
        raise BadRequest(f"household {account} is not enrolled in the market {contract}; approve its request first")
    return state


def standing(state: HouseholdState) -> Told:
    """How a household stands, for a command's answer."""
    return {
        "active": state.active,
        "epoch": state.epoch,
        "producedWh": state.produced_wh,
        "consumedWh": state.consumed_wh,
    }
