"""``prosumer-operator deploy``: a new market."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from agent.domain.deployment import Deployed, Roles, Sealing
from agent.domain.errors import BadRequest
from agent.domain.market import ChainPin, Parameters, Settlement
from agent.operator.answer import Answer, Told
from agent.operator.options import (
    PRICES,
    Commands,
    Shared,
    account,
    add_command,
    blocks,
    check_band,
    named,
    opened,
    period,
    price,
    sender,
    whole,
)
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender

# Ether has 18; the contract's field would take 255.
_MOST_DECIMALS = 36
EPOCH = 30_000
"""Blocks from one checkpoint to the next that a genesis file has if nobody chose."""


@dataclass(frozen=True, slots=True)
class Market:
    """What a market is deployed with.

    Attributes:
        token_name: the energy token's name.
        token_symbol: its symbol.
        roles: who may do what; an empty address is the deployer's.
        initial: the parameters to begin with.
        settlement: what money is called on screens.
    """

    token_name: str
    token_symbol: str
    roles: Roles
    initial: Parameters
    settlement: Settlement


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands, "deploy", "Deploy a market and write its deployment file.", [shared.chain, shared.key, shared.output]
    )
    command.add_argument(
        "--token-name", type=named, default="Energy", metavar="NAME", help="of the energy token (default: %(default)s)"
    )
    command.add_argument(
        "--token-symbol", type=named, default="ENERGY", metavar="SYMBOL", help="its symbol (default: %(default)s)"
    )
    for role in ("admin", "registration-office", "distribution-agent"):
        command.add_argument(
            f"--{role}", type=account, metavar="ADDRESS", help="account of this role (default: the key's own)"
        )
    command.add_argument(
        "--reporting-period",
        type=period,
        default=900,
        metavar="S",
        help="an interval's length, seconds (default: %(default)s)",
    )
    for name, about in PRICES.items():
        command.add_argument(f"--{name}", type=price, default=0, metavar="WEI", help=f"{about} (default: 0)")
    unit = "the settlement unit on screens (default: %(default)s)"
    command.add_argument("--settlement-name", type=named, default="Ether", help=f"name of {unit}")
    command.add_argument("--settlement-symbol", type=named, default="ETH", help=f"symbol of {unit}")
    command.add_argument("--settlement-decimals", type=_decimals, default=18, metavar="N", help=f"decimals of {unit}")
    command.add_argument(
        "--epoch",
        type=blocks,
        default=EPOCH,
        metavar="BLOCKS",
        help="from one of the chain's checkpoints to the next, as in its genesis file (default: %(default)s)",
    )
    command.add_argument("--again", action="store_true", help="deploy although this chain has a market already")
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked.

    Raises:
        Misuse: the tariffs leave no price between them.
    """
    check_band(asked)
    market = Market(
        token_name=asked.token_name,
        token_symbol=asked.token_symbol,
        roles=Roles(asked.admin or "", asked.registration_office or "", asked.distribution_agent or ""),
        initial=Parameters(
            reporting_period_s=asked.reporting_period,
            service_cost=asked.service_cost,
            feed_in_tariff=asked.feed_in,
            retail_tariff=asked.retail,
            paused=False,
        ),
        settlement=Settlement(asked.settlement_name, asked.settlement_symbol, asked.settlement_decimals),
    )
    with opened(asked) as wiring:
        sending, files = sender(wiring, asked, begins=True, unit=market.settlement), wiring.deployments
        told = deploy(wiring.chain, sending, files, market, epoch=asked.epoch, again=asked.again)
    rows = Answer({name: value for name, value in told.items() if name != "toml"})
    return Answer(told, f"{rows}\n\n# For the households' configuration:\n{told['toml']}")


def deploy(chain: Chain, sending: Sender, deployments: Deployments, market: Market, *, epoch: int, again: bool) -> Told:
    """Deploy a market and write its file.

    Args:
        chain: the operator's node.
        sending: of transactions.
        deployments: the files.
        market: what to deploy.
        epoch: blocks from one of the chain's checkpoints to the next.
        again: replace the file of an earlier market on this chain.

    Raises:
        BadRequest: this chain has a market already, or the node holds another code than was sent.
    """
    chain_id, genesis, sealing = chain.chain_id(), chain.genesis_hash(), chain.sealing(epoch)
    own = sending.address
    roles = Roles(
        admin=market.roles.admin or own,
        registration_office=market.roles.registration_office or own,
        distribution_agent=market.roles.distribution_agent or own,
    )
    initial, unit = market.initial, market.settlement
    data = chain.creation(
        market.token_name,
        market.token_symbol,
        roles.admin,
        roles.registration_office,
        roles.distribution_agent,
        (initial.service_cost, initial.reporting_period_s, initial.feed_in_tariff, initial.retail_tariff),
        (unit.name, unit.symbol, unit.decimals),
    )
    path = deployments.path(chain_id)
    if path.exists() and not again and not sending.interrupted("", data):
        raise BadRequest(f"{path} names a market on chain {chain_id}; --again deploys a second one and replaces it")
    found = sending.send("", data)
    contract = to_checksum_address(chain.created_contract(found.tx_hash))
    pin = ChainPin(chain_id, genesis, contract, chain.code_hash(contract))
    deployments.save(Deployed(pin, found.block_number, roles, sealing))
    sending.done()
    return {
        "chainId": chain_id,
        "genesis": genesis,
        "contract": contract,
        "codeHash": pin.code_hash,
        "block": found.block_number,
        "transaction": found.tx_hash,
        "admin": roles.admin,
        "registrationOffice": roles.registration_office,
        "distributionAgent": roles.distribution_agent,
        "settlementName": unit.name,
        "settlementSymbol": unit.symbol,
        "settlementDecimals": unit.decimals,
        **told_sealing(sealing),
        "file": str(path),
        "toml": snippet(pin, found.block_number, sealing),
    }


def told_sealing(sealing: Sealing | None) -> dict[str, object]:
    """Who may seal, for a program."""
    if sealing is None:
        return {"unproven": True}
    return {"consensus": sealing.consensus, "epoch": sealing.epoch, "validators": list(sealing.validators)}


def snippet(pin: ChainPin, block: int, sealing: Sealing | None) -> str:
    """The part of a household's configuration that pins this market, made in a block, and who may seal blocks."""
    return (
        "[chain]\n"
        f"id = {pin.chain_id}\n"
        f'genesis = "{pin.genesis_hash}"\n'
        f'contract = "{pin.contract}"\n'
        f'code_hash = "{pin.code_hash}"\n'
        f"deployed_at = {block}\n"
    ) + ("unproven = true\n" if sealing is None else _sealed(sealing))


def _sealed(sealing: Sealing) -> str:
    listed = "".join(f'    "{one}",\n' for one in sealing.validators)
    return f'consensus = "{sealing.consensus}"\nepoch = {sealing.epoch}\nvalidators = [\n{listed}]\n'


def _decimals(text: str) -> int:
    if (number := whole(text)) > _MOST_DECIMALS:
        raise argparse.ArgumentTypeError(f"at most {_MOST_DECIMALS} decimals: a screen has room for no more")
    return number
