"""A household's request to the registration office: verified, and turned into the contract's words."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

from agent.domain.errors import BadRequest
from agent.domain.office_requests import EDIT_SCHEMA, ENROLMENT_SCHEMA, NewRequest, RequestKind, signed_text
from agent.domain.personal_data import JOINERS, SALT_BYTES, PersonalData, fingerprint, personal_data

# A request has some 1,200 bytes; more is another file.
MOST_BYTES = 16 * 1024
_MOST_TEXT = 128
_MOST_REGISTER_WH = (1 << 40) - 1
_MOST_POWER_W = (1 << 24) - 1
_MOST_TIME_S = (1 << 32) - 1
_MOST_CHAIN_ID = (1 << 63) - 1
_BYTES32 = re.compile(f"0x[0-9a-f]{{{2 * SALT_BYTES}}}")
_SIGNED = {"schema", "household", "chainId", "contract", "createdAt", "signature"}
_PERSONAL = {"personalData", "salt", "personalDataHash"}
_METERED = {"area", "ratedPowerW", "productionMeter", "consumptionMeter"}
_KINDS = {ENROLMENT_SCHEMA: RequestKind.ENROLMENT, EDIT_SCHEMA: RequestKind.EDIT}


@dataclass(frozen=True, slots=True)
class MeterStatement:
    """What a household states of one meter.

    Attributes:
        profile: the meter's model.
        serial: its serial number.
        register_wh: its register when the request was made, Wh.
    """

    profile: str
    serial: str
    register_wh: int

    @property
    def meter_id(self) -> bytes:
        """What stands for the meter on the chain: keccak-256 of ``profile:serial``."""
        return keccak(text=f"{self.profile}:{self.serial}")


@dataclass(frozen=True, slots=True)
class Connection:
    """What an enrolment states of the household's connection.

    Attributes:
        area: the distribution area.
        rated_power_w: the connection's rating, W.
        production: the production meter.
        consumption: the consumption meter.
    """

    area: str
    rated_power_w: int
    production: MeterStatement
    consumption: MeterStatement


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """A request that was verified. It has no ``repr``: it holds personal data.

    Attributes:
        request: what the office keeps of it.
        connection: the meters of an enrolment; None for an edit.
    """

    request: NewRequest
    connection: Connection | None

    def call(self) -> tuple[str, tuple[object, ...]]:
        """The contract's function that carries it out, and its arguments."""
        asked, stated = self.request, self.connection
        fingerprinted = bytes.fromhex(asked.personal_data_hash[2:])
        if stated is None:
            return "setPersonalData", (asked.household, fingerprinted)
        words = (
            asked.household,
            stated.rated_power_w,
            asked.created_at,
            stated.production.register_wh,
            stated.consumption.register_wh,
            keccak(text=stated.area),
            stated.production.meter_id,
            stated.consumption.meter_id,
            fingerprinted,
        )
        return "enrol", (words,)


def read(content: bytes, chain_id: int, contract: str, recover: Callable[[str, str], str]) -> Asked:
    """A request out of its file.

    Args:
        content: the file's bytes.
        chain_id: of the chain that the office enrols on.
        contract: the market there.
        recover: who signed a text, from text and signature (EIP-191).

    Raises:
        BadRequest: it is no request, is meant for another market, its personal data cannot be right or do not hash to
            what it states, or it was not signed by the household. No message repeats personal data.
    """
    request = _parsed(content)
    kind = _KINDS[str(request["schema"])]
    known = _SIGNED | _PERSONAL | (_METERED if kind is RequestKind.ENROLMENT else set())
    if foreign := sorted(set(request) - known):
        raise BadRequest(
            f"the request has fields that this version does not know: {ascii(', '.join(foreign))[:_MOST_TEXT]}"
        )
    household = _account(request)
    created_at = _number(request, "createdAt", "", 1, _MOST_TIME_S)
    connection = _connection(request) if kind is RequestKind.ENROLMENT else None
    if (asked := _number(request, "chainId", "", 1, _MOST_CHAIN_ID)) != chain_id:
        raise BadRequest(f"chainId is {asked}; this node's chain is {chain_id}")
    if (meant := request.get("contract")) != contract:
        raise BadRequest(f"contract is {_shown(meant)}; the market on this chain is {contract}")
    personal, salt = _personal(request), _bytes32(request, "salt")
    fingerprinted = _bytes32(request, "personalDataHash")
    text = signed_text(request)
    signer = recover(text, _text(request, "signature", ""))
    if signer != household:
        raise BadRequest(f"the request was signed by {signer}, not by its household {household}")
    if fingerprint(personal, salt, keccak) != fingerprinted:
        raise BadRequest("personalDataHash is not the hash of salt and personalData: have the household ask anew")
    new = NewRequest(
        kind=kind,
        chain_id=chain_id,
        contract=contract,
        household=household,
        created_at=created_at,
        personal=personal,
        salt=salt,
        personal_data_hash=f"0x{fingerprinted.hex()}",
        document=json.dumps(request, sort_keys=True),
        # The salt is in the text, so the digest tells nothing of it.
        digest=f"0x{keccak(text=text).hex()}",
    )
    return Asked(new, connection)


