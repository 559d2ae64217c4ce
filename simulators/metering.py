"""The meters of a household in a process of their own, for tests and the demonstration."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulators.control import tell
from simulators.process import Child, StartError

_START_S: Final = 20.0
_ROOT: Final = Path(__file__).resolve().parent.parent


class MeteringProcess:
    """Runs `python -m simulators.meters` and speaks to it. Use it as a context manager, or call `close`.

    Args:
        directory: Where serial links and the control socket go.
        arguments: More of the command line's arguments (`--wiring`, `--speed`, `--start` ...).

    Raises:
        StartError: It did not start; with its own words.
    """

    def __init__(self, directory: Path, arguments: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "simulators.meters", "--directory", str(directory), *arguments]
        self._child = Child(command, "meters", directory=_ROOT)
        try:
            ready = self._child.wait_for_line(r'^\{"ready".*\}$', _START_S)
        except StartError:
            self._child.kill()
            raise
        self.ready: dict[str, object] = json.loads(ready[0])
        self._control = Path(str(self.ready["control"]))

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._child.pid

    def place(self, meter: str) -> dict[str, object]:
        """Say where a meter is: `wire`, and `path` or `host` and `port`; `unit`, `model`, `serial`, `counts`."""
        place = self.ready[meter]
        if not isinstance(place, dict):
            raise KeyError(f"{meter} is no meter: give production or consumption")
        return place

    def tell(self, line: str) -> dict[str, object]:
        """Send a command (`silence production`, `reset consumption`) and give its answer.

        Raises:
            CommandError: It was refused; in words.
        """
        return tell(self._control, line)

    def registers(self) -> dict[str, object]:
        """Give both registers exactly as they stand on the wire."""
        return self.tell("registers")

    def close(self) -> None:
        """End the process."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
