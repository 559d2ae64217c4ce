"""Waiting for what nodes come to by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_POLL_S: Final = 0.1


def happens(condition: Callable[[], bool], within_s: float) -> bool:
    """Wait until something is so, and no longer than that; whether it came to be."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def wait_until(condition: Callable[[], bool], what: str, within_s: float) -> None:
    """The same, where it must.

    Raises:
        TimeoutError: It did not come to be; names what.
    """
    if not happens(condition, within_s):
        raise TimeoutError(f"{what} did not come within {within_s:g} s")
