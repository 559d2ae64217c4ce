"""What a meter makes of what its registers hold, over a wire in memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from drivers.errors import (
    BackingOffError,
    ConfigurationError,
    GarbledReplyError,
    LineSetupError,
    NoReplyError,
    RefusedRequestError,
    WrongMeterError,
    WrongSettingError,
)
from drivers.line import Line, LinePool, RtuSettings, TcpSettings
from drivers.meter import Counts, Measurement
from drivers.modbus_meter import ModbusMeter
from drivers.profile_file import load_profile
from tests.integration.drivers_slave import SERIAL, Registers, sdm120, sdm630, words
from tests.unit.drivers_bench import PLACE, Bench, MemoryWire, shipped
from tests.unit.test_drivers_profile import GOOD

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench() -> Bench:
    return Bench(sdm120(), shipped("eastron_sdm120"))


def test_a_measurement_is_what_the_meter_states(bench: Bench) -> None:
    assert bench.meter.read() == Measurement(
        register_wh=1_234_567,
        power_w=983,
        voltage_v=231.5,
        current_a=4.25,
        frequency_hz=50.02,
        serial=str(SERIAL),
        raw_register=struct.pack(">f", 1234.567),
        unknown=(),
    )


def test_the_export_counter_turns_the_power_round() -> None:
    bench = Bench(sdm120(), shipped("eastron_sdm120"), Counts.EXPORT)
    measured = bench.meter.read()

    assert (measured.register_wh, measured.power_w) == (89_500, -983)


@pytest.mark.parametrize("pattern", ["7FC00000", "FFFFFFFF", "80000000", "7F800000", "BF800000"])
def test_a_counter_without_a_value_is_unknown_and_not_zero(bench: Bench, pattern: str) -> None:
    bench.registers.put(4, 0x48, words(">I", int(pattern, 16)))
    measured = bench.meter.read()

    assert measured.register_wh is None
    assert measured.unknown == ("import_energy",)
    assert measured.raw_register == bytes.fromhex(pattern)
    assert measured.power_w == 983


def test_an_ordinary_cycle_asks_for_two_blocks_and_the_serial_number(bench: Bench) -> None:
    bench.meter.read()
    bench.wire.asked.clear()
    bench.read_again()

    assert bench.wire.asked == [(4, 0x0000, 14), (4, 0x0046, 4), (3, 0xFC00, 2)]


def test_another_serial_number_is_another_meter(bench: Bench) -> None:
    bench.meter.read()
    bench.registers.put(3, 0xFC00, words(">I", SERIAL + 1))

    with pytest.raises(WrongMeterError, match=f"production meter .* unit 1 .* {SERIAL + 1}, expected {SERIAL}"):
        bench.read_again()


def test_without_an_expected_serial_number_a_swap_is_reported_to_the_caller() -> None:
    bench = Bench(sdm120(), shipped("eastron_sdm120"), serial=None)
    bench.meter.read()
    bench.registers.put(3, 0xFC00, words(">I", SERIAL + 1))

    assert bench.read_again().serial == str(SERIAL + 1)


def test_a_foreign_serial_number_that_does_not_repeat_spoils_the_cycle_only(bench: Bench) -> None:
    bench.meter.read()
    answer = bench.registers.answer
    foreign = iter([SERIAL + 1])

    def once_foreign(function: int, address: int, count: int) -> bytes:
        if address == 0xFC00:
            bench.registers.put(3, 0xFC00, words(">I", next(foreign, SERIAL)))
        return answer(function, address, count)

    bench.registers.answer = once_foreign  # type: ignore[method-assign] # another master's frame, once
    with pytest.raises(GarbledReplyError, match=f"read as {SERIAL + 1}, then as {SERIAL}; expected {SERIAL}"):
        bench.read_again()
    assert bench.read_again().serial == str(SERIAL)


def test_another_model_code_is_refused(bench: Bench) -> None:
    bench.registers.put(3, 0xFC02, [0x0089])

    with pytest.raises(WrongMeterError, match="model code is 137, expected 32"):
        bench.meter.read()


def test_a_missing_model_code_is_no_objection_where_the_profile_says_so(bench: Bench) -> None:
    del bench.registers.cells[3, 0xFC02]

    assert bench.meter.read().register_wh == 1_234_567


def test_a_wrong_register_order_refuses_to_start() -> None:
    registers = sdm630()
    registers.put(3, 0x28, words(">f", 2141.0)[::-1])
    bench = Bench(registers, shipped("eastron_sdm630"))

    with pytest.raises(WrongSettingError, match=r"register_order .* is wrong.*expected 2141") as caught:
        bench.meter.read()
    assert len(caught.value.sentences) == 1


def test_swapped_words_are_noticed_without_a_setting_for_them(bench: Bench) -> None:
    for address in range(0, 0x5F, 2):
        cells = bench.registers.cells
        cells[4, address], cells[4, address + 1] = cells[4, address + 1], cells[4, address]

    with pytest.raises(WrongSettingError, match="Word order is wrong: frequency"):
        bench.meter.read()


def test_a_grid_that_is_down_is_no_wrong_word_order(bench: Bench) -> None:
    bench.registers.f32(0x46, 0.0)
    bench.registers.f32(0x00, 0.0)

    assert bench.meter.read().frequency_hz == 0.0


def test_a_meter_is_checked_again_when_its_line_was_opened_again(bench: Bench) -> None:
    bench.meter.read()
    bench.wire.close()
    bench.registers.put(3, 0xFC02, [0x0089])

    with pytest.raises(WrongMeterError):
        bench.read_again()
    assert bench.wire.opened == 2


def test_registers_that_are_not_there_are_a_wrong_profile(bench: Bench) -> None:
    del bench.registers.cells[4, 0x48]

    with pytest.raises(RefusedRequestError, match=r"exception 2: .*is this the right profile"):
        bench.meter.read()


def test_a_sudden_zero_that_does_not_repeat_is_thrown_away(bench: Bench) -> None:
    bench.meter.read()
    answer = bench.registers.answer

    def zero_in_the_block(function: int, address: int, count: int) -> bytes:
        bench.registers.f32(0x48, 0.0 if address == 0x46 else 1234.568)
        return answer(function, address, count)

    bench.registers.answer = zero_in_the_block  # type: ignore[method-assign] # one foreign frame in each cycle
    with pytest.raises(GarbledReplyError, match="read as 0 Wh, then as 1234568 Wh; the first was not its own"):
        bench.read_again()


def test_a_counter_that_really_fell_is_passed_on(bench: Bench) -> None:
    bench.meter.read()
    bench.registers.f32(0x48, 0.5)

    assert bench.read_again().register_wh == 500


def test_a_word_order_that_is_changed_while_we_read_is_noticed() -> None:
    bench = Bench(sdm630(), shipped("eastron_sdm630"))
    bench.meter.read()
    bench.registers.put(3, 0x28, words(">f", 2141.0)[::-1])
    bench.registers.put(4, 0x48, words(">f", 8113.25)[::-1])

    with pytest.raises(WrongSettingError):
        bench.read_again()


def test_after_a_silence_the_next_cycle_begins_with_a_read_of_another_shape(bench: Bench) -> None:
    bench.meter.read()
    bench.wire.silent = True
    with pytest.raises(NoReplyError, match=r"no reply on 192.0.2.7:502"):
        bench.meter.read()
    unanswered = bench.wire.asked[-1]
    bench.wire.silent = False
    bench.wire.asked.clear()
    bench.meter.read()

    function, _, count = bench.wire.asked[0]
    assert (function, count) != (unanswered[0], unanswered[2])


def test_one_physical_meter_read_as_two_shares_what_is_unanswered(bench: Bench) -> None:
    other = ModbusMeter(bench.meter._line, shipped("eastron_sdm120"), 1, Counts.EXPORT, monotonic=bench.clock)
    other.read()
    bench.meter.read()
    bench.wire.silent = True
    with pytest.raises(NoReplyError):
        bench.meter.read()
    unanswered = bench.wire.asked[-1]
    bench.wire.silent = False
    bench.wire.asked.clear()
    other.read()

    function, _, count = bench.wire.asked[0]
    assert (function, count) != (unanswered[0], unanswered[2])


def test_a_dead_meter_is_left_alone_and_comes_back(bench: Bench) -> None:
    bench.wire.silent = True
    for _ in range(2):
        with pytest.raises(NoReplyError):
            bench.meter.read()
    asked = len(bench.wire.asked)
    with pytest.raises(BackingOffError, match=r"production meter .* not asked, it failed 2 times in a row"):
        bench.meter.read()
    assert len(bench.wire.asked) == asked
    bench.wire.silent = False

    assert bench.read_again().register_wh == 1_234_567


def test_when_every_shape_is_unanswered_only_time_helps(bench: Bench) -> None:
    bench.meter.read()
    bench.wire.silent = True
    outcomes = []
    for _ in range(12):
        bench.clock.now += 0.001  # so that nothing is too late to arrive yet
        bench.meter._back_off.succeeded()
        with pytest.raises((NoReplyError, BackingOffError)) as caught:
            bench.meter.read()
        outcomes.append(caught.type)

    assert outcomes[-1] is BackingOffError
    bench.wire.silent = False
    assert bench.read_again().register_wh == 1_234_567


@pytest.mark.parametrize(("wh", "step"), [(8_192_000, 0.977), (65_536_000, 7.81)])
def test_the_resolution_of_a_float_counter(bench: Bench, wh: int, step: float) -> None:
    assert bench.meter.resolution_wh(wh) == pytest.approx(step, rel=0.001)
    assert bench.meter.modulus_wh is None


def test_a_counter_that_the_profile_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(GOOD)
    with pytest.raises(ConfigurationError, match="has no export counter; its profile offers import"):
        Bench(Registers(), load_profile(path), Counts.EXPORT)


def acme(folder: Path) -> Registers:
    (folder / "acme.toml").write_text(GOOD)
    registers = Registers()
    registers.put(3, 0x28, [17, 0, 0, 2])
    registers.put(3, 0x3E, [0x0010, 0x0001])
    registers.put(3, 0x42, [5, 0])
    registers.put(3, 0x0B, [72])
    registers.put(3, 0x1101, [7])
    registers.put(3, 0x1300, [0x4142, 0x3132, 0x3334, 0, 0, 0, 0])
    return registers


def test_an_installers_own_meter_with_integers_low_word_first_and_a_scale_factor(tmp_path: Path) -> None:
    bench = Bench(acme(tmp_path), load_profile(tmp_path / "acme.toml"), serial="AB1234")
    measured = bench.meter.read()

    assert (measured.register_wh, measured.power_w, measured.serial) == (0x10010 * 100, 1700, "AB1234")
    assert measured.voltage_v is None
    assert measured.unknown == ()
    assert bench.meter.modulus_wh == 2**32 * 100
    assert bench.meter.resolution_wh(5) == 100


def test_every_wrong_setting_is_told_at_once(tmp_path: Path) -> None:
    registers = acme(tmp_path)
    registers.put(3, 0x1101, [3])
    bench = Bench(registers, load_profile(tmp_path / "acme.toml"), serial="AB1234")

    with pytest.raises(WrongSettingError, match=r"application \(0x1101\) is wrong: 3, expected 7. Set application H."):
        bench.meter.read()


def test_an_optional_counter_is_absent_where_the_meter_refuses_it(tmp_path: Path) -> None:
    registers = acme(tmp_path)
    (tmp_path / "acme.toml").write_text(
        GOOD + '[points.frequency]\naddress = 0x90\ntype = "u16"\nunit = "Hz"\noptional = true\n'
    )
    bench = Bench(registers, load_profile(tmp_path / "acme.toml"), serial="AB1234")
    assert bench.meter.read().frequency_hz is None
    bench.wire.asked.clear()
    bench.read_again()

    assert all(address != 0x90 for _, address, _ in bench.wire.asked)


def test_an_inspection_shows_everything_raw_and_scaled(bench: Bench) -> None:
    bench.registers.f32(0x0C, float("nan"))
    inspection = bench.meter.inspect()
    points = {point.name: point for point in inspection.points}

    assert inspection.serial == str(SERIAL)
    assert inspection.objections == ()
    assert points["import_energy"].raw == struct.pack(">f", 1234.567)
    assert float(points["import_energy"].value or 0) == pytest.approx(1234.567)
    assert points["active_power"].value is None
    assert "unknown" in points["active_power"].remark
    mode = next(setting for setting in inspection.settings if setting.name == "measurement_mode")
    assert (mode.found, mode.ok) == ("2", None)


def test_an_inspection_says_what_must_stop_a_start() -> None:
    registers = sdm630()
    registers.put(3, 0x28, words(">f", 2141.0)[::-1])
    registers.put(3, 0xFC00, words(">I", 5))
    del registers.cells[4, 0x0164]
    inspection = Bench(registers, shipped("eastron_sdm630")).meter.inspect()

    assert [sentence.split()[0] for sentence in inspection.objections] == ["register_order", "The"]
    assert "refused" in next(point.remark for point in inspection.points if point.name == "export_l3")


def test_meters_at_one_place_share_a_line_and_must_agree_about_it() -> None:
    pool = LinePool()
    one = pool.line(RtuSettings("/dev/ttyUSB0", baud=2400))

    assert pool.line(RtuSettings("/dev/ttyUSB0", baud=2400)) is one
    assert pool.line(TcpSettings("h")) is pool.line(TcpSettings("h"))
    assert pool.line(TcpSettings("h", 1502)) is not pool.line(TcpSettings("h"))
    with pytest.raises(LineSetupError, match=r"another meter uses it as /dev/ttyUSB0 .2400 8N1."):
        pool.line(RtuSettings("/dev/ttyUSB0", baud=9600))


def test_the_last_meter_that_leaves_closes_the_line() -> None:
    wire = MemoryWire({1: sdm120()})
    line = Line(PLACE, wire)
    meters = [ModbusMeter(line, shipped("eastron_sdm120"), 1, counts) for counts in Counts]
    meters[0].read()
    meters[0].close()
    assert wire.is_open
    meters[1].close()
    assert not wire.is_open
