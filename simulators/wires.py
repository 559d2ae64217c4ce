"""The two wires of a meter: a listening TCP port and a pseudo-terminal with a stable name.

A wire gives its readable descriptors, turns what comes into requests and sends bytes back on the
channel that asked. It holds no thread: `serving.Server` waits for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import socket
import struct
import termios
import time
import tty
from pathlib import Path
from typing import Final, Protocol

from simulators.frames import Request, take_rtu, take_tcp

_CHUNK: Final = 4_096
_FRAME_GAP_S: Final = 0.1
"""Bytes of one frame that come further apart than this belong to two attempts (a master that gave up)."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset instead of a farewell."""


class Channel(Protocol):
    """Where the reply to a request goes."""

    def send(self, data: bytes) -> None:
        """Put bytes on the wire; those for a client that has gone are lost, as on a real one."""

    def hang_up(self) -> None:
        """Break the connection, where the wire has connections."""


class Wire(Protocol):
    """What a server needs of a wire."""

    def descriptors(self) -> list[int]:
        """Give the file descriptors to wait on."""

    def receive(self, descriptor: int) -> list[tuple[Channel, Request]]:
        """Read a descriptor that is ready.

        Returns:
            The whole requests that came, each with the channel to answer on.
        """

    def close(self) -> None:
        """Release the port or the terminal."""


class TcpWire:
    """A Modbus TCP port on loopback.

    Args:
        host: Address to listen on.
        port: Port, or 0 to let the system choose (`address` says which).

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = socket.create_server((host, port))
        self._listener.settimeout(0)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._connections: dict[int, _Connection] = {}

    def descriptors(self) -> list[int]:
        """Give the listener's descriptor and those of the connections."""
        return [self._listener.fileno(), *self._connections]

    def receive(self, descriptor: int) -> list[tuple[Channel, Request]]:
        """Accept a client, or read what one sent."""
        if descriptor == self._listener.fileno():
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):  # it left before it was let in
                accepted, _ = self._listener.accept()
                accepted.settimeout(0)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[accepted.fileno()] = _Connection(accepted, self._connections)
            return []
        connection = self._connections.get(descriptor)
        if connection is None:
            return []
        data = connection.read()
        if data is None:
            return []
        if not data:
            connection.hang_up()
            return []
        connection.buffer += data
        return [(connection, request) for request in take_tcp(connection.buffer)]

    def reset_connections(self) -> None:
        """Break every connection as a gateway does that is switched off and on."""
        for connection in list(self._connections.values()):
            connection.hang_up()

    def close(self) -> None:
        """Stop listening and break the connections."""
        self.reset_connections()
        self._listener.close()


class _Connection:
    """One client of a TCP wire; it leaves the wire's table when it ends, since its number is given out again."""

    def __init__(self, accepted: socket.socket, table: dict[int, _Connection]) -> None:
        self._socket = accepted
        self._number = accepted.fileno()
        self._table = table
        self.buffer = bytearray()

    def read(self) -> bytes | None:
        try:
            return self._socket.recv(_CHUNK)
        except BlockingIOError:  # nothing after all
            return None
        except OSError:  # reset by the client
            return b""

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has gone: its answer is lost, as on a real wire
            self._socket.sendall(data)

    def hang_up(self) -> None:
        if self._table.get(self._number) is self:
            del self._table[self._number]
        with contextlib.suppress(OSError):  # already closed
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()


class PtyWire:
    """A serial line: a pseudo-terminal behind a symbolic link that never changes.

    Clients open, close and reopen the link as they like. `unplug` takes the device away as pulling an
    adapter does (its users get EIO), `replug` brings a new one behind the same link.

    Args:
        link: Path of the link to make. A dead link of an earlier run is replaced.

    Raises:
        FileExistsError: Something that is not a link stands at that path.
    """

    def __init__(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise FileExistsError(f"{link} is a file: the link to the serial line needs a path of its own")
        self.link = link
        self._buffer = bytearray()
        self._heard = 0.0
        self._ends: tuple[int, int] | None = None
        self.replug()

    @property
    def plugged(self) -> bool:
        """Whether the device is there."""
        return self._ends is not None

    def descriptors(self) -> list[int]:
        """Give the master's descriptor, or nothing while unplugged."""
        return [] if self._ends is None else [self._ends[0]]

    def receive(self, descriptor: int) -> list[tuple[Channel, Request]]:
        """Read what the master of the line sent."""
        try:
            data = os.read(descriptor, _CHUNK)
        except OSError as error:
            if error.errno in {errno.EIO, errno.EBADF, errno.EAGAIN}:  # unplugged meanwhile, or nothing after all
                return []
            raise
        now = time.monotonic()
        if now - self._heard > _FRAME_GAP_S:
            self._buffer.clear()
        self._heard = now
        self._buffer += data
        return [(self, request) for request in take_rtu(self._buffer)]

    def send(self, data: bytes) -> None:
        """Put bytes on the line; nobody listening, or a full terminal, loses them as a real line does."""
        if self._ends is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._ends[0], data)

    def hang_up(self) -> None:
        """Do nothing: a serial line has no connection to break."""

    def unplug(self) -> None:
        """Take the device away. Doing it twice is doing it once."""
        if self._ends is None:
            return
        ends, self._ends = self._ends, None
        self.link.unlink(missing_ok=True)
        for end in ends:
            os.close(end)

    def replug(self) -> None:
        """Bring a new device behind the same link. Doing it twice is doing it once."""
        if self._ends is not None:
            return
        # Our own end of the slave side stays open: else the master would read EIO whenever no client is there.
        master, slave = pty.openpty()
        tty.setraw(slave, termios.TCSANOW)
        os.set_blocking(master, False)
        self._ends = (master, slave)
        self._buffer.clear()
        self.link.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.link.with_name(self.link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(self.link)  # one step: nobody ever sees a half-made link

    def close(self) -> None:
        """Remove the link and the terminal."""
        self.unplug()
