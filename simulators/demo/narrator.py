"""Tells what an agent's log says, one line a fact."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

# The bits of a reading's flags, from the contract's interface.
_FLAGS: Final = {1: "production held", 2: "consumption held", 4: "late"}


@dataclass(slots=True)
class Narrator:
    """Tells what the agent's log says, one line a fact.

    Args:
        log: The agent's log.
        who: The household's name.
        began: Monotonic seconds at which the demonstration began.
        rests_on: What "final" rests on, said with it.

    Attributes:
        faults: Names of the warnings and errors that were told, with how often.
    """

    log: Path
    who: str
    began: float = field(default_factory=time.monotonic)
    rests_on: str = "unproven: a development chain seals nothing"
    faults: dict[str, int] = field(default_factory=dict)
    _read: int = 0

    def catch_up(self) -> None:
        """Tell what is new in the log."""
        with self.log.open(encoding="utf-8") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith("\n"):
                    break
                self._read += len(line.encode())
                self._tell(line)

    def say(self, what: str) -> None:
        """Print one line with the seconds since the start."""
        print(f"{time.monotonic() - self.began:7.1f}  {self.who:6} {what}", flush=True)

    def _tell(self, line: str) -> None:
        try:
            told: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            self.say(f"log       {line.rstrip()}")
            return
        event, level = str(told.get("event")), str(told.get("level"))
        if level in {"warning", "error"}:
            self.faults[event] = self.faults.get(event, 0) + 1
            said = " → ".join(str(told[name]) for name in ("problem", "advice") if told.get(name))
            self.say(f"{level:9} {' '.join((event, *_subject(told)))}: {said}")
        elif event in _LINES:
            for what in _LINES[event](told):
                self.say(f"{what} ({self.rests_on})" if event == "transaction.final" else what)
        elif event in _NAMED:
            self.say(f"          {' '.join((event, *_subject(told)))}")


def _closed(told: dict[str, Any]) -> Iterator[str]:
    yield (
        f"signed    interval to {time.strftime('%H:%M:%S', time.gmtime(told['interval_end']))}Z:"
        f" produced {told['produced_wh'] / 1000:.3f} kWh, consumed {told['consumed_wh'] / 1000:.3f} kWh"
        + "".join(f", {meaning}" for bit, meaning in _FLAGS.items() if told["flags"] & bit)
    )


def _sent(told: dict[str, Any]) -> Iterator[str]:
    yield f"sent      {told['kind']} {told['tx_hash'][:18]}… is in the mempool"


def _included(told: dict[str, Any]) -> Iterator[str]:
    yield f"included  {told['kind']} {told['tx_hash'][:18]}… in block {told['block']}"


def _final(told: dict[str, Any]) -> Iterator[str]:
    yield f"FINAL     {told['kind']} {told['tx_hash'][:18]}…"


def _decided(told: dict[str, Any]) -> Iterator[str]:
    for act in told["acts"]:
        yield f"rule      {act}"


def _traded(told: dict[str, Any]) -> Iterator[str]:
    paid = told["price_wei"] + (told["service_cost_wei"] if told["side"] == "bought" else 0)
    yield f"TRADE     {told['side']} {told['energy_wh'] / 1000:.3f} kWh for {paid / 1e18:.6f} ETH"


_LINES: Final[dict[str, Callable[[dict[str, Any]], Iterator[str]]]] = {
    "interval.closed": _closed,
    "transaction.sent": _sent,
    "transaction.included": _included,
    "transaction.final": _final,
    "rule.decided": _decided,
    "trade.concluded": _traded,
}
_NAMED: Final = {"meter.back", "broker.back", "parameters.changed", "epoch.opened", "agent.started"}


def _subject(told: dict[str, Any]) -> tuple[str, ...]:
    return (str(told["meter"]),) if "meter" in told else ()
