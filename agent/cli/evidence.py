"""``evidence``: what proves a transaction or a reading to anybody, and whether it does."""

from __future__ import annotations

import argparse
import os

from agent.cli import evidence_screen
from agent.configuration import load_pins
from agent.light.evidence import Outcome

PROVEN, NOT_PROVEN = 0, 1


def command(asked: argparse.Namespace) -> int:
    """Carry out ``evidence``."""
    match asked.action:
        case _:
            return _verify(asked)


def _verify(asked: argparse.Namespace) -> int:
    """Check a file by the pins alone. No full node is asked, and of the configuration only ``[chain]`` is read.

    Raises:
        BadRequest: the file cannot be read, or is no evidence.
        ConfigurationInvalid: a pin is missing or wrong.
    """
    # The environment belongs to this household's agent, and pins that were named may be another chain's.
    chain = load_pins(asked.config, os.environ) if asked.pins is None else load_pins(asked.pins, {}, "--pins")
    # Here, so that bad pins are told without loading the contract's library.
    from agent.compose.verifying import check  # noqa: PLC0415

    checked = check(asked.file, chain)
    print(evidence_screen.as_json(checked) if asked.json else evidence_screen.told(checked))
    return PROVEN if checked.verdict.outcome is Outcome.PROVEN else NOT_PROVEN
