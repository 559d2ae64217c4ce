"""``enrol``: the signed request with which the registration office enrols a household, or edits its profile.

Personal data are in the request's file alone. No journal, log, argument or environment variable of the agent has them.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from eth_utils.crypto import keccak

from agent import passphrase
from agent.cli import profile, table
from agent.cli.asking import confirmed
from agent.cli.inspections import settings
from agent.cli.ports import MeterView, TextSigner
from agent.configuration import Configuration, load, told_where
from agent.domain.errors import BadRequest
from agent.domain.office_requests import EDIT_SCHEMA, ENROLMENT_SCHEMA, signed_text
from agent.domain.personal_data import SALT_BYTES, PersonalData, fingerprint
from agent.domain.samples import MeterRole
from agent.privacy import close_process

Request = dict[str, object]


def command(asked: argparse.Namespace) -> int:
    """Carry out ``enrol``."""
    close_process()
    configuration = load(asked.config, os.environ)
    output = asked.output or Path("profile-edit.json" if asked.edit else "enrolment-request.json")
    if output.exists():
        raise BadRequest(f"{output} is there already; move it away, or name another file with --output")
    from agent.compose.commands import kernel_synchronised  # noqa: PLC0415 - after the quick refusals
    from agent.compose.keys import Keystore  # noqa: PLC0415 - as above

    if configuration.clock.require_synchronised and not kernel_synchronised():
        raise BadRequest("no time service keeps this machine's clock, so the time of the request cannot be stated")
    salt = secrets.token_bytes(SALT_BYTES)
    if asked.edit:
        who = profile.find(asked.profile)
        request = edit(configuration, personal(who, salt), int(time.time()))
        question = "Are the names and the national ID right, and shall it be signed?"
    else:
        with _open_meters(configuration, asked) as views:
            # Asked for once the configuration has proved right, and before the registers are read: that is their time.
            who = profile.find(asked.profile)
            meters = _both_stated(views, asked)
        request = unsigned(configuration, meters, personal(who, salt), int(time.time()))
        question = "Do both registers agree with the meters' displays, are the names right, and shall it be signed?"
    if not asked.json:
        # Where nobody looks before it is signed, standard output may be anyone's: a log, for example.
        print(told(request, None if asked.yes else who))
    if not confirmed(question, yes=asked.yes):
        return 1
    key = Keystore.open(configuration.keystore.path, passphrase.find(configuration.keystore.passphrase_file))
    signed = sign(request, key)
    write(output, signed)
    print(table.as_json({"file": output, "request": shareable(signed)}) if asked.json else _next(output))
    return 0


@contextmanager
def _open_meters(configuration: Configuration, asked: argparse.Namespace) -> Iterator[Mapping[MeterRole, MeterView]]:
    from agent.compose.commands import meter_views  # noqa: PLC0415 - after the quick refusals

    with told_where(asked.config, os.environ):
        views = meter_views(configuration)
    try:
        yield views
    finally:
        for view in views.values():
            view.close()


def _both_stated(views: Mapping[MeterRole, MeterView], asked: argparse.Namespace) -> dict[MeterRole, Request]:
    typed = {MeterRole.PRODUCTION: asked.production_serial, MeterRole.CONSUMPTION: asked.consumption_serial}
    return {role: stated(role, view, typed[role]) for role, view in views.items()}


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


def personal(who: PersonalData, salt: bytes) -> Request:
    """The part of a request that says who the household is, and what of it goes on the chain.

    Args:
        who: the personal data.
        salt: random; the office needs it to make the same hash.
    """
    return {
        "personalData": {"firstName": who.first_name, "familyName": who.family_name, "nationalId": who.national_id},
        "salt": f"0x{salt.hex()}",
        "personalDataHash": f"0x{fingerprint(who, salt, keccak).hex()}",
    }


def unsigned(
    configuration: Configuration, meters: Mapping[MeterRole, Request], who: Mapping[str, object], now_s: int
) -> Request:
    """The request for an enrolment before it is signed."""
    return {
        "schema": ENROLMENT_SCHEMA,
        "household": configuration.household.account,
        "area": configuration.household.area,
        "ratedPowerW": configuration.household.rated_power_w,
        "productionMeter": meters[MeterRole.PRODUCTION],
        "consumptionMeter": meters[MeterRole.CONSUMPTION],
        **_bound(configuration, who, now_s),
    }


def edit(configuration: Configuration, who: Mapping[str, object], now_s: int) -> Request:
    """The request for an edited profile before it is signed."""
    return {
        "schema": EDIT_SCHEMA,
        "household": configuration.household.account,
        **_bound(configuration, who, now_s),
    }


def _bound(configuration: Configuration, who: Mapping[str, object], now_s: int) -> Request:
    return {
        **who,
        "chainId": configuration.chain.id,
        "contract": configuration.chain.contract,
        "createdAt": now_s,
    }


def shareable(request: Mapping[str, object]) -> Request:
    """A request without the personal data and the salt, for a program's eyes."""
    return {name: value for name, value in request.items() if name not in {"personalData", "salt"}}


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
    return {**request, "signature": key.sign_text(signed_text(request))}


def write(path: Path, request: Request) -> None:
    """Write the request where there is no file yet, for its owner's eyes alone.

    Raises:
        BadRequest: there is one, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(request, indent=2) + "\n")
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error.strerror}") from None


def told(request: Request, who: PersonalData | None) -> str:
    """The request for a person.

    Args:
        request: an enrolment or an edit.
        who: the personal data to show; None to leave them out.
    """
    pairs: list[tuple[str, object]] = []
    if who is not None:
        pairs += [
            ("first name", who.first_name),
            ("family name", who.family_name),
            ("national ID", who.national_id),
        ]
    pairs.append(("household", request["household"]))
    if "area" in request:
        pairs += [("area", request["area"]), ("rated power", f"{request['ratedPowerW']} W")]
    for name, field in (("production meter", "productionMeter"), ("consumption meter", "consumptionMeter")):
        meter = request.get(field)
        if isinstance(meter, dict):
            pairs.append((name, f"{meter['profile']}, number {meter['serial']}, {table.kwh(meter['registerWh'])} kWh"))
    pairs += [
        ("chain", request["chainId"]),
        ("contract", request["contract"]),
        ("time", table.moment(int(str(request["createdAt"])))),
    ]
    return table.facts(pairs)


def _next(path: Path) -> str:
    return (
        f"Written to {path}, which only you may read: it holds your names and national ID. Bring it to the registration"
        " office, and remove it when you are enrolled; the agent needs it no more."
    )
