"""The guarded exchange over a wire in memory: whatever arrives, a value or one of our errors leaves."""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.channel import Channel, RtuChannel, TcpChannel, must_reopen
from drivers.errors import GarbledReplyError, LineLostError, MeterBusyError, MeterError, NoReplyError
from drivers.modbus import Request
from drivers.pacing import Pace
from drivers.settings import RtuSettings, TcpSettings
from tests.integration.drivers_slave import crc16

if TYPE_CHECKING:
    from collections.abc import Iterable

ASKED = Request("meter x", unit=1, function=4, address=0x48, count=2)
WORDS = b"\x44\x9a\x52\x2b"
RTU_REPLY = b"\x01\x04\x04" + WORDS + crc16(b"\x01\x04\x04" + WORDS)
AT_ONCE_S = 0.003  # where nothing comes, so that a test does not wait for it
PATIENT_S = 5.0  # where a reply is there already: it costs nothing, and a busy machine does not matter


class ScriptedWire:
    """Gives out pieces in order, one a call; `before` was there already when the cycle began."""

    is_open = True
    reopen_on_silence = False

    def __init__(self, replies: Iterable[bytes] = (), before: Iterable[bytes] = ()) -> None:
        self._now = deque(before)
        self._after = deque(replies)
        self.sent: list[bytes] = []
        self.waited_until: list[float] = []

    def open(self) -> None:
        """Open already."""

    def close(self) -> None:
        self.is_open = False

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self._now.extend(self._after)
        self._after.clear()

    def receive(self, limit: int, until: float) -> bytes:
        self.waited_until.append(until)
        if not self._now:
            return b""
        piece = self._now.popleft()
        if len(piece) > limit:
            self._now.appendleft(piece[limit:])
        return piece[:limit]


def rtu(wire: ScriptedWire) -> RtuChannel:
    return RtuChannel(wire, RtuSettings("/dev/ttyUSB9", baud=4_000_000, quiet_s=0.001))


def tcp(wire: ScriptedWire) -> TcpChannel:
    return TcpChannel(wire, TcpSettings("192.0.2.7"))


def pace(timeout_s: float = PATIENT_S) -> Pace:
    return Pace(timeout_s, timeout_s)


@given(st.lists(st.integers(1, len(RTU_REPLY) - 1), unique=True))
def test_an_rtu_reply_may_come_in_any_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(RTU_REPLY)]
    pieces = [RTU_REPLY[start:end] for start, end in itertools.pairwise(edges)]

    assert rtu(ScriptedWire(pieces)).exchange(ASKED, pace()) == WORDS


@pytest.mark.parametrize("make", [rtu, tcp])
@given(noise=st.lists(st.binary(min_size=1, max_size=40), max_size=4))
def test_noise_never_becomes_a_value_and_raises_only_our_errors(make: object, noise: list[bytes]) -> None:
    channel: Channel = make(ScriptedWire(noise))  # type: ignore[operator] # one of the two above
    if b"".join(noise).startswith(RTU_REPLY):
        return
    with pytest.raises(MeterError):
        channel.exchange(ASKED, pace(AT_ONCE_S))


def test_bytes_between_two_requests_spoil_the_cycle() -> None:
    wire = ScriptedWire([RTU_REPLY + b"\x07"])
    channel = rtu(wire)
    channel.exchange(ASKED, pace())

    with pytest.raises(GarbledReplyError, match="1 bytes came that nobody asked for"):
        channel.exchange(ASKED, pace())
    assert len(wire.sent) == 1


def test_the_silence_that_a_meter_asks_for_is_kept_before_each_request() -> None:
    wire = ScriptedWire([RTU_REPLY])
    channel = rtu(wire)
    began = time.monotonic()
    channel.exchange(ASKED, pace())
    calls = len(wire.waited_until)
    with pytest.raises(NoReplyError):
        channel.exchange(ASKED, pace(AT_ONCE_S))
    without_gap = wire.waited_until[calls]
    with pytest.raises(NoReplyError):
        channel.exchange(ASKED, Pace(AT_ONCE_S, AT_ONCE_S, gap_s=60.0))

    assert without_gap >= began
    assert max(wire.waited_until) >= began + 60


def test_what_an_earlier_cycle_left_is_thrown_away_before_the_next() -> None:
    channel = rtu(ScriptedWire([RTU_REPLY], before=[b"late", b"r"]))
    channel.begin(pace())

    assert channel.exchange(ASKED, pace()) == WORDS


def test_a_line_that_is_never_silent_is_not_waited_for() -> None:
    channel = rtu(ScriptedWire(before=[b" Busy "] * 20_000))

    with pytest.raises(GarbledReplyError, match="somebody keeps sending"):
        channel.begin(pace())


def test_a_wrong_frame_is_drained_to_its_end() -> None:
    wire = ScriptedWire([b"\x02" + RTU_REPLY[1:], b"and more", b"and more"])
    channel = rtu(wire)
    with pytest.raises(GarbledReplyError, match="a frame of unit 2"):
        channel.exchange(ASKED, pace())

    assert wire.receive(10, 0.0) == b""


def test_silence_says_so() -> None:
    for channel in (rtu(ScriptedWire()), tcp(ScriptedWire())):
        with pytest.raises(NoReplyError, match=r"meter x unit 1, input registers 0x0048\+2: no reply on"):
            channel.exchange(ASKED, pace(AT_ONCE_S))


class EchoingTransaction(ScriptedWire):
    """Answers a Modbus TCP request with its transaction number moved by some steps, then rightly."""

    def __init__(self, *steps: int) -> None:
        super().__init__()
        self._steps = steps

    def send(self, data: bytes) -> None:
        number = int.from_bytes(data[:2], "big")
        for step in self._steps:
            words = WORDS if step == 0 else b"\xff" * 4
            head = ((number + step) & 0xFFFF).to_bytes(2, "big") + b"\0\0\0\x07"
            self._now.append(head + b"\x01\x04\x04" + words)


def test_older_transactions_are_skipped() -> None:
    assert tcp(EchoingTransaction(-3, -2, -1, 0)).exchange(ASKED, pace()) == WORDS


def test_frames_of_other_transactions_are_not_read_for_ever() -> None:
    with pytest.raises(GarbledReplyError, match="8 frames of other transactions"):
        tcp(EchoingTransaction(*[5] * 9)).exchange(ASKED, pace())


def test_which_errors_need_the_wire_to_be_opened_again() -> None:
    serial, network = ScriptedWire(), ScriptedWire()
    network.reopen_on_silence = True

    assert must_reopen(LineLostError("x"), serial)
    assert not must_reopen(NoReplyError("x"), serial)
    assert must_reopen(NoReplyError("x"), network)
    assert must_reopen(GarbledReplyError("x"), network)
    assert not must_reopen(MeterBusyError("x"), network)
