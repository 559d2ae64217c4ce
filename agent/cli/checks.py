"""The single checks of ``check``. Each is handed what it looks at and returns findings; none prints, none raises."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from agent import passphrase
from agent.cli.findings import Finding, ok, problem, warning
from agent.cli.ports import Broker, Inspection, MeterView, Nodes, NodeStatus
from agent.cli.table import NOTHING, kwh
from agent.domain.amounts import told_money
from agent.domain.errors import AgentError, KeystoreInvalid, MeterSilent
from agent.domain.fees import FeeQuote
from agent.domain.market import HouseholdState, Settlement
from agent.domain.samples import Measured, MeterRole

_FOREIGN = stat.S_IRWXG | stat.S_IRWXO
# A broker on a slow line answers in seconds; longer than this nobody waits before a screen.
_BROKER_DEADLINE_S = 15.0
# What a block's time may differ from ours before one of both is wrong; a consortium seals a block every few seconds.
_BLOCK_TOLERANCE_S = 300
# The gas of a first report, from the gas table; the account should hold a hundred of them.
_REPORT_GAS = 45_000
_REPORTS_IN_HAND = 100
# An inverter draws some watts at night; more than this against the counted direction is worth a look.
_IDLE_W = 50
_ADVICE_LOST = "the others are used meanwhile; tell the distribution company if it lasts"
_ADVICE_STRANGE = (
    "after validators were voted in this is so until the agent has run, which follows the votes: start it, then check"
    " again; if it lasts, compare [chain] with what the distribution company states"
)
_COUNTERS = {"import_energy", "export_energy"}
_WH = {"Wh": 1, "kWh": 1_000, "MWh": 1_000_000}


def keystore(
    facts: Callable[[], Mapping[str, str]],
    path: Path,
    account: str,
    passphrase_file: Path | None,
    opened: Callable[[bytes], object],
) -> list[Finding]:
    """The keystore's file, its directory, whose key it is, and whether its passphrase is there and right."""
    try:
        stated = facts()
    except KeystoreInvalid as error:
        return [problem("keystore", str(error), "nothing can be signed until this is put right")]
    found = []
    if stated["address"] != account:
        found.append(
            problem(
                "keystore",
                f"{path} is the key of {stated['address']}, but household.account is {account}",
                "name the right file in keystore.path, or the right address in household.account",
            )
        )
    else:
        found.append(ok("keystore", f"{path} is the key of {account} ({stated['kdf']})"))
    if "scrypt" in stated["kdf"]:
        found.append(
            warning(
                "keystore",
                "its derivation (scrypt) may take 256 MiB at each start",
                "bring it anew with 'prosumer-agent keys import'; that encrypts it lightly",
            )
        )
    mode = path.parent.stat().st_mode
    if mode & _FOREIGN:
        found.append(
            warning("keystore", f"its directory {path.parent} is open to others", f"run: chmod 700 {path.parent}")
        )
    if passphrase_file is not None:
        try:
            opened(passphrase.from_file(passphrase_file))
        except KeystoreInvalid as error:
            found.append(problem("passphrase", str(error), "the agent cannot start unattended"))
        else:
            found.append(ok("passphrase", f"{passphrase_file} is private and opens the keystore"))
    return found


def meter(role: MeterRole, view: MeterView) -> tuple[list[Finding], Inspection | None, Measured | None]:
    """One meter: does it answer, are its settings right, does it state a register."""
    part = f"{role} meter"
    try:
        inspection = view.inspect()
        measured = view.read()
    except MeterSilent as error:
        advice = (
            "stop the agent if it runs, since it holds a serial line; else look at power, wiring (A and B), unit number"
            " and line settings; 'prosumer-agent probe' searches"
        )
        return [problem(part, str(error), advice)], None, None
    except AgentError as error:
        return [problem(part, str(error), "put it right in the meter or in the configuration")], None, None
    found = [_setting(part, verdict.ok, verdict.sentence) for verdict in inspection.settings]
    if measured.raw_wh is None:
        found.append(
            problem(part, "it answers, but its register is unknown", "compare with its display; see the table")
        )
    else:
        serial = f", serial number {inspection.serial}" if inspection.serial else ""
        power = f", {measured.power_w} W" if measured.power_w is not None else ""
        found.append(ok(part, f"{inspection.profile}{serial}: {kwh(measured.raw_wh)} kWh{power}"))
    found += _direction(part, inspection, measured)
    found += [
        warning(
            part, f"{point.name} is of confidence C: no document confirms it", "compare it with the meter's display"
        )
        for point in inspection.points
        if point.confidence == "C"
    ]
    return found, inspection, measured


