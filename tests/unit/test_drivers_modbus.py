"""A frame is ours or it is refused, and no foreign exception leaves the edge."""

from __future__ import annotations

import errno
import inspect
import socket
import struct
import termios

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st
from pymodbus import exceptions as pymodbus_exceptions

from drivers import errors, modbus, serial_line, tcp_line
from drivers.errors import (
    ConfigurationError,
    GarbledReplyError,
    GatewayError,
    LineLostError,
    LineSetupError,
    MeterBusyError,
    MeterError,
    RefusedRequestError,
    RetryableError,
)
from drivers.modbus import Request
from drivers.settings import RtuSettings, TcpSettings

ASKED = Request("meter x", unit=1, function=4, address=0x48, count=2)
RTU = RtuSettings("/dev/ttyUSB9")
TCP = TcpSettings("192.0.2.7")


def crc(body: bytes) -> bytes:
    value = 0xFFFF
    for byte in body:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return body + value.to_bytes(2, "little")


def take_rtu(frame: bytes) -> bytes:
    length = modbus.rtu_reply_length(frame[: modbus.RTU_HEAD], ASKED)
    return modbus.rtu_reply(frame[:length], ASKED)


def test_a_request_is_framed_as_the_specification_says() -> None:
    assert modbus.rtu_request(ASKED) == crc(bytes.fromhex("01 04 0048 0002"))
    assert modbus.tcp_request(ASKED, 0x1234) == bytes.fromhex("1234 0000 0006 01 04 0048 0002")


@given(st.binary(min_size=4, max_size=4))
def test_a_good_reply_gives_its_words_untouched(words: bytes) -> None:
    assert take_rtu(crc(b"\x01\x04\x04" + words)) == words
    assert modbus.tcp_reply(b"\x01\x04\x04" + words, ASKED) == words


@given(words=st.binary(min_size=4, max_size=4), at=st.integers(0, 8), bit=st.integers(0, 7))
def test_one_wrong_bit_anywhere_is_noticed(words: bytes, at: int, bit: int) -> None:
    frame = bytearray(crc(b"\x01\x04\x04" + words))
    frame[at] ^= 1 << bit

    with pytest.raises(GarbledReplyError):
        take_rtu(bytes(frame))


@given(st.binary(min_size=9, max_size=40))
def test_random_bytes_are_never_a_value(noise: bytes) -> None:
    if noise[:9] == crc(noise[:7]):
        return
    with pytest.raises(MeterError):
        take_rtu(noise)


@given(st.binary(min_size=3, max_size=40))
def test_random_tcp_bodies_raise_nothing_but_our_errors(body: bytes) -> None:
    try:
        words = modbus.tcp_reply(body, ASKED)
    except MeterError:
        return
    assert body == b"\x01\x04\x04" + words


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("02 04 04 00000000", "a frame of unit 2 came instead"),
        ("01 03 04 00000000", "a frame of function 3 came instead"),
        ("01 04 02 0000", "2 bytes of data came, expected 4"),
        ("01 04 06 000000000000", "6 bytes of data came, expected 4"),
    ],
)
def test_a_whole_frame_that_is_not_the_answer_is_refused(body: str, says: str) -> None:
    raw = bytes.fromhex(body)
    with pytest.raises(GarbledReplyError, match=says):
        take_rtu(crc(raw))
    with pytest.raises(GarbledReplyError, match=says):
        modbus.tcp_reply(raw, ASKED)


def test_a_tcp_frame_longer_than_its_data_is_refused() -> None:
    with pytest.raises(GarbledReplyError, match="the frame has 8 bytes, expected 7"):
        modbus.tcp_reply(bytes.fromhex("01 04 04 00000000 00"), ASKED)
    with pytest.raises(GarbledReplyError, match="the frame has 4 bytes, expected 3"):
        modbus.tcp_reply(bytes.fromhex("01 84 02 00"), ASKED)


def test_an_adapters_local_echo_is_named() -> None:
    with pytest.raises(GarbledReplyError, match="switch off the adapter's local echo"):
        take_rtu(modbus.rtu_request(ASKED))


@pytest.mark.parametrize("head", ["0001 0001 0006", "0001 0000 0002", "0001 0000 00FF", "4854 5450 2F31"])
def test_what_is_no_modbus_tcp_header_is_refused(head: str) -> None:
    with pytest.raises(GarbledReplyError, match="rtu-over-tcp"):
        modbus.mbap_body_length(bytes.fromhex(head), ASKED)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, RefusedRequestError),
        (2, RefusedRequestError),
        (3, RefusedRequestError),
        (4, MeterBusyError),
        (5, MeterBusyError),
        (6, MeterBusyError),
        (8, MeterBusyError),
        (10, GatewayError),
        (11, GatewayError),
        (0, GarbledReplyError),
        (99, GarbledReplyError),
    ],
)
def test_each_modbus_exception_goes_to_the_one_who_can_act(code: int, kind: type[MeterError]) -> None:
    with pytest.raises(kind, match=f"meter x unit 1, input registers 0x0048.2: exception {code}"):
        take_rtu(crc(bytes([1, 0x84, code])))
    with pytest.raises(kind):
        modbus.tcp_reply(bytes([1, 0x84, code]), ASKED)


