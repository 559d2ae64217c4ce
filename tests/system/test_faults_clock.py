"""FAULT 9: the wall clock of a running agent is set forward by thirty days, and back (I1, I2)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from simulators.rig import Rig, Scene
from tests.system.house import lived_in

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
MONTH_S = 30 * 86_400

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not LIBRARY.exists(), reason="needs the Debian package faketime"),
]


def test_fault_9_a_clock_that_is_set_forward_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0\n", encoding="utf-8")

    def fake(_rig: Rig) -> None:
        monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(offset))
        monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
        # A step moves the wall clock only. (Python's own sleep fails under this; the agent's waits do not use it.)
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    with lived_in(Scene(directory=tmp_path / "rig", period_s=2, speed=60.0), fake) as house:
        for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC"):
            monkeypatch.delenv(name)
        assert "LD_PRELOAD" not in os.environ
        house.skip()
        offset.write_text(f"+{MONTH_S}\n", encoding="utf-8")
        house.wait_for("clock.contradicted")
        time.sleep(15)
        newest = house.rig.ledger.standing(house.rig.household).taken_at
        assert newest <= time.time()
        offset.write_text("+0\n", encoding="utf-8")
        house.wait_for_all("interval.discarded", "clock.agrees")
        house.goes_on()
        house.agrees()
        mined = house.rig.ledger.readings(house.rig.household)
        assert [one.sequence for one in mined] == sorted({one.sequence for one in mined})
        assert all(one.taken_at <= time.time() for one in mined)
