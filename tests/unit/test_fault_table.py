"""The table of faults names tests that exist, and every fault."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TABLE = (TESTS / "system" / "README.md").read_text(encoding="utf-8")


def test_every_test_that_the_table_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", TABLE)
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (TESTS / file).exists() or f"def {test}(" not in (TESTS / file).read_text(encoding="utf-8")
    ]

    assert len(named) > 60
    assert missing == []


def test_every_fault_has_its_line() -> None:
    numbers = [
        int(number) for first in re.findall(r"^\| ([\d, ]+) \|", TABLE, re.MULTILINE) for number in first.split(",")
    ]

    assert sorted(numbers) == list(range(1, 49))
