"""Frames, register tables and instruments: bytes in, bytes out."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.control import CommandError, answer, whole_number
from simulators.eastron import SDM120, SDM630, Electricity, Model, f32_words, float32, input_words
from simulators.frames import Framing, Request, crc16, rtu_frame, take_rtu, take_tcp, tcp_frame
from simulators.instrument import Counts, Flow, Instrument

READS = st.builds(
    lambda function, address, count: struct.pack(">BHH", function, address, count),
    st.sampled_from([1, 2, 3, 4]),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
)
UNITS = st.integers(0, 255)


def ask(instrument: Instrument, function: int, address: int, count: int) -> bytes | None:
    request = Request(Framing.TCP, instrument.unit, struct.pack(">BHH", function, address, count), 9)
    emissions = list(instrument.handle(request))
    if not emissions:
        return None
    assert emissions[0].data[:7] == struct.pack(">HHHB", 9, 0, len(emissions[0].data) - 6, instrument.unit)
    return emissions[0].data[7:]


def read_float(instrument: Instrument, address: int) -> float:
    reply = ask(instrument, 4, address, 2)
    assert reply is not None
    assert reply[:2] == b"\x04\x04"
    return float(struct.unpack(">f", reply[2:])[0])


class House:
    def __init__(self) -> None:
        self.energy_wh = 0
        self.power_w = 1_500.0

    def flow(self) -> Flow:
        return Flow(self.energy_wh, self.power_w)


@pytest.fixture
def house() -> House:
    return House()


def meter(house: House, model: Model = SDM120, counts: Counts = Counts.IMPORT) -> Instrument:
    return Instrument(model, unit=1, serial=21_000_001, counts=counts, flow=house.flow, opening_wh=5_000)


def test_the_crc_is_that_of_the_specification() -> None:
    # A frame that the SDM120's document prints: read two input registers from 0.
    assert crc16(bytes.fromhex("010400000002")) == bytes.fromhex("71cb")


@settings(deadline=None)
@given(UNITS, READS)
def test_a_serial_request_comes_back_whole(unit: int, pdu: bytes) -> None:
    buffer = bytearray(rtu_frame(unit, pdu))
    assert take_rtu(buffer) == [Request(Framing.RTU, unit, pdu)]
    assert not buffer


@settings(deadline=None)
@given(UNITS, READS, st.integers(0, 7), st.integers(1, 255))
def test_a_spoiled_serial_request_is_not_answered(unit: int, pdu: bytes, at: int, flip: int) -> None:
    frame = bytearray(rtu_frame(unit, pdu))
    frame[at] ^= flip
    assert take_rtu(frame) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF), UNITS, READS), max_size=4), st.integers(1, 13))
def test_tcp_requests_come_back_however_they_are_cut(asked: list[tuple[int, int, bytes]], size: int) -> None:
    stream = b"".join(tcp_frame(*each) for each in asked)
    buffer, taken = bytearray(), []
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        taken += take_tcp(buffer)
    assert taken == [Request(Framing.TCP, unit, pdu, transaction) for transaction, unit, pdu in asked]


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_noise_breaks_neither_parser(noise: bytes) -> None:
    take_rtu(bytearray(noise))
    take_tcp(bytearray(noise))


def test_a_write_on_a_serial_line_is_taken_by_its_count() -> None:
    pdu = bytes.fromhex("10000200010200ff")
    assert take_rtu(bytearray(rtu_frame(3, pdu))) == [Request(Framing.RTU, 3, pdu)]
    assert take_rtu(bytearray(rtu_frame(3, pdu)[:6])) == []


def test_floats_take_two_registers_high_word_first() -> None:
    assert f32_words(1.0) == (0x3F80, 0)
    assert f32_words(1.0, swapped=True) == (0, 0x3F80)
    assert input_words({0: math.nan}, swapped=False) == {0: (0x7FC0, 0)}


@pytest.mark.parametrize(
    ("model", "address", "expected"),
    [
        (SDM120, 0x0000, 230.0),
        (SDM120, 0x000C, 1_500.0),
        (SDM120, 0x0046, 50.0),
        (SDM120, 0x0048, 12.5),
        (SDM120, 0x004A, 0.5),
        (SDM120, 0x0156, 13.0),
        (SDM630, 0x0004, 230.0),
        (SDM630, 0x0010, 500.0),
        (SDM630, 0x0034, 1_500.0),
        (SDM630, 0x0048, 12.5),
        (SDM630, 0x015A, 12.5 / 3),
        (SDM630, 0x0164, 0.5 / 3),
    ],
)
def test_values_stand_where_the_document_says(model: Model, address: int, expected: float) -> None:
    points = model.input_points(Electricity(import_wh=12_500, export_wh=500, power_w=1_500))
    assert points[address] == pytest.approx(expected)


def test_a_block_holds_its_points_and_zeros_between(house: House) -> None:
    reply = ask(meter(house), 4, 0x0046, 6)
    assert reply is not None
    assert struct.unpack(">BB3f", reply) == (4, 12, 50.0, 5.0, 0.0)
    reply = ask(meter(house), 4, 0, 4)
    assert reply is not None
    assert struct.unpack(">BB2f", reply) == (4, 8, 230.0, 0.0)


@pytest.mark.parametrize(
    ("function", "address", "count", "code"),
    [
        (1, 0, 2, 1),
        (6, 0, 2, 1),
        (4, 0, 3, 3),
        (4, 0, 82, 3),
        (4, 0, 0, 3),
        (4, 0x0400, 2, 2),
        (4, 0x0156, 4, 2),
        (3, 0, 2, 2),
    ],
)
def test_what_the_meter_does_not_do_is_refused(
    house: House, function: int, address: int, count: int, code: int
) -> None:
    assert ask(meter(house), function, address, count) == bytes((function | 0x80, code))


def test_identity_and_settings_of_the_single_phase_meter(house: House) -> None:
    assert ask(meter(house), 3, 0xFC00, 2) == b"\x03\x04" + (21_000_001).to_bytes(4, "big")
    assert ask(meter(house), 3, 0xFC02, 1) == bytes.fromhex("03020020")
    assert ask(meter(house), 3, 0xF920, 1) == bytes.fromhex("03020002")


def test_identity_and_settings_of_the_three_phase_meter(house: House) -> None:
    three = meter(house, SDM630)
    assert ask(three, 3, 0xFC00, 2) == b"\x03\x04" + (21_000_001).to_bytes(4, "big")
    assert ask(three, 3, 0x0028, 2) == b"\x03\x04" + struct.pack(">f", 2_141.0)
    assert ask(three, 3, 0x002A, 4) == b"\x03\x08" + struct.pack(">ff", 21_000_001 >> 16, 21_000_001 & 0xFFFF)
    three.swap_words()
    assert ask(three, 3, 0x0028, 2) != b"\x03\x04" + struct.pack(">f", 2_141.0)


def test_an_exporting_meter_counts_up_in_the_other_register(house: House) -> None:
    house.energy_wh = 250
    exporting = meter(house, counts=Counts.EXPORT)
    assert read_float(exporting, 0x004A) == 5.25
    assert read_float(exporting, 0x0048) == 0
    assert read_float(exporting, 0x000C) == -1_500


@settings(deadline=None)
@given(st.integers(0, 16_000_000))
def test_a_standing_is_what_is_on_the_wire(energy_wh: int) -> None:
    house = House()
    house.energy_wh = energy_wh
    read = meter(house)
    standing = read.standing()
    assert standing.wire_kwh == read_float(read, 0x0048) == float32((energy_wh + 5_000) / 1_000)
    assert standing.words == struct.pack(">f", standing.wire_kwh).hex()
    if energy_wh + 5_000 < 8_192_000:  # float32 holds each Wh up to there
        assert standing.register_wh == energy_wh + 5_000


def test_what_befalls_a_meter(house: House) -> None:
    read = meter(house)
    read.silence()
    assert ask(read, 4, 0x0048, 2) is None
    read.restore()
    read.nan()
    assert math.isnan(read_float(read, 0x0048))
    assert math.isnan(read_float(read, 0x000C))
    assert read.standing().register_wh is None
    read.restore()
    read.refuse(6)
    assert ask(read, 4, 0x0048, 2) == b"\x84\x06"
    read.restore()
    assert read_float(read, 0x0048) == 5


def test_a_spike_and_a_zero_last_for_one_read_of_the_register(house: House) -> None:
    read = meter(house)
    read.spike()
    assert read_float(read, 0x0000) == 230  # another register: the spike waits
    assert [read_float(read, 0x0048) for _ in range(2)] == [5_000, 5]
    read.zero(2)
    assert [read_float(read, 0x0048) for _ in range(3)] == [0, 0, 5]


def test_a_reset_a_swap_and_a_freeze(house: House) -> None:
    read = meter(house)
    house.energy_wh = 100
    read.reset()
    house.energy_wh = 130
    assert read.standing().register_wh == 30
    read.swap(77, 9_000)
    house.energy_wh = 131
    assert read.standing().register_wh == 9_001
    assert read.standing().serial == "77"
    read.freeze()
    house.energy_wh = 200
    assert read.standing().register_wh == 9_001
    read.restore()
    assert read.standing().register_wh == 9_070


@pytest.mark.parametrize(("serial", "opening"), [(0, 1), (1 << 32, 1), (5, -1)])
def test_impossible_meters_are_refused(house: House, serial: int, opening: int) -> None:
    with pytest.raises(ValueError, match=r"serial number|register"):
        Instrument(SDM120, unit=1, serial=serial, counts=Counts.IMPORT, flow=house.flow, opening_wh=opening)


def test_command_lines_are_answered_in_words() -> None:
    commands = {"add": lambda words: {"sum": whole_number(words, 0) + whole_number(words, 1, 1)}}
    assert json.loads(answer(commands, "add 0x10 2\n")) == {"ok": True, "sum": 18}
    assert json.loads(answer(commands, "add 1")) == {"ok": True, "sum": 2}
    assert "no command 'sub'" in json.loads(answer(commands, "sub"))["error"]
    assert "whole number" in json.loads(answer(commands, "add x"))["error"]
    assert "missing" in json.loads(answer(commands, "add"))["error"]
    assert json.loads(answer(commands, ""))["ok"] is False


def test_a_missing_argument_names_its_place() -> None:
    with pytest.raises(CommandError, match="argument 2"):
        whole_number(["1"], 1)
