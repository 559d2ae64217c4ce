"""The operator's commands: each does one thing on the chain and returns what there is to tell about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address

from agent.domain.deployment import Deployed, Roles
from agent.domain.errors import BadRequest
from agent.domain.market import ChainPin, Parameters
from agent.operator import enrolment
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender

Told = dict[str, object]


@dataclass(frozen=True, slots=True)
class Market:
    """What a market is deployed with.

    Attributes:
        token_name: the energy token's name.
        token_symbol: its symbol.
        roles: who may do what; an empty address is the deployer's.
        initial: the parameters to begin with.
    """

    token_name: str
    token_symbol: str
    roles: Roles
    initial: Parameters


@dataclass(frozen=True, slots=True)
class Change:
    """What ``parameters`` is asked to change; None leaves it as it is."""

    reporting_period_s: int | None = None
    service_cost: int | None = None
    feed_in_tariff: int | None = None
    retail_tariff: int | None = None
    paused: bool | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked."""
        return self == Change()


def deploy(chain: Chain, sender: Sender, deployments: Deployments, market: Market, *, again: bool) -> Told:
    """Deploy a market and write its file.

    Args:
        chain: the operator's node.
        sender: of transactions.
        deployments: the files.
        market: what to deploy.
        again: replace the file of an earlier market on this chain.

    Raises:
        BadRequest: this chain has a market already, or the node holds another code than was sent.
    """
    chain_id, genesis = chain.chain_id(), chain.genesis_hash()
    own = sender.address
    roles = Roles(
        admin=market.roles.admin or own,
        registration_office=market.roles.registration_office or own,
        distribution_agent=market.roles.distribution_agent or own,
    )
    initial = market.initial
    data = chain.creation(
        market.token_name,
        market.token_symbol,
        roles.admin,
        roles.registration_office,
        roles.distribution_agent,
        (initial.service_cost, initial.reporting_period_s, initial.feed_in_tariff, initial.retail_tariff),
    )
    path = deployments.path(chain_id)
    if path.exists() and not again and not sender.interrupted("", data):
        raise BadRequest(f"{path} names a market on chain {chain_id}; --again deploys a second one and replaces it")
    found = sender.send("", data)
    contract = to_checksum_address(chain.created_contract(found.tx_hash))
    pin = ChainPin(chain_id, genesis, contract, chain.code_hash(contract))
    deployments.save(Deployed(pin, found.block_number, roles))
    sender.done()
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
        "file": str(path),
        "toml": snippet(pin),
    }


def snippet(pin: ChainPin) -> str:
    """The part of a household's configuration that pins this market."""
    return (
        "[chain]\n"
        f"id = {pin.chain_id}\n"
        f'genesis = "{pin.genesis_hash}"\n'
        f'contract = "{pin.contract}"\n'
        f'code_hash = "{pin.code_hash}"\n'
    )


def deployed_here(chain: Chain, deployments: Deployments) -> Deployed:
    """The market on the node's chain, made sure of.

    Raises:
        BadRequest: there is none, or the node's chain or code is another.
    """
    deployed = deployments.load(chain.chain_id())
    pin = deployed.pin
    if (genesis := chain.genesis_hash()) != pin.genesis_hash:
        raise BadRequest(
            f"the node's chain {pin.chain_id} begins with block {genesis}, the deployed market's with"
            f" {pin.genesis_hash}: this is another chain with the same number"
        )
    if (code := chain.code_hash(pin.contract)) != pin.code_hash:
        raise BadRequest(f"the code at {pin.contract} hashes to {code}; the deployed market's to {pin.code_hash}")
    return deployed


def approve(
    chain: Chain,
    sender: Sender,
    deployments: Deployments,
    request: Path,
    *,
    recover: Callable[[str, str], str],
    rated_power_w: int | None,
    fund: int | None,
    most_age_s: int,
) -> Told:
    """Enrol the household that made a request.

    Args:
        chain: the operator's node.
        sender: of transactions.
        deployments: the files.
        request: the request's file.
        recover: who signed a text.
        rated_power_w: the connection's rating by its contract, W; None to believe the request.
        most_age_s: how old the request's registers may be, seconds: what a register may have gained at its first
            reading grows with its age.
        fund: wei that the household's account shall hold at least; None for whatever it has.

    Raises:
        BadRequest: the request is wrong or states another rating, or the household is enrolled already.
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
    if rated_power_w is not None and rated_power_w != asked.rated_power_w:
        raise BadRequest(
            f"the request states a rating of {asked.rated_power_w} W, and --rated-power is {rated_power_w} W; compare"
            " with the connection's contract: if the request is wrong, the household puts household.rated_power_w right"
            " and runs 'prosumer-agent enrol' anew"
        )
    data = chain.calldata("enrol", asked.words())
    told: Told = {"household": asked.household, "area": asked.area, "contract": contract}
    enrolled = chain.household(contract, asked.household).enrolled
    if enrolled and not sender.interrupted(contract, data):
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
        told["transaction"] = sender.send(contract, data).tx_hash
        told["enrolled"] = "now"
        sender.done()
    if fund is not None and (lacking := fund - chain.balance(asked.household)) > 0:
        told["fundingTransaction"] = sender.send(asked.household, b"", lacking).tx_hash
        told["fundedWei"] = lacking
        sender.done()
    state = chain.household(contract, asked.household)
    return {
        **told,
        "epoch": state.epoch,
        "producedWh": state.produced_wh,
        "consumedWh": state.consumed_wh,
        "ratedPowerW": state.rated_power_w,
        "balanceWei": chain.balance(asked.household),
    }


def show_parameters(chain: Chain, deployments: Deployments) -> Told:
    """The market's parameters in force."""
    contract = deployed_here(chain, deployments).pin.contract
    return _told(contract, chain.parameters(contract))


def set_parameters(chain: Chain, sender: Sender, deployments: Deployments, change: Change) -> Told:
    """Change the market's parameters, each that differs in a transaction of its own.

    Raises:
        Rejected: the contract refuses, for example since the key is not the distribution agent's.
    """
    contract = deployed_here(chain, deployments).pin.contract
    now = chain.parameters(contract)
    calls: list[tuple[str, tuple[object, ...]]] = []
    if change.reporting_period_s not in {None, now.reporting_period_s}:
        calls.append(("setReportingPeriod", (change.reporting_period_s,)))
    if change.service_cost not in {None, now.service_cost}:
        calls.append(("setServiceCost", (change.service_cost,)))
    feed_in = now.feed_in_tariff if change.feed_in_tariff is None else change.feed_in_tariff
    retail = now.retail_tariff if change.retail_tariff is None else change.retail_tariff
    if (feed_in, retail) != (now.feed_in_tariff, now.retail_tariff):
        calls.append(("setTariff", (feed_in, retail)))
    if change.paused not in {None, now.paused}:
        calls.append(("pause", (change.paused,)))
    sent = []
    for function, arguments in calls:
        sent.append(sender.send(contract, chain.calldata(function, *arguments)).tx_hash)
        sender.done()
    return {**_told(contract, chain.parameters(contract)), "transactions": sent}


def _told(contract: str, parameters: Parameters) -> Told:
    return {
        "contract": contract,
        "reportingPeriodS": parameters.reporting_period_s,
        "serviceCostWeiPerKWh": parameters.service_cost,
        "feedInWeiPerKWh": parameters.feed_in_tariff,
        "retailWeiPerKWh": parameters.retail_tariff,
        "paused": parameters.paused,
    }
