"""The system's clock, and how far it may be trusted."""

from __future__ import annotations

import ctypes
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# <sys/timex.h>: the kernel's clock state when nothing disciplines it.
_TIME_ERROR = 5
# struct timex is 208 bytes on 64-bit Linux; the kernel writes no more than it has.
_TIMEX_BYTES = 256

# systemd-timesyncd touches this file when it has set the clock in this boot.
_TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")

# The system's own answer, for a process that may not ask the kernel. It takes a child process, so it is asked seldom: a
# clock that became right is noticed within a minute.
_TIMEDATECTL = ("/usr/bin/timedatectl", "show", "--property=NTPSynchronized", "--value")
_ASK_SYSTEM_EVERY_S = 60.0
_SYSTEM_TIMEOUT_S = 2.0

# 2026-01-01: this program did not exist before, so no clock that says so is right.
_BUILT_MS = 1_767_225_600_000

# The kernel is asked at most this often; a poll asks at every sample.
_ASK_EVERY_S = 1.0


def timedatectl(command: Sequence[str] = _TIMEDATECTL) -> bool:
    """Whether ``timedatectl`` says that the clock is synchronised; False where nobody can say."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; only tests name another
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SYSTEM_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == "yes"


class SystemAnswer:
    """What the system says about time synchronisation, asked once a minute at most.

    Args:
        monotonic: seconds that never step.
        ask: asks the system.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, ask: Callable[[], bool] = timedatectl) -> None:
        self._monotonic = monotonic
        self._ask = ask
        self._asked_at = float("-inf")
        self._answer = False

    def synchronised(self) -> bool:
        """Whether the system's clock is synchronised."""
        now = self._monotonic()
        if now - self._asked_at >= _ASK_SYSTEM_EVERY_S:
            self._asked_at = now
            self._answer = self._ask()
        return self._answer


_SYSTEM = SystemAnswer()


def kernel_synchronised(
    mark: Path = _TIMESYNCD_MARK,
    adjtimex: Callable[[], int] | None = None,
    system: Callable[[], bool] = _SYSTEM.synchronised,
) -> bool:
    """Whether a time service disciplines the kernel's clock, or has set it in this boot.

    Args:
        mark: the file that systemd-timesyncd touches.
        adjtimex: asks the kernel (adjtimex(2)); below 0 if it refuses.
        system: asks the system where the kernel refuses: a service with ``ProtectClock=`` may not even look, and
            chrony leaves no mark.
    """
    if mark.exists():
        return True
    state = (adjtimex or _adjtimex)()
    return system() if state < 0 else state < _TIME_ERROR


def _adjtimex() -> int:
    # modes = 0, the first field, asks without changing anything.
    state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state


class SystemClock:
    """UTC time and monotonic time of this machine.

    A Raspberry Pi has no clock chip: after a power cut it wakes up in the past, and its clock steps when the network
    has set it. Time is trusted when it is synchronised, not before this program was built, and has not stepped against
    the monotonic clock since it was last looked at.

    Args:
        require_synchronised: whether a clock that nobody synchronises is trusted less.
        step_tolerance_s: a difference between wall and monotonic time larger than this is a step.
        synchronised: tells whether the clock is synchronised.
        wall_ns: UTC epoch nanoseconds.
        monotonic: seconds that never step.
    """

    def __init__(
        self,
        *,
        require_synchronised: bool,
        step_tolerance_s: float,
        synchronised: Callable[[], bool] = kernel_synchronised,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._require = require_synchronised
        self._tolerance_s = step_tolerance_s
        self._synchronised = synchronised
        self._wall_ns = wall_ns
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._answer = False
        self._offset_s = self._offset()

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self._wall_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never step."""
        return self._monotonic()

    def trusted(self) -> bool:
        """Whether ``now_ms`` may be signed."""
        with self._lock:
            now = self._monotonic()
            if now - self._asked_at >= _ASK_EVERY_S:
                self._asked_at = now
                self._answer = not self._require or self._synchronised()
            return (
                self._answer
                and self.now_ms() >= _BUILT_MS
                and abs(self._offset() - self._offset_s) <= (self._tolerance_s)
            )

    def stepped(self) -> float | None:
        """Take a step of the wall clock in, if there was one; returns its size in seconds, or None.

        Between a step and this call nothing is trusted. Small drift (a time service slewing) is followed silently.
        """
        with self._lock:
            offset = self._offset()
            step = offset - self._offset_s
            self._offset_s = offset
            return step if abs(step) > self._tolerance_s else None

    def _offset(self) -> float:
        return self._wall_ns() / 1e9 - self._monotonic()
