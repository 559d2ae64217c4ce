"""What the key signs, checked against other implementations."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.keystore import Keystore, reading_digest, recover_reading, recover_text
from agent.domain.errors import BadReading, BadRequest
from agent.domain.fees import Fee
from agent.domain.readings import Flags, Reading, SignedReading
from agent.domain.signing import READING_TYPE, SigningDomain

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = bytes(range(1, 33))
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
MARKET = SigningDomain(31337, CONTRACT)
ACCOUNT = str(Account.from_key(KEY).address)
SIGNER = Keystore(Account.from_key(KEY), Path("keystore.json"))

readings = st.builds(
    Reading,
    household=st.just(ACCOUNT),
    epoch=st.integers(0, 2**8 - 1),
    sequence=st.integers(0, 2**24 - 1),
    taken_at=st.integers(0, 2**32 - 1),
    produced_wh=st.integers(0, 2**40 - 1),
    consumed_wh=st.integers(0, 2**40 - 1),
    flags=st.integers(0, 7).map(Flags),
)


@given(readings)
def test_a_reading_is_signed_as_another_implementation_would(reading: Reading) -> None:
    independent = encode_typed_data(
        full_message={
            "primaryType": "Reading",
            "domain": {"name": "EnergyMarket", "version": "1", "chainId": 31337, "verifyingContract": CONTRACT},
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Reading": [{"name": "reading", "type": "uint256"}],
            },
            "message": {"reading": reading.packed()},
        }
    )

    signed = SIGNER.sign_reading(reading, MARKET)

    assert Account.recover_message(independent, signature=signed.signature) == ACCOUNT
    assert recover_reading(signed, MARKET) == ACCOUNT
    assert len(signed.signature) == 65
    assert signed.signature[64] in (27, 28)
    assert int.from_bytes(signed.signature[32:64]) <= CURVE_ORDER // 2


def test_the_type_is_the_contracts() -> None:
    source = Path(__file__).parents[2] / "contracts" / "src" / "SignedReadings.sol"

    assert f'keccak256("{READING_TYPE}")' in source.read_text()


READING = Reading(ACCOUNT, 1, 2, 1_700_000_000, 1500, 2500)


@pytest.mark.parametrize(
    "other", [SigningDomain(1, CONTRACT), SigningDomain(31337, "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512")]
)
def test_a_signature_is_worth_nothing_on_another_chain_or_contract(other: SigningDomain) -> None:
    signed = SIGNER.sign_reading(READING, MARKET)

    assert recover_reading(signed, other) != ACCOUNT
    assert reading_digest(READING, MARKET) != reading_digest(READING, other)


def test_a_reading_of_another_household_is_not_signed() -> None:
    with pytest.raises(BadReading, match="cannot be signed"):
        SIGNER.sign_reading(Reading(CONTRACT, 1, 2, 3, 4, 5), MARKET)


def test_a_reading_that_does_not_fit_is_not_signed() -> None:
    with pytest.raises(BadReading, match="produced_wh"):
        SIGNER.sign_reading(Reading(ACCOUNT, 1, 2, 3, 2**40, 5), MARKET)


@given(st.binary(max_size=80))
def test_no_bytes_crash_the_recovery(signature: bytes) -> None:
    try:
        signer = recover_reading(SignedReading(READING, signature), MARKET)
    except BadReading:
        return
    assert signer != ACCOUNT


@given(st.binary(min_size=64, max_size=64), st.sampled_from([0, 1, 27, 28, 255]))
def test_no_65_bytes_crash_the_recovery(rs: bytes, v: int) -> None:
    try:
        signer = recover_reading(SignedReading(READING, rs + bytes([v])), MARKET)
    except BadReading:
        return
    assert signer != ACCOUNT


def test_the_malleable_twin_is_refused() -> None:
    signature = SIGNER.sign_reading(READING, MARKET).signature
    twin = signature[:32] + (CURVE_ORDER - int.from_bytes(signature[32:64])).to_bytes(32) + bytes([55 - signature[64]])

    with pytest.raises(BadReading, match="low s"):
        recover_reading(SignedReading(READING, twin), MARKET)


@given(st.text())
def test_a_text_recovers_to_its_signer(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert recover_text(text, SIGNER.sign_text(text)) == ACCOUNT


@pytest.mark.parametrize("signature", ["", "0x", "0xzz", "0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "11" * 64])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    with pytest.raises(BadRequest, match="130 hexadecimal digits"):
        recover_text("text", signature)


def test_a_transaction_recovers_to_the_account_and_keeps_its_fields() -> None:
    tx_hash, raw = SIGNER.sign_transaction(7, CONTRACT, b"\x01\x02", 90_000, Fee(30, 2), 5, 31337)

    assert raw[0] == 2
    assert Account.recover_transaction(raw) == ACCOUNT
    assert tx_hash == "0x" + keccak(raw).hex()
    assert SIGNER.for_chain(31337).sign_transaction(7, CONTRACT, b"\x01\x02", 90_000, Fee(30, 2), 5) == (tx_hash, raw)
    assert SIGNER.for_chain(31338).sign_transaction(7, CONTRACT, b"\x01\x02", 90_000, Fee(30, 2), 5)[1] != raw


def test_a_deployment_has_no_receiver() -> None:
    _, raw = SIGNER.sign_transaction(0, "", b"\x60\x00", 100_000, Fee(1, 1), 0, 31337)

    assert Account.recover_transaction(raw) == ACCOUNT