def _direction(part: str, inspection: Inspection, measured: Measured) -> list[Finding]:
    """Whether the meter is wired the way it is counted; only a person knows whether the sun shines."""
    signs = []
    if measured.power_w is not None and measured.power_w < -_IDLE_W:
        signs.append(f"{-measured.power_w} W flow against the direction that is counted")
    counters = [
        point.value * _WH[point.unit]
        for point in inspection.points
        if point.name in _COUNTERS and point.unit in _WH and isinstance(point.value, Decimal)
    ]
    if measured.raw_wh is not None and counters and max(counters) > measured.raw_wh + 2 * measured.resolution_wh:
        signs.append(f"its other counter has {kwh(int(max(counters)))} kWh, more than the one that is counted")
    advice = "if its wires are swapped, turn them or change its direction in the configuration; else it may stay"
    return [warning(part, sign, advice) for sign in signs]


def same_meter(inspections: Mapping[MeterRole, Inspection]) -> list[Finding]:
    """Whether both meters are one: then what is consumed would be booked as produced."""
    stated = {(seen.profile, seen.serial) for seen in inspections.values() if seen.serial}
    if len(stated) != 1 or len([seen for seen in inspections.values() if seen.serial]) != len(MeterRole):
        return []
    ((profile, serial),) = stated
    return [
        problem(
            "meters",
            f"production and consumption are the same meter: {profile}, serial number {serial}",
            "put the line or the unit of one of them right in [meters]",
        )
    ]


def _setting(part: str, verdict: bool | None, sentence: str) -> Finding:  # noqa: FBT001 - three-valued, from the driver
    if verdict is None:
        return warning(part, sentence, "a person must judge it")
    return ok(part, sentence) if verdict else problem(part, sentence, "change it in the meter, then check again")


def nodes(statuses: Sequence[NodeStatus], area: str, *, unproven: bool) -> list[Finding]:
    """Each full node, and whether there are enough."""
    found = [
        ok(f"full node {node.name}", f"area {node.area}, block {node.head.number if node.head else NOTHING}")
        if node.ok
        else problem(
            f"full node {node.name}",
            node.problem or "it is not used",
            _ADVICE_STRANGE if node.strange else _ADVICE_LOST,
        )
        for node in statuses
    ]
    if not any(node.ok and node.area == area for node in statuses):
        found.append(
            warning("full nodes", f"none of your own area {area} is usable", "ask the distribution company for one")
        )
    if unproven:
        found.append(
            warning(
                "chain",
                "unproven: chain.unproven is true, so one node's word is believed",
                "for development only; set it to false and name two full nodes",
            )
        )
    return found


def validators(consensus: str | None, count: int, checkpoint: int) -> list[Finding]:
    """Who is pinned to seal blocks; nothing where the chain is unproven, which is told elsewhere."""
    if consensus is None:
        return []
    since = "the genesis" if checkpoint == 0 else f"block {checkpoint}"
    return [ok("chain", f"{consensus}, {count} validator{'' if count == 1 else 's'} pinned at {since}")]


def pins(contradictions: Sequence[str]) -> list[Finding]:
    """What of the pins is not the chain's."""
    advice = "copy [chain] again from what the distribution company states"
    return [problem("chain", one, advice) for one in contradictions]


def block_time(statuses: Sequence[NodeStatus], now_s: int) -> list[Finding]:
    """Whether our clock and the newest block agree."""
    heads = [node.head for node in statuses if node.ok and node.head is not None]
    if not heads:
        return []
    behind = now_s - max(head.timestamp for head in heads)
    if abs(behind) <= _BLOCK_TOLERANCE_S:
        return [ok("clock", f"within {abs(behind)} s of the newest block")]
    which = "behind" if behind > 0 else "ahead of"
    return [
        warning(
            "clock",
            f"the newest block is {abs(behind)} s {which} this machine's clock",
            "if this machine's time is right, the chain stands still; else set the time",
        )
    ]


