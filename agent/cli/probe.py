"""``probe``: searches a line for meters. What is found is shown to a person, who confirms it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.cli import table
from agent.cli.inspections import as_facts, points, settings
from agent.cli.ports import Answer
from agent.configuration import load_models_directory
from agent.domain.errors import BadRequest
from agent.domain.lines import SerialLine

# Names that stay the same when the adapter is plugged in elsewhere come first.
_STABLE = (Path("/dev/serial/by-id"), Path("/dev/serial/by-path"))


def command(asked: argparse.Namespace) -> int:
    """Carry out ``probe``."""
    if asked.line is None:
        lines = list(serial_lines(_STABLE))
        print(table.as_json({"lines": lines}) if asked.json else _lines(lines))
        return 0
    models = asked.models
    if models is None:
        models = load_models_directory(asked.config, os.environ)
    from agent.compose.commands import scan_line  # noqa: PLC0415 - not needed to list devices

    if not asked.json:
        print(f"Searching {asked.line.url}; the usual settings first. Ctrl-C ends it.", file=sys.stderr)
    answers = _shown(scan_line(asked.line, models, thorough=asked.thorough), json=asked.json)
    found = [
        {
            "line": answer.line.url,
            "unit": answer.unit,
            "profile": answer.profile,
            "certain": answer.certain,
            "inspection": as_facts(answer.inspection),
        }
        for answer in answers
    ]
    if asked.json:
        print(table.as_json({"meters": found}))
    if not found:
        raise BadRequest(
            f"no meter answered on {asked.line.url}: look at power and at the wires A and B (often swapped), then try"
            " --thorough, or add a profile if the meter's model is not among ours"
        )
    return 0


def serial_lines(folders: Iterable[Path]) -> Iterator[str]:
    """The serial lines of this machine, by names that stay."""
    for folder in folders:
        for device in sorted(folder.glob("*")):
            yield SerialLine(str(device)).url


def told(answer: Answer) -> str:
    """One meter for a person, with the lines for the configuration."""
    serial = answer.inspection.serial
    sure = "its model register says so" if answer.certain else "likely; other models have the same registers"
    snippet = [f'profile = "{answer.profile}"', f'line = "{answer.line.url}"', f"unit = {answer.unit}"]
    if serial:
        snippet.append(f'serial = "{serial}"')
    return "\n\n".join(
        part
        for part in (
            f"unit {answer.unit}: {answer.profile} ({sure})",
            points(answer.inspection),
            settings(answer.inspection),
            "Compare the values with the meter's display. If they agree, the configuration is:\n\n"
            + "\n".join(f"    {line}" for line in snippet),
        )
        if part
    )


def _shown(answers: Iterable[Answer], *, json: bool) -> Iterator[Answer]:
    for answer in answers:
        if not json:
            print(told(answer), end="\n\n", flush=True)
        yield answer


def _lines(lines: list[str]) -> str:
    if not lines:
        return "There is no serial adapter on this machine. For a meter on the network: prosumer-agent probe tcp://HOST:502"
    return "Serial lines of this machine; search one with 'prosumer-agent probe LINE':\n" + "\n".join(
        f"    {line}" for line in lines
    )
