"""The two programs as they are installed: a Ctrl-C is one line and exit code 1, whenever it comes.

A command's libraries take a second to load on a small board, and who mistyped ends it in that second. So this file
imports next to nothing before a Ctrl-C can be answered.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

_FAILED = 1


def household() -> int:
    """``prosumer-agent``, the process's own arguments; gives its exit code."""

    def carry_out() -> int:
        from agent.cli.main import main  # noqa: PLC0415 - only now can a Ctrl-C be answered

        return main()

    return _ended("prosumer-agent", carry_out)


def operator() -> int:
    """``prosumer-operator``, the process's own arguments; gives its exit code."""

    def carry_out() -> int:
        from agent.operator.__main__ import main  # noqa: PLC0415 - as above

        return main()

    return _ended("prosumer-operator", carry_out)


def _ended(name: str, carry_out: Callable[[], int]) -> int:
    """Carry out a command; a Ctrl-C that the command did not tell of itself is told here."""
    try:
        code = carry_out()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _FAILED
        sys.stderr.write(f"{name}: interrupted\n")
    # What follows is the interpreter's own end, which waits for threads; a Ctrl-C hurries it and changes nothing. One
    # that is ignored, as in a script's background, stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
    return code
