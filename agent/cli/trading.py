"""What ``sell``, ``buy`` and ``redeem`` share: show a plan, ask, queue it, and follow it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from agent.cli import table
from agent.cli.asking import confirmed
from agent.cli.misuse import Misuse
from agent.configuration import load
from agent.domain.amounts import told_kwh, told_money, told_price, typed_money
from agent.domain.attested import Attested
from agent.domain.errors import BadRequest, JournalBusy
from agent.domain.market import Settlement
from agent.domain.market_calls import BuyCall, CancelCall, OfferCall
from agent.domain.outbox import Entry, State
from agent.domain.plans import Plan
from agent.stages.desk import Desk

DONE, FAILED = 0, 1
_LOOK_EVERY_S = 1.0
# Nobody signs what is over; an agent that runs says so itself within seconds.
_OVER_S = 60


class Room(Protocol):
    """The desk, and what has become of an order."""

    @property
    def desk(self) -> Desk:
        """Where orders are planned and queued."""

    @property
    def unproven(self) -> bool:
        """Whether the chain is a development chain that proves nothing."""

    def agent_runs(self) -> bool:
        """Whether an agent runs that signs and sends."""

    def seen(self, key: str) -> tuple[Entry, str] | None:
        """The entry with a key, and why it is in its state."""

    def attested(self) -> Attested | None:
        """How far the household's own trades are proven; None where nothing is."""

    def close(self) -> None:
        """Let go of the nodes and the journal."""


def open_room(asked: argparse.Namespace) -> Room:
    """The desk of the configured household.

    Raises:
        ConfigurationInvalid: the configuration is wrong.
        BadRequest: there is no journal to queue in.
    """
    configuration = load(asked.config, os.environ)
    # Here, so that a bad configuration is told without loading the chain's library.
    from agent.compose.trading import open_trading  # noqa: PLC0415

    return open_trading(configuration)


def price(text: str, unit: Settlement) -> int:
    """A price that a person typed, wei for each kWh.

    Raises:
        Misuse: it is none, or finer than the unit.
    """
    try:
        return typed_money(text, unit)
    except ValueError as error:
        raise Misuse(str(error)) from None


def carry_out(asked: argparse.Namespace, planned: Callable[[Desk], Plan]) -> int:
    """Plan, show, ask, queue and, if wanted, follow.

    Args:
        asked: ``dry_run``, ``yes``, ``wait`` and ``json`` of the command line.
        planned: makes the plan.

    Returns:
        The exit code.
    """
    room = open_room(asked)
    try:
        return deal(asked, room, planned(room.desk))
    finally:
        room.close()


def deal(asked: argparse.Namespace, room: Room, plan: Plan, pause: Callable[[float], None] = time.sleep) -> int:
    """Show a plan, ask, queue it and, if wanted, follow it; returns the exit code.

    Args:
        asked: ``dry_run``, ``yes``, ``wait`` and ``json``.
        room: where.
        plan: what.
        pause: waits so many seconds.
    """
    shown: dict[str, object] = {"unproven": room.unproven, "plan": facts(plan), "queued": False}
    if not asked.json:
        print(told(plan, room.desk.settlement(), unproven=room.unproven))
    if asked.dry_run:
        print(table.as_json(shown) if asked.json else "\nDry run: nothing was queued.")
        return DONE
    if not confirmed("Queue it to be signed and sent?", yes=asked.yes):
        print("prosumer-agent: nothing was queued", file=sys.stderr)
        return FAILED
    shown["queued"] = room.desk.submit(plan)
    shown["agentRuns"] = runs = room.agent_runs()
    if not asked.json:
        print("Queued; the agent signs and sends it.")
    if not runs:
        print(
            "prosumer-agent: the agent does not run, so it waits until it does: systemctl start prosumer-agent",
            file=sys.stderr,
        )
    if not asked.wait:
        if asked.json:
            print(table.as_json(shown))
        return DONE
    try:
        return _ended(asked, shown, *follow(room, plan.intent.key, pause, say=None if asked.json else print))
    except KeyboardInterrupt:
        # Whoever takes a Ctrl-C for the order's end buys a second time.
        print("\nprosumer-agent: no longer followed, and still queued: the agent goes on with it", file=sys.stderr)
        return FAILED


