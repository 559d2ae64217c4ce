"""A line that meters share: one lock, one wire, opened again when it was lost."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from drivers.channel import RtuChannel, TcpChannel, must_reopen
from drivers.errors import LineSetupError, MeterError
from drivers.serial_line import SerialWire
from drivers.settings import Framing, LineSettings, RtuSettings, TcpSettings
from drivers.tcp_line import TcpWire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.channel import Channel, Wire
    from drivers.modbus import Request
    from drivers.pacing import Pace

__all__ = ["Line", "LinePool", "LineSettings", "RtuSettings", "Session", "TcpSettings", "wire_of"]


def wire_of(settings: LineSettings) -> Wire:
    """The wire that settings describe, not yet open."""
    return SerialWire(settings) if isinstance(settings, RtuSettings) else TcpWire(settings)


class Session:
    """The line in one meter's hands, for one cycle.

    Attributes:
        opening: how many times the line was opened; another number means that the meter must be checked anew.
    """

    def __init__(self, channel: Channel, opening: int) -> None:
        self._channel = channel
        self.opening = opening

    def ask(self, request: Request, pace: Pace) -> bytes:
        """Return the registers' words as they came.

        Raises:
            MeterError: no fitting reply came, or an exception did.
        """
        return self._channel.exchange(request, pace)


class Line:
    """A serial device or a TCP connection, used by one meter at a time."""

    def __init__(self, settings: LineSettings, wire: Wire | None = None) -> None:
        self.settings = settings
        self._wire = wire or wire_of(settings)
        rtu = isinstance(settings, RtuSettings) or settings.framing is Framing.RTU_OVER_TCP
        self._channel: Channel = (RtuChannel if rtu else TcpChannel)(self._wire, settings)
        self._lock = Lock()
        self._openings = 0
        self._users = 0
        self._unanswered: dict[int, dict[tuple[int, int], float]] = {}

    def __str__(self) -> str:
        return str(self.settings)

    @contextmanager
    def session(self, pace: Pace) -> Iterator[Session]:
        """Hold the line for one cycle; open it first where it is closed.

        Another meter's cycle is waited for: it takes one timeout at the most when that meter is dead.

        Args:
            pace: of the meter that asks; bounds how long a noisy line may take to become silent.

        Raises:
            MeterError: the line cannot be opened, or does not become silent.
        """
        with self._lock:
            try:
                if not self._wire.is_open:
                    self._wire.open()
                    self._openings += 1
                self._channel.begin(pace)
                yield Session(self._channel, self._openings)
            except MeterError as error:
                if must_reopen(error, self._wire):
                    self._wire.close()
                raise

    def unanswered(self, unit: int) -> dict[tuple[int, int], float]:
        """Shapes of requests to a unit whose replies may still come, with the moment they were given up.

        They belong to the line and not to a meter: one physical meter may be read as two, for both of its
        counters. Only whoever holds a session may look at them or change them.
        """
        return self._unanswered.setdefault(unit, {})

    def join(self) -> None:
        """Count one more meter on this line."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """Count one meter less; the last one closes the wire."""
        with self._lock:
            self._users = max(0, self._users - 1)
            if not self._users:
                self._wire.close()


class LinePool:
    """Hands the same line to every meter on it: one lock for each serial device and each host and port."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._lock = Lock()

    def line(self, settings: LineSettings) -> Line:
        """The line at that place.

        Raises:
            LineSetupError: another meter uses the same device with other settings.
        """
        with self._lock:
            line = self._lines.setdefault(settings.place, Line(settings))
        if line.settings != settings:
            raise LineSetupError(
                f"line {settings}: another meter uses it as {line.settings}; meters on one line need the same settings"
            )
        return line
