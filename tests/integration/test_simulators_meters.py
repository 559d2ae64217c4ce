"""Simulated meters on real wires, read by a raw client of our own and by pymodbus."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.pdu import ModbusPDU

from simulators.control import CommandError
from simulators.eastron import float32
from simulators.frames import crc16
from simulators.metering import MeteringProcess
from simulators.meters import HouseholdMeters, Plan, Wiring
from simulators.process import StartError

NOON = "2026-06-21T08:30:00Z"
LONG_S = 20.0
QUIET_S = 0.3
ROOT = Path(__file__).resolve().parents[2]


def exactly(wire: socket.socket, count: int) -> bytes:
    # A socket with a timeout does not wait for all that MSG_WAITALL asks for.
    got = b""
    while len(got) < count and (more := wire.recv(count - len(got))):
        got += more
    return got


def raw_tcp(place: dict[str, object], pdu: bytes, unit: int = 1) -> bytes:
    with socket.create_connection((str(place["host"]), int(str(place["port"]))), LONG_S) as wire:
        wire.sendall(struct.pack(">HHHB", 0x1234, 0, len(pdu) + 1, unit) + pdu)
        header = exactly(wire, 7)
        transaction, protocol, length, answered = struct.unpack(">HHHB", header)
        assert (transaction, protocol, answered) == (0x1234, 0, unit)
        return exactly(wire, length - 1)


def raw_rtu(path: str, pdu: bytes, unit: int = 1, patience_s: float = LONG_S) -> bytes | None:
    line = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        frame = bytes((unit,)) + pdu
        os.write(line, frame + crc16(frame))
        reply = b""
        deadline = time.monotonic() + patience_s
        while (left := deadline - time.monotonic()) > 0:
            if select.select([line], [], [], left)[0]:
                reply += os.read(line, 512)
            if len(reply) > 4 and len(reply) >= (5 if reply[1] & 0x80 else reply[2] + 5):
                assert crc16(reply[:-2]) == reply[-2:]
                assert reply[0] == unit
                return reply[1:-2]
        return None
    finally:
        os.close(line)


def read(function: int, address: int, count: int) -> bytes:
    return struct.pack(">BHH", function, address, count)


def kwh(reply: ModbusPDU) -> float:
    assert not reply.isError(), reply
    high, low = reply.registers
    return float(struct.unpack(">f", struct.pack(">HH", high, low))[0])


@contextlib.contextmanager
def tcp_client(place: dict[str, object]) -> Iterator[ModbusTcpClient]:
    client = ModbusTcpClient(str(place["host"]), port=int(str(place["port"])), timeout=LONG_S, retries=0)
    assert client.connect()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped


@contextlib.contextmanager
def serial_client(path: object, timeout_s: float = LONG_S) -> Iterator[ModbusSerialClient]:
    client = ModbusSerialClient(str(path), baudrate=9_600, timeout=timeout_s, retries=0)
    assert client.connect()
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped


@pytest.fixture
def split(tmp_path: Path) -> Iterator[MeteringProcess]:
    with MeteringProcess(tmp_path, ["--start", NOON, "--speed", "0"]) as meters:
        yield meters


@pytest.fixture
def still(tmp_path: Path) -> Iterator[HouseholdMeters]:
    """Both meters on one line in this process, with time standing still."""
    with HouseholdMeters(Plan(directory=tmp_path, wiring=Wiring.LINE, start_epoch=1_782_030_600, speed=0)) as meters:
        yield meters


def test_production_on_tcp_gives_the_very_bytes(split: MeteringProcess) -> None:
    place = split.place("production")
    assert raw_tcp(place, read(4, 0x004A, 2)).hex() == "0404" + str(place["words"])
    assert raw_tcp(place, read(3, 0xFC02, 1)).hex() == "03020020"
    assert raw_tcp(place, read(4, 0x0048, 3)).hex() == "8403"
    assert raw_tcp(place, read(4, 0x004A, 2), unit=9).hex() == "840b"


def test_consumption_on_a_serial_line_gives_the_very_bytes(split: MeteringProcess) -> None:
    place = split.place("consumption")
    reply = raw_rtu(str(place["path"]), read(4, 0x0048, 2))
    assert reply is not None
    assert reply.hex() == "0404" + str(place["words"])
    assert raw_rtu(str(place["path"]), read(4, 0x0048, 2), unit=9, patience_s=QUIET_S) is None


def test_pymodbus_reads_both(split: MeteringProcess) -> None:
    production, consumption = split.place("production"), split.place("consumption")
    with tcp_client(production) as client:
        assert kwh(client.read_input_registers(0x004A, count=2, device_id=1)) == production["wire_kwh"]
        power = kwh(client.read_input_registers(0x000C, count=2, device_id=1))
        assert power == pytest.approx(-float(str(production["power_w"])), abs=0.01)
        assert client.read_holding_registers(0x0048, count=2, device_id=1).exception_code == 2
    with serial_client(consumption["path"]) as client:
        assert kwh(client.read_input_registers(0x0048, count=2, device_id=1)) == consumption["wire_kwh"]
        serial = client.read_holding_registers(0xFC00, count=2, device_id=1).registers
        assert serial[0] << 16 | serial[1] == int(str(consumption["serial"]))


def test_two_meters_share_a_line_by_unit(still: HouseholdMeters) -> None:
    path = str(still.addresses()["production"]["path"])
    assert still.addresses()["consumption"]["path"] == path
    for unit, meter, address in ((1, still.production, 0x004A), (2, still.consumption, 0x0048)):
        reply = raw_rtu(path, read(4, address, 2), unit)
        assert reply is not None
        assert reply.hex() == "0404" + meter.standing().words


@pytest.mark.parametrize(("wiring", "kinds"), [("tcp", {"tcp"}), ("lines", {"rtu"})])
def test_the_other_wirings(tmp_path: Path, wiring: str, kinds: set[str]) -> None:
    with MeteringProcess(tmp_path, ["--wiring", wiring, "--start", NOON]) as meters:
        places = [meters.place("production"), meters.place("consumption")]
        assert {place["wire"] for place in places} == kinds
        assert len({str(place.get("path")) + str(place.get("port")) for place in places}) == 2
        for place in places:
            reply = raw_tcp(place, read(4, 0, 2)) if kinds == {"tcp"} else raw_rtu(str(place["path"]), read(4, 0, 2))
            assert reply == b"\x04\x04" + struct.pack(">f", 230.0)


def test_a_serial_line_survives_clients_that_come_and_go(still: HouseholdMeters) -> None:
    path = str(still.addresses()["production"]["path"])
    for _ in range(5):
        with serial_client(path) as client:
            assert kwh(client.read_input_registers(0x0046, count=2, device_id=1)) == 50
        half = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(half, b"\x01\x04\x00")  # a master that dies in the middle of a request
        os.close(half)
        time.sleep(0.15)  # the silence by which a slave knows a new frame


def test_an_unplugged_adapter_comes_back_behind_the_same_name(still: HouseholdMeters) -> None:
    path = Path(str(still.addresses()["production"]["path"]))
    held = os.open(path, os.O_RDWR | os.O_NOCTTY)
    still.unplug("production")
    assert not path.exists()
    with pytest.raises(OSError, match="Input/output error"):
        os.write(held, b"\x01")
    os.close(held)
    still.replug("production")
    assert raw_rtu(str(path), read(4, 0, 2)) is not None


def test_commands_change_what_is_on_the_wire(split: MeteringProcess) -> None:
    place = split.place("production")

    def register() -> float:
        with tcp_client(place) as client:
            return kwh(client.read_input_registers(0x004A, count=2, device_id=1))

    before = register()
    split.tell("spike production")
    assert [register(), register()] == [float32(1_234.567 * 1_000), before]
    split.tell("reset production")
    assert register() == 0
    split.tell("swap production 4711 98765")
    assert register() == float32(98.765)
    assert raw_tcp(place, read(3, 0xFC00, 2)).hex() == "0304" + (4_711).to_bytes(4, "big").hex()
    split.tell("nan production")
    assert raw_tcp(place, read(4, 0x004A, 2)).hex() == "04047fc00000"
    split.tell("restore production")
    split.tell("refuse production 6")
    assert raw_tcp(place, read(4, 0x004A, 2)).hex() == "8406"
    split.tell("restore")
    assert register() == float32(98.765)


def test_a_silenced_meter_leaves_the_other_alone(still: HouseholdMeters) -> None:
    path = str(still.addresses()["production"]["path"])
    still.production.silence()
    assert raw_rtu(path, read(4, 0, 2), 1, QUIET_S) is None
    assert raw_rtu(path, read(4, 0, 2), 2) is not None
    still.production.restore()
    assert raw_rtu(path, read(4, 0, 2), 1) is not None


def test_wrong_commands_are_refused_in_words(split: MeteringProcess) -> None:
    for line, words in (
        ("silence solar", "give production or consumption"),
        ("dance", "no command"),
        ("swap production x", "whole number"),
    ):
        with pytest.raises(CommandError, match=words):
            split.tell(line)


def test_registers_are_told_as_they_stand_on_the_wire(tmp_path: Path) -> None:
    with MeteringProcess(tmp_path, ["--start", NOON, "--speed", "3600"]) as meters:
        place = meters.place("production")
        with tcp_client(place) as client:
            for _ in range(20):
                told = meters.registers()["production"]
                seen = kwh(client.read_input_registers(0x004A, count=2, device_id=1))
                again = meters.registers()["production"]
                assert isinstance(told, dict)
                assert isinstance(again, dict)
                assert told["wire_kwh"] <= seen <= again["wire_kwh"]
        meters.tell("freeze")
        frozen = meters.registers()["production"]
        assert isinstance(frozen, dict)
        assert frozen["register_wh"] > 1_234_567
        assert raw_tcp(place, read(4, 0x004A, 2)).hex() == "0404" + frozen["words"]


def test_it_speaks_on_standard_input_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simulators.meters", "--directory", str(tmp_path), "--start", NOON]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert '"ready": true' in process.stdout.readline()
        process.stdin.write("registers\n")
        process.stdin.flush()
        assert '"register_wh"' in process.stdout.readline()
        process.stdin.write("quit\n")
        process.stdin.flush()
        assert process.wait(LONG_S) == 0
    assert list(tmp_path.iterdir()) == []


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    meters = MeteringProcess(tmp_path, ["--start", NOON])
    meters.close()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_start_shows_its_words(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="invalid choice"):
        MeteringProcess(tmp_path, ["--wiring", "carrier-pigeon"])


def test_meters_die_with_their_starter_also_by_kill_9(tmp_path: Path) -> None:
    starter = (
        "import sys,time\nfrom pathlib import Path\nfrom simulators.metering import MeteringProcess\n"
        "print(MeteringProcess(Path(sys.argv[1])).pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        orphan = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait(LONG_S)
    deadline = time.monotonic() + LONG_S
    while _alive(orphan):
        assert time.monotonic() < deadline, f"process {orphan} outlived its starter"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_both_meters_together_cost_under_1_percent_of_a_core_at_a_read_a_second(split: MeteringProcess) -> None:
    reads = 200
    with tcp_client(split.place("production")) as one, serial_client(split.place("consumption")["path"]) as two:
        one.read_input_registers(0, count=2, device_id=1)
        before = _cpu_s(split.pid)
        for _ in range(reads):
            one.read_input_registers(0x0046, count=6, device_id=1)
            two.read_input_registers(0x0000, count=80, device_id=1)
        spent = _cpu_s(split.pid) - before
    assert spent / reads < 0.01


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