@pytest.mark.parametrize(
    "asked",
    [
        Request("m", 1, 4, 0, 126),
        Request("m", 1, 4, 0, 0),
        Request("m", 1, 4, 70000, 2),
        Request("m", 1, 6, 0, 2),
        Request("m", 300, 4, 0, 2),
    ],
)
def test_a_request_that_cannot_be_is_a_mistake_of_ours(asked: Request) -> None:
    with pytest.raises(MeterError):
        modbus.rtu_request(asked)


def library_errors() -> list[type[Exception]]:
    found = [
        kind
        for module in (pymodbus_exceptions, serial, serial.serialutil)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
    ]
    return sorted(set(found), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", library_errors(), ids=lambda kind: kind.__name__)
def test_every_exception_class_of_the_libraries_is_mapped(kind: type[Exception]) -> None:
    edges = {"pymodbus": modbus.PYMODBUS_ERRORS, "serial": serial_line.SERIAL_ERRORS}
    table = edges[kind.__module__.split(".")[0]]

    assert any(kind is library for library, _ in table), f"{kind} is new: say who has to act"


def unmade(kind: type[Exception]) -> Exception:
    try:
        return kind("x")
    except TypeError:
        return kind()


@pytest.mark.parametrize(
    "edge", [modbus.PYMODBUS_ERRORS, serial_line.SERIAL_ERRORS, tcp_line.SOCKET_ERRORS], ids=["modbus", "serial", "tcp"]
)
def test_no_mapping_hides_behind_a_wider_one(edge: tuple[tuple[type[Exception], type[MeterError]], ...]) -> None:
    for index, (library, ours) in enumerate(edge):
        assert issubclass(ours, MeterError)
        for wider, _ in edge[:index]:
            assert not issubclass(library, wider)


@pytest.mark.parametrize("library", [kind for kind, _ in modbus.PYMODBUS_ERRORS])
def test_pymodbus_errors_arrive_as_ours(library: type[Exception]) -> None:
    assert str(ASKED) in str(modbus.mapped(unmade(library), ASKED))


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_every_error_of_the_system_arrives_as_ours(code: int) -> None:
    of_serial = serial_line.mapped(OSError(code, "x"), RTU, "receiving")
    of_tcp = tcp_line.mapped(OSError(code, "x"), TCP, "receiving")

    assert isinstance(
        of_serial, LineSetupError if code in (errno.EACCES, errno.EPERM, errno.ENOTTY, errno.EISDIR) else LineLostError
    )
    assert isinstance(of_tcp, LineLostError)
    assert str(of_serial).startswith("line /dev/ttyUSB9 (9600 8N1): receiving failed: ")
    assert str(of_tcp).startswith("line 192.0.2.7:502 (tcp): receiving failed: ")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (serial.SerialException(errno.ENOENT, "x"), LineLostError, "is the adapter plugged in"),
        (serial.SerialException(errno.EACCES, "x"), LineSetupError, "add it to the group"),
        (serial.SerialException(errno.EAGAIN, "x"), LineLostError, "another program holds it"),
        (serial.SerialTimeoutException("Write timeout"), LineLostError, "Write timeout"),
        (termios.error(errno.EIO, "x"), LineLostError, "sending failed"),
        (ValueError("Invalid baud rate"), LineSetupError, "Invalid baud rate"),
    ],
)
def test_a_serial_error_says_what_to_do(error: Exception, kind: type[MeterError], says: str) -> None:
    found = serial_line.mapped(error, RTU, "sending")

    assert isinstance(found, kind)
    assert says in str(found)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (TimeoutError(), LineLostError, "no answer in time"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), LineLostError, "nothing listens on that port"),
        (socket.gaierror(-2, "Name or service not known"), LineLostError, "Name or service not known"),
        (UnicodeError("label too long"), LineSetupError, "label too long"),
        (OverflowError("port must be 0-65535."), LineSetupError, "port must be"),
    ],
)
def test_a_network_error_says_what_to_do(error: Exception, kind: type[MeterError], says: str) -> None:
    found = tcp_line.mapped(error, TCP, "connecting")

    assert isinstance(found, kind)
    assert says in str(found)


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    drawn = (errors.__doc__ or "").split("\n\n")[1]
    kinds = {
        name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }

    assert all(name in drawn for name in kinds)
    assert all(
        issubclass(kind, RetryableError | ConfigurationError | errors.WrongMeterError) or kind is MeterError
        for kind in kinds.values()
    )


def test_struct_and_pymodbus_agree_on_word_order() -> None:
    words = struct.pack(">f", 1234.5)

    assert take_rtu(crc(b"\x01\x04\x04" + words)) == words
