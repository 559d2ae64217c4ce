"""``status``: the agent at one glance, from the journal alone."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping

from agent.cli import table
from agent.cli.attested_screen import proven_facts, told_proven
from agent.cli.ports import Status
from agent.configuration import Configuration, load
from agent.domain.outbox import State
from agent.domain.readings import ReadingState
from agent.domain.samples import MINUTE_S, MeterRole

# Minute rows are written when two minutes are over; one more minute, and something is wrong.
_STALE_S = 3 * MINUTE_S


def command(asked: argparse.Namespace) -> int:
    """Carry out ``status``."""
    configuration = load(asked.config, os.environ)
    # Here, so that a bad configuration is told without loading the journal's library.
    from agent.compose.looking import open_journal_view  # noqa: PLC0415

    view = open_journal_view(configuration)
    try:
        seen = view.status()
    finally:
        view.close()
    if asked.json:
        print(table.as_json(facts(seen, configuration)))
    else:
        print(told(seen, configuration, int(time.time())))
    return 0


def facts(seen: Status, configuration: Configuration) -> dict[str, object]:
    """The same for a program: integers in Wh and UTC epoch seconds; None where nothing is known yet."""
    known = table.plain(seen)
    household, block = seen.household or (None, None)
    epoch, sequence = seen.telemetry_mark
    return {
        "account": configuration.household.account,
        "area": configuration.household.area,
        "unproven": configuration.chain.unproven,
        **(known if isinstance(known, dict) else {}),
        "attested": None if configuration.chain.unproven or seen.attested is None else proven_facts(seen.attested),
        "household": household,
        "block": block,
        "telemetryMark": {"epoch": epoch, "sequence": sequence} if epoch else None,
    }


def told(seen: Status, configuration: Configuration, now_s: int) -> str:
    """One screen for a person."""
    chain = configuration.chain
    proven = " - unproven: a development chain" if chain.unproven else f"; what is final is proven ({chain.consensus})"
    pairs: list[tuple[str, object]] = [
        ("household", configuration.household.account),
        ("area", configuration.household.area),
        ("chain", f"{configuration.chain.id}, contract {configuration.chain.contract}{proven}"),
        ("agent", _agent(seen, now_s)),
        ("epoch", seen.epoch),
        *((f"{role} meter", _register(seen, role)) for role in MeterRole),
        ("readings", _counts(seen.readings)),
        ("outbox", _counts(seen.entries)),
        ("contract", _contract(seen)),
        ("market", _market(seen)),
        *_ledger(seen, unproven=configuration.chain.unproven),
        ("telemetry", _telemetry(seen, configuration)),
    ]
    parts = [table.facts(pairs)]
    if seen.halted is not None:
        parts.append(
            f"SUBMISSION IS HALTED: {seen.halted}\n"
            "Find out who else uses the key; then: prosumer-agent keys resume. Readings are kept meanwhile."
        )
    if seen.lies:
        parts.append(_lies(seen, now_s))
    if seen.events:
        rows = [
            (table.moment(event.at), event.level, _what(event.name, event.facts), str(event.facts.get("advice", "")))
            for event in seen.events
        ]
        parts.append(table.grid(("newest warnings", "level", "event", "what to do"), rows))
    return "\n\n".join(parts)


def _lies(seen: Status, now_s: int) -> str:
    rows = [
        (
            table.moment(lie.at),
            lie.node,
            table.moment(lie.until) if lie.until > now_s else "asked again",
            lie.why,
        )
        for lie in seen.lies
    ]
    return table.grid(("caught lying", "full node", "not asked until", "why"), rows)


def _what(event: str, facts: Mapping[str, object]) -> str:
    """Two full nodes, or two meters, have events of one name."""
    return " ".join((event, *(str(facts[subject]) for subject in ("meter", "node") if facts.get(subject))))


def _agent(seen: Status, now_s: int) -> str:
    if not seen.running:
        newest = seen.newest_minute
        last = "" if newest is None else f"; it wrote last at {table.moment(newest + MINUTE_S)}"
        return f"IS NOT RUNNING{last}; start it: systemctl start prosumer-agent"
    if seen.newest_minute is None:
        return "has written no minute row yet; the first comes within three minutes of its start"
    since = max(0, now_s - seen.newest_minute - MINUTE_S)
    if since <= _STALE_S:
        return "is writing its journal"
    return f"HAS WRITTEN NOTHING FOR {table.age(since)}; look at: systemctl status prosumer-agent"


def _register(seen: Status, role: MeterRole) -> str:
    state = seen.registers.get(role)
    if state is None or state.raw_wh is None:
        return "no register yet"
    said = f"{table.kwh(state.raw_wh)} kWh at {table.moment(state.at_ms // 1000)}"
    if state.suspicion is not None:
        said += f"; HELD: it {state.suspicion.kind} to {table.kwh(state.suspicion.raw_wh)} kWh"
    return said


def _counts(counted: Mapping[ReadingState, int] | Mapping[State, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counted.items()) or "none"


def _contract(seen: Status) -> str:
    if seen.household is None:
        return "not asked yet"
    state, head = seen.household
    if not state.enrolled:
        return f"does not know this household (block {head.number}); run: prosumer-agent enrol"
    active = "" if state.active else "SUSPENDED, "
    return (
        f"{active}epoch {state.epoch}, reading {state.sequence}: produced {table.kwh(state.produced_wh)} kWh, consumed"
        f" {table.kwh(state.consumed_wh)} kWh, holds {table.kwh(state.tokens_wh)} tokens (block {head.number})"
    )


def _market(seen: Status) -> str:
    if seen.parameters is None:
        return "not asked yet"
    paused = "PAUSED, " if seen.parameters.paused else ""
    return f"{paused}a reading every {seen.parameters.reporting_period_s} s"


def _ledger(seen: Status, *, unproven: bool) -> list[tuple[str, object]]:
    return [] if unproven or seen.attested is None else [("own trades", told_proven(seen.attested))]


def _telemetry(seen: Status, configuration: Configuration) -> str:
    if not configuration.telemetry.enabled:
        return "off"
    epoch, sequence = seen.telemetry_mark
    acknowledged = configuration.telemetry.acknowledgements
    if not epoch:
        return "nothing acknowledged by a collector yet" if acknowledged else "nothing taken by the broker yet"
    who = "the collector holds" if acknowledged else "the broker took"
    return f"{who} everything up to epoch {epoch}, reading {sequence}"
