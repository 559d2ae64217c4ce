"""Faulty lines and scripted slaves on TCP and on a pseudo-terminal, seen by a raw client."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulators import slave
from simulators.faults import Fault, Mix, Timing, bad_line
from simulators.faulty_line import FaultyLine, line_to
from simulators.frames import crc16
from simulators.meters import HouseholdMeters, Plan, Wiring
from simulators.wires import PtyWire, TcpWire

QUIET_S = 0.25
LONG_S = 20.0
LATE_S = 1.5
READ = struct.pack(">BHH", 4, 0x0046, 2)
ANSWER = b"\x04\x04" + struct.pack(">f", 50.0)


@dataclass
class RawClient:
    """Sends requests and hears whatever comes, byte for byte."""

    descriptor: int
    framing: str
    transaction: int = 0

    def send(self, pdu: bytes = READ, unit: int = 1) -> None:
        self.transaction += 1
        os.write(self.descriptor, self.frame(pdu, unit))

    def frame(self, pdu: bytes, unit: int = 1) -> bytes:
        if self.framing == "tcp":
            return struct.pack(">HHHB", self.transaction, 0, len(pdu) + 1, unit) + pdu
        body = bytes((unit,)) + pdu
        return body + crc16(body)

    def hear(self, at_least: int, patience_s: float = LONG_S) -> bytes:
        """Everything until there are so many bytes and then silence, or patience ends."""
        heard = b""
        deadline = time.monotonic() + patience_s
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.descriptor], [], [], min(left, QUIET_S))[0]:
                if len(heard) >= at_least:
                    break
                continue
            more = os.read(self.descriptor, 4_096)
            if not more:
                break
            heard += more
        return heard

    def nothing(self) -> bool:
        return not select.select([self.descriptor], [], [], QUIET_S)[0]


@dataclass
class Setting:
    meters: HouseholdMeters
    line: FaultyLine
    client: RawClient


@pytest.fixture(params=["tcp", "rtu"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setting]:
    wiring = Wiring.TCP if request.param == "tcp" else Wiring.LINES
    plan = Plan(directory=tmp_path, wiring=wiring, speed=0)
    with HouseholdMeters(plan) as meters:
        place = meters.addresses()["production"]
        timing = Timing(late_s=LATE_S, babbles=4)
        with line_to(place, tmp_path / "faulty", seed=3, timing=timing) as line:
            if isinstance(line.wire, TcpWire):
                with socket.create_connection(line.wire.address) as connection:
                    yield Setting(meters, line, RawClient(connection.fileno(), "tcp"))
            else:
                descriptor = os.open(line.wire.link, os.O_RDWR | os.O_NOCTTY)
                try:
                    yield Setting(meters, line, RawClient(descriptor, "rtu"))
                finally:
                    os.close(descriptor)


def test_a_good_line_passes_everything(setting: Setting) -> None:
    for _ in range(3):
        setting.client.send()
        assert setting.client.hear(9) == setting.client.frame(ANSWER)
    setting.client.send(struct.pack(">BHH", 4, 0, 3))
    assert setting.client.hear(5) == setting.client.frame(b"\x84\x03")


def test_late_comes_after_the_next_answer_if_that_is_quick(setting: Setting) -> None:
    setting.line.play([Fault.LATE, Fault.NONE])
    setting.client.send()
    first = setting.client.frame(ANSWER)
    started = time.monotonic()
    assert setting.client.nothing()
    setting.client.send()
    heard = setting.client.hear(len(first) * 2)
    assert time.monotonic() - started >= LATE_S - 0.05
    assert heard == setting.client.frame(ANSWER) + first


def test_short_corrupt_foreign_and_wrong(setting: Setting) -> None:
    client = setting.client
    faults = [Fault.SHORT, Fault.CORRUPT, Fault.INSTEAD, Fault.WRONG_UNIT, Fault.WRONG_FUNCTION]
    setting.line.play(faults)
    for fault in faults:
        client.send()
        heard, good = client.hear(1), client.frame(ANSWER)
        assert heard != good, fault
        if fault is Fault.SHORT:
            assert good.startswith(heard)
    setting.line.play([Fault.FOREIGN])
    client.send()
    heard = client.hear(18)
    assert heard.endswith(client.frame(ANSWER))
    assert len(heard) > len(client.frame(ANSWER))
    assert setting.line.counts == dict.fromkeys([*faults, Fault.FOREIGN], 1)


def test_silence_and_half_open(setting: Setting) -> None:
    setting.line.play([Fault.SILENT])
    setting.client.send()
    assert setting.client.nothing()
    asked = setting.meters.production.requests
    assert asked == 1  # the meter was asked: only its answer was lost
    setting.line.set_half_open(half_open=True)
    setting.client.send()
    assert setting.client.nothing()
    assert setting.meters.production.requests == asked
    setting.line.set_half_open(half_open=False)
    setting.client.send()
    assert setting.client.hear(9) == setting.client.frame(ANSWER)


def test_a_dripping_reply_takes_its_time(setting: Setting) -> None:
    setting.line.play([Fault.DRIP])
    started = time.monotonic()
    setting.client.send()
    good = setting.client.frame(ANSWER)
    assert setting.client.hear(len(good)) == good
    assert time.monotonic() - started >= 0.03 * (len(good) - 1)


def test_a_babbling_line(setting: Setting) -> None:
    setting.line.play([Fault.BABBLE])
    setting.client.send()
    assert setting.client.hear(24) == b" Busy " * 4


def test_hang_up_breaks_a_connection_in_the_middle(setting: Setting) -> None:
    setting.line.play([Fault.HANG_UP])
    setting.client.send()
    good = setting.client.frame(ANSWER)
    if setting.client.framing == "rtu":
        assert setting.client.hear(len(good) // 2) == good[: len(good) // 2]
        return
    with pytest.raises(ConnectionResetError):
        setting.client.hear(len(good))  # more than will ever come


def test_a_mix_uses_every_fault_and_never_stalls_the_meter(setting: Setting) -> None:
    weights = dict(bad_line(0.9).weights)
    del weights[Fault.HANG_UP]  # this client does not connect again
    setting.line.set_mix(Mix(weights))
    for _ in range(60):
        setting.client.send()
        select.select([setting.client.descriptor], [], [], 0.02)
    deadline = time.monotonic() + LONG_S
    while setting.line.counts.total() < 60:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(setting.line.counts) > 8


def test_a_dead_meter_behind_the_line_is_silence(setting: Setting) -> None:
    setting.meters.production.silence()
    setting.client.send()
    assert setting.client.nothing()


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_a_slave_follows_its_script(framing: str, tmp_path: Path) -> None:
    wire: TcpWire | PtyWire = TcpWire() if framing == "tcp" else PtyWire(tmp_path / "slave")
    script = [slave.exception(code) for code in (1, 2, 3, 4, 6, 11)]
    with slave.Slave(wire, script, then=slave.floats(1.5)) as played:
        if isinstance(wire, TcpWire):
            connection: socket.socket | None = socket.create_connection(wire.address)
            descriptor = connection.fileno() if connection else -1
        else:
            connection, descriptor = None, os.open(wire.link, os.O_RDWR | os.O_NOCTTY)
        client = RawClient(descriptor, framing)
        try:
            for code in (1, 2, 3, 4, 6, 11):
                client.send()
                assert client.hear(5) == client.frame(bytes((0x84, code)))
            client.send()
            assert client.hear(9) == client.frame(b"\x04\x04" + struct.pack(">f", 1.5))
            played.play([slave.wrong_unit(slave.words(*slave.NAN_WORDS), 7)], then=slave.silent())
            client.send()
            assert client.hear(9) == client.frame(bytes.fromhex("04047fc00000"), 7)
            client.send()
            assert client.nothing()
            assert [request.pdu for request in played.asked()] == [READ] * 9
        finally:
            if connection is None:
                os.close(descriptor)
            else:
                connection.close()
