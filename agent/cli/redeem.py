"""``redeem``: use energy tokens up against one's own consumption."""

from __future__ import annotations

import argparse

from agent.cli import trading


def command(asked: argparse.Namespace) -> int:
    """Carry out ``redeem``; without ``--energy`` as much as can be."""
    return trading.carry_out(asked, lambda desk: desk.redemption(asked.energy))
