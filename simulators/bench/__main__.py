"""Measures what the project promises and compares it with the limits: `python -m simulators.bench --help`."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from simulators.bench import collecting, gas, measuring, programs, proofs, recovering, stored
from simulators.bench.figures import BenchError, Section, as_json, broken, table
from simulators.control import CommandError
from simulators.json_rpc import RpcError
from simulators.process import StartError

_READS, _QUICK_READS = 100, 10
_NAMES: Final = ("gas", "reads", proofs.NAME, collecting.NAME, recovering.NAME, stored.NAME, *measuring.NAMES)


def _measure(names: set[str], say: Callable[[str], None], *, quick: bool) -> list[Section]:
    found = []
    if "gas" in names:
        say("gas: deploying a market and enrolling 400 households")
        found.append(gas.measure())
    if "reads" in names:
        say("guarded reads")
        found.append(programs.guarded_reads(_QUICK_READS if quick else _READS))
    if proofs.NAME in names:
        found.append(proofs.measure(proofs.QUICK_HOUSEHOLDS if quick else proofs.HOUSEHOLDS, say))
    if collecting.NAME in names:
        found.append(collecting.measure(collecting.QUICK_HOUSEHOLDS if quick else collecting.HOUSEHOLDS, say))
    if stored.NAME in names:
        found.append(stored.measure(stored.QUICK_DAYS if quick else stored.DAYS, say))
    if recovering.NAME in names:
        found.append(recovering.measure(say))
    if running := names & set(measuring.NAMES):
        found += measuring.measure(running, measuring.QUICK if quick else measuring.Extent(), say)
    return found


def _file(text: str) -> Path:
    # Said now, and not after a quarter of an hour of measuring.
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no file in a folder that is there")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators.bench", description=__doc__)
    only = f"this alone, may be repeated: {', '.join(_NAMES)}"
    parser.add_argument("--only", action="append", choices=_NAMES, metavar="NAME", help=only)
    parser.add_argument("--quick", action="store_true", help="under two minutes: short windows, no extrapolation")
    parser.add_argument("--json", type=_file, metavar="FILE", help="write every figure there too")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, and say whether the limits hold.

    Returns:
        0 if every limit that was measured holds; 1 if one is broken, or something could not be measured.
    """
    asked = _parser().parse_args(arguments)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"bench {time.monotonic() - began:6.1f} s  {what}", file=sys.stderr, flush=True)

    try:
        # What befalls a consortium takes its time, so it is no part of a quick run unless it is named.
        every = set(_NAMES) - ({recovering.NAME} if asked.quick else set())
        sections = _measure(set(asked.only or every), say, quick=asked.quick)
    except (BenchError, StartError, RpcError, CommandError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n".join(table(sections)))
    if asked.json is not None:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "quick": asked.quick}
        asked.json.write_text(json.dumps({**machine, "figures": as_json(sections)}, indent=2) + "\n", encoding="utf-8")
    wrong = broken(sections)
    for figure in wrong:
        print(f"\nbench: limit broken: {figure.name}: {figure.value:,.4g} of {figure.limit:,.4g} {figure.unit}")
    print(f"\nbench: limits broken: {len(wrong)}; it took {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
