"""Looping and timing: the one place that knows when a stage has its turn.

Every stage is a job of the scheduler with at most one turn under way and late turns folded into one, so a stage that
is slow delays nobody else. A stage that has done something can wake the next one, so that a closed interval does not
wait for its turn to be sealed and sent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    JobExecutionEvent,
    JobSubmissionEvent,
)
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from agent.domain.liveness import Liveness

# A loop that has made no progress for its period and this long on top hangs: the longest single wait of any stage (a
# silent full node, a journal that another process holds) is well below it.
_SLACK_S = 30.0
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Loop:
    """One stage and its timing.

    Attributes:
        name: stable name, for the watchdog and the log.
        turn: the stage's ``run_once``; returns whether it did something.
        every_s: seconds between turns.
        offset_s: how long after the whole ``every_s`` its turn comes; lets a stage follow another in the same second.
        at_once: whether its first turn comes at the start, before its next whole period.
        wakes: names of the loops that have a turn at once after one that did something.
        slack_s: how long beyond its period a turn may take before it counts as one that hangs, seconds.
    """

    name: str
    turn: Callable[[], bool]
    every_s: float
    offset_s: float = 0.0
    at_once: bool = False
    wakes: tuple[str, ...] = ()
    slack_s: float = _SLACK_S


class Aligned(BaseTrigger):  # type: ignore[misc] # the library ships no types
    """Turns at whole periods of the epoch, so that samples fall on interval boundaries.

    The library's own interval trigger counts on from the last turn: one that was woken early would be off the boundary
    from then on, and after a clock that jumps from 1970 it would list every second in between.

    Args:
        every_s: seconds between turns.
        offset_s: how long after the whole period.
    """

    def __init__(self, every_s: float, offset_s: float) -> None:
        # Whole microseconds, as the library's times have them: a fraction lost in rounding would be a turn in the past.
        self._every = round(every_s * 1e6)
        self._offset = round(offset_s * 1e6)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first turn after both: the name and the arguments are the library's."""
        after = (max(now, previous_fire_time or now) - _EPOCH) // _MICROSECOND
        turn = ((after - self._offset) // self._every + 1) * self._every + self._offset
        return _EPOCH + turn * _MICROSECOND


class Schedule:
    """Runs loops until it is stopped.

    Args:
        loops: what to run.
        monotonic: seconds that never step.
        failed: called once, from a worker thread, with the name and the error of the first turn that raised.
    """

    def __init__(
        self, loops: list[Loop], monotonic: Callable[[], float], failed: Callable[[str, BaseException], None]
    ) -> None:
        self._loops = {loop.name: loop for loop in loops}
        self._monotonic = monotonic
        self._failed = failed
        self._liveness = Liveness()
        self._lock = threading.Lock()
        self._again: set[str] = set()
        self._has_failed = False
        self._stopping = False
        # Its own log lines would repeat ours with a traceback; errors reach us through the listener.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._threads = ThreadPoolExecutor(max_workers=len(loops))
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": self._threads},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._ended, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        self._scheduler.add_listener(self._missed_turn, EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Begin; every loop has its first turn at its next whole period, or at once."""
        now = self._monotonic()
        for loop in self._loops.values():
            self._liveness.expect(loop.name, loop.every_s + loop.slack_s, now)
            self._scheduler.add_job(loop.turn, self._trigger(loop), id=loop.name, name=loop.name)
        self._scheduler.start()
        for loop in self._loops.values():
            if loop.at_once:
                self.wake(loop.name)

    def stop(self, *, wait: bool) -> None:
        """End; with ``wait`` the turns under way are waited for."""
        with self._lock:
            self._stopping = True
        if not self._scheduler.running:
            return
        # Told to wait, the library waits under its lock, which a turn that ends and wakes another needs: a deadlock.
        self._scheduler.shutdown(wait=False)
        if wait:
            self._threads.shutdown(wait=True)

    def wake(self, name: str) -> None:
        """Give a loop its turn now."""
        self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def stepped(self) -> None:
        """The wall clock has stepped: plan every turn anew, since the plan is in wall time."""
        for loop in self._loops.values():
            self._scheduler.reschedule_job(loop.name, trigger=self._trigger(loop))

    def resumed(self) -> None:
        """The whole process stood still for a while: no loop is to blame for it."""
        with self._lock:
            self._liveness.resume(self._monotonic())

    def stalled(self) -> list[str]:
        """Loops that make no progress, the longest first."""
        with self._lock:
            return self._liveness.stalled(self._monotonic())

    @staticmethod
    def _trigger(loop: Loop) -> Aligned:
        return Aligned(loop.every_s, loop.offset_s)

    def _missed_turn(self, event: JobSubmissionEvent) -> None:
        """Its turn came while one was under way: it has another as soon as that ends."""
        with self._lock:
            self._again.add(event.job_id)

    def _ended(self, event: JobExecutionEvent) -> None:
        loop = self._loops[event.job_id]
        with self._lock:
            self._liveness.beat(loop.name, self._monotonic())
            again = loop.name in self._again
            self._again.discard(loop.name)
            stopping = self._stopping
            first, self._has_failed = not self._has_failed, self._has_failed or event.exception is not None
        if event.exception is not None:
            if first:
                self._failed(loop.name, event.exception)
            return
        if stopping:
            return
        for name in (*(loop.wakes if event.retval else ()), *((loop.name,) if again else ())):
            self.wake(name)
