"""A serial device as a wire: pyserial sets it up, reads wait in poll and never spin."""

from __future__ import annotations

import errno
import os
import select
import termios
import time
from typing import TYPE_CHECKING

import serial

from drivers.errors import LineLostError, LineSetupError, MeterError

if TYPE_CHECKING:
    from drivers.settings import RtuSettings

WRITE_TIMEOUT_S = 1.0  # eight bytes leave in 70 ms even at 1200 baud; longer means a stuck driver

# Subclasses first: the first match decides. SerialException is an OSError whose errno tells more, when set.
SERIAL_ERRORS: tuple[tuple[type[Exception], type[MeterError]], ...] = (
    (serial.SerialTimeoutException, LineLostError),
    (serial.PortNotOpenError, LineLostError),
    (serial.SerialException, LineLostError),
    (termios.error, LineLostError),
    (OSError, LineLostError),
    (ValueError, LineSetupError),  # an impossible baud rate, parity or number of stop bits
)
_SETUP_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTTY})
_EDGE = tuple(library for library, _ in SERIAL_ERRORS)

_ADVICE = {
    errno.EACCES: "the agent's user may not open it: add it to the group that owns the device",
    errno.EPERM: "the agent's user may not open it: add it to the group that owns the device",
    errno.ENOENT: "no such device: is the adapter plugged in? It is opened again when it is back",
    errno.EAGAIN: "another program holds it: stop that program",
    errno.EBUSY: "another program holds it: stop that program",
    errno.EIO: "the adapter was unplugged; it is opened again when it is back",
    errno.ENOTTY: "this is not a serial device",
    errno.EISDIR: "this is a directory, not a serial device",
}


def mapped(error: Exception, settings: RtuSettings, doing: str) -> MeterError:
    """Turn an error of pyserial or the operating system into one of ours.

    Args:
        error: an instance of one of the types in `SERIAL_ERRORS`.
        settings: the line, named in the message.
        doing: what was being done, for the message.
    """
    code = getattr(error, "errno", None)
    ours = next(kind for library, kind in SERIAL_ERRORS if isinstance(error, library))
    if code in _SETUP_ERRNOS:
        ours = LineSetupError
    advice = _ADVICE.get(code or 0, str(error) or type(error).__name__)
    return ours(f"line {settings}: {doing} failed: {advice}")


class SerialWire:
    """Bytes to and from one serial device, opened by its path at each `open`."""

    reopen_on_silence = False  # a silent meter says nothing about the adapter

    def __init__(self, settings: RtuSettings) -> None:
        self._settings = settings
        self._port: serial.Serial | None = None
        self._poll = select.poll()
        self._descriptor = -1

    @property
    def is_open(self) -> bool:
        """Whether the device is open as far as we know."""
        return self._port is not None

    def open(self) -> None:
        """Open the device; a link in the path is followed anew, since an adapter may return elsewhere.

        Raises:
            LineLostError: it is not there or somebody else holds it.
            LineSetupError: it is forbidden, no serial device, or the settings are impossible for it.
        """
        settings = self._settings
        try:
            port = serial.Serial(
                settings.device,
                settings.baud,
                parity=settings.parity,
                stopbits=settings.stop,
                timeout=0,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=True,  # a second master on the same adapter mixes up replies
            )
        except _EDGE as error:
            raise mapped(error, settings, "opening") from error
        self._port = port
        self._descriptor = port.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def close(self) -> None:
        """Close the device; harmless when it is closed."""
        port, self._port = self._port, None
        if port is None:
            return
        try:
            port.close()
        except OSError as error:
            raise mapped(error, self._settings, "closing") from error

    def send(self, data: bytes) -> None:
        """Hand bytes to the device.

        Raises:
            LineLostError: the device is gone.
        """
        try:
            self._opened().write(data)
        except _EDGE as error:
            raise mapped(error, self._settings, "sending") from error

    def receive(self, limit: int, until: float) -> bytes:
        """Wait for bytes until a moment of `time.monotonic`, and return what came, at most `limit`.

        Raises:
            LineLostError: the device is gone.
        """
        self._opened()
        try:
            if not self._poll.poll(max(0.0, until - time.monotonic()) * 1000):
                return b""
            data = os.read(self._descriptor, limit)
        except BlockingIOError:
            return b""  # woken without data: the caller's clock decides whether to come back
        except OSError as error:
            raise mapped(error, self._settings, "receiving") from error
        if not data:  # readable without data is how Linux shows a device that was unplugged
            raise mapped(OSError(errno.EIO, "end of file"), self._settings, "receiving")
        return data

    def _opened(self) -> serial.Serial:
        if self._port is None:
            raise mapped(serial.PortNotOpenError(), self._settings, "use")
        return self._port
