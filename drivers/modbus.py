"""Modbus frames, and what a reply must satisfy to be ours.

pymodbus builds and decodes the frames. Its client is not used: it takes a reply for the answer to whatever
was asked last, so a late, short or foreign frame becomes a value. Here a frame is looked at before it is
decoded, and nothing is searched for inside garbage.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymodbus import exceptions as pymodbus_exceptions
from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.exceptionresponse import ExceptionResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.errors import (
    ConfigurationError,
    GarbledReplyError,
    GatewayError,
    LineLostError,
    MeterBusyError,
    MeterError,
    RefusedRequestError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDING, INPUT = 3, 4
RTU_HEAD = 5  # unit, function, byte count or exception code, and as much as the shortest frame has
MBAP_HEAD = 6  # transaction, protocol, length
_RTU_ENVELOPE = 5  # unit, function, byte count, two of CRC
_EXCEPTION_FLAG = 0x80
_SHORTEST_MBAP_BODY, _LONGEST_MBAP_BODY = 3, 254  # unit and the smallest and largest PDU

_DECODER = DecodePDU(is_server=False)
_RTU = FramerRTU(_DECODER)
_MBAP = FramerSocket(_DECODER)
_REQUESTS = {HOLDING: ReadHoldingRegistersRequest, INPUT: ReadInputRegistersRequest}
_SPACES = {HOLDING: "holding registers", INPUT: "input registers"}

# Subclasses first: the first match decides.
PYMODBUS_ERRORS: tuple[tuple[type[Exception], type[MeterError]], ...] = (
    (pymodbus_exceptions.ConnectionException, LineLostError),
    (pymodbus_exceptions.ModbusIOException, GarbledReplyError),
    (pymodbus_exceptions.ParameterException, ConfigurationError),
    (pymodbus_exceptions.NoSuchIdException, ConfigurationError),
    (pymodbus_exceptions.NotImplementedException, ConfigurationError),
    (pymodbus_exceptions.MessageRegisterException, ConfigurationError),
    (pymodbus_exceptions.ModbusException, GarbledReplyError),
    (ValueError, ConfigurationError),  # an address or a count that no request can carry
)
_EDGE = tuple(library for library, _ in PYMODBUS_ERRORS)

_REFUSALS = {
    1: "it does not know this function",
    2: "it has no such registers: is this the right profile for this meter?",
    3: "it does not give so many registers at once: lower max_registers in the profile",
}
_BUSY = {4: "its device failed", 5: "it needs time (acknowledge)", 6: "it is busy", 8: "memory parity error"}
_GATEWAY = {10: "the gateway has no path to the meter", 11: "the gateway heard nothing from the meter"}


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one meter.

    Attributes:
        meter: the meter's label, for messages.
        unit: Modbus unit number.
        function: 3 or 4.
        address: first wire address, counted from 0.
        count: number of registers.
    """

    meter: str
    unit: int
    function: int
    address: int
    count: int

    @property
    def shape(self) -> tuple[int, int]:
        """All that an RTU reply tells about the request it belongs to."""
        return (self.function, self.count)

    @property
    def reply_bytes(self) -> int:
        """Length of a good RTU reply."""
        return _RTU_ENVELOPE + 2 * self.count

    def __str__(self) -> str:
        space = _SPACES.get(self.function, f"function {self.function}")
        return f"{self.meter} unit {self.unit}, {space} 0x{self.address:04X}+{self.count}"


def mapped(error: Exception, request: Request) -> MeterError:
    """Turn an error of pymodbus into one of ours.

    Args:
        error: an instance of one of the types in `PYMODBUS_ERRORS`.
        request: what was asked, named in the message.
    """
    ours = next(kind for library, kind in PYMODBUS_ERRORS if isinstance(error, library))
    return ours(f"{request}: {error}")


@contextmanager
def _pymodbus(request: Request) -> Iterator[None]:
    try:
        yield
    except _EDGE as error:
        raise mapped(error, request) from error


def rtu_request(request: Request) -> bytes:
    """Frame a request for an RTU line.

    Raises:
        ConfigurationError: no request can carry that unit, address or count.
    """
    with _pymodbus(request):
        return _RTU.buildFrame(_pdu(request))


def tcp_request(request: Request, transaction: int) -> bytes:
    """Frame a request for Modbus TCP.

    Raises:
        ConfigurationError: no request can carry that unit, address or count.
    """
    with _pymodbus(request):
        pdu = _pdu(request)
        pdu.transaction_id = transaction
        return _MBAP.buildFrame(pdu)


