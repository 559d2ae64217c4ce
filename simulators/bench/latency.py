"""How long an interval's reading takes to a full node's mempool, and to final, out of the agent's log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from simulators.ledger import Mined


def told(log: Path) -> Iterator[dict[str, Any]]:
    """The log's lines that are whole."""
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # being written just now, or an interpreter's own word
            continue


def moment(line: Mapping[str, Any]) -> float:
    """When a line was written, UTC epoch seconds."""
    return datetime.fromisoformat(str(line["at"])).timestamp()


def latencies(lines: Iterable[Mapping[str, Any]], mined: Sequence[Mined], period_s: int) -> list[float]:
    """Seconds from each interval's end to its reading in a mempool.

    The chain says which transaction carried which reading, and the log when a full node had taken that.

    Args:
        lines: The agent's log.
        mined: The readings on the chain; one that is not mined yet is not counted.
        period_s: The reporting period while they were taken.

    Returns:
        One figure an interval, in the order of the log.
    """
    sent: dict[str, float] = {}
    ends: list[int] = []
    for line in lines:
        if line["event"] == "transaction.sent":
            sent.setdefault(str(line["tx_hash"]), moment(line))
        elif line["event"] == "interval.closed":
            ends.append(int(line["interval_end"]))
    carried = {_boundary(reading.taken_at, period_s): reading.transaction for reading in mined}
    return [sent[carried[end]] - end for end in ends if end in carried and carried[end] in sent]


def final_after(lines: Iterable[Mapping[str, Any]], mined: Sequence[Mined], since: float) -> float | None:
    """Seconds from a moment until the first reading that was taken after it is final to the agent.

    Args:
        lines: The agent's log.
        mined: The readings on the chain.
        since: The moment, UTC epoch seconds.

    Returns:
        None if none is final yet.
    """
    later = {reading.transaction for reading in mined if reading.taken_at > since}
    moments = [moment(line) for line in lines if line["event"] == "transaction.final" and str(line["tx_hash"]) in later]
    return min(moments) - since if moments else None


def _boundary(taken_at: int, period_s: int) -> int:
    """The interval's end that a reading is of: it is taken there, or as soon after as the meter answers."""
    return round(taken_at / period_s) * period_s
