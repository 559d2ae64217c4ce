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

from agent.adapters import keystore as keystore_room
from agent.adapters import keystore_file
from agent.adapters.keystore import (
    Keystore,
    keystore_address,
)
from agent.domain.errors import KeystoreInvalid
from agent.domain.signing import SigningDomain

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = bytes(range(1, 33))
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
MARKET = SigningDomain(31337, CONTRACT)
ACCOUNT = str(Account.from_key(KEY).address)
SIGNER = Keystore(Account.from_key(KEY), Path("keystore.json"))


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

    def full(_descriptor: int) -> None:
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