def connection_of(document: bytes) -> Connection | None:
    """What a request that was verified when it was taken in states of the connection; None for an edit.

    Raises:
        BadRequest: it was changed since.
    """
    request = _parsed(document)
    return _connection(request) if request["schema"] == ENROLMENT_SCHEMA else None


def _parsed(content: bytes) -> dict[str, object]:
    if len(content) > MOST_BYTES:
        raise BadRequest(f"the file is longer than {MOST_BYTES} bytes: it is no request")
    # A request nests two deep; eth-account's libraries raise the recursion limit so far that depth would kill us.
    if content.count(b"{") + content.count(b"[") > _MOST_TEXT:
        raise BadRequest("the file is nested too deep: it is no request")
    try:
        request = json.loads(content)
    except ValueError as error:
        raise BadRequest(f"the file is not JSON ({type(error).__name__})") from None
    if not isinstance(request, dict) or str(request.get("schema")) not in _KINDS:
        raise BadRequest(f'the file is no request: its "schema" would be one of {", ".join(_KINDS)}')
    return cast("dict[str, object]", request)


def _connection(request: Mapping[str, object]) -> Connection:
    found = Connection(
        area=_text(request, "area", ""),
        rated_power_w=_number(request, "ratedPowerW", "", 1, _MOST_POWER_W),
        production=_meter(request, "productionMeter"),
        consumption=_meter(request, "consumptionMeter"),
    )
    if found.production.meter_id == found.consumption.meter_id:
        raise BadRequest("productionMeter and consumptionMeter are the same meter; a household has two")
    return found


def _personal(request: Mapping[str, object]) -> PersonalData:
    stated = request.get("personalData")
    names = ("firstName", "familyName", "nationalId")
    if not isinstance(stated, dict) or set(stated) != set(names) or not all(isinstance(stated[n], str) for n in names):
        raise BadRequest("personalData has the texts firstName, familyName and nationalId, and nothing else")
    found = personal_data(*(stated[name] for name in names))
    if (found.first_name, found.family_name, found.national_id) != tuple(stated[name] for name in names):
        raise BadRequest("personalData is not in its one spelling, which prosumer-agent enrol writes")
    return found


def _meter(request: Mapping[str, object], name: str) -> MeterStatement:
    stated = request.get(name)
    if not isinstance(stated, dict) or set(stated) != {"profile", "serial", "registerWh"}:
        raise BadRequest(f"{name} is {_shown(stated)}; it has profile, serial and registerWh")
    profile = _text(stated, "profile", f"{name}.")
    if ":" in profile:
        raise BadRequest(f"{name}.profile is {_shown(profile)}; a model's name has no colon")
    return MeterStatement(
        profile=profile,
        serial=_text(stated, "serial", f"{name}."),
        register_wh=_number(stated, "registerWh", f"{name}.", 0, _MOST_REGISTER_WH),
    )


def _account(request: Mapping[str, object]) -> str:
    account = request.get("household")
    if not isinstance(account, str) or not is_checksum_address(account):
        raise BadRequest(f"household is {_shown(account)}; a checksummed 0x address belongs there")
    return account


def _bytes32(request: Mapping[str, object], name: str) -> bytes:
    value = request.get(name)
    if isinstance(value, str) and _BYTES32.fullmatch(value):
        return bytes.fromhex(value[2:])
    # The salt is not shown: it is what keeps the hash on the chain from telling anything.
    raise BadRequest(f"{name} is no 0x and {2 * SALT_BYTES} lower hexadecimal digits")


def _text(holder: Mapping[str, object], name: str, within: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value or (name != "signature" and len(value) > _MOST_TEXT):
        raise BadRequest(f"{within}{name} is {_shown(value)}; a text of 1 to {_MOST_TEXT} characters belongs there")
    # It is shown on the terminal of the person who decides, which acts on control characters.
    if any(unicodedata.category(letter).startswith("C") and letter not in JOINERS for letter in value):
        raise BadRequest(f"{within}{name} is {_shown(value)}; a control character or half a character is in it")
    return value


def _number(holder: Mapping[str, object], name: str, within: str, least: int, most: int) -> int:
    value = holder.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(f"{within}{name} is {_shown(value)}; a whole number from {least} to {most} belongs there")
    return value


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"
