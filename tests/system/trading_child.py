"""An agent in a process of its own that kills itself with kill -9 at a named point of one order.

``python -m tests.system.trading_child CONFIGURATION KEY POINT``: takes every order in the journal to its end, but for
the one with that key it dies at that point. With the point ``none`` it lives.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from agent.domain.fees import Fee
from agent.domain.outbox import Attempt, Inclusion, State
from tests.integration.trading_house import House

POINTS = (
    "before signing",
    "signed and not committed",
    "signed",
    "before sending",
    "sent and not noted",
    "sent",
    "included and not committed",
    "included",
    "final and not committed",
    "final",
)
_LONGEST_S = 90.0


def die() -> None:
    """As a power cut would end it: no handler, no flush, no rollback."""
    os.kill(os.getpid(), signal.SIGKILL)


class Points:
    """Dies at one point of one order.

    Args:
        house: whose agent this is.
        key: the order's.
        point: where.
    """

    def __init__(self, house: House, key: str, point: str) -> None:
        self._house = house
        self._key = key
        self._point = point
        self._real: dict[str, Callable[..., Any]] = {}

    def reached(self, point: str, entry_id: int | None = None) -> None:
        """Die if this is the point, and the order's."""
        entry = self._house.outbox.by_key(self._key)
        if point == self._point and entry is not None and entry_id in {None, entry.id}:
            die()

    def set(self) -> None:
        """Put the points around what the stages call."""
        for place, name, changed in (
            (self._house.submit._signer, "sign_transaction", self._signing),
            (self._house.outbox, "sign", self._keeping),
            (self._house.nodes, "broadcast", self._sending),
            (self._house.outbox, "sent", self._noting),
            (self._house.outbox, "move", self._moving),
        ):
            self._real[name] = getattr(place, name)
            setattr(place, name, changed)

    def _committed(self, entry_id: int, before: str, after: str, write: Callable[[], None]) -> None:
        with self._house.journal.transaction():
            write()
            self.reached(before, entry_id)
        self.reached(after, entry_id)

    def _signing(  # noqa: PLR0917 - as the port
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int
    ) -> tuple[str, bytes]:
        if self._ours(data):
            self.reached("before signing")
        signed: tuple[str, bytes] = self._real["sign_transaction"](nonce, to, data, gas, fee, value)
        return signed

    def _keeping(self, entry_id: int, nonce: int, attempt: Attempt) -> None:
        keep = partial(self._real["sign"], entry_id, nonce, attempt)
        self._committed(entry_id, "signed and not committed", "signed", keep)

    def _sending(self, raw: bytes) -> bool:
        ours = self._attempt(raw)
        if ours:
            self.reached("before sending")
        taken = bool(self._real["broadcast"](raw))
        if ours:
            self.reached("sent and not noted")
        return taken

    def _noting(self, entry_id: int, tx_hash: str, now: int, *, accepted: bool) -> None:
        self._real["sent"](entry_id, tx_hash, now, accepted=accepted)
        self.reached("sent", entry_id)

    def _moving(self, entry_id: int, to: State, now: int, inclusion: Inclusion | None = None, why: str = "") -> None:
        move = partial(self._real["move"], entry_id, to, now, inclusion, why)
        self._committed(entry_id, f"{to} and not committed", str(to), move)

    def _ours(self, data: bytes) -> bool:
        entry = self._house.outbox.by_key(self._key)
        return entry is not None and entry.data == data

    def _attempt(self, raw: bytes) -> bool:
        entry = self._house.outbox.by_key(self._key)
        return entry is not None and any(attempt.raw == raw for attempt in entry.attempts)


def run(file: Path, key: str, point: str) -> int:
    """Take everything to its end; returns the exit code."""
    house = House(file)
    Points(house, key, point).set()
    deadline = time.monotonic() + _LONGEST_S
    while house.outbox.open_entries():
        if time.monotonic() >= deadline:
            return 3
        house.submit.run_once()
        house.confirm.run_once()
        time.sleep(0.02)
    house.close()
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
