"""A TCP proxy that can fail in the ways networks do, for any protocol (brokers, gateways)."""

from __future__ import annotations

import socket
import threading
import time
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from simulators.gate import Gate

_CHUNK: Final = 16_384
_CONNECT_S: Final = 2.0


class StreamMode(StrEnum):
    """What the proxy does with bytes. A change holds for open connections too."""

    PASS = "pass"  # noqa: S105 - a mode's name, no password
    BLACKHOLE = "blackhole"
    """Connections stay open and are accepted; every byte of both directions is swallowed."""
    SLOW = "slow"
    """Each chunk waits `delay_s` before it goes on."""
    DROP_REPLY = "drop-reply"
    """What the client sends arrives; what comes back is swallowed."""
    RESET = "reset"
    """Open connections are reset, and each new one too."""
    HALF_OPEN = "half-open"
    """Nothing is read any more and nobody is let in, yet nothing is closed: the peer's power is gone."""
    REFUSE = "refuse"
    """Open connections end, and new ones are refused: the program is not running."""


class StreamProxy:
    """Passes connections to one upstream address and fails on request.

    Args:
        upstream: Host and port to connect to.
        port: Port to listen on; 0 lets the system choose.
        delay_s: What `SLOW` waits.
    """

    def __init__(self, upstream: tuple[str, int], port: int = 0, delay_s: float = 0.5) -> None:
        self.upstream = upstream
        self.delay_s = delay_s
        self._mode = StreamMode.PASS
        self._changed = threading.Condition()
        self._closing = False
        self._gate = Gate(self._join, port)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to; the same for the proxy's whole life."""
        return self._gate.address

    @property
    def mode(self) -> StreamMode:
        """What it does now."""
        return self._mode

    def set_mode(self, mode: StreamMode, delay_s: float | None = None) -> None:
        """Change what it does, from any thread, for open connections too.

        Args:
            mode: What to do.
            delay_s: What `SLOW` waits; unchanged where it is left out.
        """
        with self._changed:
            self._mode = mode
            self.delay_s = self.delay_s if delay_s is None else delay_s
            self._changed.notify_all()
        if mode is StreamMode.REFUSE:
            self._gate.refuse()
            return
        self._gate.listen()
        if mode is StreamMode.RESET:
            self._gate.end_all()

    def close(self) -> None:
        """Stop listening and end every connection."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._gate.refuse()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _join(self, client: socket.socket) -> None:
        if not self._await_leave() or self._mode is StreamMode.RESET:
            self._gate.drop(client)
            return
        try:
            upstream = socket.create_connection(self.upstream, _CONNECT_S)
        except OSError:  # the upstream is down, and the client learns it as it would without us
            self._gate.drop(client)
            return
        upstream.settimeout(None)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._gate.keep(upstream):
            self._gate.drop(client)
            return
        threading.Thread(
            target=self._pump, args=(upstream, client), kwargs={"reply": True}, name="back", daemon=True
        ).start()
        self._pump(client, upstream, reply=False)

    def _await_leave(self) -> bool:
        """Wait while nothing may be read; False when the proxy closes."""
        with self._changed:
            while self._mode is StreamMode.HALF_OPEN and not self._closing:
                self._changed.wait()
            return not self._closing

    def _pump(self, source: socket.socket, sink: socket.socket, *, reply: bool) -> None:
        try:
            while data := source.recv(_CHUNK):
                if not self._await_leave():
                    break
                mode = self._mode
                if mode is StreamMode.BLACKHOLE or (mode is StreamMode.DROP_REPLY and reply):
                    continue
                if mode is StreamMode.SLOW:
                    time.sleep(self.delay_s)
                sink.sendall(data)
        except OSError:  # one side has gone: so has the other, below
            pass
        self._gate.drop(source)
        self._gate.drop(sink)
