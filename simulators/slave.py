"""A raw Modbus slave that says exactly what a script says, right or wrong."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from simulators.eastron import f32_words
from simulators.frames import Request, exception_pdu, words_pdu
from simulators.serving import Emission, Server
from simulators.wires import PtyWire, TcpWire

Step = Callable[[Request], Sequence[Emission]]
"""What the slave says to one request."""

NAN_WORDS: Final = (0x7FC0, 0x0000)
ALL_ONES: Final = (0xFFFF, 0xFFFF)
INT32_MISSING: Final = (0x8000, 0x0000)
INFINITY_WORDS: Final = (0x7F80, 0x0000)
"""What meters say for "not available": a float's NaN and infinity, and an integer's own marks."""


def words(*values: int) -> Step:
    """Answer with these registers, whatever was asked."""
    return lambda request: [Emission(request.frame(words_pdu(request.function, values)))]


def floats(*values: float, swapped: bool = False) -> Step:
    """Answer with float32 values, high word first unless swapped."""
    return words(*(word for value in values for word in f32_words(value, swapped=swapped)))


def table(registers: dict[int, int]) -> Step:
    """Answer from a table of registers by address; what it does not hold reads 0."""

    def say(request: Request) -> Sequence[Emission]:
        held = [registers.get(request.address + offset, 0) for offset in range(request.count)]
        return [Emission(request.frame(words_pdu(request.function, held)))]

    return say


def exception(code: int) -> Step:
    """Refuse with a Modbus exception: 1 function, 2 address, 3 value, 4 failure, 6 busy, 11 gateway's target."""
    return lambda request: [Emission(request.frame(exception_pdu(request.function, code)))]


def silent() -> Step:
    """Say nothing."""
    return lambda _: []


def raw(data: bytes, after_s: float = 0.0) -> Step:
    """Say these bytes and nothing else."""
    return lambda _: [Emission(data, after_s)]


def late(step: Step, after_s: float) -> Step:
    """Say what another step says, later."""
    return lambda request: [Emission(each.data, each.after_s + after_s, hang_up=each.hang_up) for each in step(request)]


def short(step: Step, keep: int) -> Step:
    """Say only the first bytes of what another step says."""
    return lambda request: [Emission(each.data[:keep], each.after_s) for each in step(request)]


def wrong_function(step: Step, function: int) -> Step:
    """Say what another step says to a request with another function."""

    def say(request: Request) -> Sequence[Emission]:
        return step(Request(request.framing, request.unit, bytes((function,)) + request.pdu[1:], request.transaction))

    return say


def wrong_unit(step: Step, unit: int) -> Step:
    """Say what another step says in another unit's name."""
    return lambda request: step(Request(request.framing, unit, request.pdu, request.transaction))


def wrong_transaction(step: Step, ahead: int = 1) -> Step:
    """Say what another step says to another transaction (TCP)."""

    def say(request: Request) -> Sequence[Emission]:
        other = (request.transaction + ahead) & 0xFFFF
        return step(Request(request.framing, request.unit, request.pdu, other))

    return say


def hang_up() -> Step:
    """Break the connection without a word (TCP)."""
    return lambda _: [Emission(b"", hang_up=True)]


class Slave:
    """Answers each request with the next step of a script, then with the last word for ever.

    Args:
        wire: A `TcpWire` or a `PtyWire`; closed with the slave.
        script: The steps, one a request.
        then: What to say when the script is over.
    """

    def __init__(self, wire: TcpWire | PtyWire, script: Iterable[Step] = (), then: Step | None = None) -> None:
        self.wire = wire
        self._lock = threading.Lock()
        self._script = collections.deque(script)
        self._then = silent() if then is None else then
        self._asked: list[Request] = []
        self._server = Server(wire, self._handle, name="slave")

    def play(self, script: Iterable[Step], then: Step | None = None) -> None:
        """Replace the script, and the last word where one is given."""
        with self._lock:
            self._script = collections.deque(script)
            self._then = self._then if then is None else then

    def asked(self) -> list[Request]:
        """Give every request so far, in order."""
        with self._lock:
            return list(self._asked)

    def call(self, task: Callable[[], None]) -> None:
        """Run something on the wire between two requests (`wire.unplug`, `wire.reset_connections`)."""
        self._server.call(task)

    def close(self) -> None:
        """Stop answering."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _handle(self, request: Request) -> Iterable[Emission]:
        with self._lock:
            self._asked.append(request)
            step = self._script.popleft() if self._script else self._then
        return step(request)
