"""A TCP connection as a wire, with a deadline on everything."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

from drivers.errors import LineLostError, LineSetupError, MeterError

if TYPE_CHECKING:
    from drivers.settings import TcpSettings

SEND_TIMEOUT_S = 1.0  # twelve bytes into an empty socket buffer; only a dead connection takes longer

# `TimeoutError`, `socket.gaierror`, `ConnectionError` and `UnicodeError` (a host name that IDNA cannot
# encode) are what `socket` raises; a port outside 0 to 65535 is an OverflowError.
SOCKET_ERRORS: tuple[tuple[type[Exception], type[MeterError]], ...] = (
    (OSError, LineLostError),
    (UnicodeError, LineSetupError),
    (OverflowError, LineSetupError),
)
_EDGE = tuple(library for library, _ in SOCKET_ERRORS)

_ADVICE = {
    errno.ECONNREFUSED: "nothing listens on that port: check address and port, and that Modbus TCP is on",
    errno.EHOSTUNREACH: "no way to that address: check the network",
    errno.ENETUNREACH: "no way to that network: check the network",
    errno.ECONNRESET: "the other side closed the connection; some gateways allow only one client",
    errno.EPIPE: "the other side closed the connection; some gateways allow only one client",
}


def mapped(error: Exception, settings: TcpSettings, doing: str) -> MeterError:
    """Turn an error of the socket layer into one of ours.

    Args:
        error: an instance of one of the types in `SOCKET_ERRORS`.
        settings: the line, named in the message.
        doing: what was being done, for the message.
    """
    ours = next(kind for library, kind in SOCKET_ERRORS if isinstance(error, library))
    if isinstance(error, TimeoutError):
        advice = "no answer in time: is the device on, and the address right?"
    else:
        advice = _ADVICE.get(getattr(error, "errno", None) or 0, str(error) or type(error).__name__)
    return ours(f"line {settings}: {doing} failed: {advice}")


class TcpWire:
    """Bytes to and from one TCP connection."""

    # A silent peer may be a half-open connection, which only a new one can tell apart from a slow meter.
    reopen_on_silence = True

    def __init__(self, settings: TcpSettings) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection as far as we know."""
        return self._socket is not None

    def open(self) -> None:
        """Connect within the settings' deadline.

        Raises:
            LineLostError: no connection came about.
            LineSetupError: host or port cannot be right.
        """
        settings = self._settings
        try:
            connection = socket.create_connection((settings.host, settings.port), timeout=settings.connect_timeout_s)
        except _EDGE as error:
            raise mapped(error, settings, "connecting") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection

    def close(self) -> None:
        """Close the connection; harmless when it is closed."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def send(self, data: bytes) -> None:
        """Hand bytes to the connection.

        Raises:
            LineLostError: the connection is gone.
        """
        connection = self._opened()
        try:
            connection.settimeout(SEND_TIMEOUT_S)
            connection.sendall(data)
        except _EDGE as error:
            raise mapped(error, self._settings, "sending") from error

    def receive(self, limit: int, until: float) -> bytes:
        """Wait for bytes until a moment of `time.monotonic`, and return what came, at most `limit`.

        Raises:
            LineLostError: the connection is gone.
        """
        connection = self._opened()
        try:
            connection.settimeout(max(0.0, until - time.monotonic()))
            data = connection.recv(limit)
        except (TimeoutError, BlockingIOError):
            return b""
        except _EDGE as error:
            raise mapped(error, self._settings, "receiving") from error
        if not data:
            raise mapped(OSError(errno.ECONNRESET, "end of file"), self._settings, "receiving")
        return data

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise mapped(OSError(errno.ENOTCONN, "not connected"), self._settings, "use")
        return self._socket
