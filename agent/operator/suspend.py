"""``prosumer-operator suspend``: a household's readings, refused or taken again."""

from __future__ import annotations

import argparse

from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here
from agent.operator.households import enrolled, standing
from agent.operator.options import Commands, Shared, account, add_command, opened, sender
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "suspend",
        "Refuse a household's readings, or take them again.",
        [shared.chain, shared.key, shared.output],
    )
    command.add_argument("household", type=account, metavar="ADDRESS", help="the household's account")
    command.add_argument("--lift", action="store_true", help="take its readings again")
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    with opened(asked) as wiring:
        return Answer(
            suspend(wiring.chain, sender(wiring, asked), wiring.deployments, asked.household, lift=asked.lift)
        )


def suspend(chain: Chain, sending: Sender, deployments: Deployments, household: str, *, lift: bool) -> Told:
    """Refuse a household's readings, or accept them again. Doing it twice is doing it once.

    Args:
        chain: the operator's node.
        sending: of transactions.
        deployments: the files.
        household: the household, checksummed.
        lift: accept them again.

    Raises:
        BadRequest: the household is not enrolled.
        Rejected: the contract refuses, for example since the key is not the office's.
    """
    contract = deployed_here(chain, deployments).pin.contract
    told: Told = {"household": household, "contract": contract}
    if enrolled(chain, contract, household).active is not lift:
        told["transaction"] = sending.send(contract, chain.calldata("suspend", household, not lift)).tx_hash
        sending.done()
    return {**told, **standing(chain.household(contract, household))}
