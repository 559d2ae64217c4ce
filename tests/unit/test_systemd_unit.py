"""The unit and its neighbours as files: complete, clean to systemd's own tools, and in step with the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.adapters.clock import SystemAnswer, kernel_synchronised, timedatectl
from agent.adapters.systemd import Systemd
from agent.cli.main import BAD_CONFIGURATION
from agent.configuration import load_keystore
from agent.passphrase import CREDENTIAL

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "systemd"
UNIT = FOLDER / "prosumer-agent.service"
PROGRAM = "/opt/prosumer-agent/current/bin/prosumer-agent"

analyzer = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def settings(section: str = "Service") -> dict[str, list[str]]:
    """A section of the unit: every value of each name, in order."""
    found: dict[str, list[str]] = {}
    at = ""
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            at = line.strip("[]")
        elif line and not line.startswith("#") and at == section:
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def seconds(name: str) -> int:
    (value,) = settings()[name]
    return int(value.removesuffix("s"))


@analyzer
def test_exposure_is_at_most_two() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]


@analyzer
def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    # Where the agent is not installed, its program alone is missing.
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_the_installer_is_clean_to_shellcheck() -> None:
    done = subprocess.run(["shellcheck", str(FOLDER / "install")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_unit_and_the_program_agree() -> None:
    service = settings()
    assert service["ExecStart"] == [f"{PROGRAM} run"]
    assert service["RestartPreventExitStatus"] == [str(BAD_CONFIGURATION)]
    assert service["LoadCredential"] == [f"{CREDENTIAL}:/etc/prosumer-agent/{CREDENTIAL}"]
    state = Path("/var/lib") / service["StateDirectory"][0]
    defaults = ROOT / "config" / "prosumer-agent.toml"
    assert f'directory = "{state}"' in defaults.read_text(encoding="utf-8")
    assert load_keystore(defaults, {}).path.parent == state


def test_times_leave_room_for_each_other() -> None:
    daemon = (ROOT / "agent" / "daemon.py").read_text(encoding="utf-8")
    constants = dict(re.findall(r"^(_\w+_S) = ([\d.]+)$", daemon, re.MULTILINE))
    tend, grace = float(constants["_TEND_S"]), float(constants["_GRACE_S"])
    assert seconds("WatchdogSec") >= 10 * tend
    assert seconds("TimeoutStopSec") >= grace + 10


def test_serial_ports_alone_may_be_opened() -> None:
    service = settings()
    assert service["DevicePolicy"] == ["closed"]
    assert service["DeviceAllow"] == ["char-ttyUSB rw", "char-ttyACM rw", "char-ttyAMA rw"]
    assert "PrivateDevices" not in service
    assert service["SupplementaryGroups"] == ["dialout"]


def test_every_file_is_installed_and_only_those() -> None:
    installer = (FOLDER / "install").read_text(encoding="utf-8")
    placed = set(re.findall(r"^(\S+) (?:\$units|/)\S+$", installer, re.MULTILINE))
    assert placed == {file.name for file in FOLDER.iterdir()} - {"install", "README.md"}


class Heard(Systemd):
    """Keeps what would be said."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(environ)
        self.said: list[str] = []

    def _send(self, message: str) -> None:
        self.said.append(message)


def test_a_reload_stretches_the_watchdog_and_ready_sets_it_back() -> None:
    systemd = Heard({"WATCHDOG_USEC": "30000000"})
    systemd.reloading(5)
    systemd.ready("runs")
    stretched, back = (re.search(r"WATCHDOG_USEC=(\d+)", message) for message in systemd.said)
    assert stretched is not None
    assert back is not None
    assert int(stretched[1]) > seconds("TimeoutStartSec") * 1_000_000
    assert int(back[1]) == 30_000_000
    assert systemd.said[0].startswith("RELOADING=1\nMONOTONIC_USEC=5\n")
    assert systemd.said[1].startswith("READY=1\nSTATUS=runs\n")


def test_nobody_who_does_not_watch_hears_of_a_watchdog() -> None:
    systemd = Heard({})
    systemd.reloading(5)
    systemd.ready("runs")
    assert systemd.said == ["RELOADING=1\nMONOTONIC_USEC=5", "READY=1\nSTATUS=runs"]


@pytest.mark.parametrize(
    ("marked", "kernel", "system", "expected"),
    [
        (True, -1, False, True),
        (False, 0, False, True),
        (False, 5, True, False),  # the kernel's own word stands
        (False, -1, True, True),  # ProtectClock= forbids the look, so the system is asked
        (False, -1, False, False),
    ],
)
def test_who_says_that_the_clock_is_right(
    tmp_path: Path, marked: bool, kernel: int, system: bool, expected: bool
) -> None:
    mark = tmp_path / "synchronized"
    if marked:
        mark.touch()
    assert kernel_synchronised(mark, lambda: kernel, lambda: system) is expected


def test_the_system_is_asked_once_a_minute() -> None:
    now, says = [0.0], [False]
    asked = SystemAnswer(lambda: now[0], lambda: says[0])
    assert asked.synchronised() is False
    says[0] = True
    now[0] = 59.0
    assert asked.synchronised() is False
    now[0] = 60.0
    assert asked.synchronised() is True
    says[0] = False
    now[0] = 120.0
    assert asked.synchronised() is False


def test_a_machine_without_the_program_is_not_synchronised() -> None:
    assert timedatectl(("/nowhere/timedatectl",)) is False
