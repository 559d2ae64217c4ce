"""What a running process costs, as the kernel counts it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from simulators.bench.figures import BenchError

_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat counted after the command's name, which may hold blanks (proc(5): utime 14, stime 15).
_UTIME, _STIME = 11, 12


@dataclass(frozen=True, slots=True)
class Standing:
    """A process at one moment.

    Attributes:
        at: Monotonic seconds.
        cpu_s: Processor seconds used since its start, all threads.
        rss_mib: Resident memory, shared pages counted whole.
        pss_mib: Resident memory, shared pages divided among those who share them.
        peak_mib: The most that was ever resident.
        threads: How many it has.
    """

    at: float
    cpu_s: float
    rss_mib: float
    pss_mib: float
    peak_mib: float
    threads: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Look at a process.

        Raises:
            BenchError: It has ended.
        """
        folder = Path("/proc") / str(pid)
        try:
            stat = (folder / "stat").read_text()
            rollup = named((folder / "smaps_rollup").read_text())
            status = named((folder / "status").read_text())
        except (FileNotFoundError, ProcessLookupError) as error:
            raise BenchError(f"process {pid} has ended; it was to run while it is measured") from error
        return cls(
            at=time.monotonic(),
            cpu_s=cpu_seconds(stat),
            rss_mib=rollup["Rss"] / 1024,
            pss_mib=rollup["Pss"] / 1024,
            peak_mib=status["VmHWM"] / 1024,
            threads=status["Threads"],
        )

    def cpu_percent_since(self, before: Standing) -> float:
        """Processor use since then, % of one core."""
        return 100 * (self.cpu_s - before.cpu_s) / (self.at - before.at)


def cpu_seconds(stat: str, ticks: int = _TICKS) -> float:
    """User and system time out of /proc/PID/stat, seconds."""
    after_name = stat.rpartition(")")[2].split()
    return (int(after_name[_UTIME]) + int(after_name[_STIME])) / ticks


def named(text: str) -> dict[str, int]:
    """The lines `Name: NUMBER [kB]` of a file in /proc; others are left out."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if " " not in name and words and words[0].isdecimal():
            found[name] = int(words[0])
    return found
