"""``prosumer-operator fund``: a household's first settlement units, for its gas and its first purchase."""

from __future__ import annotations

import argparse

from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here, unit_here
from agent.operator.households import enrolled
from agent.operator.office import top_up
from agent.operator.options import Commands, Shared, account, add_command, opened, sender, wei
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands, "fund", "Top a household's account up to a balance.", [shared.chain, shared.key, shared.output]
    )
    command.add_argument("household", type=account, metavar="ADDRESS", help="the household's account")
    command.add_argument(
        "--amount", required=True, type=wei, metavar="WEI", help="what its account shall hold at least"
    )
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    with opened(asked) as wiring:
        sending, files = sender(wiring, asked), wiring.deployments
        unit = unit_here(wiring.chain, files)
        return Answer(fund(wiring.chain, sending, files, asked.household, amount=asked.amount), unit=unit)


def fund(chain: Chain, sending: Sender, deployments: Deployments, household: str, *, amount: int) -> Told:
    """Give a household what its account lacks of a balance. Doing it twice is doing it once.

    Args:
        chain: the operator's node.
        sending: of transactions.
        deployments: the files.
        household: the account, checksummed.
        amount: wei that it shall hold at least.

    Raises:
        BadRequest: the household is not enrolled, or the operator's account has not so much.
    """
    contract = deployed_here(chain, deployments).pin.contract
    # Money sent to a mistyped account is gone, and only households need it from here.
    enrolled(chain, contract, household)
    told = top_up(chain, sending, household, amount)
    return {"household": household, **told, "balanceWei": chain.balance(household)}
