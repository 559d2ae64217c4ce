"""The daemon: starts the loops, tells systemd how they are, and ends in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from agent.addresses import without_secrets
from agent.schedule import Loop, Schedule
from agent.stages.ports import Events

# The main loop looks after the clock and the watchdog this often.
_TEND_S = 1.0
# Later than this, the main loop itself has not run: the process was stopped, or the machine was. Were it a loop of ours
# that held everything up, the watchdog would have gone without its sign of life just as long.
_STOOD_STILL_S = 10.0
# Turns under way are waited for this long at the end: a full node or a meter may take its whole timeout to answer.
_GRACE_S = 15.0

EXIT_DONE, EXIT_FAILED, EXIT_RELOAD = 0, 1, -1


class Clock(Protocol):
    """What the daemon needs of the clock."""

    def monotonic(self) -> float:
        """Seconds that never step."""

    def stepped(self) -> float | None:
        """The size of a step of the wall clock since the last call, seconds; None if there was none."""


class ServiceManager(Protocol):
    """Who supervises the process."""

    def ready(self, status: str) -> None:
        """The service runs."""

    def alive(self) -> None:
        """Every loop makes progress."""

    def reloading(self, monotonic_us: int) -> None:
        """The process begins anew with a new configuration; ``ready`` follows."""

    def stopping(self) -> None:
        """The service ends."""


@dataclass(slots=True)
class Ending:
    """Why the daemon ends, decided once."""

    event: threading.Event = field(default_factory=threading.Event)
    code: int = EXIT_DONE
    reason: str = ""
    hurry: bool = False

    def begin(self, code: int, reason: str) -> None:
        """End with ``code``; the first reason stands."""
        if not self.event.is_set():
            self.code, self.reason = code, reason
            self.event.set()


class Daemon:
    """Runs the agent's loops until a signal or a fatal error.

    Args:
        loops: what runs, and when.
        clock: time.
        service: who supervises.
        events: where to say what happened.
        closers: called in order at the end, with the reason; each gets its turn even if an earlier one failed.
        may_reload: called on SIGHUP; says in words what is wrong with the new configuration, or returns None.
        status: one line for the service manager.
    """

    def __init__(
        self,
        *,
        loops: list[Loop],
        clock: Clock,
        service: ServiceManager,
        events: Events,
        closers: list[Callable[[str], None]],
        may_reload: Callable[[], str | None],
        status: str,
    ) -> None:
        self._schedule = Schedule(loops, clock.monotonic, self._failed)
        self._clock = clock
        self._service = service
        self._events = events
        self._closers = closers
        self._may_reload = may_reload
        self._status = status
        self._ending = Ending()
        self._stalled: list[str] = []
        self._reload_asked = threading.Event()
        self._tended_at = clock.monotonic()

    def run(self) -> int:
        """Run until told to stop.

        Returns:
            0 after a signal, 1 after a fatal error, ``EXIT_RELOAD`` when the process is to begin anew with its new
            configuration.
        """
        previous = {number: signal.signal(number, self._signalled) for number in (signal.SIGTERM, signal.SIGINT)}
        previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._asked_to_reload)
        try:
            self._schedule.start()
            self._tended_at = self._clock.monotonic()
            self._service.ready(self._status)
            self._events.info("agent.started", status=self._status)
            while not self._ending.event.wait(_TEND_S):
                self._tend()
        finally:
            self._end()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._ending.code

    def _tend(self) -> None:
        """Look after the clock, the watchdog and a reload that was asked for."""
        now = self._clock.monotonic()
        if now - self._tended_at > _STOOD_STILL_S:
            self._schedule.resumed()
            self._events.warning(
                "agent.stood_still", seconds=round(now - self._tended_at), advice="the machine was paused or overloaded"
            )
        self._tended_at = now
        step = self._clock.stepped()
        if step is not None:
            self._schedule.stepped()
            self._events.warning(
                "clock.stepped", seconds=round(step, 1), advice="normal once after a start; else check the time server"
            )
        stalled = self._schedule.stalled()
        if not stalled:
            self._service.alive()
        elif stalled != self._stalled:
            self._events.error(
                "loop.stalled", loops=stalled, advice="the watchdog will restart the agent; report it with the log"
            )
        self._stalled = stalled
        if self._reload_asked.is_set():
            self._reload_asked.clear()
            self._reload()

    def _reload(self) -> None:
        problem = self._may_reload()
        if problem is None:
            self._ending.begin(EXIT_RELOAD, "configuration reloaded")
        else:
            self._events.error(
                "configuration.refused",
                problem=problem,
                advice="the old one stays in force; put it right, reload again",
            )

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        # A second signal hurries: turns under way are not waited for. Everything acknowledged is in the journal.
        if self._ending.event.is_set():
            self._ending.hurry = True
        self._ending.begin(EXIT_DONE, signal.Signals(number).name)

    def _asked_to_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_asked.set()

    def _failed(self, loop: str, error: BaseException) -> None:
        """A turn raised: nobody here can mend it, so the process ends and the service manager starts it again."""
        try:
            self._events.error(
                "loop.failed",
                loop=loop,
                problem=without_secrets(f"{type(error).__name__}: {error}"),
                exception=error,
                advice="the agent is started again by itself; if it goes on, report it with the log",
            )
        finally:  # whatever keeps it from being said, a process without this loop must not go on
            self._ending.begin(EXIT_FAILED, f"{loop} failed")

    def _end(self) -> None:
        if self._ending.code == EXIT_RELOAD:
            # Not "stopping": after that word systemd waits for the process's end, and enforces it.
            self._service.reloading(round(self._clock.monotonic() * 1e6))
        else:
            self._service.stopping()
        reason = self._ending.reason or "failed"
        self._events.info("agent.stopping", reason=reason)
        stopper = threading.Thread(target=self._schedule.stop, kwargs={"wait": True}, daemon=True, name="stop")
        stopper.start()
        deadline = self._clock.monotonic() + _GRACE_S
        while stopper.is_alive() and not self._ending.hurry and self._clock.monotonic() < deadline:
            stopper.join(0.1)
        errors: list[Exception] = []
        for close in self._closers:
            try:
                close(reason)
            except Exception as error:  # noqa: BLE001 # the next closer has its turn; raised together below
                errors.append(error)
        if errors:
            raise ExceptionGroup("errors while the agent ended", errors)
