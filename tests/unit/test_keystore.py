from __future__ import annotations

import base64
import json
import os
import pickle
import stat
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters import keystore as keystore_room
from agent.adapters import keystore_file
from agent.adapters.keystore import (
    Keystore,
    keystore_address,
    reading_digest,
    recover_reading,
    recover_text,
)
from agent.domain.errors import BadReading, BadRequest, KeystoreInvalid
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


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore_room, "PBKDF2_ROUNDS", 100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keystore.json"


def forms(key: bytes) -> list[str]:
    """The key as a leak would show it."""
    return [key.hex(), base64.b64encode(key).decode(), key.decode("latin-1"), repr(key), str(int.from_bytes(key))]


def test_the_file_has_a_derivation_that_needs_no_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore_room, "PBKDF2_ROUNDS", 1_000_000)

    Keystore.create(path, b"correct horse")

    stored = json.loads(path.read_bytes())
    assert stored["crypto"]["kdf"] == "pbkdf2"
    assert stored["crypto"]["kdfparams"]["c"] == 1_000_000
    assert stored["version"] == 3


def test_it_opens_again_with_its_passphrase(path: Path) -> None:
    made = Keystore.create(path, "گذرواژه".encode())

    assert Keystore.open(path, "گذرواژه".encode()).address == made.address == keystore_address(path)


def test_file_and_directory_are_private_and_nothing_else_is_left(path: Path) -> None:
    before = os.umask(0)
    try:
        Keystore.create(path, b"x")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_two_keys_differ(tmp_path: Path) -> None:
    assert Keystore.create(tmp_path / "a", b"x").address != Keystore.create(tmp_path / "b", b"x").address


FOREIGN = json.dumps(Account.encrypt(KEY, "theirs", kdf="scrypt", iterations=1024)).encode()


@pytest.mark.parametrize(
    "bring",
    [
        lambda path: Keystore.create(path, b"y"),
        lambda path: Keystore.import_v3(path, FOREIGN, b"theirs", b"y"),
        lambda path: Keystore.import_bare(path, KEY.hex(), b"y"),
    ],
)
def test_a_keystore_is_never_overwritten(path: Path, bring: Callable[[Path], Keystore]) -> None:
    Keystore.create(path, b"x")
    before = path.read_bytes()

    with pytest.raises(KeystoreInvalid, match="never overwritten"):
        bring(path)

    assert path.read_bytes() == before


def test_the_second_of_two_makers_is_refused_even_after_the_first_look(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Keystore.create(path, b"x")
    before = path.read_bytes()
    monkeypatch.setattr(keystore_file, "make_room", lambda _: None)

    with pytest.raises(KeystoreInvalid, match="never overwritten"):
        Keystore.create(path, b"y")

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_dangling_link_is_not_followed(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(path.parent / "elsewhere")

    with pytest.raises(KeystoreInvalid, match="never overwritten"):
        Keystore.create(path, b"x")


def test_a_directory_that_others_may_enter_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o755)

    with pytest.raises(KeystoreInvalid, match=r"chmod 700 "):
        Keystore.create(path, b"x")


def test_it_is_never_made_silently(path: Path) -> None:
    with pytest.raises(KeystoreInvalid, match="keys new"):
        Keystore.open(path, b"x")

    assert not path.exists()


def test_a_wrong_passphrase_is_one_line_without_the_input(path: Path) -> None:
    Keystore.create(path, b"right")

    wrong = bytes.fromhex("63346e617279")  # a traceback shows this line, and must not show what it means

    with pytest.raises(KeystoreInvalid) as caught:
        Keystore.open(path, wrong)

    told = "".join(traceback.format_exception(caught.value))
    assert wrong.decode() not in told
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex(), f" 0X{KEY.hex().upper()}\n"])
def test_a_plain_key_file_is_refused(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(KeystoreInvalid, match="plain private key") as caught:
        Keystore.open(path, b"x")
    with pytest.raises(KeystoreInvalid, match="plain private key"):
        Keystore.import_v3(path.with_name("new"), text.encode(), b"x", b"x")

    assert KEY.hex() not in str(caught.value).lower()


def test_a_file_open_to_others_is_refused(path: Path) -> None:
    Keystore.create(path, b"x")
    path.chmod(0o640)

    with pytest.raises(KeystoreInvalid, match=r"mode 0640\); run: chmod 600 "):
        Keystore.open(path, b"x")


def test_a_heavy_foreign_keystore_is_encrypted_anew(path: Path) -> None:
    brought = Keystore.import_v3(path, FOREIGN, b"theirs", b"ours")

    assert brought.address == ACCOUNT
    assert Keystore.open(path, b"ours").address == ACCOUNT
    assert json.loads(path.read_bytes())["crypto"]["kdf"] == "pbkdf2"


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex(), f"  {KEY.hex()}\n"])
def test_a_key_typed_at_a_prompt_is_brought(path: Path, text: str) -> None:
    assert Keystore.import_bare(path, text, b"ours").address == ACCOUNT


