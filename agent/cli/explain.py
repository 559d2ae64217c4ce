"""``orders --explain``: what the standing rule decided after the last intervals, and why."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence

from agent.cli import table
from agent.cli.settlement import settlement
from agent.configuration import load
from agent.domain.amounts import told_kwh, told_money, told_price
from agent.domain.decisions import Act, Buy, Cancel, Decision, Offer, Redeem, Step, kind_of
from agent.domain.market import WEI, Settlement

# The facts of a step in words; what their values are counted in is in the last part of their names, and those without
# one are prices.
_WORDS = {
    "tokens_wh": "tokens",
    "redeemable_wh": "consumption to be redeemed",
    "needed_wh": "needed for own consumption",
    "keep_wh": "kept",
    "surplus_wh": "surplus",
    "short_wh": "consumption without tokens",
    "freed_wh": "returns from own orders",
    "least_wh": "least of an order",
    "day_left_wh": "left of the day's energy",
    "day_left_wei": "left of the day's money",
    "purse_wei": "to spend",
    "price": "price",
    "floor": "floor",
    "ceiling": "ceiling",
    "cheapest": "cheapest of others",
    "limit": "limit",
    "service_cost": "service cost",
    "expires_at": "until",
    "age_s": "ended ago",
    "period_s": "period",
}


def command(asked: argparse.Namespace) -> int:
    """Carry out ``orders --explain``.

    Raises:
        BadRequest: there is no journal yet.
    """
    configuration = load(asked.config, os.environ)
    # Here, so that a bad configuration is told without loading the journal's library.
    from agent.compose.looking import open_journal_view  # noqa: PLC0415

    view = open_journal_view(configuration)
    try:
        decisions = view.decisions(asked.limit)
    finally:
        view.close()
    if asked.json:
        print(as_json(decisions))
    else:
        screen = told(decisions, settlement(configuration) if decisions else WEI)
        print(screen + table.note(unproven=configuration.chain.unproven))
    return 0


def told(decisions: Sequence[Decision], unit: Settlement) -> str:
    """The decisions for a person.

    Args:
        decisions: newest first.
        unit: what money is called.
    """
    if not decisions:
        return (
            "The standing rule has decided nothing yet. It is off unless rule.enabled is true in the configuration, and"
            " decides after each interval whose reading is on the chain."
        )
    return "\n\n".join(_decision(decision, unit) for decision in decisions)


def as_json(decisions: Sequence[Decision]) -> str:
    """The same for a program."""
    return table.as_json({"decisions": [_plain(decision) for decision in decisions]})


def _plain(decision: Decision) -> dict[str, object]:
    return {
        "intervalEnd": decision.interval_end,
        "decidedAt": decision.decided_at,
        "steps": [
            {
                "act": None if step.act is None else {"kind": kind_of(step.act), **_fields(step.act)},
                "why": step.why,
                "facts": _camel(step.facts),
            }
            for step in decision.steps
        ],
    }


def _fields(act: Act) -> Mapping[str, object]:
    plain = table.plain(act)
    return plain if isinstance(plain, Mapping) else {}


def _camel(facts: Mapping[str, int]) -> dict[str, int]:
    named = {}
    for name, value in facts.items():
        first, *rest = name.split("_")
        named[first + "".join(part.capitalize() for part in rest)] = value
    return named


def _decision(decision: Decision, unit: Settlement) -> str:
    lines = [f"interval to {table.moment(decision.interval_end)}, decided {table.moment(decision.decided_at)}"]
    for step in decision.steps:
        lines.append(f"  {'- ' + step.why if step.act is None else '* ' + _act(step.act, unit) + ': ' + step.why}")
        if step.facts:
            lines.append(f"      {_facts(step, unit)}")
    return "\n".join(lines)


def _act(act: Act, unit: Settlement) -> str:
    match act:
        case Redeem():
            return f"redeem {told_kwh(act.energy_wh)}"
        case Offer():
            until = table.moment(act.expires_at)
            return f"offer {told_kwh(act.energy_wh)} at {told_price(act.price, unit)} until {until}, order {act.number}"
        case Cancel():
            return f"take order {act.number} back, {told_kwh(act.energy_wh)}"
        case Buy():
            return (
                f"buy {told_kwh(act.energy_wh)} of order {act.seller}/{act.number} at {told_price(act.price, unit)},"
                f" {told_money(act.cost_wei, unit)} with the service cost"
            )


def _facts(step: Step, unit: Settlement) -> str:
    return ", ".join(f"{_WORDS.get(name, name)} {_value(name, value, unit)}" for name, value in step.facts.items())


def _value(name: str, value: int, unit: Settlement) -> str:
    match name.rsplit("_", maxsplit=1)[-1]:
        case "wh":
            return told_kwh(value)
        case "wei":
            return told_money(value, unit)
        case "at":
            return table.moment(value)
        case "s":
            return f"{value} s"
        case _:
            return told_price(value, unit)
