"""FAULTS 3: a power cut loses no acknowledged row. `kill -9` cannot show it: the kernel keeps what was not synced."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.rig import Rig, Scene, stop_agent
from tests.system.agreement import wait_for_log

CUTS = 5
_NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="loop mounts need root")


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[None]:
    """An ext4 image behind a loop device."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.root
@_NEEDS_ROOT
def test_a_power_cut_loses_no_acknowledged_row(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 - the same cuts again
    image, disk = tmp_path / "card.img", tmp_path / "card"
    subprocess.run(["truncate", "--size", "64M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    with (
        mounted(image, disk),
        Rig(Scene(directory=tmp_path / "rig", period_s=1, speed=60.0, state=disk / "state")) as rig,
    ):
        agent = rig.start_agent()
        log = rig.scene.directory / "agent.log"
        # Beside other tests a start takes seconds, and so does the serial meter's first reading.
        wait_for_log(rig, "interval.closed", 3, within_s=60)
        lost = []
        for cut in range(CUTS):
            time.sleep(8 + chance.uniform(0, 3))
            # The process stands still while the image is copied, so that the copy is of one moment; what the kernel
            # has not written to the image by then is lost, as it is when the power goes.
            agent.send_signal(signal.SIGSTOP)
            acknowledged = _acknowledged(log)
            copy = tmp_path / f"cut-{cut}.img"
            shutil.copyfile(image, copy)
            agent.send_signal(signal.SIGCONT)
            assert len(acknowledged) > 5 * (cut + 1)
            with mounted(copy, tmp_path / f"cut-{cut}"):
                lost.append(acknowledged - _kept(tmp_path / f"cut-{cut}" / "state" / "journal.sqlite"))
            copy.unlink()
        assert stop_agent(agent) == 0
    assert lost == [set()] * CUTS
    print(f"{CUTS} power cuts of {CUTS} lost no acknowledged row")


def _acknowledged(log: Path) -> set[tuple[str, object]]:
    """What the agent said that it has: closed intervals, and transactions that it had sent."""
    found: set[tuple[str, object]] = set()
    for line in log.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told["event"] == "interval.closed":
            found.add(("interval", told["interval_end"]))
        elif told["event"] == "transaction.sent":
            found.add(("transaction", told["tx_hash"]))
    return found


def _kept(journal: Path) -> set[tuple[str, object]]:
    connection = sqlite3.connect(journal)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    kept: set[tuple[str, object]] = {
        ("interval", row[0]) for row in connection.execute("SELECT interval_end FROM reading")
    }
    kept |= {("transaction", row[0]) for row in connection.execute("SELECT tx_hash FROM attempt")}
    connection.close()
    return kept
