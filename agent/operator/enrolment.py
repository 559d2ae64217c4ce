"""A household's request to be enrolled: checked, its signature verified, turned into the contract's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

from agent.domain.errors import BadRequest

SCHEMA = "prosumer-agent/enrolment/1"
# A request has some 700 bytes; more is another file.
MOST_BYTES = 16 * 1024
_MOST_TEXT = 128
_MOST_REGISTER_WH = (1 << 40) - 1
_MOST_POWER_W = (1 << 24) - 1
_MOST_TIME_S = (1 << 32) - 1
_MOST_CHAIN_ID = (1 << 63) - 1
# The office binds personal data to the account when it keeps them; until then nothing is claimed.
_NO_PERSONAL_DATA = bytes(32)


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
class Enrolment:
    """A request whose signature was verified.

    Attributes:
        household: the account, checksummed.
        area: the distribution area.
        rated_power_w: the connection's rating, W.
        production: the production meter.
        consumption: the consumption meter.
        created_at: when the registers were read, UTC epoch seconds.
    """

    household: str
    area: str
    rated_power_w: int
    production: MeterStatement
    consumption: MeterStatement
    created_at: int

    def words(self) -> tuple[object, ...]:
        """The contract's ``Enrolment`` struct, in its order."""
        return (
            self.household,
            self.rated_power_w,
            self.created_at,
            self.production.register_wh,
            self.consumption.register_wh,
            keccak(text=self.area),
            self.production.meter_id,
            self.consumption.meter_id,
            _NO_PERSONAL_DATA,
        )


def canonical(request: Mapping[str, object]) -> str:
    """The text that the household signed: the request without its signature, keys sorted, no spaces."""
    unsigned = {name: value for name, value in request.items() if name != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":"))


def read(content: bytes, chain_id: int, contract: str, recover: Callable[[str, str], str]) -> Enrolment:
    """A request out of its file.

    Args:
        content: the file's bytes.
        chain_id: of the chain that the office enrols on.
        contract: the market there.
        recover: who signed a text, from text and signature (EIP-191).

    Raises:
        BadRequest: it is no request, is meant for another market, or was not signed by the household.
    """
    request = _parsed(content)
    found = Enrolment(
        household=_account(request),
        area=_text(request, "area", ""),
        rated_power_w=_number(request, "ratedPowerW", "", 1, _MOST_POWER_W),
        production=_meter(request, "productionMeter"),
        consumption=_meter(request, "consumptionMeter"),
        created_at=_number(request, "createdAt", "", 1, _MOST_TIME_S),
    )
    known = {"schema", "household", "area", "ratedPowerW", "productionMeter", "consumptionMeter"}
    known |= {"chainId", "contract", "createdAt", "signature"}
    if foreign := sorted(set(request) - known):
        raise BadRequest(f"the request has fields that this version does not know: {', '.join(foreign)[:_MOST_TEXT]}")
    if (asked := _number(request, "chainId", "", 1, _MOST_CHAIN_ID)) != chain_id:
        raise BadRequest(f"chainId is {asked}; this node's chain is {chain_id}")
    if (meant := request.get("contract")) != contract:
        raise BadRequest(f"contract is {_shown(meant)}; the market on this chain is {contract}")
    signer = recover(canonical(request), _text(request, "signature", ""))
    if signer != found.household:
        raise BadRequest(f"the request was signed by {signer}, not by its household {found.household}")
    if found.production.meter_id == found.consumption.meter_id:
        raise BadRequest("productionMeter and consumptionMeter are the same meter; a household has two")
    return found


def _parsed(content: bytes) -> dict[str, object]:
    if len(content) > MOST_BYTES:
        raise BadRequest(f"the file is longer than {MOST_BYTES} bytes: it is no enrolment request")
    # A request nests two deep; eth-account's libraries raise the recursion limit so far that depth would kill us.
    if content.count(b"{") + content.count(b"[") > _MOST_TEXT:
        raise BadRequest("the file is nested too deep: it is no enrolment request")
    try:
        request = json.loads(content)
    except ValueError as error:
        raise BadRequest(f"the file is not JSON ({type(error).__name__})") from error
    if not isinstance(request, dict) or request.get("schema") != SCHEMA:
        raise BadRequest(f'the file is no enrolment request: its "schema" would be "{SCHEMA}"')
    return cast("dict[str, object]", request)


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


def _text(holder: Mapping[str, object], name: str, within: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value or (name != "signature" and len(value) > _MOST_TEXT):
        raise BadRequest(f"{within}{name} is {_shown(value)}; a text of 1 to {_MOST_TEXT} characters belongs there")
    return value


def _number(holder: Mapping[str, object], name: str, within: str, least: int, most: int) -> int:
    value = holder.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(f"{within}{name} is {_shown(value)}; a whole number from {least} to {most} belongs there")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"
