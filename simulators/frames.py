"""Modbus frames as bytes: requests taken apart, replies put together, for TCP and RTU.

Source: "MODBUS Application Protocol Specification V1.1b3" and "MODBUS over Serial Line V1.02" (modbus.org).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

READ_HOLDING: Final = 3
READ_INPUT: Final = 4
WRITE_MULTIPLE: Final = 16

_FIXED_REQUESTS: Final = frozenset({1, 2, 3, 4, 5, 6})
"""Functions whose RTU request always takes 8 bytes: unit, function, two words, CRC."""
_COUNTED_REQUESTS: Final = frozenset({15, WRITE_MULTIPLE})
_FIXED_LENGTH: Final = 8
_HEADER: Final = struct.Struct(">HHHB")
_MAX_TCP_LENGTH: Final = 254


class Framing(StrEnum):
    """How a request and its reply are wrapped."""

    TCP = "tcp"
    RTU = "rtu"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over a wire.

    Attributes:
        framing: How it was wrapped; its reply is wrapped the same way.
        unit: The unit (slave) asked.
        pdu: Function code and its data.
        transaction: The TCP transaction number; 0 on RTU.
    """

    framing: Framing
    unit: int
    pdu: bytes
    transaction: int = 0

    @property
    def function(self) -> int:
        """The function code."""
        return self.pdu[0]

    @property
    def address(self) -> int:
        """First register of a read (0 where the request is too short to hold one)."""
        return int.from_bytes(self.pdu[1:3], "big")

    @property
    def count(self) -> int:
        """Number of registers of a read (0 where the request is too short to hold one)."""
        return int.from_bytes(self.pdu[3:5], "big")

    def frame(self, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        """Wrap a reply to this request.

        Args:
            pdu: The reply's function code and data.
            unit: Another unit than the one asked, to be wrong on purpose.
            transaction: Another transaction number (TCP), to be wrong on purpose.

        Returns:
            The bytes to put on the wire.
        """
        unit = self.unit if unit is None else unit
        if self.framing is Framing.RTU:
            return rtu_frame(unit, pdu)
        transaction = self.transaction if transaction is None else transaction
        return tcp_frame(transaction, unit, pdu)

    def at(self, address: int) -> Request:
        """Give the same request for another first register."""
        return replace(self, pdu=self.pdu[:1] + address.to_bytes(2, "big") + self.pdu[3:])


def crc16(data: bytes) -> bytes:
    """Give the two CRC bytes of an RTU frame, in the order of the wire (low byte first)."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """Wrap a PDU for a serial line."""
    body = bytes((unit,)) + pdu
    return body + crc16(body)


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Wrap a PDU for TCP."""
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def words_pdu(function: int, words: Sequence[int]) -> bytes:
    """Put registers into the reply to a read."""
    return bytes((function, 2 * len(words))) + struct.pack(f">{len(words)}H", *words)


def exception_pdu(function: int, code: int) -> bytes:
    """Make the reply that refuses a request with a code."""
    return bytes((function | 0x80, code))


def take_tcp(buffer: bytearray) -> list[Request]:
    """Take the whole requests off the front of a TCP stream's buffer.

    Args:
        buffer: What has come; what was taken is removed. A header that is not Modbus empties it.

    Returns:
        The requests in order.
    """
    taken = []
    while len(buffer) >= _HEADER.size:
        transaction, protocol, length, unit = _HEADER.unpack_from(buffer)
        if protocol != 0 or not 1 < length <= _MAX_TCP_LENGTH:
            buffer.clear()
            break
        end = _HEADER.size - 1 + length
        if len(buffer) < end:
            break
        taken.append(Request(Framing.TCP, unit, bytes(buffer[_HEADER.size : end]), transaction))
        del buffer[:end]
    return taken


def take_rtu(buffer: bytearray) -> list[Request]:
    """Take the whole requests off the front of a serial line's buffer.

    A slave says nothing to a frame with a wrong CRC, so such bytes are dropped without a request.

    Args:
        buffer: What has come since the last silence; what was taken is removed.

    Returns:
        The requests in order.
    """
    taken = []
    while len(buffer) > 1:
        length = _rtu_length(buffer)
        if length is None or len(buffer) < length:
            break
        body, crc = bytes(buffer[: length - 2]), bytes(buffer[length - 2 : length])
        if crc16(body) != crc:
            buffer.clear()
            break
        taken.append(Request(Framing.RTU, body[0], body[1:]))
        del buffer[:length]
    return taken


def _rtu_length(buffer: bytearray) -> int | None:
    function = buffer[1]
    if function in _FIXED_REQUESTS:
        return _FIXED_LENGTH
    if function in _COUNTED_REQUESTS:
        return None if len(buffer) < _FIXED_LENGTH - 1 else 9 + buffer[6]
    # A function this simulator does not know has no known length: what has come so far is the frame.
    return len(buffer)
