"""Bytes written to a disk of its own, the file system's journal included: an image behind a loop device."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulators.bench.figures import BenchError

YEAR_S: Final = 365 * 86_400
_SECTOR: Final = 512  # of /sys/block/*/stat, whatever the device's own is
_WRITTEN: Final = 6  # its seventh field: sectors written
_SIZE: Final = "256M"
_LOG_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_AGED: Final = _LOG_HEADER + 1_100 * (_FRAME_HEADER + 4_096)  # a little above the agent's checkpoint at 1,000 pages
_SBIN: Final = "/usr/sbin:/sbin"
_COMMAND_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Written:
    """What had been written at one moment.

    Attributes:
        at: Seconds of a clock that never steps.
        disk: Bytes, to the block device.
        log: Bytes in use of SQLite's write-ahead log.
    """

    at: float
    disk: int
    log: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a window wrote, bytes a second.

    Attributes:
        disk: To the block device.
        log: Growth of SQLite's write-ahead log, which is part of it.
    """

    disk: float
    log: float

    @classmethod
    def between(cls, begin: Written, end: Written) -> Self:
        """Of the time between two moments.

        Raises:
            BenchError: The write-ahead log began anew in between, so that its growth is not known.
        """
        if end.log < begin.log:
            raise BenchError(f"the write-ahead log shrank from {begin.log} to {end.log} bytes while it was measured")
        took = end.at - begin.at
        return cls((end.disk - begin.disk) / took, (end.log - begin.log) / took)


def year_bytes(busy: Pace, busy_period_s: int, idle: Pace, period_s: int, checkpoint: float) -> float:
    """Bytes written in a year at another reporting period than the measured one.

    What an interval costs is the difference between a window with intervals and one without; the rest (minute rows,
    marks) is there all the time. A checkpoint copies pages from the write-ahead log into the database later: it is
    counted as if it cost for each byte of log what the last one cost, although a longer log holds more pages twice.

    Args:
        busy: With an interval's end each `busy_period_s`.
        busy_period_s: Seconds.
        idle: Without any.
        period_s: The reporting period of the year, seconds.
        checkpoint: Bytes that a checkpoint writes for each byte of log.
    """

    def whole(pace: Pace) -> float:
        return pace.disk + pace.log * checkpoint

    an_interval = max(0.0, whole(busy) - whole(idle)) * busy_period_s
    return (whole(idle) + an_interval / period_s) * YEAR_S


def log_bytes(log: Path) -> int:
    """Bytes of a write-ahead log that are in use: SQLite writes over an old log from its beginning.

    Source: SQLite, "WAL-mode File Format": a header of 32 bytes with the page size at 8 and two salts at 16; each frame
    has a header of 24 bytes, and repeats the salts at 8 if it belongs to this log.
    """
    content = log.read_bytes() if log.exists() else b""
    salts, frame = content[16:24], _FRAME_HEADER + int.from_bytes(content[8:12], "big")
    at = _LOG_HEADER
    # A log that was never begun is all zeros.
    while any(salts) and at + frame <= len(content) and content[at + 8 : at + 16] == salts:
        at += frame
    return at - _LOG_HEADER


def age_log(log: Path) -> None:
    """Give a journal that nobody has open the full-sized log that it has after some hours.

    While a log grows, each commit also makes the file system's journal write; afterwards it is written over, and that
    is how a daemon that runs for months writes.
    """
    with log.open("wb") as file:
        log.chmod(0o600)
        file.write(bytes(_AGED))
        file.flush()
        os.fsync(file.fileno())


def why_not() -> str | None:
    """Why no loop device can be made here, or None."""
    if os.geteuid() != 0:
        return "loop devices need root: run as root to measure it"
    missing = [name for name in ("losetup", "mkfs.ext4", "mount", "umount") if _program(name) is None]
    return f"{', '.join(missing)} is missing: install e2fsprogs and mount" if missing else None


class LoopDisk:
    """An ext4 file system in a file, mounted through a loop device. Use it as a context manager; needs root.

    Args:
        directory: Where image and mount point go.

    Raises:
        BenchError: It cannot be made or mounted here; with the program's own words.
    """

    def __init__(self, directory: Path) -> None:
        self._image = directory / "disk.img"
        self._device = ""
        self.mount_point = directory / "disk"

    def flush(self) -> None:
        """Write what is in memory still."""
        _run("sync", "--file-system", str(self.mount_point))

    def written(self) -> int:
        """Bytes written to the device so far. What the kernel still holds back is, in the long run, always as much."""
        stat = Path("/sys/block") / Path(self._device).name / "stat"
        return int(stat.read_text().split()[_WRITTEN]) * _SECTOR

    def __enter__(self) -> Self:
        self.mount_point.mkdir(parents=True)
        _run("truncate", "--size", _SIZE, str(self._image))
        # Nothing may be left to be initialised in the background: it would be counted. Blocks of 4 KiB, as a card has
        # them: so small a file system would get smaller ones.
        lazy = "lazy_itable_init=0,lazy_journal_init=0"
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", lazy, str(self._image))
        self._device = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", self._device, str(self.mount_point))
        except BenchError:
            _run("losetup", "--detach", self._device)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Lazy, since a program that ends just now may hold it for another moment.
        _run("umount", "--lazy", str(self.mount_point))
        _run("losetup", "--detach", self._device)
        self._image.unlink()


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def _run(name: str, *arguments: str) -> str:
    program = _program(name)
    if program is None:
        raise BenchError(f"the program {name} is missing")
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_S, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"{name} {' '.join(arguments)} ended with code {done.returncode}: {done.stderr.strip()}")
    return done.stdout
