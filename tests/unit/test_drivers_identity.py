"""Serial numbers: several places, none, or one that was expected and is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.errors import ConfigurationError, GarbledReplyError, RefusedRequestError
from drivers.meter import Counts
from tests.integration.drivers_slave import SERIAL, sdm120, sdm630, words
from tests.unit.drivers_bench import Bench, shipped


def test_a_meter_without_a_serial_number_ends_its_cycle_with_the_counter() -> None:
    bench = Bench(sdm120(), replace(shipped("eastron_sdm120"), serials=()), serial=None)
    measured = bench.meter.read()

    assert measured.serial is None
    assert measured.register_wh == 1_234_567
    assert bench.wire.asked[-1] == (4, 0x48, 2)


def test_a_serial_number_is_not_expected_of_a_meter_that_states_none() -> None:
    with pytest.raises(ConfigurationError, match="this kind of meter states none"):
        Bench(sdm120(), replace(shipped("eastron_sdm120"), serials=()), serial="5")


def test_an_older_meter_states_its_serial_number_elsewhere() -> None:
    registers = sdm630()
    for address in (0xFC00, 0xFC01):
        del registers.cells[3, address]
    registers.put(3, 0x2A, words(">f", 321.0) + words(">f", 13426.0))
    bench = Bench(registers, shipped("eastron_sdm630"), serial="43a080004651c800")

    assert bench.meter.read().serial == "43a080004651c800"
    assert bench.meter.inspect().serial == "43a080004651c800"


def test_a_meter_that_states_no_serial_number_where_one_is_expected() -> None:
    registers = sdm630()
    for address in (0xFC00, 0xFC01):
        del registers.cells[3, address]

    with pytest.raises(ConfigurationError, match=f"expected serial number {SERIAL}, but this meter states none"):
        Bench(registers, shipped("eastron_sdm630")).meter.read()
    assert Bench(registers, shipped("eastron_sdm630"), serial=None).meter.read().serial is None
    assert Bench(registers, shipped("eastron_sdm630")).meter.inspect().objections == (
        f"The serial number is not stated, expected {SERIAL}: this is another meter.",
    )


def test_a_setting_that_must_be_right_and_cannot_be_read_refuses_to_start() -> None:
    registers = sdm630()
    del registers.cells[3, 0x28]
    bench = Bench(registers, shipped("eastron_sdm630"))

    with pytest.raises(RefusedRequestError, match="holding registers 0x0028"):
        bench.meter.read()
    (verdict,) = (setting for setting in bench.meter.inspect().settings if setting.name == "register_order")
    assert (verdict.ok, verdict.found, verdict.expected) == (False, "refused", "2141")


def test_a_late_exception_is_not_taken_for_the_answer_to_a_fence() -> None:
    bench = Bench(sdm120(), shipped("eastron_sdm120"), Counts.IMPORT)
    bench.meter.read()
    bench.meter._unanswered[4, 14] = bench.clock.now
    cells = dict(bench.registers.cells)
    bench.registers.cells.clear()

    with pytest.raises(GarbledReplyError, match="late or refused"):
        bench.meter.read()
    bench.registers.cells.update(cells)
    assert bench.read_again().register_wh == 1_234_567
