"""The drivers against the project's simulated meters, which were written without a look at the drivers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from drivers import pacing
from drivers.catalogue import Catalogue
from drivers.errors import BackingOffError, MeterError, RefusedRequestError, WrongMeterError, WrongSettingError
from drivers.line import LinePool, LineSettings, RtuSettings, TcpSettings
from drivers.meter import Counts, Measurement, Meter
from drivers.opening import open_meter
from simulators.faults import bad_line
from simulators.faulty_line import line_to
from simulators.metering import MeteringProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

NAMES = ("production", "consumption")


@pytest.fixture(params=["split", "line"])
def meters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MeteringProcess]:
    arguments = ["--wiring", request.param, "--start", "2026-06-21T08:00:00Z"]
    with MeteringProcess(tmp_path, arguments) as process:
        yield process


def opened(meters: MeteringProcess, pool: LinePool, name: str, settings: LineSettings | None = None) -> Meter:
    place: dict[str, Any] = meters.place(name)
    if settings is None:
        settings = (
            TcpSettings(place["host"], place["port"])
            if place["wire"] == "tcp"
            else RtuSettings(place["path"], baud=115200)
        )
    profile = replace(Catalogue().profile(place["model"]), timeout_s=(1.0, 3.0), gap_s=0.0)
    counts = Counts(place["counts"])
    return open_meter(pool.line(settings), profile, place["unit"], counts, str(place["serial"]), name=name)


def register_wh(meters: MeteringProcess, name: str) -> int:
    stated: dict[str, Any] = meters.registers()[name]  # type: ignore[assignment] # JSON of the simulator's own
    return int(stated["register_wh"])


def within_30_s(meter: Meter) -> Measurement:
    deadline = time.monotonic() + 30
    while True:
        try:
            return meter.read()
        except MeterError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_both_meters_say_what_stands_on_their_displays(meters: MeteringProcess) -> None:
    pool = LinePool()
    for name in NAMES:
        meter = opened(meters, pool, name)
        before = register_wh(meters, name)
        measured = meter.read()
        after = register_wh(meters, name)
        assert measured.register_wh is not None
        assert before <= measured.register_wh <= after
        assert measured.unknown == ()
        assert meter.inspect().objections == ()
        meter.close()


def test_what_befalls_a_meter_is_told_apart(meters: MeteringProcess) -> None:
    meter = opened(meters, LinePool(), "production")
    first = meter.read()
    assert first.register_wh is not None

    meters.tell("nan production")
    assert meter.read().register_wh is None
    meters.tell("restore production")
    for fault in ("spike", "zero"):
        meters.tell(f"{fault} production")
        with pytest.raises(MeterError, match="the first was not its own"):
            meter.read()
        assert within_30_s(meter).register_wh == pytest.approx(first.register_wh, abs=1000)
    meters.tell("refuse production 2")
    with pytest.raises(RefusedRequestError):
        meter.read()
    meters.tell("restore production")
    meters.tell("reset production")
    fallen = within_30_s(meter).register_wh
    assert fallen is not None
    assert fallen < first.register_wh
    meter.close()


def test_a_swap_and_a_changed_word_order_stop_the_reading(meters: MeteringProcess) -> None:
    pool = LinePool()
    production, consumption = (opened(meters, pool, name) for name in NAMES)
    production.read()
    consumption.read()

    meters.tell("swap production 4711 5")
    with pytest.raises(WrongMeterError, match="serial number is 4711"):
        production.read()
    meters.tell("swap-words consumption")
    with pytest.raises((WrongSettingError, WrongMeterError)):
        consumption.read()
    production.close()
    consumption.close()


def test_an_unplugged_meter_comes_back_and_the_other_goes_on(tmp_path: Path) -> None:
    arguments = ["--wiring", "split", "--start", "2026-06-21T08:00:00Z"]
    with MeteringProcess(tmp_path, arguments) as meters:
        pool = LinePool()
        production, consumption = (opened(meters, pool, name) for name in NAMES)
        consumption.read()
        meters.tell("unplug consumption")
        with pytest.raises(MeterError):
            consumption.read()
        assert production.read().register_wh is not None
        meters.tell("replug consumption")
        assert within_30_s(consumption).register_wh is not None
        production.close()
        consumption.close()


def test_no_wrong_value_comes_through_the_simulators_faulty_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "FIRST_PAUSE_S", 0.0)
    with MeteringProcess(tmp_path, ["--wiring", "tcp", "--start", "2026-06-21T08:00:00Z"]) as meters:
        meters.tell("freeze production")
        right = register_wh(meters, "production")
        with line_to(meters.place("production"), seed=7, mix=bad_line(0.1)) as line:
            host, port = line.wire.address  # type: ignore[union-attr,misc] # a TCP wire, as asked for
            meter = opened(meters, LinePool(), "production", TcpSettings(host, port))
            meter = replaced_timeouts(meter)
            values = []
            for _ in range(150):
                try:
                    values.append(meter.read().register_wh)
                except BackingOffError as pause:
                    time.sleep(pause.remaining_s)
                except MeterError:
                    continue
            meter.close()

    assert set(values) == {right}


def replaced_timeouts(meter: Meter) -> Meter:
    """Lose less time on each silence: the line's answers come within milliseconds."""
    pace = meter._pace  # type: ignore[attr-defined] # the one part of a meter that this test turns
    pace.floor_s, pace.ceiling_s, pace.timeout_s = 0.05, 0.1, 0.1
    return meter
