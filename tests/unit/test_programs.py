"""A Ctrl-C that comes while a command's modules are being loaded, and one that comes when the command is over."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Presses Ctrl-C at the moment at which a module is first looked for, wherever in the program that is.
PRESSED = """
import os, signal, sys

class Presses:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses())
sys.argv = {argv!r}
from agent.programs import {program}
sys.exit({program}())
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("program", "module", "arguments"),
    [
        ("household", "agent.cli", ["status"]),
        ("household", "argparse", ["status"]),
        ("household", "agent.cli.status", ["status"]),
        ("household", "pydantic", ["check", "--config", "/nonexistent"]),
        ("operator", "agent.operator", ["parameters"]),
        ("operator", "eth_utils", ["parameters"]),
        ("operator", "web3", ["parameters", "--node", "http://127.0.0.1:1"]),
    ],
)
def test_a_ctrl_c_while_modules_are_loaded_is_one_line(program: str, module: str, arguments: list[str]) -> None:
    name = {"household": "prosumer-agent", "operator": "prosumer-operator"}[program]

    done = run(PRESSED.format(module=module, argv=[name, *arguments], program=program))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{name}: interrupted")
    assert done.stderr.count("\n") == 1


def test_a_ctrl_c_when_the_command_is_over_changes_nothing() -> None:
    argv = ["prosumer-agent", "keys", "show", "--keystore", "/nonexistent", "--config", "/nonexistent"]
    script = PRESSED.format(module="never", argv=argv, program="household")
    pressed = "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"

    done = run(pressed + script)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "there is no keystore at /nonexistent" in done.stderr


def test_nothing_is_loaded_before_a_ctrl_c_can_be_answered() -> None:
    told = run("import sys\nbefore = set(sys.modules)\nimport agent.programs\nprint(sorted(set(sys.modules) - before))")

    assert told.stdout == "['agent', 'agent.programs']\n"


def test_the_installed_programs_are_these() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts == {"prosumer-agent": "agent.programs:household", "prosumer-operator": "agent.programs:operator"}
