"""``prosumer-operator parameters``: the market's parameters, shown or set."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from agent.cli.misuse import Misuse
from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here, unit_here
from agent.operator.options import (
    PRICES,
    Commands,
    Shared,
    account,
    add_command,
    check_band,
    opened,
    period,
    price,
    sender,
)
from agent.operator.ports import Chain, Deployments
from agent.operator.sending import Sender


@dataclass(frozen=True, slots=True)
class Change:
    """What ``parameters`` is asked to change; None leaves it as it is."""

    reporting_period_s: int | None = None
    service_cost: int | None = None
    feed_in_tariff: int | None = None
    retail_tariff: int | None = None
    service_cost_receiver: str | None = None
    paused: bool | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked."""
        return self == Change()


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "parameters",
        "Show or set the market's parameters.",
        [shared.chain, shared.key_if_needed, shared.output],
    )
    command.add_argument("--reporting-period", type=period, metavar="S", help="an interval's length, seconds")
    for name, about in PRICES.items():
        command.add_argument(f"--{name}", type=price, metavar="WEI", help=about)
    command.add_argument(
        "--service-cost-receiver", type=account, metavar="ADDRESS", help="who is paid the service cost of each trade"
    )
    paused = command.add_mutually_exclusive_group()
    paused.add_argument("--pause", dest="paused", action="store_true", default=None, help="the market moves nothing")
    paused.add_argument("--resume", dest="paused", action="store_false", default=None, help="it goes on")
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked.

    Raises:
        Misuse: a change without the key that signs it, or tariffs that leave no price between them.
    """
    check_band(asked)
    change = Change(
        reporting_period_s=asked.reporting_period,
        service_cost=asked.service_cost,
        feed_in_tariff=asked.feed_in,
        retail_tariff=asked.retail,
        service_cost_receiver=asked.service_cost_receiver,
        paused=asked.paused,
    )
    if not change.empty and asked.keystore is None:
        raise Misuse("--keystore is needed, since it signs a transaction")
    with opened(asked) as wiring:
        chain, files = wiring.chain, wiring.deployments
        sending = None if change.empty else sender(wiring, asked)
        unit = unit_here(chain, files)
        told = show_parameters(chain, files) if sending is None else set_parameters(chain, sending, files, change)
        return Answer(told, unit=unit)


def show_parameters(chain: Chain, deployments: Deployments) -> Told:
    """The market's parameters in force."""
    contract = deployed_here(chain, deployments).pin.contract
    return _told(chain, contract)


def set_parameters(chain: Chain, sending: Sender, deployments: Deployments, change: Change) -> Told:
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
    receiver = change.service_cost_receiver
    if receiver is not None and receiver != chain.service_cost_receiver(contract):
        calls.append(("setServiceCostReceiver", (receiver,)))
    if change.paused not in {None, now.paused}:
        calls.append(("pause", (change.paused,)))
    sent = []
    for function, arguments in calls:
        sent.append(sending.send(contract, chain.calldata(function, *arguments)).tx_hash)
        sending.done()
    return {**_told(chain, contract), "transactions": sent}


def _told(chain: Chain, contract: str) -> Told:
    parameters, unit = chain.parameters(contract), chain.settlement(contract)
    return {
        "contract": contract,
        "reportingPeriodS": parameters.reporting_period_s,
        "serviceCostWeiPerKWh": parameters.service_cost,
        "serviceCostReceiver": chain.service_cost_receiver(contract),
        "feedInWeiPerKWh": parameters.feed_in_tariff,
        "retailWeiPerKWh": parameters.retail_tariff,
        "paused": parameters.paused,
        "settlementName": unit.name,
        "settlementSymbol": unit.symbol,
        "settlementDecimals": unit.decimals,
    }
