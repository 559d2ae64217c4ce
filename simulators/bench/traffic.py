"""Counts what passes between the agent and a full node."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from simulators.gate import Gate

_CHUNK: Final = 65_536
_CONNECT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of TCP's payload, HTTP headers included.

    Attributes:
        up: To the full node.
        down: From it.
        requests: How many HTTP requests went up.
    """

    up: int = 0
    down: int = 0
    requests: int = 0

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(self.up - other.up, self.down - other.down, self.requests - other.requests)


class CountingProxy:
    """Passes connections to one full node and counts. Use it as a context manager.

    Args:
        upstream: Host and port of the full node.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._lock = threading.Lock()
        self._passed = Traffic()
        self._gate = Gate(self._join)

    @property
    def url(self) -> str:
        """What to give to a client."""
        host, port = self._gate.address
        return f"http://{host}:{port}"

    def passed(self) -> Traffic:
        """What has passed since the start."""
        with self._lock:
            return self._passed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.refuse()

    def _join(self, client: socket.socket) -> None:
        try:
            upstream = socket.create_connection(self._upstream, _CONNECT_S)
        except OSError:  # the node is down, and the client learns it as it would without us
            self._gate.drop(client)
            return
        upstream.settimeout(None)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._gate.keep(upstream):
            self._gate.drop(client)
            return
        threading.Thread(target=self._pump, args=(upstream, client), kwargs={"up": False}, daemon=True).start()
        self._pump(client, upstream, up=True)

    def _pump(self, source: socket.socket, sink: socket.socket, *, up: bool) -> None:
        try:
            while data := source.recv(_CHUNK):
                self._count(data, up=up)
                sink.sendall(data)
        except OSError:  # one side has gone: so has the other, below
            pass
        self._gate.drop(source)
        self._gate.drop(sink)

    def _count(self, data: bytes, *, up: bool) -> None:
        with self._lock:
            was = self._passed
            if up:
                # A client writes the head of a request at once, so that its first word begins a chunk.
                self._passed = Traffic(was.up + len(data), was.down, was.requests + data.startswith(b"POST "))
            else:
                self._passed = Traffic(was.up, was.down + len(data), was.requests)
