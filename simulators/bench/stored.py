"""What the journal holds after a year of quarter hours: the agent's own rooms write it, SQLite says what it takes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from simulators.bench.figures import Figure, Section
from simulators.bench.programs import told_by

NAME: Final = "stored"
DAYS: Final = 365
QUICK_DAYS: Final = 20
MINUTES_DAYS: Final = 20
"""Of the year, days with minute rows: they are alike, and there are a million of them in a year."""
MEGABYTES_LIMIT: Final = 50.0

_CHAIN: Final = {
    "reading": "signed; one each 15 minutes",
    "entry": "their transactions, and 8 orders a day",
    "attempt": "signed bytes, of 90 days",
    "market_event": "what the contract booked",
    "evidence": "of 8 orders a day, and the newest of the slot",
}
_ROOT: Final = Path(__file__).resolve().parents[2]
_EVIDENCE: Final = _ROOT / "tests" / "fixtures" / "evidence" / "clique-redeem.json"
_ORDERS_A_DAY: Final = 8
_PROGRAM_S: Final = 600.0

# The bytes that differ from one transaction to the next cannot be compressed, so they are drawn at random.
_STORE: Final = """
import json, random, sys
from pathlib import Path
from agent.adapters.event_rows import EventRows
from agent.adapters.evidence_rows import EvidenceRows
from agent.adapters.journal import Journal
from agent.adapters.market_rows import MarketRows
from agent.adapters.meter_rows import MeterRows
from agent.adapters.decision_rows import DecisionRows
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.domain.fees import Fee
from agent.domain.market_events import Place, ReadingBooked, Redeemed
from agent.domain.outbox import Attempt, Inclusion, Intent, Kind, State
from agent.domain.readings import ClosedReading, Flags, Reading, SignedReading
from agent.domain.samples import MeterRole, MinuteRow
from agent.stages.retain import Retain

asked = json.loads(sys.argv[1])
chance = random.Random(1)
household, market = "0x39dcF9BEf66c057B1a477F621bd9e99B75791FCC", "0x53C4435E3E8133cA9642DEFf558FF78D22D409b8"
begin, period = 1_782_104_400, 900
evidence = Path(asked["evidence"]).read_text(encoding="ascii")

class Clock:
    now_s = begin
    def now_ms(self): return self.now_s * 1000
    def monotonic(self): return float(self.now_s)
    def trusted(self): return True

journal = Journal(Path(asked["path"]))
journal._connection.execute("PRAGMA synchronous = OFF")  # what is stored is measured, and not how
journal.migrate()
readings, outbox, events = ReadingRows(journal, household), OutboxRows(journal), EventRows(journal)
proofs, booked, meters, clock = EvidenceRows(journal), MarketRows(journal), MeterRows(journal), Clock()
retain = Retain(meters=meters, readings=readings, outbox=outbox, events=events, decisions=DecisionRows(journal),
                market=booked, clock=clock, minute_rows_days=400, readings_years=10)

def fresh(count): return "0x" + chance.randbytes(count).hex()

def final(intent, carried, at, block):
    outbox.queue(intent, at, carried)
    entry = outbox.by_key(intent.key)
    tx_hash = fresh(32)
    outbox.sign(entry.id, outbox.next_nonce(), Attempt(tx_hash, chance.randbytes(206), Fee(10**9, 10**9), at))
    outbox.sent(entry.id, tx_hash, at + 1, accepted=True)
    found = Inclusion(tx_hash, block, fresh(32), True)
    outbox.move(entry.id, State.INCLUDED, at + 4, found)
    outbox.move(entry.id, State.FINAL, at + 60, found)
    facts = {"entry": entry.id, "kind": str(intent.kind), "tx_hash": tx_hash}
    events.add([(at + 1, "transaction.sent", "info", facts)])
    events.add([(at + when, f"transaction.{name}", "info", facts | {"block": block, "nonce": entry.id})
                for when, name in ((4, "included"), (60, "final"))])
    return entry.id, found

