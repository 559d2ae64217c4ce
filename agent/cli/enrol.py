"""``enrol``: the signed request with which the registration office enrols a household."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from agent import passphrase
from agent.cli import table
from agent.cli.asking import confirmed
from agent.cli.inspections import settings
from agent.cli.ports import MeterView, TextSigner
from agent.configuration import Configuration, load, told_where
from agent.domain.errors import BadRequest
from agent.domain.samples import MeterRole
from agent.privacy import close_process

SCHEMA = "prosumer-agent/enrolment/1"

Request = dict[str, object]


def command(asked: argparse.Namespace) -> int:
    """Carry out ``enrol``."""
    close_process()
    configuration = load(asked.config, os.environ)
    if asked.output.exists():
        raise BadRequest(f"{asked.output} is there already; move it away, or name another file with --output")
    from agent.compose.commands import kernel_synchronised, meter_views  # noqa: PLC0415 - after the quick refusals
    from agent.compose.keys import Keystore  # noqa: PLC0415 - as above

    if configuration.clock.require_synchronised and not kernel_synchronised():
        raise BadRequest("no time service keeps this machine's clock, so the time of the registers cannot be stated")
    typed = {MeterRole.PRODUCTION: asked.production_serial, MeterRole.CONSUMPTION: asked.consumption_serial}
    with told_where(asked.config, os.environ):
        views = meter_views(configuration)
    try:
        meters = {role: stated(role, view, typed[role]) for role, view in views.items()}
    finally:
        for view in views.values():
            view.close()
    request = unsigned(configuration, meters, int(time.time()))
    if not asked.json:
        print(told(request))
    if not confirmed("Do both registers agree with the meters' displays, and shall it be signed?", yes=asked.yes):
        return 1
    key = Keystore.open(configuration.keystore.path, passphrase.find(configuration.keystore.passphrase_file))
    signed = sign(request, key)
    write(asked.output, signed)
    print(table.as_json({"file": asked.output, "request": signed}) if asked.json else _next(asked.output))
    return 0


def stated(role: MeterRole, view: MeterView, typed_serial: str | None) -> Request:
    """What is stated of one meter: model, serial number, register in Wh.

    Raises:
        MeterSilent: it does not answer.
        BadRequest: a setting in it is wrong, its register is unknown, or nobody knows its serial number.
    """
    inspection = view.inspect()
    if any(verdict.ok is False for verdict in inspection.settings):
        raise BadRequest(f"the {role} meter's settings are wrong:\n{settings(inspection)}")
    measured = view.read()
    if measured.raw_wh is None:
        raise BadRequest(f"the {role} meter answers, but its register is unknown; 'prosumer-agent check' shows why")
    if inspection.serial and typed_serial and inspection.serial != typed_serial:
        raise BadRequest(f"the {role} meter states serial number {inspection.serial}, not {typed_serial}")
    serial = inspection.serial or typed_serial
    if not serial:
        raise BadRequest(
            f"the {role} meter does not state its serial number; read it off its plate: --{role}-serial SERIAL"
        )
    return {"profile": inspection.profile, "serial": serial, "registerWh": measured.raw_wh}


def unsigned(configuration: Configuration, meters: Mapping[MeterRole, Request], now_s: int) -> Request:
    """The request before it is signed."""
    return {
        "schema": SCHEMA,
        "household": configuration.household.account,
        "area": configuration.household.area,
        "ratedPowerW": configuration.household.rated_power_w,
        "productionMeter": meters[MeterRole.PRODUCTION],
        "consumptionMeter": meters[MeterRole.CONSUMPTION],
        "chainId": configuration.chain.id,
        "contract": configuration.chain.contract,
        "createdAt": now_s,
    }


def canonical(request: Mapping[str, object]) -> str:
    """The text that is signed: keys sorted, no spaces, without the signature."""
    bare = {name: value for name, value in request.items() if name != "signature"}
    return json.dumps(bare, sort_keys=True, separators=(",", ":"))


def sign(request: Request, key: TextSigner) -> Request:
    """The request with the household's signature (EIP-191).

    Raises:
        BadRequest: the key is another account's.
    """
    if key.address != request["household"]:
        raise BadRequest(
            f"the keystore holds the key of {key.address}, but household.account is {request['household']};"
            " put one of them right"
        )
    return {**request, "signature": key.sign_text(canonical(request))}


def write(path: Path, request: Request) -> None:
    """Write the request where there is no file yet.

    Raises:
        BadRequest: there is one, or it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(request, indent=2) + "\n")
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error.strerror}") from None


def told(request: Request) -> str:
    """The request for a person."""
    pairs: list[tuple[str, object]] = [
        ("household", request["household"]),
        ("area", request["area"]),
        ("rated power", f"{request['ratedPowerW']} W"),
    ]
    for name, field in (("production meter", "productionMeter"), ("consumption meter", "consumptionMeter")):
        meter = request[field]
        if isinstance(meter, dict):
            pairs.append((name, f"{meter['profile']}, number {meter['serial']}, {table.kwh(meter['registerWh'])} kWh"))
    pairs += [
        ("chain", request["chainId"]),
        ("contract", request["contract"]),
        ("time", table.moment(int(str(request["createdAt"])))),
    ]
    return table.facts(pairs)


def _next(path: Path) -> str:
    return f"Written to {path}. Bring it to the registration office; it holds nothing secret."
