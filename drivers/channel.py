"""One question, one answer: the guarded exchange over RTU and over Modbus TCP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from drivers import modbus
from drivers.errors import GarbledReplyError, LineLostError, MeterError, NoReplyError

if TYPE_CHECKING:
    from drivers.modbus import Request
    from drivers.pacing import Pace
    from drivers.settings import LineSettings

_CHUNK = 512
_FLOOD_BYTES = 65536  # more than a second of the fastest line: whatever sends this is not a meter
_STRAY_LIMIT = 8  # late frames of our own that may be skipped while waiting for one answer


class Wire(Protocol):
    """Bytes to and from a device or a connection. Every method raises only `MeterError`."""

    reopen_on_silence: bool

    @property
    def is_open(self) -> bool:
        """Whether it is open as far as is known."""
        ...

    def open(self) -> None:
        """Open it anew."""
        ...

    def close(self) -> None:
        """Close it; harmless when closed."""
        ...

    def send(self, data: bytes) -> None:
        """Send all of the bytes."""
        ...

    def receive(self, limit: int, until: float) -> bytes:
        """Wait until a moment of `time.monotonic` for at least one byte; empty when none came."""
        ...


class Channel(Protocol):
    """Asks a question and returns the registers of the one answer that fits it."""

    def begin(self, pace: Pace) -> None:
        """Make sure that nothing old is under way before a cycle's first request."""
        ...

    def exchange(self, request: Request, pace: Pace) -> bytes:
        """Ask and return the reply's registers, or raise a `MeterError`."""
        ...


class RtuChannel:
    """RTU frames. They carry no transaction number, so silence and shape must tell them apart."""

    def __init__(self, wire: Wire, settings: LineSettings) -> None:
        self._wire = wire
        self._settings = settings
        self._quiet_since = 0.0  # when the last byte went over the line, ours or theirs

    def begin(self, pace: Pace) -> None:
        """Drain whatever an earlier cycle or another master left, until the line is silent.

        Raises:
            GarbledReplyError: the line does not become silent within the meter's timeout.
        """
        pending = self._wire.receive(_CHUNK, 0.0)
        if pending and not self._drain(time.monotonic() + pace.timeout_s):
            raise GarbledReplyError(
                f"line {self._settings}: somebody keeps sending; a second master, or a wrong baud rate?"
            )

    def exchange(self, request: Request, pace: Pace) -> bytes:
        """Ask once the line has been silent long enough; see `Channel`."""
        frame = modbus.rtu_request(request)
        self._settle(request, pace)
        self._wire.send(frame)
        character_s = self._settings.character_s
        sent = time.monotonic() + len(frame) * character_s
        self._quiet_since = sent
        on_wire_s = request.reply_bytes * character_s
        deadline = sent + pace.timeout_s + on_wire_s
        try:
            head = self._collect(b"", modbus.RTU_HEAD, deadline, request)
            length = modbus.rtu_reply_length(head, request)
            reply = self._collect(head, length, deadline, request)
            registers = modbus.rtu_reply(reply, request)
        except GarbledReplyError:
            self._drain(deadline)
            raise
        pace.answered(max(0.0, time.monotonic() - sent - on_wire_s))
        return registers

    def _settle(self, request: Request, pace: Pace) -> None:
        """Listen through the gap before a request; bytes in it mean that the last answer was not ours."""
        gap_s = max(self._settings.frame_gap_s, pace.gap_s)
        stray = self._wire.receive(_CHUNK, self._quiet_since + gap_s)
        if stray:
            self._drain(time.monotonic() + pace.timeout_s)
            raise GarbledReplyError(f"{request}: {len(stray)} bytes came that nobody asked for")

    def _collect(self, got: bytes, length: int, deadline: float, request: Request) -> bytes:
        """Receive until `length` bytes are there."""
        while len(got) < length:
            data = self._wire.receive(length - len(got), deadline)
            if data:
                got += data
                self._quiet_since = time.monotonic()
            if time.monotonic() >= deadline and len(got) < length:
                if not got:
                    raise NoReplyError(f"{request}: no reply on {self._settings}")
                raise GarbledReplyError(f"{request}: only {len(got)} of {length} bytes came: {got.hex()}")
        return got

    def _drain(self, until: float) -> bool:
        """Throw bytes away until the line is silent; tell whether it became so."""
        quiet_s = max(self._settings.frame_gap_s, self._settings.quiet_s)
        thrown = 0
        while thrown < _FLOOD_BYTES:
            now = time.monotonic()
            data = self._wire.receive(_CHUNK, now + quiet_s)
            if not data:
                return True
            thrown += len(data)
            self._quiet_since = time.monotonic()
            if self._quiet_since >= until:
                return False
        return False


class TcpChannel:
    """Modbus TCP. The transaction number tells replies apart; late ones of our own are skipped."""

    def __init__(self, wire: Wire, settings: LineSettings) -> None:
        self._wire = wire
        self._settings = settings
        self._transaction = time.monotonic_ns() & 0xFFFF  # not the same after each restart

    def begin(self, pace: Pace) -> None:
        """Nothing to do: frames that are still under way carry an older transaction number."""

    def exchange(self, request: Request, pace: Pace) -> bytes:
        """Ask, skip frames of older transactions, and check the one that answers; see `Channel`."""
        self._transaction = self._transaction % 0xFFFF + 1
        self._wire.send(modbus.tcp_request(request, self._transaction))
        sent = time.monotonic()
        deadline = sent + pace.timeout_s
        for _ in range(_STRAY_LIMIT):
            head = self._collect(modbus.MBAP_HEAD, deadline, request)
            body = self._collect(modbus.mbap_body_length(head, request), deadline, request)
            if modbus.mbap_transaction(head) == self._transaction:
                registers = modbus.tcp_reply(body, request)
                pace.answered(time.monotonic() - sent)
                return registers
        raise GarbledReplyError(f"{request}: {_STRAY_LIMIT} frames of other transactions came instead")

    def _collect(self, length: int, deadline: float, request: Request) -> bytes:
        got = b""
        while len(got) < length:
            got += self._wire.receive(length - len(got), deadline)
            if time.monotonic() >= deadline and len(got) < length:
                if not got:
                    raise NoReplyError(f"{request}: no reply on {self._settings}")
                raise GarbledReplyError(f"{request}: only {len(got)} of {length} bytes came: {got.hex()}")
        return got


def must_reopen(error: MeterError, wire: Wire) -> bool:
    """Whether an error leaves the wire in a state that only opening it again mends."""
    if isinstance(error, LineLostError):
        return True
    return wire.reopen_on_silence and isinstance(error, NoReplyError | GarbledReplyError)
