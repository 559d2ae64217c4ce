"""``check``: tries every part and says in words what is wrong and what to do."""

from __future__ import annotations

import argparse
import os
import time

from agent.cli import checks, table
from agent.cli.findings import Finding, failed, ok, problem, told
from agent.cli.inspections import as_facts, points
from agent.cli.ports import Inspection
from agent.configuration import Configuration, load, told_where
from agent.domain.errors import BrokerUnavailable
from agent.domain.samples import Measured, MeterRole


class _Quiet:
    """The parts' own log lines would only repeat what the findings say."""

    def info(self, event: str, **facts: object) -> None:
        """Say nothing."""

    def warning(self, event: str, **facts: object) -> None:
        """Say nothing."""

    def error(self, event: str, **facts: object) -> None:
        """Say nothing."""


def command(asked: argparse.Namespace) -> int:
    """Carry out ``check``."""
    configuration = load(asked.config, os.environ)
    found = [ok("configuration", f"{asked.config} is complete"), *_key(configuration)]
    with told_where(asked.config, os.environ):
        met, inspections, measured = _meters(configuration)
        found += [*met, *_chain(configuration, measured), *_broker(configuration)]
    if asked.json:
        seen = {role.value: as_facts(inspection) for role, inspection in inspections.items()}
        print(table.as_json({"unproven": configuration.chain.unproven, "findings": found, "meters": seen}))
    else:
        for role, inspection in inspections.items():
            print(f"{role} meter: {inspection.profile} on {inspection.line}, unit {inspection.unit}")
            print(points(inspection), end="\n\n")
        print(told(found))
    return 1 if failed(found) else 0


def _key(configuration: Configuration) -> list[Finding]:
    from agent.compose.keys import Keystore  # noqa: PLC0415 - loaded only once the configuration is good

    path = configuration.keystore.path
    return [
        *checks.keystore(
            lambda: Keystore.facts(path),
            path,
            configuration.household.account,
            configuration.keystore.passphrase_file,
            lambda passphrase: Keystore.open(path, passphrase),
        ),
        checks.directory(configuration.journal.directory),
    ]


def _meters(
    configuration: Configuration,
) -> tuple[list[Finding], dict[MeterRole, Inspection], dict[MeterRole, Measured]]:
    from agent.compose.commands import meter_views  # noqa: PLC0415 - as above

    found: list[Finding] = []
    inspections: dict[MeterRole, Inspection] = {}
    measured: dict[MeterRole, Measured] = {}
    for role, view in meter_views(configuration).items():
        about, inspection, seen = checks.meter(role, view)
        view.close()
        found += about
        if inspection is not None:
            inspections[role] = inspection
        if seen is not None:
            measured[role] = seen
    found += checks.same_meter(inspections)
    return found, inspections, measured


def _chain(configuration: Configuration, measured: dict[MeterRole, Measured]) -> list[Finding]:
    from agent.compose.commands import kernel_synchronised  # noqa: PLC0415 - as above
    from agent.compose.looking import known_lies, known_place  # noqa: PLC0415 - as above
    from agent.compose.parts import open_nodes  # noqa: PLC0415 - as above
    from agent.compose.proving import head_check_by, pins_against_chain, pins_now  # noqa: PLC0415 - as above

    settings = configuration.chain
    found = checks.validators(settings.consensus, len(settings.validators or ()), settings.checkpoint_block)
    found += [checks.clock(synchronised=kernel_synchronised(), required=configuration.clock.require_synchronised)]
    check_head = head_check_by(pins_now(configuration, known_place(configuration)))
    pool = open_nodes(configuration, _Quiet(), check_head=check_head, lies=known_lies(configuration))
    try:
        # First, since nodes whose blocks do not fit wrong pins are put aside when they are looked at.
        found += checks.pins(pins_against_chain(configuration, pool))
        statuses = pool.statuses()
        found += checks.block_time(statuses, int(time.time()))
        found += checks.nodes(statuses, configuration.household.area, unproven=settings.unproven)
        found += checks.contract_side(
            pool, configuration.household.rated_power_w, configuration.fees.max_fee_per_gas_wei, measured
        )
    finally:
        pool.close()
    return found


def _broker(configuration: Configuration) -> list[Finding]:
    settings = configuration.telemetry
    if not settings.enabled:
        return [ok("broker", "telemetry is off")]
    from agent.compose.parts import open_telemetry  # noqa: PLC0415 - as above

    try:
        connection = open_telemetry(configuration, _Quiet(), trying=True)
    except BrokerUnavailable as error:
        return [problem("broker", str(error), "put it right in [telemetry]")]
    return [checks.broker(connection, f"{settings.host}:{settings.port}")]
