"""Tells what an agent's log says, one line a fact."""

from __future__ import annotations

import json
import time
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

    Attributes:
        faults: Names of the warnings and errors that were told, with how often.
    """

    log: Path
    who: str
    began: float = field(default_factory=time.monotonic)
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
        elif event == "interval.closed":
            self.say(
                f"signed    interval to {time.strftime('%H:%M:%S', time.gmtime(told['interval_end']))}Z:"
                f" produced {told['produced_wh'] / 1000:.3f} kWh, consumed {told['consumed_wh'] / 1000:.3f} kWh"
                + "".join(f", {meaning}" for bit, meaning in _FLAGS.items() if told["flags"] & bit)
            )
        elif event == "transaction.sent":
            self.say(f"sent      {told['kind']} {told['tx_hash'][:18]}… is in the mempool")
        elif event == "transaction.included":
            self.say(f"included  {told['kind']} {told['tx_hash'][:18]}… in block {told['block']}")
        elif event == "transaction.final":
            self.say(f"FINAL     {told['kind']} {told['tx_hash'][:18]}… (unproven: a development chain seals nothing)")
        elif event == "rule.decided":
            self.say(f"rule      {told.get('did') or told.get('why')}")
        elif event == "trade.concluded":
            self.say(f"TRADE     {told['energy_wh'] / 1000:.3f} kWh {told.get('side', '')}".rstrip())
        elif event in {"meter.back", "broker.back", "parameters.changed", "epoch.opened", "agent.started"}:
            self.say(f"          {' '.join((event, *_subject(told)))}")


def _subject(told: dict[str, Any]) -> tuple[str, ...]:
    return (str(told["meter"]),) if "meter" in told else ()
