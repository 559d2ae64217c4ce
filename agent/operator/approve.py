"""``prosumer-operator approve``: a request taken in and approved in one, while the household stands there."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.operator.answer import Answer
from agent.operator.deployed import unit_here
from agent.operator.office import Office
from agent.operator.options import Commands, Shared, add_command, opened, register, sender
from agent.operator.requests import approval, approval_options


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "approve",
        "Take in a request's file and approve it: requests add and requests approve in one.",
        [shared.chain, shared.key, shared.database, shared.output],
    )
    command.add_argument("request", type=Path, metavar="REQUEST.json", help="written by prosumer-agent enrol")
    approval_options(command)
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    how = approval(asked)
    with opened(asked) as wiring, register(asked, begins=True) as kept:
        desk = Office(wiring.chain, wiring.deployments, kept, wiring.recover)
        unit, sending = unit_here(wiring.chain, wiring.deployments), sender(wiring, asked, begins=True)
        return Answer(desk.approve(sending, desk.take_in(asked.request, how.at).number, how), unit=unit)