def _pdu(request: Request) -> ReadHoldingRegistersRequest:
    kind = _REQUESTS.get(request.function)
    if kind is None:
        raise ConfigurationError(f"{request}: only functions 3 and 4 read registers")
    return kind(dev_id=request.unit, address=request.address, count=request.count)


def rtu_reply_length(head: bytes, request: Request) -> int:
    """Decide from the first bytes how long the frame is, or that it is not ours.

    Args:
        head: the first `RTU_HEAD` bytes.
        request: what was asked.

    Raises:
        GarbledReplyError: unit, function or byte count do not fit the request.
    """
    unit, function, third = head[0], head[1], head[2]
    if unit == request.unit and function == request.function | _EXCEPTION_FLAG:
        return RTU_HEAD
    if third != 2 * request.count and rtu_request(request).startswith(head):
        raise GarbledReplyError(f"{request}: our own request came back: switch off the adapter's local echo")
    _fits(unit, function, third, request)
    return request.reply_bytes


def rtu_reply(frame: bytes, request: Request) -> bytes:
    """Check a whole RTU frame and return its registers.

    Raises:
        GarbledReplyError: the CRC is wrong.
        MeterError: the meter answered with an exception.
    """
    body, check = frame[:-2], frame[-2:]
    if not FramerRTU.check_CRC(body, int.from_bytes(check, "big")):
        right = FramerRTU.compute_CRC(body)
        raise GarbledReplyError(f"{request}: CRC is {check.hex()}, right is {right:04x}: a disturbed line")
    return _registers(body[1:], request)


def mbap_body_length(head: bytes, request: Request) -> int:
    """Read how many bytes follow a Modbus TCP header.

    Raises:
        GarbledReplyError: this is not a Modbus TCP header.
    """
    protocol, length = int.from_bytes(head[2:4], "big"), int.from_bytes(head[4:6], "big")
    if protocol or not _SHORTEST_MBAP_BODY <= length <= _LONGEST_MBAP_BODY:
        raise GarbledReplyError(
            f"{request}: got {head.hex()}, which is no Modbus TCP header; "
            "if the gateway passes RTU frames through, set rtu-over-tcp"
        )
    return length


def mbap_transaction(head: bytes) -> int:
    """Read the transaction number of a Modbus TCP header."""
    return int.from_bytes(head[:2], "big")


def tcp_reply(body: bytes, request: Request) -> bytes:
    """Check the unit and PDU that followed a Modbus TCP header and return the registers.

    Raises:
        GarbledReplyError: unit, function or byte count do not fit the request.
        MeterError: the meter or gateway answered with an exception.
    """
    unit, function, third = body[0], body[1], body[2]
    wanted = _SHORTEST_MBAP_BODY
    if unit != request.unit or function != request.function | _EXCEPTION_FLAG:
        _fits(unit, function, third, request)
        wanted += 2 * request.count
    if len(body) != wanted:
        raise GarbledReplyError(f"{request}: the frame has {len(body)} bytes, expected {wanted}")
    return _registers(body[1:], request)


def _fits(unit: int, function: int, byte_count: int, request: Request) -> None:
    if unit != request.unit:
        raise GarbledReplyError(f"{request}: a frame of unit {unit} came instead")
    if function != request.function:
        raise GarbledReplyError(f"{request}: a frame of function {function} came instead")
    if byte_count != 2 * request.count:
        raise GarbledReplyError(f"{request}: {byte_count} bytes of data came, expected {2 * request.count}")


def _registers(pdu: bytes, request: Request) -> bytes:
    """Decode a checked PDU; return the register words as they came."""
    with _pymodbus(request):
        decoded = _DECODER.decode(pdu)
    if decoded is None:
        raise GarbledReplyError(f"{request}: {pdu.hex()} cannot be decoded")
    if isinstance(decoded, ExceptionResponse):
        raise answered_exception(decoded.exception_code, request)
    if len(decoded.registers) != request.count:
        raise GarbledReplyError(f"{request}: {len(decoded.registers)} registers came, expected {request.count}")
    return pdu[2:]


def answered_exception(code: int, request: Request) -> MeterError:
    """The error that stands for a Modbus exception code."""
    if code in _REFUSALS:
        return RefusedRequestError(f"{request}: exception {code}: {_REFUSALS[code]}", code)
    if code in _BUSY:
        return MeterBusyError(f"{request}: exception {code}: {_BUSY[code]}")
    if code in _GATEWAY:
        return GatewayError(f"{request}: exception {code}: {_GATEWAY[code]}")
    return GarbledReplyError(f"{request}: exception {code}, which Modbus does not define")
