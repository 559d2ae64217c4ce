"""A program that a simulator starts, and that never outlives it."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_KEPT_LINES: Final = 200
_POLL_S: Final = 0.02
_TETHER: Final = (
    "import ctypes,os,signal,sys\n"
    "if ctypes.CDLL(None,use_errno=True).prctl(1,signal.SIGTERM): sys.exit('prctl failed')\n"
    "if os.getppid()!=int(sys.argv[1]): sys.exit('the parent has gone')\n"
    "os.execv(sys.argv[2],sys.argv[2:])\n"
)
"""Asks the kernel (PR_SET_PDEATHSIG = 1) for SIGTERM when the parent dies, also by kill -9, and then becomes it."""


class StartError(Exception):
    """A program is missing or did not start; the text says what to install or shows its last words."""


class Child:
    """A running program in a session of its own, its output kept in memory.

    The kernel ties it to the *thread* that started it: start children from a thread that lives as long
    as they should.

    Args:
        arguments: The program's absolute path and its arguments; never a secret, since all users see them.
        name: What to call it in messages.
        directory: Its working directory.
        stdin: Whether lines can be written to it (`write`).

    Raises:
        StartError: The program is not there.
    """

    def __init__(
        self, arguments: Sequence[str], name: str, *, directory: Path | None = None, stdin: bool = False
    ) -> None:
        if not os.access(arguments[0], os.X_OK):
            raise StartError(f"{name}: {arguments[0]} is not a program")
        self.name = name
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._heard = threading.Condition()
        # -I -S: the tether needs nothing of the environment, and starts in 15 ms without it.
        tether = [sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid()), *arguments]
        self._process = subprocess.Popen(
            tether,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name=f"output of {name}", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def output(self) -> str:
        """Give the last lines of its output."""
        with self._heard:
            return "\n".join(self._lines)

    def wait_for_line(self, pattern: str, timeout_s: float) -> re.Match[str]:
        """Wait until it has printed a line.

        Args:
            pattern: Regular expression to find in a line.
            timeout_s: How long to wait.

        Raises:
            StartError: It ended or stayed silent; with its last words.
        """
        deadline = time.monotonic() + timeout_s
        with self._heard:
            while True:
                for line in self._lines:
                    if match := re.search(pattern, line):
                        return match
                left = deadline - time.monotonic()
                if left <= 0 or not (self.running or self._listener.is_alive()):
                    break
                self._heard.wait(min(left, 0.5))
        raise self.failure(f"no line like {pattern!r} within {timeout_s:g} s")

    def failure(self, what: str) -> StartError:
        """Make the error that says what went wrong and shows the program's last words."""
        state = "still runs" if self.running else f"ended with code {self._process.returncode}"
        return StartError(f"{self.name} (process {self.pid}, {state}): {what}. It said:\n{self.output()}")

    def write(self, line: str) -> None:
        """Write one line to its standard input.

        Raises:
            StartError: It reads none any more.
        """
        if self._process.stdin is None:
            raise StartError(f"{self.name} was started without standard input")
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self.failure("it does not read its standard input any more") from error

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):  # it was faster
            os.killpg(self._process.pid, number)

    def stop(self, grace_s: float = 5.0) -> int:
        """End it: SIGTERM, and SIGKILL when the grace is over.

        Returns:
            Its exit code.
        """
        if self.running:
            self.signal(signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while self.running and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        return self.kill()

    def kill(self) -> int:
        """End it at once with SIGKILL, so that it can save nothing.

        Returns:
            Its exit code.
        """
        if self.running:
            self.signal(signal.SIGKILL)
        code = self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # the last line found no reader
                    stream.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        for line in stream:
            with self._heard:
                self._lines.append(line.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()
