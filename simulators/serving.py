"""One thread that waits on a wire, asks a handler what to say, and says it when it is due."""

from __future__ import annotations

import heapq
import itertools
import math
import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from simulators.frames import Request
from simulators.wires import Channel, Wire

_WAKES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Emission:
    """Something to put on the wire, in answer or not.

    Attributes:
        data: The bytes; empty with `hang_up` to break the connection.
        after_s: Seconds after the request came.
        hang_up: Break the connection after the bytes.
    """

    data: bytes
    after_s: float = 0.0
    hang_up: bool = False


Handler = Callable[[Request], Iterable[Emission]]
"""Answers a request. Called in the server's thread."""


class Server:
    """Serves one wire until it is closed.

    It sleeps in one system call between requests, so an idle meter costs nothing.

    Args:
        wire: The wire; the server closes it.
        handler: Gives the answers.
        name: Names the thread.
    """

    def __init__(self, wire: Wire, handler: Handler, name: str) -> None:
        self._wire = wire
        self._handler = handler
        self._due: list[tuple[float, int, Channel, Emission]] = []
        self._order = itertools.count()
        self._wake_read, self._wake_write = os.pipe()
        self._tasks: list[tuple[Callable[[], None], threading.Event]] = []
        self._tasks_lock = threading.Lock()
        self._stopping = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, task: Callable[[], None]) -> None:
        """Run something between two requests, in the server's thread, and wait for it.

        Unplugging a wire from another thread would take a descriptor away while it is waited on.

        Args:
            task: What to run.

        Raises:
            RuntimeError: The server has ended.
        """
        done = threading.Event()
        with self._tasks_lock:
            self._tasks.append((task, done))
        os.write(self._wake_write, b".")
        while not done.wait(0.5):
            if not self._thread.is_alive():
                raise RuntimeError(f"server {self._thread.name} has ended: it can run nothing any more")

    def close(self) -> None:
        """Stop the thread and close the wire. Doing it twice is doing it once."""
        if self._closed:
            return
        self._closed = True
        self._stopping.set()
        os.write(self._wake_write, b".")
        self._thread.join()
        self._wire.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            # A fresh poll each time: a kernel-held set would miss a number that was closed and given out again.
            waiting = select.poll()
            for descriptor in (self._wake_read, *self._wire.descriptors()):
                waiting.register(descriptor, select.POLLIN)
            ready = [descriptor for descriptor, _ in waiting.poll(self._patience_ms())]
            if self._wake_read in ready:
                os.read(self._wake_read, _WAKES)
                self._run_tasks()  # may close what is ready: the next round looks again
            else:
                for descriptor in ready:
                    self._answer(self._wire.receive(descriptor))
            self._emit_due()

    def _run_tasks(self) -> None:
        with self._tasks_lock:
            tasks, self._tasks = self._tasks, []
        for task, done in tasks:
            task()
            done.set()

    def _patience_ms(self) -> int | None:
        # Rounded up: waking a little early would spin until the emission is due.
        return math.ceil(max(0.0, self._due[0][0] - time.monotonic()) * 1_000) if self._due else None

    def _answer(self, arrived: Iterable[tuple[Channel, Request]]) -> None:
        for channel, request in arrived:
            came = time.monotonic()
            for emission in self._handler(request):
                heapq.heappush(self._due, (came + emission.after_s, next(self._order), channel, emission))
        self._emit_due()

    def _emit_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, channel, emission = heapq.heappop(self._due)
            if emission.data:
                channel.send(emission.data)
            if emission.hang_up:
                channel.hang_up()
