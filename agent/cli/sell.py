"""``sell``: offer energy, or take an order back."""

from __future__ import annotations

import argparse
import time

from agent.cli import trading
from agent.cli.misuse import Misuse
from agent.domain.plans import Plan
from agent.stages.desk import Desk


def command(asked: argparse.Namespace) -> int:
    """Carry out ``sell``.

    Raises:
        Misuse: ``--price`` is missing, or too much.
    """
    if asked.cancel is None and asked.price is None:
        raise Misuse("--energy needs --price: what a kWh shall cost")
    if asked.cancel is not None and asked.price is not None:
        raise Misuse("--cancel takes no --price")
    return trading.carry_out(asked, lambda desk: planned(asked, desk, int(time.time())))


def planned(asked: argparse.Namespace, desk: Desk, now: int) -> Plan:
    """What is asked for, judged and priced.

    Args:
        asked: ``cancel``, or ``energy``, ``price`` and ``expires_in``.
        desk: where.
        now: UTC epoch seconds.
    """
    if asked.cancel is not None:
        return desk.cancellation(asked.cancel)
    return desk.offer(asked.energy, trading.price(asked.price, desk.settlement()), now + asked.expires_in)
