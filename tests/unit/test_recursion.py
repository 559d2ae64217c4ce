"""No import may leave a limit at which deeply nested text from outside ends the interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "room", ["agent.adapters.full_node", "agent.adapters.keystore", "agent.compose.daemon", "agent.operator.wiring"]
)
def test_the_limit_is_pythons_own_after_the_libraries_are_in(room: str) -> None:
    # In a process of its own: here another test may have imported one before the other.
    loaded = (
        "*('py_ecc' + part in sys.modules for part in ('', '.optimized_bls12_381', '.bls12_381.bls12_381_pairing'))"
    )
    asked = f"import sys, {room}; print(sys.getrecursionlimit(), {loaded})"

    told = subprocess.check_output([sys.executable, "-c", asked], text=True).split()

    assert told == ["1000", "True", "False", "False"], "its tables of pairings cost half a second at each start"


def test_text_nested_deeper_than_that_is_an_error_and_no_crash() -> None:
    asked = "import json, agent.compose.daemon\njson.loads('[' * 300_000)"

    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "RecursionError" in done.stderr
