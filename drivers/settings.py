"""How a line is described."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ETHERNET_PORT = 502
_FASTEST_COUNTED_BAUD = 19200
_CHARACTERS_OF_SILENCE = 3.5
# Above 19200 baud the specification fixes the silence, since 3.5 characters would be too short to time.
_FAST_SILENCE_S = 0.00175


class Framing(StrEnum):
    """What a TCP connection carries: Modbus TCP, or RTU frames that a simple gateway passes through."""

    TCP = "tcp"
    RTU_OVER_TCP = "rtu-over-tcp"


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """A Modbus TCP meter or gateway.

    Attributes:
        host: address, or a name; looking up a name has no deadline of its own, so an address is the safer choice.
        port: TCP port.
        framing: what the connection carries.
        connect_timeout_s: deadline for a connection, in seconds.
        quiet_s: silence that ends a drain on RTU over TCP, in seconds.
    """

    host: str
    port: int = ETHERNET_PORT
    framing: Framing = Framing.TCP
    connect_timeout_s: float = 1.5
    quiet_s: float = 0.02

    @property
    def place(self) -> str:
        """What two meters share when they share this line."""
        return f"{self.host}:{self.port}"

    @property
    def character_s(self) -> float:
        """A network's characters cost nothing worth planning for."""
        return 0.0

    @property
    def frame_gap_s(self) -> float:
        """A network has no silence between frames."""
        return 0.0

    def __str__(self) -> str:
        return f"{self.place} ({self.framing.value})"


@dataclass(frozen=True, slots=True)
class RtuSettings:
    """An RS-485 line behind a serial device.

    Attributes:
        device: path, best one that stays: `/dev/serial/by-id/...` or `/dev/serial/by-path/...`.
        baud: bits a second.
        parity: `N`, `E` or `O`.
        stop: stop bits, 1 or 2.
        quiet_s: silence that ends a drain, in seconds. The default outlasts the 16 ms for which common USB
            adapters hold back a few received bytes.
    """

    device: str
    baud: int = 9600
    parity: str = "N"
    stop: int = 1
    quiet_s: float = 0.02

    @property
    def place(self) -> str:
        """What two meters share when they share this line."""
        return self.device

    @property
    def character_s(self) -> float:
        """Time of one character on the wire in seconds: start, 8 data, parity and stop bits."""
        return (1 + 8 + (self.parity != "N") + self.stop) / self.baud

    @property
    def frame_gap_s(self) -> float:
        """Silence between frames (t3.5) in seconds."""
        if self.baud > _FASTEST_COUNTED_BAUD:
            return _FAST_SILENCE_S
        return _CHARACTERS_OF_SILENCE * self.character_s

    def __str__(self) -> str:
        return f"{self.device} ({self.baud} 8{self.parity}{self.stop})"


LineSettings = TcpSettings | RtuSettings
