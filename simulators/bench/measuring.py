"""What is measured on a running household, in one sitting: each figure with its limit."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulators.bench import programs
from simulators.bench.disk import YEAR_S, LoopDisk, Pace, why_not, year_bytes
from simulators.bench.figures import BenchError, Figure, Section, percentile
from simulators.bench.household import Household, Window

MEMORY_LIMIT_MIB: Final = 100
PROCESSOR_LIMIT: Final = 3
YEAR_LIMIT_GB: Final = 25
LATENCY_LIMIT_S: Final = 2

LATENCY, DAEMON, DISK, RPC, START = "latency", "daemon", "disk", "rpc", "start"
NAMES: Final = (LATENCY, DAEMON, DISK, RPC, START)

_FIELD_PERIOD_S: Final = 900  # the reporting period in the field, to which bytes and traffic are scaled
_NEVER_S: Final = 86_400  # the longest period that the contract takes: none ends while we look
_GB: Final = 1e9
_READY_STARTS: Final = 3
_WARM_UP: Final = 3
# The kernel writes back what it was given half a minute ago (vm.dirty_expire_centisecs).
_WRITE_BACK_S: Final = 40.0


@dataclass(frozen=True, slots=True)
class Extent:
    """How long to look.

    Attributes:
        latency_period_s: Reporting period while latencies are collected.
        latencies: How many intervals.
        busy_period_s: Reporting period while the daemon is watched.
        busy_s: How long it is watched with intervals.
        idle_s: How long without, for what an interval adds; 0 leaves that out, and with it what is extrapolated.
    """

    latency_period_s: int = 3
    latencies: int = 22
    busy_period_s: int = 60
    busy_s: int = 120
    idle_s: int = 120


QUICK: Final = Extent(latencies=4, busy_period_s=10, busy_s=20, idle_s=0)


def measure(names: Collection[str], extent: Extent, say: Callable[[str], None]) -> list[Section]:
    """Measure what is asked for.

    Args:
        names: Of `NAMES`.
        extent: How long to look.
        say: Told what is done next.

    Raises:
        BenchError: The agent ended, or did not do in time what it should.
        StartError: A part did not start; with its own words.
    """
    found: list[Section] = []
    no_disk = why_not()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        disk = stack.enter_context(LoopDisk(directory)) if DISK in names and no_disk is None else None
        say("starting meters, chain, broker and an enrolled household")
        household = stack.enter_context(Household(directory / "rig", extent.latency_period_s, disk))
        household.start()
        # A warm-up: everything has been imported and done once, nonce 0 is used up and its first readings are through.
        household.let_pass(_WARM_UP)
        if LATENCY in names:
            say(f"{extent.latencies} intervals of {extent.latency_period_s} s")
            household.let_pass(extent.latencies)
            found.append(_latency(household.latencies()[_WARM_UP:], extent))
        if disk is not None and extent.idle_s:  # only what is extrapolated needs it
            household.age()
        if {DAEMON, DISK, RPC} & set(names):
            found += _watched(household, disk, names, extent, say)
        if DISK in names and no_disk is not None:
            left_out = Figure("written in a year", None, "GB", YEAR_LIMIT_GB, no_disk)
            found.append(Section(DISK, "not measured", [left_out]))
        household.stop()
        if START in names:
            say("starting the commands and the daemon some times")
            found.append(_start(household))
        if household.faults():
            said = ", ".join(f"{event} x{count}" for event, count in sorted(household.faults().items()))
            say(f"the agent said while it was measured: {said}")
        if household.collector.forged:
            raise BenchError(f"{len(household.collector.forged)} readings over MQTT were not signed by the household")
    return found


def _latency(seconds: list[float], extent: Extent) -> Section:
    how = (
        f"interval's end to transaction accepted by the full node, {len(seconds)} intervals of"
        f" {extent.latency_period_s} s, out of the agent's log"
    )
    return Section(
        LATENCY,
        how,
        [
            Figure("median", percentile(seconds, 0.5), "s", LATENCY_LIMIT_S),
            Figure("95th percentile", percentile(seconds, 0.95), "s"),
            Figure("longest", max(seconds), "s"),
        ],
    )


def _watched(
    household: Household, disk: LoopDisk | None, names: Collection[str], extent: Extent, say: Callable[[str], None]
) -> list[Section]:
    household.set_period(extent.busy_period_s)
    say(f"watching the daemon for {extent.busy_s} s with an interval each {extent.busy_period_s} s")
    busy = household.window(extent.busy_s)
    idle = None
    if extent.idle_s:
        household.set_period(_NEVER_S)
        time.sleep(_WRITE_BACK_S)
        say(f"watching it for {extent.idle_s} s without an interval's end")
        idle = household.window(extent.idle_s)
        if idle.intervals:
            raise BenchError("a day ended while the daemon was watched without an interval's end; try again")
    found = []
    if DAEMON in names:
        found.append(_daemon(busy, idle))
    if RPC in names:
        found.append(_traffic(busy, idle))
    if disk is not None:
        found.append(_disk(household, disk, busy, idle))
    return found


def _daemon(busy: Window, idle: Window | None) -> Section:
    last = busy.end.process
    figures = [
        Figure("resident memory", last.rss_mib, "MiB", MEMORY_LIMIT_MIB, "Rss of smaps_rollup, at the end"),
        Figure("its own share of it", last.pss_mib, "MiB", remark="Pss"),
        Figure("most that was ever resident", last.peak_mib, "MiB", remark="VmHWM"),
        Figure(
            "processor",
            last.cpu_percent_since(busy.begin.process),
            "% of a core",
            PROCESSOR_LIMIT,
            f"over {busy.seconds:.0f} s with {busy.intervals} intervals' ends",
        ),
    ]
    if idle is not None:
        percent = idle.end.process.cpu_percent_since(idle.begin.process)
        remark = f"over {idle.seconds:.0f} s without one"
        figures.append(Figure("processor between intervals", percent, "% of a core", remark=remark))
    figures.append(Figure("threads", last.threads, "threads"))
    figures.append(
        Figure("yardstick", 1000 * programs.yardstick(), "ms", remark="fixed work in pure Python, to compare machines")
    )
    how = (
        "two meters (TCP, RTU on a pty) at a sample a second, chain, broker with a collector;"
        f" an interval each {busy.period_s} s in place of {_FIELD_PERIOD_S} s"
    )
    return Section(DAEMON, how, figures)


def _traffic(busy: Window, idle: Window | None) -> Section:
    all_of_it = busy.end.traffic - busy.begin.traffic
    how = f"JSON-RPC to one full node, HTTP headers included, {busy.intervals} intervals of {busy.period_s} s"
    figures = [
        Figure(f"{name} an hour at this period", part / busy.seconds * 3600, unit)
        for name, part, unit in (
            ("up", all_of_it.up / 1000, "kB"),
            ("down", all_of_it.down / 1000, "kB"),
            ("requests", all_of_it.requests, "requests"),
        )
    ]
    if idle is not None and busy.intervals:
        quiet = idle.end.traffic - idle.begin.traffic
        share = busy.seconds / idle.seconds
        each = {
            "up": (all_of_it.up - quiet.up * share, "bytes"),
            "down": (all_of_it.down - quiet.down * share, "bytes"),
            "requests": (all_of_it.requests - quiet.requests * share, "requests"),
        }
        figures = [
            Figure(f"{name} for an interval", max(0.0, more / busy.intervals), unit, remark="from its end to final")
            for name, (more, unit) in each.items()
        ]
        an_hour = (quiet.up + quiet.down) / idle.seconds * 3600 / 1000
        figures.append(Figure("both ways, between intervals", an_hour, "kB an hour", remark="parameters, heads"))
    return Section(RPC, how, figures)


def _disk(household: Household, disk: LoopDisk, busy: Window, idle: Window | None) -> Section:
    disk.flush()
    before = household.written()
    household.stop()  # which copies the write-ahead log into the database
    disk.flush()
    after = household.written()
    written = (busy.begin.written, busy.end.written, before, after)
    begin, end, before, after = (each for each in written if each is not None)
    checkpoint = (after.disk - before.disk) / before.log if before.log else 0.0
    pace = Pace.between(begin, end)
    at_most = year_bytes(pace, busy.period_s, pace, busy.period_s, checkpoint) / _GB
    how = "ext4 on a loop device, sectors written as the block device counts them; the agent's log is not included"
    figures = [
        Figure(
            f"in a year at a period of {busy.period_s} s",
            at_most,
            "GB",
            remark=f"{_kilobytes(pace, busy)} with {busy.intervals} intervals' ends",
        ),
        Figure(
            "checkpoint",
            (after.disk - before.disk) / 1000,
            "kB",
            remark=f"at the end, of {before.log / 1000:,.0f} kB of log: {checkpoint:.2g} for each byte",
        ),
    ]
    if idle is not None and idle.begin.written is not None and idle.end.written is not None:
        quiet = Pace.between(idle.begin.written, idle.end.written)
        year = year_bytes(pace, busy.period_s, quiet, _FIELD_PERIOD_S, checkpoint) / _GB
        floor = (quiet.disk + quiet.log * checkpoint) * YEAR_S / _GB
        figures = [
            Figure(
                f"in a year at a period of {_FIELD_PERIOD_S} s",
                year,
                "GB",
                YEAR_LIMIT_GB,
                f"extrapolated: what is written without intervals, and {YEAR_S // _FIELD_PERIOD_S:,} intervals' ends",
            ),
            Figure(
                "of it without intervals",
                floor,
                "GB",
                remark=f"{_kilobytes(quiet, idle)} without one",
            ),
            *figures,
        ]
    return Section(DISK, how, figures)


def _kilobytes(pace: Pace, window: Window) -> str:
    return f"{pace.disk * window.seconds / 1000:,.0f} kB in {window.seconds:.0f} s"


def _start(household: Household) -> Section:
    directory = household.rig.scene.directory
    configuration = ["--config", str(household.rig.configuration)]
    ready = []
    for _ in range(_READY_STARTS):
        ready.append(household.start())
        household.stop()
    figures = [
        programs.start_of("prosumer-agent --help", ["--help"]),
        programs.start_of("prosumer-agent status", [*configuration, "status"]),
        Figure("daemon ready", percentile(ready, 0.5), "s", remark=f"median of {_READY_STARTS}, key unlocked"),
        *programs.unlocking(directory / "household-key.json", directory / "household-passphrase"),
    ]
    return Section(START, "fresh processes, files in the page cache", figures)
