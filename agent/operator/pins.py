"""``prosumer-operator pins``: what a household pins of the deployed market."""

from __future__ import annotations

import argparse

from agent.operator.answer import Answer
from agent.operator.deploy import EPOCH, snippet, told_sealing
from agent.operator.deployed import deployed_here
from agent.operator.options import Commands, Shared, add_command, blocks, opened
from agent.operator.ports import Chain, Deployments


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "pins",
        "Print the [chain] section that households need of the deployed market.",
        [shared.chain, shared.output],
    )
    command.add_argument(
        "--epoch",
        type=blocks,
        metavar="BLOCKS",
        help=f"from one of the chain's checkpoints to the next (default: the deployment file's, or {EPOCH})",
    )
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    with opened(asked) as wiring:
        return pins(wiring.chain, wiring.deployments, asked.epoch)


def pins(chain: Chain, deployments: Deployments, epoch: int | None) -> Answer:
    """The pins, also of a market whose deployment file is older than the pins of who may seal.

    Args:
        chain: the operator's node.
        deployments: the files.
        epoch: blocks from one of the chain's checkpoints to the next; as filed where it is left out.

    Raises:
        BadRequest: there is no market, or the node's chain or code is another.
        NodeUnavailable: the genesis does not say who may seal.
    """
    deployed = deployed_here(chain, deployments)
    filed = EPOCH if deployed.sealing is None else deployed.sealing.epoch
    # The genesis is the deployed market's, which was just made sure of, so who may seal is what was filed.
    sealing = chain.sealing(epoch or filed)
    pin = deployed.pin
    toml = snippet(pin, deployed.block, sealing)
    told = {
        "chainId": pin.chain_id,
        "genesis": pin.genesis_hash,
        "contract": pin.contract,
        "codeHash": pin.code_hash,
        "block": deployed.block,
        **told_sealing(sealing),
        "toml": toml,
    }
    return Answer(told, toml)
