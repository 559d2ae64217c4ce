"""``wallet``: what the household holds."""

from __future__ import annotations

import argparse

from agent.cli import table, trading
from agent.cli.attested_screen import proven_facts, told_proven
from agent.domain.amounts import told_kwh, told_money
from agent.domain.attested import Attested
from agent.domain.market_calls import MARKET_GAS
from agent.domain.plans import Wallet


def command(asked: argparse.Namespace) -> int:
    """Carry out ``wallet``."""
    room = trading.open_room(asked)
    try:
        seen, attested = room.desk.wallet(), room.attested()
    finally:
        room.close()
    if asked.json:
        print(table.as_json(facts(seen, attested, unproven=room.unproven)))
    else:
        print(told(seen, attested, unproven=room.unproven))
    return 0


def facts(seen: Wallet, attested: Attested | None = None, *, unproven: bool) -> dict[str, object]:
    """The wallet for a program: Wh and wei."""
    return {
        "unproven": unproven,
        "attested": None if attested is None else proven_facts(attested),
        "active": seen.state.active,
        "marketPaused": seen.parameters.paused,
        "settlement": seen.settlement,
        "tokensWh": seen.means.tokens_wh,
        "escrowWh": seen.escrow_wh,
        "redeemableWh": seen.means.redeemable_wh,
        "moneyWei": seen.means.money_wei,
        "spokenFor": {
            "tokensWh": seen.spoken.tokens_wh,
            "redeemedWh": seen.spoken.redeemed_wh,
            "moneyWei": seen.spoken.money_wei,
        },
        "maxFeePerGasWei": seen.fee.max_fee,
        "feeMostWei": {kind: gas * seen.fee.max_fee for kind, gas in MARKET_GAS.items()},
    }


def told(seen: Wallet, attested: Attested | None = None, *, unproven: bool) -> str:
    """The wallet for a person."""
    unit, spoken = seen.settlement, seen.spoken
    dearest = max(MARKET_GAS.values()) * seen.fee.max_fee
    pairs: list[tuple[str, object]] = [
        ("energy tokens", told_kwh(seen.means.tokens_wh) + _of_it(told_kwh(spoken.tokens_wh), spoken.tokens_wh)),
        ("in escrow", f"{told_kwh(seen.escrow_wh)} in your own orders"),
        ("redeemable", f"{told_kwh(seen.means.redeemable_wh)} of your consumption"),
        (
            "money",
            told_money(seen.means.money_wei, unit) + _of_it(told_money(spoken.money_wei, unit), spoken.money_wei),
        ),
        ("fees", f"{told_money(dearest, unit)} at most for one transaction now"),
    ]
    if attested is not None:
        pairs.append(("own trades", told_proven(attested)))
    if not seen.state.active:
        pairs.append(("household", "NOT ACTIVE: ask the registration office"))
    if seen.parameters.paused:
        pairs.append(("market", "PAUSED by the distribution agent"))
    return table.facts(pairs) + table.note(unproven=unproven)


def _of_it(told_amount: str, amount: int) -> str:
    return f", {told_amount} of it on its way" if amount else ""