for day in range(asked["days"]):
    with journal.transaction():
        for quarter in range(96):
            number = day * 96 + quarter + 1
            end = begin + number * period
            clock.now_s, block = end + 60, number * 180
            closed = ClosedReading(end, period, 1, end - 1, 1_234_567 + number * 300, 2_345_678 + number * 250,
                                   Flags.NONE, 0, chance.randbytes(4), chance.randbytes(4))
            readings.close(closed)
            row, _ = readings.closed(1)[0]
            reading = Reading(household, 1, number, closed.taken_at, closed.produced_wh, closed.consumed_wh)
            readings.seal(row, SignedReading(reading, chance.randbytes(65)))
            events.add([(end, "interval.closed", "info", {"produced_wh": closed.produced_wh, "sequence": number,
                         "consumed_wh": closed.consumed_wh, "epoch": 1, "interval_end": end})])
            _, found = final(Intent(f"report:1:{number}", Kind.REPORT, market, chance.randbytes(100), 60_000),
                             [row], end, block)
            told = [ReadingBooked(Place(block, 0, found.tx_hash, end), reading)]
            if quarter % (96 // asked["orders"]) == 0:
                intent = Intent(f"redeem:{number}", Kind.REDEEM, market, chance.randbytes(36), 60_000)
                entry, at = final(intent, [], end, block)
                proofs.keep_entry(entry, block, end, evidence)
                told.append(Redeemed(Place(block, 1, at.tx_hash, end), household, 100))
            booked.add(told, block, found.block_hash)
            if day < asked["minutes"]:
                meters.add_minutes([MinuteRow(role, end - period + 60 * minute, 1_234_567 + number * 300 + minute,
                                              900, 1000, 1100, 60, 0)
                                    for minute in range(15) for role in MeterRole])
    if day % 30 == 29:
        retain.run_once()
retain.run_once()
journal.execute("VACUUM")
sizes = {row["name"]: row["bytes"] for row in journal.query(
    "SELECT coalesce(m.tbl_name, s.name) AS name, sum(s.pgsize) AS bytes FROM dbstat s"
    " LEFT JOIN sqlite_schema m ON m.name = s.name GROUP BY 1")}
print(json.dumps(sizes))
"""


def measure(days: int, say: Callable[[str], None]) -> Section:
    """Write so many days of quarter hours, and weigh them.

    Args:
        days: How many.
        say: Told how far it is.

    Raises:
        BenchError: The journal could not be written.
    """
    say(f"stored: writing {days} days of quarter hours")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        sizes = _sizes(Path(directory) / "journal.sqlite", days)
    year = {name: size * DAYS / (MINUTES_DAYS if name == "minute" else days) / 1e6 for name, size in sizes.items()}
    kept = sum(year.get(name, 0.0) for name in _CHAIN)
    limit = MEGABYTES_LIMIT if days >= DAYS else None
    return Section(
        NAME,
        f"{days} days written by the agent's own rooms, retention carried out, tables weighed with their indices",
        [
            Figure("readings, transactions, evidence and the contract's events", kept, "MB", limit, "a year of them"),
            *(Figure(f"of that, {name}", year.get(name, 0.0), "MB", remark=what) for name, what in _CHAIN.items()),
            Figure("minute rows", year.get("minute", 0.0), "MB", remark="both meters; kept for 400 days"),
            Figure("the log's events", year.get("event", 0.0), "MB", remark="kept for 400 days"),
        ],
    )


def _sizes(path: Path, days: int) -> Mapping[str, Any]:
    asked = {
        "path": str(path),
        "days": days,
        "orders": _ORDERS_A_DAY,
        "evidence": str(_EVIDENCE),
        "minutes": MINUTES_DAYS,
    }
    return told_by(_STORE, [json.dumps(asked)], _PROGRAM_S)