def _ended(asked: argparse.Namespace, shown: Mapping[str, object], entry: Entry, why: str) -> int:
    over = entry.state is not State.FINAL
    if asked.json:
        print(table.as_json({**shown, **outcome(entry, why)}))
    elif over:
        print(f"prosumer-agent: {why or f'it ended {entry.state}'}", file=sys.stderr)
    return FAILED if over else DONE


def follow(
    room: Room, key: str, pause: Callable[[float], None], *, say: Callable[[str], object] | None
) -> tuple[Entry, str]:
    """Look at the journal until an entry has ended, or is over and nobody is there to say so.

    Args:
        room: where.
        key: the entry's.
        pause: waits so many seconds.
        say: told each state that comes after it; None to stay silent.

    Raises:
        BadRequest: the entry is gone, since the journal was replaced.
    """
    last = State.QUEUED
    while True:
        try:
            seen = room.seen(key)
        except JournalBusy:
            pause(_LOOK_EVERY_S)
            continue
        if seen is None:
            raise BadRequest("the order is no longer in the journal: was the journal replaced? Look with 'orders'")
        entry, why = seen
        if entry.state is not last:
            last = entry.state
            if say is not None:
                say(_state(entry))
        if entry.state.ended:
            return entry, why
        until = entry.expires_at
        if entry.state is State.QUEUED and until is not None and time.time() >= until + _OVER_S:
            return entry, "its time passed before it was signed; the agent drops it when it runs"
        pause(_LOOK_EVERY_S)


def _state(entry: Entry) -> str:
    if entry.inclusion is not None:
        return f"{entry.state} in block {entry.inclusion.block_number}, transaction {entry.inclusion.tx_hash}"
    return f"{entry.state}, transaction {entry.attempts[-1].tx_hash}" if entry.attempts else str(entry.state)


def outcome(entry: Entry, why: str) -> dict[str, object]:
    """How an entry has ended, for a program."""
    mined = entry.inclusion
    return {
        "state": entry.state,
        "why": why,
        "txHash": mined.tx_hash if mined else entry.attempts[-1].tx_hash if entry.attempts else None,
        "block": mined.block_number if mined else None,
    }


def facts(plan: Plan) -> Mapping[str, object]:
    """A plan for a program: Wh, wei, UTC epoch seconds."""
    return {
        "kind": plan.kind,
        "call": plan.call,
        "energyWh": plan.energy_wh,
        "cost": plan.cost,
        "valueWei": plan.intent.value,
        "feeMostWei": plan.fee_most_wei,
        "tokensBeforeWh": plan.tokens_before_wh,
        "tokensAfterWh": plan.tokens_after_wh,
        "moneyBeforeWei": plan.money_before_wei,
        "moneyAfterWei": plan.money_after_wei,
        "key": plan.intent.key,
        "gas": plan.intent.gas,
        "signedUntil": plan.intent.expires_at,
    }


def told(plan: Plan, unit: Settlement, *, unproven: bool) -> str:
    """A plan for a person."""
    pairs: list[tuple[str, object]] = [(plan.kind, _asked(plan, unit))]
    if plan.cost is not None:
        pairs += [
            ("to the seller", told_money(plan.cost.price_wei, unit)),
            ("service cost", told_money(plan.cost.service_cost_wei, unit)),
        ]
    pairs.append(("fee", f"{told_money(plan.fee_most_wei, unit)} at most, as gas costs now"))
    if plan.cost is not None:
        pairs.append(("in all", f"{told_money(plan.cost_most_wei, unit)} at most"))
    pairs += [
        ("energy tokens", f"{told_kwh(plan.tokens_before_wh)} -> {told_kwh(plan.tokens_after_wh)}"),
        ("money", f"{told_money(plan.money_before_wei, unit)} -> {told_money(plan.money_after_wei, unit)} or more"),
    ]
    return table.facts(pairs) + table.note(unproven=unproven)


def _asked(plan: Plan, unit: Settlement) -> str:
    match plan.call:
        case OfferCall(number, energy_wh, price_wei, expires_at):
            until = table.moment(expires_at)
            return f"{told_kwh(energy_wh)} at {told_price(price_wei, unit)} until {until}, as order {number}"
        case CancelCall(number):
            return f"order {number}, {told_kwh(plan.energy_wh)} come back"
        case BuyCall(seller, number, energy_wh, price_wei):
            return f"{told_kwh(energy_wh)} of {seller}/{number} at {told_price(price_wei, unit)}"
        case _:
            return told_kwh(plan.energy_wh)