def clock(*, synchronised: bool, required: bool) -> Finding:
    """Whether a time service sets the clock."""
    if synchronised:
        return ok("clock", "a time service keeps it")
    said, advice = "no time service keeps it", "switch one on, for example: timedatectl set-ntp true"
    return problem("clock", f"{said}, so nothing is signed", advice) if required else warning("clock", said, advice)


def enrolment(state: HouseholdState, rated_power_w: int, measured: Mapping[MeterRole, Measured]) -> list[Finding]:
    """Whether the contract knows the household, and its registers fit the meters."""
    if not state.enrolled:
        return [
            problem(
                "enrolment",
                "the contract does not know this household",
                "run 'prosumer-agent enrol' and bring the file to the registration office",
            )
        ]
    found = []
    if not state.active:
        found.append(problem("enrolment", "the household is suspended", "ask the registration office why"))
    else:
        found.append(
            ok(
                "enrolment",
                f"epoch {state.epoch}, reading {state.sequence}; produced {kwh(state.produced_wh)} kWh,"
                f" consumed {kwh(state.consumed_wh)} kWh",
            )
        )
    if state.rated_power_w != rated_power_w:
        found.append(
            problem(
                "enrolment",
                f"the contract has a rating of {state.rated_power_w} W, household.rated_power_w is {rated_power_w}",
                "write the contract's figure into the configuration, or ask the registration office to correct theirs",
            )
        )
    booked = {MeterRole.PRODUCTION: state.produced_wh, MeterRole.CONSUMPTION: state.consumed_wh}
    for role, seen in measured.items():
        if seen.raw_wh is not None and seen.raw_wh + seen.resolution_wh < booked[role]:
            found.append(
                problem(
                    "enrolment",
                    f"the {role} meter states {kwh(seen.raw_wh)} kWh, below the {kwh(booked[role])} kWh on the chain",
                    "the two meters are swapped in the configuration, or this one was reset or replaced: then the"
                    " registration office must open a new epoch",
                )
            )
    return found


def funds(balance: int, quote: FeeQuote, most: int, unit: Settlement) -> Finding:
    """Whether the account can pay for its transactions."""
    price = quote.base_fee + quote.priority_fee
    if price == 0:
        return ok("funds", "transactions cost nothing on this chain")
    if quote.base_fee > most:
        return warning(
            "funds",
            f"gas costs {quote.base_fee} wei, more than fees.max_fee_per_gas_wei ({most})",
            "readings wait until it is cheaper; raise the limit if that lasts",
        )
    reports = balance // (price * _REPORT_GAS)
    said = f"the account holds {told_money(balance, unit)}, enough for about {reports:,} transactions at today's price"
    if reports < 1:
        return problem("funds", said, "send it some of the chain's currency, or ask the distribution company")
    if reports < _REPORTS_IN_HAND:
        return warning("funds", said, "send it more of the chain's currency soon")
    return ok("funds", said)


def contract_side(
    pool: Nodes, rated_power_w: int, most_fee: int, measured: Mapping[MeterRole, Measured]
) -> list[Finding]:
    """What the chain says of the household: enrolment, pause, funds."""
    try:
        found = enrolment(pool.household(), rated_power_w, measured)
        if pool.parameters().paused:
            found.append(warning("market", "the distribution company has paused it", "readings wait; nothing is lost"))
        found.append(funds(pool.balance(), pool.fee_quote(), most_fee, pool.settlement()))
    except AgentError as error:
        return [problem("enrolment", f"could not be asked: {error}", "put the full nodes right first")]
    return found


def broker(connection: Broker, place: str) -> Finding:
    """Whether the broker takes a session."""
    try:
        connection.check(_BROKER_DEADLINE_S)
    except AgentError as error:
        return problem("broker", str(error), "readings go to the chain all the same; telemetry waits")
    finally:
        connection.close(1.0)
    return ok("broker", f"{place} accepts us")


def directory(path: Path) -> Finding:
    """The journal's directory."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return warning("journal", f"{path}: {error.strerror}", "the agent makes it at its first start, if it may")
    if mode & _FOREIGN:
        return problem("journal", f"{path} is open to others (mode {mode & 0o777:04o})", f"run: chmod 700 {path}")
    return ok("journal", f"{path} is private")
