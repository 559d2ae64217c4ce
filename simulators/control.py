"""A line in, a JSON line out: how a running simulator is told what to do.

Every command is one line; every answer is one line of JSON with `ok`, and `error` in words when it is
false. The same handler serves standard input and a Unix socket.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

Commands = Mapping[str, Callable[[list[str]], Mapping[str, object]]]
"""What each first word does with the rest of its line; what it returns goes into the answer."""

_BACKLOG: Final = 8
_LONGEST_LINE: Final = 65_536
_LONGEST_PATH: Final = 107
"""Linux keeps a socket's path in 108 bytes, the last of them 0 (unix(7))."""


class CommandError(Exception):
    """A command was not understood or cannot be done; its text says what would be right."""


def answer(commands: Commands, line: str) -> str:
    """Carry out one command line.

    Args:
        commands: What may be asked.
        line: The line, with or without its end.

    Returns:
        One line of JSON without its end.
    """
    words = line.split()
    try:
        if not words or words[0] not in commands:
            known = ", ".join(sorted(commands))
            raise CommandError(f"no command {words[0] if words else ''!r}: give one of {known}")  # noqa: TRY301 - answered below like any other mistake
        reply = {"ok": True, **commands[words[0]](words[1:])}
    except (CommandError, ValueError) as error:
        reply = {"ok": False, "error": str(error)}
    return json.dumps(reply)


def whole_number(words: list[str], at: int, default: int | None = None) -> int:
    """Read one argument of a command as an integer.

    Args:
        words: The arguments.
        at: Which one.
        default: What it is when it is left out; None when it may not be.

    Raises:
        CommandError: It is missing or no integer.
    """
    if at >= len(words):
        if default is None:
            raise CommandError(f"argument {at + 1} is missing: give a whole number")
        return default
    try:
        return int(words[at], 0)
    except ValueError as error:
        raise CommandError(f"argument {at + 1} is {words[at]!r}: give a whole number") from error


class ControlSocket:
    """A Unix socket that answers command lines, each client in a thread of its own.

    Args:
        path: Where to make the socket; a dead one of an earlier run is replaced.
        commands: What may be asked.

    Raises:
        ValueError: The path is longer than a socket's name can be.
    """

    def __init__(self, path: Path, commands: Commands) -> None:
        self.path = path
        self._commands = commands
        if len(str(path).encode()) > _LONGEST_PATH:
            raise ValueError(f"{path} is too long for a socket: give one of at most {_LONGEST_PATH} bytes")
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(_BACKLOG)
        self._thread = threading.Thread(target=self._run, name=f"control {path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket."""
        with contextlib.suppress(OSError):  # a listener that was closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread out of accept
        self._listener.close()
        self._thread.join()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        # A client that leaves in the middle ends its own talk only.
        with (
            client,
            contextlib.suppress(OSError),
            client.makefile("rw", encoding="utf-8", errors="replace") as lines,
        ):
            while line := lines.readline(_LONGEST_LINE):
                lines.write(answer(self._commands, line) + "\n")
                lines.flush()


def converse(commands: Commands, asked: TextIO, told: TextIO) -> None:
    """Answer command lines from one text stream on another until the first ends.

    Args:
        commands: What may be asked.
        asked: Where lines come from.
        told: Where answers go.
    """
    for line in asked:
        print(answer(commands, line), file=told, flush=True)


def listens(path: Path) -> bool:
    """Whether a running simulator answers at a control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def tell(path: Path, line: str, timeout_s: float = 10.0) -> dict[str, object]:
    """Send one command to a running simulator.

    Args:
        path: Its control socket.
        line: The command.
        timeout_s: How long to wait for the answer.

    Returns:
        The answer.

    Raises:
        CommandError: The simulator refused; its own words.
        OSError: Nobody listens there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        client.connect(str(path))
        client.sendall(line.encode() + b"\n")
        with client.makefile("r", encoding="utf-8") as lines:
            reply: dict[str, object] = json.loads(lines.readline())
    if not reply["ok"]:
        raise CommandError(f"{path.name} refused {line!r}: {reply['error']}")
    return reply
