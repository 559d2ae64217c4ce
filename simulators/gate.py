"""A listening port whose connections can all be ended at once: the front of both proxies."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Final

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset instead of a farewell."""


def reset(connection: socket.socket) -> None:
    """Close a connection with a reset, as a crashed peer does; a thread that reads it wakes up."""
    with contextlib.suppress(OSError):  # already closed
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with contextlib.suppress(OSError):  # reset by the other side first
        connection.shutdown(socket.SHUT_RD)  # RD: a farewell must not go out before the reset
    connection.close()


class Gate:
    """Lets clients in on loopback, each into a thread of its own, and knows every open connection.

    Args:
        converse: Serves one client; returns when it is over. It holds connections with `keep` and ends them
            with `drop`.
        port: Port to listen on; 0 lets the system choose, and `address` keeps it from then on.
    """

    def __init__(self, converse: Callable[[socket.socket], None], port: int = 0) -> None:
        self._converse = converse
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._barred = False
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self.address = ("127.0.0.1", port)
        self.listen()

    def listen(self) -> None:
        """Let clients in (again). Doing it twice is doing it once."""
        if self._listener is not None:
            return
        listener = socket.create_server(self.address)
        self.address = ("127.0.0.1", int(listener.getsockname()[1]))
        self._listener = listener
        with self._lock:
            self._barred = False
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="gate", daemon=True)
        self._acceptor.start()

    def refuse(self) -> None:
        """Refuse new connections and end the open ones, as a program that is not running."""
        with self._lock:
            self._barred = True
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):  # not connected, says the system, and wakes accept all the same
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if self._acceptor is not None:
            self._acceptor.join()
            self._acceptor = None
        self.end_all()

    def end_all(self) -> None:
        """Reset every open connection."""
        with self._lock:
            ending, self._open = self._open, set()
        for connection in ending:
            reset(connection)

    def keep(self, connection: socket.socket) -> bool:
        """Note a connection as open.

        Returns:
            False, and the connection is reset, when nobody may come in any more.
        """
        with self._lock:
            if not self._barred:
                self._open.add(connection)
                return True
        reset(connection)
        return False

    def drop(self, connection: socket.socket) -> None:
        """End one connection with a reset. Doing it twice is doing it once."""
        with self._lock:
            self._open.discard(connection)
        reset(connection)

    def leave(self, connection: socket.socket) -> None:
        """End one connection politely, so that what was written still arrives."""
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.keep(client):
                threading.Thread(target=self._converse, args=(client,), name="proxied", daemon=True).start()
