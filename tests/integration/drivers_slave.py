"""A raw Modbus slave with its own encoder, in order like a meter, with faults by a seeded plan.

It shares nothing with the drivers: a slave that used their tables would prove nothing.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import select
import socket
import struct
import threading
import time
import tty
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Frame = Callable[[int, bytes], bytes]
    Send = Callable[[bytes], None]

UNIT = 1
SERIAL = 21_051_234
STRANGER = 77


def crc16(data: bytes) -> bytes:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def words(fmt: str, value: float) -> list[int]:
    raw = struct.pack(fmt, value)
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


@dataclass
class Registers:
    """What the slave holds: words by (function, address). Anything else is refused with exception 2."""

    cells: dict[tuple[int, int], int] = field(default_factory=dict)

    def put(self, function: int, address: int, values: list[int]) -> None:
        for offset, value in enumerate(values):
            self.cells[function, address + offset] = value

    def f32(self, address: int, value: float, function: int = 4) -> None:
        self.put(function, address, words(">f", value))

    def answer(self, function: int, address: int, count: int) -> bytes:
        found = [self.cells.get((function, address + at)) for at in range(count)]
        if None in found:
            return bytes([function | 0x80, 2])
        return bytes([function, 2 * count]) + b"".join(struct.pack(">H", word) for word in found)


def sdm120() -> Registers:
    registers = Registers()
    registers.put(4, 0x0000, [0] * 0x60)
    for address, value in ((0x00, 231.5), (0x06, 4.25), (0x0C, 983.4), (0x1E, 1.0), (0x46, 50.02)):
        registers.f32(address, value)
    registers.f32(0x48, 1234.567)
    registers.f32(0x4A, 89.5)
    registers.f32(0x156, 1324.067)
    registers.put(3, 0xFC00, words(">I", SERIAL))
    registers.put(3, 0xFC02, [0x0020])
    registers.put(3, 0xF920, [2])
    return registers


def sdm630() -> Registers:
    registers = Registers()
    registers.put(4, 0x0000, [0] * 0x60)
    registers.put(4, 0x0156, [0] * 16)
    for address, value in ((0x00, 231.5), (0x06, 4.25), (0x34, 2983.4), (0x46, 49.98), (0x48, 8113.25)):
        registers.f32(address, value)
    registers.f32(0x4A, 89.5)
    registers.f32(0x28, 2141.0, function=3)
    registers.f32(0x1E, 0.0, function=3)
    registers.put(3, 0xFC00, words(">I", SERIAL))
    return registers


@dataclass
class Faults:
    """Chooses what happens to each reply. `kinds` are method names of the slave."""

    kinds: tuple[str, ...] = ()
    rate: float = 0.0
    seed: int = 0
    late_s: tuple[float, float] = (0.0, 0.0)
    drip_s: float = 0.001

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - faults are to be repeatable
        self.seen: dict[str, int] = {}

    def choose(self) -> str:
        kind = "good"
        if self.kinds and self.random.random() < self.rate:
            kind = self.random.choice(self.kinds)
        self.seen[kind] = self.seen.get(kind, 0) + 1
        return kind


class Slave(ABC):
    """Serves one or more units from a thread of its own. A unit without registers stays silent."""

    def __init__(self, units: dict[int, Registers], faults: Faults | None = None) -> None:
        self.units = units
        self.faults = faults or Faults()
        self.requests: list[tuple[int, int, int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Slave:  # noqa: PYI034 - the subclasses are used by their own names
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._stop.is_set():
            self.unplug()

    def unplug(self) -> None:
        """Disappear, as a pulled plug does."""
        self._stop.set()
        self._thread.join(5)
        self._close()

    @abstractmethod
    def _run(self) -> None:
        """Serve until the plug is pulled."""

    @abstractmethod
    def _close(self) -> None:
        """Let go of the wire."""

    def _reply(self, unit: int, function: int, address: int, count: int) -> tuple[str, bytes] | None:
        self.requests.append((unit, function, address, count))
        registers = self.units.get(unit)
        if registers is None:
            return None
        return self.faults.choose(), registers.answer(function, address, count)

    def _serve(self, kind: str, unit: int, pdu: bytes, frame: Frame, send: Send) -> None:
        """Send a reply with one of the faults that RTU and TCP have in common."""
        dice = self.faults.random
        good = frame(unit, pdu)
        noise = bytes(dice.randrange(256) for _ in range(len(pdu) - 2))
        if kind == "late":
            time.sleep(dice.uniform(*self.faults.late_s))
        if kind == "foreign":  # another master's reply comes first, of our very shape or not
            send(frame(dice.choice((unit, STRANGER)), pdu[:2] + noise))
            time.sleep(dice.choice((0.0, 0.001, 0.004)))
        if kind == "drip":
            for byte in good:
                send(bytes([byte]))
                time.sleep(self.faults.drip_s)
            return
        less = max(0, len(pdu) - 4)
        sent = {
            "good": good,
            "late": good,
            "foreign": good,
            "short": good[: dice.randrange(1, len(good))],
            "fewer": frame(unit, bytes([pdu[0], less]) + pdu[2 : 2 + less]),
            "function": frame(unit, bytes([7 - pdu[0] & 0x7F]) + pdu[1:]),
            "unit": frame(STRANGER, pdu),
            "twice": good + good,
            "busy": frame(unit, bytes([pdu[0] | 0x80, 6])),
            "babble": b" Busy " * dice.randrange(1, 6),
            "silent": b"",
        }[kind]
        if sent:
            send(sent)


class RtuSlave(Slave):
    """A slave on a pty. `path` is the device."""

    def __init__(self, units: dict[int, Registers], faults: Faults | None = None) -> None:
        super().__init__(units, faults)
        self._master, self._held = pty.openpty()
        tty.setraw(self._held)
        self.path = os.ttyname(self._held)

    def _run(self) -> None:
        pending = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.05)[0]:
                pending = b""
                continue
            pending += os.read(self._master, 256)
            while len(pending) >= 8:
                request, pending = pending[:8], pending[8:]
                if crc16(request[:6]) != request[6:]:
                    pending = b""
                    break
                unit, function, address, count = struct.unpack(">BBHH", request[:6])
                answer = self._reply(unit, function, address, count)
                if answer is None:
                    continue
                kind, pdu = answer
                if kind == "crc":
                    good = bytearray(self._frame(unit, pdu))
                    good[self.faults.random.randrange(len(good))] ^= 1 << self.faults.random.randrange(8)
                    os.write(self._master, bytes(good))
                else:
                    self._serve(kind, unit, pdu, self._frame, self._send)

    def _send(self, data: bytes) -> None:
        os.write(self._master, data)

    def _frame(self, unit: int, pdu: bytes) -> bytes:
        return bytes([unit]) + pdu + crc16(bytes([unit]) + pdu)

    def _close(self) -> None:
        os.close(self._master)
        os.close(self._held)


class TcpSlave(Slave):
    """A Modbus TCP slave on a port that the system chose. One client at a time, like many meters."""

    def __init__(self, units: dict[int, Registers], faults: Faults | None = None) -> None:
        super().__init__(units, faults)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self.port = self._server.getsockname()[1]
        self.accepted = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._server.accept()
            except TimeoutError:
                continue
            self.accepted += 1
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.settimeout(0.05)
                try:
                    self._talk(client)
                except OSError:
                    continue  # the driver closed the connection, as it should after an error

    def _talk(self, client: socket.socket) -> None:
        pending = b""
        while not self._stop.is_set():
            try:
                data = client.recv(512)
            except TimeoutError:
                continue
            if not data:
                return
            pending += data
            while len(pending) >= 12:
                request, pending = pending[:12], pending[12:]
                tid, _, _, unit, function, address, count = struct.unpack(">HHHBBHH", request)
                answer = self._reply(unit, function, address, count)
                if answer is None:
                    continue
                kind, pdu = answer
                if kind == "hangup":
                    return
                self._tcp_faults(kind, tid, unit, pdu, client.sendall)

    def _tcp_faults(self, kind: str, tid: int, unit: int, pdu: bytes, send: Send) -> None:
        """Transaction numbers make other faults possible, and some impossible."""
        empty = pdu[:2] + bytes(len(pdu) - 2)
        first = {
            "transaction": self._frame((tid + 0x1234) & 0xFFFF, unit, empty),
            "foreign": self._frame(tid, STRANGER, empty),
            "twice": self._frame(tid, unit, pdu),
            "protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        }.get(kind)
        if first:
            send(first)
        if kind != "protocol":
            self._serve("good" if first else kind, unit, pdu, lambda u, p: self._frame(tid, u, p), send)

    def _frame(self, tid: int, unit: int, pdu: bytes) -> bytes:
        return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu

    def _close(self) -> None:
        self._server.close()


class Bridge:
    """Passes bytes between a TCP client and a serial device, as simple gateways do."""

    def __init__(self, path: str) -> None:
        self._device = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._client: socket.socket | None = None
        self._closed = False
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._inward, self._outward)]
        for thread in self._threads:
            thread.start()

    def _inward(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                self._client = client
                while data := self._received(client):
                    os.write(self._device, data)
                self._client = None

    def _received(self, client: socket.socket) -> bytes:
        try:
            return client.recv(256)
        except OSError:
            return b""

    def _outward(self) -> None:
        while True:
            if not select.select([self._device], [], [], 0.05)[0]:
                if self._closed:
                    os.close(self._device)
                    return
                continue
            data = os.read(self._device, 256)
            client = self._client
            if client is not None:
                with contextlib.suppress(OSError):  # it hung up; the next one gets the next bytes
                    client.sendall(data)

    def close(self) -> None:
        self._closed = True
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(5)
