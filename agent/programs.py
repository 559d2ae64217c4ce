"""The two programs as they are installed: a Ctrl-C is one line and exit code 1, whenever it comes.

A command's libraries take a second to load on a small board, and who mistyped ends it in that second. So nothing is
imported here that the interpreter has not loaded by itself; what is needed, is needed where a Ctrl-C can be answered.
"""

from __future__ import annotations

import os
import sys

_FAILED = 1


def household() -> int:
    """``prosumer-agent``, with the process's own arguments; gives its exit code."""
    return _ended("prosumer-agent", "agent.cli.main")


def operator() -> int:
    """``prosumer-operator``, with the process's own arguments; gives its exit code."""
    return _ended("prosumer-operator", "agent.operator.__main__")


def _ended(name: str, room: str) -> int:
    """Run the ``main`` of a room to its end; a Ctrl-C that it does not tell of itself is told here."""
    try:
        import importlib  # noqa: PLC0415 - a Ctrl-C can be answered from here on
        import signal  # noqa: F401, PLC0415 - as above: loaded now, there is nothing left to load at the end

        code: int = importlib.import_module(room).main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _FAILED
        sys.stderr.write(f"{name}: interrupted\n")
    _hurry(code)
    return code


def _hurry(code: int) -> None:
    """What follows is the interpreter's own end, which waits for threads: a Ctrl-C hurries it and changes nothing."""
    import signal  # noqa: PLC0415 - as above

    # One that is ignored, as in a script's background, stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
