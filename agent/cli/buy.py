"""``buy``: buy all or part of another household's order."""

from __future__ import annotations

import argparse
import sys

from agent.cli import trading
from agent.cli.misuse import Misuse
from agent.domain.amounts import told_kwh
from agent.domain.plans import Plan
from agent.stages.desk import Desk


def command(asked: argparse.Namespace) -> int:
    """Carry out ``buy``.

    Raises:
        Misuse: ``--energy`` is missing.
    """
    if asked.cheapest and asked.energy is None:
        raise Misuse("--cheapest needs --energy: how much to buy")
    return trading.carry_out(asked, lambda desk: planned(asked, desk))


def _said_when_less(plan: Plan, energy_wh: int) -> Plan:
    if plan.energy_wh < energy_wh:
        print(
            f"prosumer-agent: the cheapest order gives {told_kwh(plan.energy_wh)} of the {told_kwh(energy_wh)} that are"
            " asked for; run it again for the rest",
            file=sys.stderr,
        )
    return plan


def planned(asked: argparse.Namespace, desk: Desk) -> Plan:
    """What is asked for, judged and priced.

    Args:
        asked: ``order`` or ``cheapest``, and ``energy`` and ``most_price``.
        desk: where.
    """
    most = None if asked.most_price is None else trading.price(asked.most_price, desk.settlement())
    if asked.cheapest:
        return _said_when_less(desk.cheapest(asked.energy, most), asked.energy)
    seller, number = asked.order
    return desk.purchase(seller, number, asked.energy, most_price=most)
