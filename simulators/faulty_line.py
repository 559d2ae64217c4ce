"""A line that stands between a client and a meter and spoils replies, by script or by seeded chance."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from simulators.faults import Fault, Mix, Timing, spoil
from simulators.frames import Framing, Request, crc16, rtu_frame, tcp_frame
from simulators.serving import Emission, Server
from simulators.wires import PtyWire, TcpWire

_CHUNK: Final = 4_096
_EXCEPTION: Final = 0x80
_HEADER: Final = 6
"""Bytes of a TCP header before those that its length field counts."""


class Upstream(Protocol):
    """The meter's end of a faulty line."""

    def ask(self, request: Request) -> bytes | None:
        """Ask the meter.

        Returns:
            The reply as a PDU, None when none came.
        """

    def close(self) -> None:
        """Let go of the meter."""


class TcpUpstream:
    """A meter behind Modbus TCP.

    Args:
        host: Its address.
        port: Its port.
        patience_s: How long to wait for its reply.
    """

    def __init__(self, host: str, port: int, patience_s: float = 1.0) -> None:
        self._address = (host, port)
        self._patience_s = patience_s
        self._socket: socket.socket | None = None

    def ask(self, request: Request) -> bytes | None:
        """Ask over one connection, made again when it has broken."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, self._patience_s)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(tcp_frame(request.transaction, request.unit, request.pdu))
            header = self._exactly(_HEADER)
            body = self._exactly(int.from_bytes(header[4:6], "big"))
        except OSError:  # refused, broken or silent: the client sees silence
            self.close()
            return None
        return body[1:]

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exactly(self, count: int) -> bytes:
        if self._socket is None:
            raise ConnectionError(f"not connected to {self._address}")
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise ConnectionError(f"{self._address} closed after {len(data)} of {count} bytes")
            data += more
        return data


class SerialUpstream:
    """A meter behind a serial device that needs no settings (a pseudo-terminal).

    Args:
        path: The device or a link to it.
        patience_s: How long to wait for its reply.
    """

    def __init__(self, path: Path, patience_s: float = 1.0) -> None:
        self._path = path
        self._patience_s = patience_s
        self._descriptor: int | None = None

    def ask(self, request: Request) -> bytes | None:
        """Ask on the device, opened again when it has gone."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_NOCTTY)
            os.write(self._descriptor, rtu_frame(request.unit, request.pdu))
            return self._reply(self._descriptor, request)
        except OSError:  # unplugged: the client sees silence
            self.close()
            return None

    def close(self) -> None:
        """Close the device."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with contextlib.suppress(OSError):  # unplugged under our feet
                os.close(descriptor)

    def _reply(self, descriptor: int, request: Request) -> bytes | None:
        deadline = time.monotonic() + self._patience_s
        data = b""
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([descriptor], [], [], left)
            if ready:
                data += os.read(descriptor, _CHUNK)
            whole = len(data) > 2 and _reply_length(data)  # noqa: PLR2004 - unit, function, count or code
            if whole and len(data) >= whole:
                body, crc = data[: whole - 2], data[whole - 2 : whole]
                return body[1:] if crc16(body) == crc and body[0] == request.unit else None
        return None


def _reply_length(data: bytes) -> int:
    return 5 if data[1] & _EXCEPTION else data[2] + 5


class FaultyLine:
    """Serves clients on a wire of its own and passes what they ask to a meter.

    What happens to a reply comes from the script while it lasts, then from the mix. Everything may be
    changed from any thread while it runs.

    Args:
        wire: Where clients come in (a `TcpWire` or a `PtyWire`); closed with the line.
        upstream: The meter.
        seed: The same seed and the same requests give the same faults.
        mix: How often each fault comes.
        timing: How long faults take.
    """

    def __init__(
        self,
        wire: TcpWire | PtyWire,
        upstream: Upstream,
        *,
        seed: int = 1,
        mix: Mix | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.wire = wire
        self.counts: collections.Counter[Fault] = collections.Counter()
        self._upstream = upstream
        self._rng = random.Random(seed)  # noqa: S311 - faults by chance, the same again for a seed
        self._lock = threading.Lock()
        self._mix = Mix() if mix is None else mix
        self._timing = Timing() if timing is None else timing
        self._script: collections.deque[Fault] = collections.deque()
        self._half_open = False
        self._server = Server(wire, self._handle, name="faulty line")

    def play(self, faults: Iterable[Fault]) -> None:
        """Put faults into the script, one for each of the next requests."""
        with self._lock:
            self._script.extend(faults)

    def set_mix(self, mix: Mix) -> None:
        """Change how often each fault comes once the script is over."""
        with self._lock:
            self._mix = mix

    def set_half_open(self, *, half_open: bool) -> None:
        """Keep connections and accept new ones, but pass nothing: a gateway that lost its power."""
        with self._lock:
            self._half_open = half_open

    def call(self, task: Callable[[], None]) -> None:
        """Run something on the wire between two requests (`wire.unplug`, `wire.reset_connections`)."""
        self._server.call(task)

    def close(self) -> None:
        """Stop serving and let go of the meter."""
        self._server.close()
        self._upstream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _handle(self, request: Request) -> Iterable[Emission]:
        with self._lock:
            if self._half_open:
                return []
            fault = self._script.popleft() if self._script else self._mix.draw(self._rng)
            self.counts[fault] += 1
        # A silent line asks the meter all the same: the request did reach it.
        reply = self._upstream.ask(request)
        return [] if reply is None else spoil(fault, request, reply, self._rng, self._timing)


def line_to(
    place: dict[str, object],
    link: Path | None = None,
    *,
    seed: int = 1,
    mix: Mix | None = None,
    timing: Timing | None = None,
) -> FaultyLine:
    """Put a faulty line before a meter, on the same kind of wire as the meter's own.

    Args:
        place: The meter's address as `python -m simulators.meters` prints it (`wire`, and `path` or `host`, `port`).
        link: Where the line's own serial link goes; needed for a meter on a serial line.
        seed: See `FaultyLine`.
        mix: See `FaultyLine`.
        timing: See `FaultyLine`.

    Raises:
        ValueError: A serial meter and no link.
    """
    if place["wire"] == Framing.TCP.value:
        upstream: Upstream = TcpUpstream(str(place["host"]), int(str(place["port"])))
        return FaultyLine(TcpWire(), upstream, seed=seed, mix=mix, timing=timing)
    if link is None:
        raise ValueError(f"the meter at {place['path']} is on a serial line: give the faulty line a link of its own")
    return FaultyLine(PtyWire(link), SerialUpstream(Path(str(place["path"]))), seed=seed, mix=mix, timing=timing)
