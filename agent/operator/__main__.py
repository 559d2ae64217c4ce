"""``prosumer-operator``: the distribution company's and the registration office's command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from agent.domain.deployment import Roles
from agent.domain.errors import AgentError, ConfigurationInvalid, NodeUnavailable, Rejected
from agent.domain.market import Parameters
from agent.operator import commands, households, refusals
from agent.operator.arguments import parser
from agent.operator.commands import Told
from agent.operator.enrolment import MeterStatement

DONE, FAILED, MISUSE, BAD_CONFIGURATION = 0, 1, 2, 78


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the process's own by default.

    Returns:
        0 done, 1 failed, 2 misuse, 78 bad configuration.
    """
    line = parser()
    asked = line.parse_args(arguments)
    change = _change(asked) if asked.command == "parameters" else None
    if asked.keystore is None and (change is None or not change.empty):
        line.error(f"{asked.command}: --keystore is needed, since it signs a transaction")
    try:
        told = _run(asked, change)
    except ConfigurationInvalid as error:
        print(f"prosumer-operator: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
    except NodeUnavailable as error:
        # Without the user and password that a URL may carry. It was parsed before anything was asked.
        print(
            f"prosumer-operator: full node {urlsplit(asked.node).netloc.rpartition('@')[2]}: {error}", file=sys.stderr
        )
        return FAILED
    except Rejected as error:
        print(f"prosumer-operator: {refusals.told(error)}", file=sys.stderr)
        return FAILED
    except AgentError as error:
        print(f"prosumer-operator: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("prosumer-operator: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return FAILED
    print(json.dumps(told) if asked.json else _text(told))
    return DONE


def _run(asked: argparse.Namespace, change: commands.Change | None) -> Told:
    from agent.operator.wiring import Wiring  # noqa: PLC0415 - else --help waits a second for the chain's libraries

    with Wiring(
        node_url=asked.node,
        allow_plain=asked.allow_plain,
        ca_file=asked.ca_file,
        deployments=asked.deployments,
    ) as wiring:
        chain, deployments = wiring.chain, wiring.deployments
        if change is not None and change.empty:
            return commands.show_parameters(chain, deployments)
        sender = wiring.sender(
            keystore=asked.keystore,
            passphrase_file=asked.passphrase_file,
            state=asked.state_dir.expanduser(),
            most_fee=asked.max_fee,
            depth=asked.depth,
            timeout_s=asked.timeout,
        )
        if change is not None:
            return commands.set_parameters(chain, sender, deployments, change)
        if asked.command == "approve":
            return commands.approve(
                chain,
                sender,
                deployments,
                asked.request,
                recover=wiring.recover,
                rated_power_w=asked.rated_power,
                fund=asked.fund,
                most_age_s=asked.max_age,
            )
        if asked.command == "suspend":
            return households.suspend(chain, sender, deployments, asked.household, lift=asked.lift)
        if asked.command == "replace-meter":
            return households.replace_meter(chain, sender, deployments, asked.household, _replacement(asked))
        return commands.deploy(chain, sender, deployments, _market(asked), again=asked.again)


def _market(asked: argparse.Namespace) -> commands.Market:
    return commands.Market(
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
    )


def _replacement(asked: argparse.Namespace) -> households.Replacement:
    return households.Replacement(
        meter=asked.meter,
        new=MeterStatement(asked.profile, asked.serial, asked.opening),
        closing_wh=asked.closing,
        reset=asked.reset,
    )


def _change(asked: argparse.Namespace) -> commands.Change:
    return commands.Change(
        reporting_period_s=asked.reporting_period,
        service_cost=asked.service_cost,
        feed_in_tariff=asked.feed_in,
        retail_tariff=asked.retail,
        paused=asked.paused,
    )


def _text(told: Told) -> str:
    toml = told.get("toml")
    rows = {name: value for name, value in told.items() if name != "toml"}
    width = max(map(len, rows))
    text = "\n".join(f"{name:<{width}}  {_cell(value)}" for name, value in rows.items())
    return f"{text}\n\n# For the households' configuration:\n{toml}" if toml else text


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(main())
