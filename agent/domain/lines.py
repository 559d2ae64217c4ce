"""Where a meter is reached."""

from __future__ import annotations

from dataclasses import dataclass

MODBUS_PORT = 502


@dataclass(frozen=True, slots=True)
class TcpLine:
    """Modbus over a network.

    Attributes:
        host: name or address.
        port: TCP port.
        rtu_frames: whether a simple gateway passes RTU frames through.
    """

    host: str
    port: int = MODBUS_PORT
    rtu_frames: bool = False

    @property
    def place(self) -> str:
        """What two meters share when they share this line."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The line as the configuration has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rtu-over-tcp' if self.rtu_frames else 'tcp'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialLine:
    """Modbus RTU on a serial device.

    Attributes:
        device: absolute path, best one that stays (``/dev/serial/by-id/...``).
        baud: bits a second.
        parity: ``N``, ``E`` or ``O``.
        stop: stop bits.
    """

    device: str
    baud: int = 9600
    parity: str = "N"
    stop: int = 1

    @property
    def place(self) -> str:
        """What two meters share when they share this line."""
        return self.device

    @property
    def url(self) -> str:
        """The line as the configuration has it."""
        return f"rtu://{self.device}?baud={self.baud}&parity={self.parity}&stop={self.stop}"


Line = TcpLine | SerialLine