@pytest.mark.parametrize("text", ["", "0x", KEY.hex()[:-1], "g" * 64, "00" * 32, f"{CURVE_ORDER:064x}", "٣" * 64])
def test_what_is_no_key_is_refused_without_repeating_it(path: Path, text: str) -> None:
    with pytest.raises(KeystoreInvalid) as caught:
        Keystore.import_bare(path, text, b"ours")

    assert not text or text not in str(caught.value)
    assert not path.exists()


def test_a_changed_passphrase_replaces_the_old_one(path: Path) -> None:
    made = Keystore.create(path, b"old")

    Keystore.change_passphrase(path, b"old", b"new")

    assert Keystore.open(path, b"new").address == made.address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(KeystoreInvalid, match="passphrase is wrong"):
        Keystore.open(path, b"old")


def test_a_failed_change_keeps_the_old_keystore(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Keystore.create(path, b"old")
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeystoreInvalid, match="No space left on device"):
        Keystore.change_passphrase(path, b"old", b"new")

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_address_that_was_changed_is_noticed(path: Path) -> None:
    Keystore.create(path, b"x")
    stored = json.loads(path.read_bytes())
    stored["address"] = "00" * 20
    path.write_text(json.dumps(stored))

    with pytest.raises(KeystoreInvalid, match="another address"):
        Keystore.open(path, b"x")


def edited(**changes: object) -> bytes:
    stored = json.loads(json.dumps(Account.encrypt(KEY, "x", kdf="scrypt", iterations=2)))
    for place, value in changes.items():
        target = stored
        *outer, last = place.split("__")
        for name in outer:
            target = target[name]
        target[last] = value
    return json.dumps(stored).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        b" " * 70_000,
        edited(version=4),
        edited(crypto=None),
        edited(crypto={}),
        edited(crypto__kdf="argon2"),
        edited(crypto__kdfparams__n=2**40),
        edited(crypto__kdfparams__n=True),
        edited(crypto__kdfparams__n=3),
        edited(crypto__kdfparams__r=2**20),
        edited(crypto__kdfparams__p=10**9),
        edited(crypto__kdfparams__dklen=16),
        edited(crypto__kdfparams__salt=None),
        edited(crypto__kdfparams__salt="zz"),
        edited(crypto__mac=5),
        edited(crypto__ciphertext="00"),
        edited(crypto__cipherparams=None),
        edited(crypto__kdf="pbkdf2", crypto__kdfparams={"c": 10**12, "prf": "hmac-sha256", "dklen": 32, "salt": ""}),
        edited(crypto__kdf="pbkdf2", crypto__kdfparams={"c": 10, "prf": "hmac-nonsense", "dklen": 32, "salt": ""}),
    ],
)
def test_a_damaged_or_greedy_file_is_one_sentence(path: Path, content: bytes) -> None:
    with pytest.raises(KeystoreInvalid) as caught:
        Keystore.import_v3(path, content, b"x", b"y")

    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_nothing_shows_the_key() -> None:
    signer = SIGNER.for_chain(1)

    shown = f"{SIGNER!r} {SIGNER} {signer!r} {Keystore.__slots__}"

    assert not any(form in shown for form in forms(KEY))
    assert not hasattr(SIGNER, "__dict__")
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(SIGNER)


def test_facts_show_address_file_and_derivation_only(path: Path) -> None:
    made = Keystore.create(path, b"x")

    assert Keystore.facts(path) == {"address": made.address, "file": str(path), "kdf": "pbkdf2, c = 100"}


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
