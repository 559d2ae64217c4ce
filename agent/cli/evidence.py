"""``evidence``: what proves a transaction or a reading to anybody, and whether it does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from agent.cli import evidence_screen, table
from agent.configuration import load, load_pins
from agent.domain.errors import BadRequest
from agent.light.evidence import Outcome

PROVEN, NOT_PROVEN = 0, 1


def command(asked: argparse.Namespace) -> int:
    """Carry out ``evidence``."""
    return _export(asked) if asked.action == "export" else _verify(asked)


def _export(asked: argparse.Namespace) -> int:
    """Write one file that proves a transaction, or all readings up to now, to whoever has the pins.

    Raises:
        BadRequest: the transaction is none of the household's or not mined, or the file is there already.
        NodeUnavailable: the journal keeps no evidence of it, and no full node proves it now.
    """
    configuration = load(asked.config, os.environ)
    name = "readings" if asked.transaction is None else asked.transaction[2:10]
    output: Path = asked.output or Path(f"evidence-{name}.json")
    if output.exists():
        raise BadRequest(f"{output} is there already; move it away, or name another file with --output")
    # Here, so that misuse is told without loading the chain's library.
    from agent.compose.exporting import export_readings, export_transaction, save  # noqa: PLC0415 - as said
    from agent.compose.verifying import check  # noqa: PLC0415 - as above

    if asked.transaction is None:
        found = export_readings(configuration, linked=asked.linked)
    else:
        found = export_transaction(configuration, asked.transaction, linked=asked.linked)
    save(output, found)
    checked = check(output, configuration.chain)
    if asked.json:
        print(table.as_json({"file": output, "source": found.source, "outcome": checked.verdict.outcome}))
    else:
        print(f"{output}, from {found.source}.\n{evidence_screen.exported(checked, linked=asked.linked)}")
    return PROVEN if checked.verdict.outcome is Outcome.PROVEN else NOT_PROVEN


def _verify(asked: argparse.Namespace) -> int:
    """Check a file by the pins alone. No full node is asked, and of the configuration only ``[chain]`` is read.

    Raises:
        BadRequest: the file cannot be read, or is no evidence; for a program that is a verdict too.
        ConfigurationInvalid: a pin is missing or wrong.
    """
    # The environment belongs to this household's agent, and pins that were named may be another chain's.
    if asked.pins is None:
        chain = load_pins(asked.config, os.environ, "--config or --pins")
    else:
        chain = load_pins(asked.pins, {}, "--pins")
    # Here, so that bad pins are told without loading the contract's library.
    from agent.compose.verifying import check  # noqa: PLC0415 - as above

    try:
        checked = check(asked.file, chain)
    except BadRequest as error:
        if not asked.json:
            raise
        print(evidence_screen.unread_as_json(str(error)))
        return NOT_PROVEN
    print(evidence_screen.as_json(checked) if asked.json else evidence_screen.told(checked))
    return PROVEN if checked.verdict.outcome is Outcome.PROVEN else NOT_PROVEN
