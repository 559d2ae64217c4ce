"""``readings``: the newest readings and how far they have come."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from agent.cli import table
from agent.cli.ports import Reading
from agent.configuration import load

_HEADS = (
    "interval end",
    "epoch",
    "seq",
    "produced kWh",
    "consumed kWh",
    "flags",
    "state",
    "block",
    "transaction",
    "why",
)
_RIGHT = (1, 2, 3, 4, 7)


def command(asked: argparse.Namespace) -> int:
    """Carry out ``readings``."""
    configuration = load(asked.config, os.environ)
    # Here, so that a bad configuration is told without loading the journal's library.
    from agent.compose.looking import open_journal_view  # noqa: PLC0415

    view = open_journal_view(configuration)
    try:
        rows = view.readings(asked.limit, asked.since)
    finally:
        view.close()
    unproven = configuration.chain.unproven
    print(table.as_json({"unproven": unproven, "readings": rows}) if asked.json else told(rows, unproven=unproven))
    return 0


def told(rows: Sequence[Reading], *, unproven: bool) -> str:
    """The readings for a person, newest first."""
    if not rows:
        return "There is no reading yet; the first comes at the end of an interval in which both meters answered."
    cells = [
        (
            table.moment(row.interval_end),
            row.epoch,
            row.sequence,
            table.kwh(row.produced_wh),
            table.kwh(row.consumed_wh),
            table.flags(row.flags),
            row.state.value,
            row.block,
            row.tx_hash,
            row.why,
        )
        for row in rows
    ]
    note = "\n\nunproven: final on the word of development nodes" if unproven else ""
    return table.grid(_HEADS, cells, _RIGHT) + note
