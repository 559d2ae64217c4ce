"""FAULTS 4 to 8: a disk that is full, failing, damaged, read-only or held by another stops no polling."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from simulators.rig import Scene, stop_agent
from tests.system.house import House, lived_in

PERIOD_S: Final = 2
# Longer than the bounded wait of one commit many times over, and than the watchdog's patience with a single loop.
HELD_S: Final = 45.0

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a disk to fill needs root"),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("disk")
    disk = directory / "card"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    try:
        scene = Scene(directory=directory / "rig", period_s=PERIOD_S, speed=60.0, state=disk / "state")
        with lived_in(scene) as one:
            yield one
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_fault_8_a_journal_that_another_holds(house: House) -> None:
    house.skip()
    began = time.monotonic()
    other = sqlite3.connect(house.rig.state / "journal.sqlite", isolation_level=None, timeout=10)
    try:
        other.execute("BEGIN EXCLUSIVE")
        house.wait_for("journal.busy")
        time.sleep(max(0.0, HELD_S - (time.monotonic() - began)))
        house.polled_since(began)
        other.execute("COMMIT")
    finally:
        other.close()
    house.wait_for("journal.back", within_s=80)
    house.goes_on()
    house.agrees()
    assert not [line for line in house.log() if line["event"] in {"loop.stalled", "loop.failed"}]


def test_fault_4_a_full_disk_is_waited_out(house: House) -> None:
    ballast = house.rig.state.parent / "ballast"
    house.skip()
    began = time.monotonic()
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            pass
    busy = house.wait_for("journal.busy", within_s=80)
    assert "SQLITE_FULL" in str(busy["problem"])
    time.sleep(10)
    assert house.agent.poll() is None
    house.polled_since(began)
    ballast.unlink()
    house.wait_for("journal.back", within_s=80)
    house.goes_on()
    house.agrees()


def test_fault_5_a_disk_that_fails_ends_the_process_and_a_new_one_goes_on(house: House) -> None:
    limit = resource.prlimit(house.agent.pid, resource.RLIMIT_FSIZE)
    house.skip()
    # The log, a file as well, is smaller; the journal's log grows beyond this with its next commit.
    size = (house.rig.state / "journal.sqlite-wal").stat().st_size
    resource.prlimit(house.agent.pid, resource.RLIMIT_FSIZE, (size, limit[1]))
    failed = house.wait_for("loop.failed")
    assert "check the card" in str(failed["problem"])
    assert house.agent.wait(timeout=30) == 1
    house.restart()
    house.goes_on()
    house.agrees()


def test_fault_6_a_damaged_journal_is_set_aside(house: House) -> None:
    assert stop_agent(house.agent) == 0
    path = house.rig.state / "journal.sqlite"
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(4096 * 3))
    damaged = path.read_bytes()
    house.restart()
    told = [line for line in house.log() if line["event"] == "journal.set_aside"]
    assert len(told) == 1
    assert Path(str(told[0]["file"])).read_bytes() == damaged
    house.goes_on()
    readings = [mined.sequence for mined in house.rig.ledger.readings(house.rig.household)]
    assert len(set(readings)) == len(readings)
    assert house.rig.ledger.minted_wh(house.rig.household) == house.rig.ledger.standing(house.rig.household).tokens_wh
