"""``run``: the agent itself."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

from agent.addresses import without_secrets
from agent.configuration import LogSettings, load, told_where
from agent.domain.errors import ConfigurationInvalid, MeterMisconfigured
from agent.privacy import close_process


def command(asked: argparse.Namespace) -> int:
    """Run until told to stop; begin anew when told to reload."""
    # A reload that comes before the daemon listens asks for what is done anyway; by default it would kill us. This
    # also outlasts the exec below.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    close_process()
    configuration = load(asked.config, os.environ)
    # Here, so that a bad configuration is told in a tenth of a second, without any of the daemon's libraries.
    from agent.compose.commands import errors_of_ours  # noqa: PLC0415
    from agent.compose.daemon import build  # noqa: PLC0415 - as above
    from agent.daemon import EXIT_RELOAD  # noqa: PLC0415 - as above

    def wrong_with_new() -> str | None:
        try:
            load(asked.config, os.environ)
        except ConfigurationInvalid as error:
            return str(error)
        return None

    try:
        with told_where(asked.config, os.environ), errors_of_ours():
            daemon = build(
                configuration, logger=logger(configuration.log), environ=os.environ, may_reload=wrong_with_new
            )
    except MeterMisconfigured as error:
        raise ConfigurationInvalid([f"meters: {error}"]) from error
    code = daemon.run()
    if code == EXIT_RELOAD:
        # A new image under the same process id: nothing of the old configuration is left, and systemd sees no restart.
        sys.stdout.flush()
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own interpreter and arguments, no shell
    return code


def logger(settings: LogSettings) -> structlog.typing.FilteringBoundLogger:
    """A structured log on standard error: JSON for the system's journal, colours for a person."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    made: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _told_exception,
            _ordered,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
    )
    return made


def _ordered(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Time, level and name first, where eyes look for them."""
    first = ("at", "level", "event")
    return {name: event[name] for name in first} | {name: event[name] for name in event if name not in first}


def _told_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception as its traceback's lines. Without the frames' variables, and a node's address only in part."""
    error = event.pop("exception", None)
    if isinstance(error, BaseException):
        event["traceback"] = without_secrets("".join(traceback.format_exception(error, chain=True)))
    elif error is not None:
        event["exception"] = error
    return event
