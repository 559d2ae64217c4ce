"""The collector's unit: clean to systemd's own tools, confined, and in step with the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.operator.__main__ import BAD_CONFIGURATION, MISUSE
from agent.operator.arguments import parser

FOLDER = Path(__file__).resolve().parents[2] / "systemd"
UNIT = FOLDER / "prosumer-collector.service"
PROGRAM = "/opt/prosumer-agent/current/bin/prosumer-operator"

analyzer = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


@analyzer
def test_exposure_is_at_most_two() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]


@analyzer
def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


def test_its_line_and_the_readmes_are_understood() -> None:
    (line,) = values("ExecStart")
    (options,) = re.findall(r"^    COLLECT=(.*)$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    program, *words = line.split()
    assert program == PROGRAM
    assert words.pop() == "$COLLECT"
    address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    given = options.replace("=N ", "=31337 ").replace("ADDRESS", address).split()
    asked = parser().parse_args([*words, *given])
    assert (asked.command, asked.all_areas, asked.chain_id, asked.contract) == ("collect", True, 31337, address)
    assert asked.state_dir.name == values("StateDirectory")[0]
    assert (str(asked.certificate), str(asked.certificate_key)) == ("%d/certificate", "%d/certificate-key")
    assert [value.split(":")[0] for value in values("LoadCredential")] == ["certificate", "certificate-key"]


def test_what_a_person_must_mend_is_not_tried_again() -> None:
    assert values("RestartPreventExitStatus") == [f"{MISUSE} {BAD_CONFIGURATION}"]
    assert values("DynamicUser") == ["yes"]
