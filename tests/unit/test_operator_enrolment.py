"""A request is believed only if every field is right and the household signed just that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.keystore import recover_text
from agent.cli import enrol
from agent.domain.errors import BadRequest
from agent.domain.office_requests import RequestKind, signed_text
from agent.domain.personal_data import PersonalData, fingerprint
from agent.operator import enrolment

WALLET = Account.from_key("0x" + "01" * 32)
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
SALT = bytes(range(32))
HASH = fingerprint(PersonalData("سارا", "Rad", "0123456789"), SALT, keccak)
REQUEST: dict[str, Any] = {
    "schema": "prosumer-agent/enrolment/2",
    "household": WALLET.address,
    "area": "tehran-03",
    "ratedPowerW": 8000,
    "productionMeter": {"profile": "eastron_sdm120", "serial": "1001", "registerWh": 5},
    "consumptionMeter": {"profile": "eastron_sdm630", "serial": "1002", "registerWh": 7},
    "chainId": 31337,
    "contract": CONTRACT,
    "createdAt": 1_700_000_000,
    "personalData": {"firstName": "سارا", "familyName": "Rad", "nationalId": "0123456789"},
    "salt": "0x" + SALT.hex(),
    "personalDataHash": "0x" + HASH.hex(),
}
EDIT: dict[str, Any] = {
    "schema": "prosumer-agent/profile-edit/1",
    **{name: REQUEST[name] for name in ("household", "chainId", "contract", "createdAt")},
    **{name: REQUEST[name] for name in ("personalData", "salt", "personalDataHash")},
}


def signed(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a request may hold
    return sealed({**REQUEST, **changed})


def sealed(request: dict[str, Any]) -> dict[str, Any]:
    message = encode_defunct(text=signed_text(request))
    return {**request, "signature": "0x" + WALLET.sign_message(message).signature.hex()}


def read(request: object) -> enrolment.Asked:
    return enrolment.read(json.dumps(request).encode(), 31337, CONTRACT, recover_text)


def test_a_signed_request_becomes_the_contracts_words() -> None:
    function, (words,) = read(signed()).call()
    assert function == "enrol"
    assert words == (
        WALLET.address,
        8000,
        1_700_000_000,
        5,
        7,
        keccak(text="tehran-03"),
        keccak(text="eastron_sdm120:1001"),
        keccak(text="eastron_sdm630:1002"),
        HASH,
    )


def test_an_edit_becomes_the_contracts_words() -> None:
    asked = read(sealed(EDIT))
    assert asked.call() == ("setPersonalData", (WALLET.address, HASH))
    assert (asked.request.kind, asked.connection) == (RequestKind.EDIT, None)
    with pytest.raises(BadRequest, match="does not know: 'area'"):
        read(sealed({**EDIT, "area": "tehran-03"}))


def test_what_the_office_keeps_is_what_was_signed() -> None:
    asked = read(signed()).request
    again = enrolment.read(asked.document.encode("ascii"), 31337, CONTRACT, recover_text).request
    assert again == asked
    assert asked.personal == PersonalData("سارا", "Rad", "0123456789")
    assert (asked.salt, asked.personal_data_hash) == (SALT, "0x" + HASH.hex())
    assert asked.digest == read(signed()).request.digest
    assert asked.digest != read(signed(createdAt=1_700_000_001)).request.digest


def test_the_signed_text_is_canonical() -> None:
    assert signed_text({"b": 1, "a": {"d": 2, "c": "é"}, "signature": "0x"}) == '{"a":{"c":"\\u00e9","d":2},"b":1}'


def test_what_a_households_agent_signs_is_what_the_office_reads() -> None:
    class Key:
        address = WALLET.address

        def sign_text(self, text: str) -> str:
            return "0x" + WALLET.sign_message(encode_defunct(text=text)).signature.hex()

    request = enrol.sign({**REQUEST, "area": "شمال-۳"}, Key())
    connection = read(request).connection
    assert connection is not None
    assert connection.area == "شمال-۳"


@pytest.mark.parametrize("field", [name for name in REQUEST if name != "schema"])
def test_a_field_changed_after_signing_is_found(field: str) -> None:
    request = signed()
    other: dict[str, object] = {
        "household": Account.from_key("0x" + "02" * 32).address,
        "area": "other",
        "ratedPowerW": 9000,
        "productionMeter": {**REQUEST["productionMeter"], "registerWh": 6},
        "consumptionMeter": {**REQUEST["consumptionMeter"], "serial": "9"},
        "chainId": 1,
        "contract": WALLET.address,
        "createdAt": 1,
        "personalData": {**REQUEST["personalData"], "firstName": "Sara"},
        "salt": "0x" + "11" * 32,
        "personalDataHash": "0x" + "11" * 32,
    }
    with pytest.raises(BadRequest, match=r"was signed by|this node's chain|the market on this chain"):
        read({**request, field: other[field]})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"schema": "prosumer-agent/enrolment/1"}, "no request"),
        ({"schema": ["prosumer-agent/enrolment/2"]}, "no request"),
        ({"household": WALLET.address.lower()}, "household is"),
        ({"area": ""}, "area is"),
        ({"area": 5}, "area is"),
        ({"area": "\ud800"}, "half a character"),
        ({"area": "a\x1b[2J"}, "a control character"),
        ({"area": "a\u202eb"}, "a control character"),
        ({"area": "x" * 129}, "area is"),
        ({"ratedPowerW": 0}, "ratedPowerW is 0"),
        ({"ratedPowerW": True}, "ratedPowerW is True"),
        ({"ratedPowerW": 1 << 24}, "ratedPowerW is"),
        ({"productionMeter": None}, "productionMeter is None"),
        ({"productionMeter": {"profile": "a", "serial": "1"}}, "profile, serial and registerWh"),
        ({"productionMeter": {"profile": "a:b", "serial": "1", "registerWh": 1}}, "no colon"),
        ({"consumptionMeter": {"profile": "a", "serial": "1", "registerWh": -1}}, "registerWh is -1"),
        ({"consumptionMeter": {"profile": "a", "serial": "1", "registerWh": 1 << 40}}, "consumptionMeter.registerWh"),
        ({"consumptionMeter": {"profile": "a", "serial": "", "registerWh": 1}}, "consumptionMeter.serial"),
        ({"consumptionMeter": {"profile": "a", "serial": "1\r2", "registerWh": 1}}, "a control character"),
        ({"consumptionMeter": REQUEST["productionMeter"]}, "the same meter"),
        ({"createdAt": 0}, "createdAt is 0"),
        ({"chainId": 5}, "this node's chain is 31337"),
        ({"contract": None}, "contract is None"),
        ({"more": 1}, "does not know: 'more'"),
        ({"salt": None}, "salt is no 0x"),
        ({"salt": "0x" + "1" * 62 + "  "}, "salt is no 0x"),
        ({"salt": "0x" + "22" * 32}, "not the hash of salt and personalData"),
        ({"personalDataHash": "0x" + "00" * 32}, "not the hash of salt and personalData"),
        ({"personalDataHash": "0x" + "AB" * 32}, "personalDataHash is no 0x"),
        ({"personalData": None}, "personalData has the texts"),
        ({"personalData": {"firstName": "a", "familyName": "b"}}, "personalData has the texts"),
        ({"personalData": {**REQUEST["personalData"], "nationalId": 123456789}}, "personalData has the texts"),
        ({"personalData": {**REQUEST["personalData"], "nationalId": "0123456780"}}, "check digit"),
        ({"personalData": {**REQUEST["personalData"], "nationalId": "012-345678-9"}}, "one spelling"),
        ({"personalData": {**REQUEST["personalData"], "firstName": " Sara"}}, "one spelling"),
        ({"personalData": {**REQUEST["personalData"], "firstName": "<b>"}}, "begins with no letter"),
    ],
)
def test_a_wrong_field_is_named(changed: dict[str, object], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read(signed(**changed))


@pytest.mark.parametrize("field", ["firstName", "familyName", "nationalId"])
@pytest.mark.parametrize("value", ["canary-5", 5_550_123, ["canary"], "canary" * 30, "\ud800canary"])
def test_no_message_repeats_personal_data(field: str, value: object) -> None:
    with pytest.raises(BadRequest) as refused:
        read(signed(personalData={**REQUEST["personalData"], field: value}))
    assert not any(word in str(refused.value) for word in ("canary", "5550123", "سارا", "Rad", "0123456789"))


def test_no_trace_shows_personal_data_or_the_salt() -> None:
    asked = read(signed())
    shown = f"{asked!r} {asked.request!r} {asked.request}"
    assert not any(word in shown for word in ("سارا", "Rad", "0123456789", SALT.hex()))


@pytest.mark.parametrize("signature", [None, "", "0x", "0x" + "00" * 65, "zz", 5])
def test_a_wrong_signature_is_named(signature: object) -> None:
    with pytest.raises(BadRequest, match="signature"):
        read({**signed(), "signature": signature})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"[" * 16_000, b"9" * 16_000, b" " * 20_000, b"\xff"])
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequest, match="the file"):
        enrolment.read(content, 31337, CONTRACT, recover_text)


@given(st.binary(max_size=400))
def test_no_bytes_do_anything_else(content: bytes) -> None:
    with pytest.raises(BadRequest):
        enrolment.read(content, 31337, CONTRACT, recover_text)
