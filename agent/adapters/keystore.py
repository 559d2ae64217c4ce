"""The household's key, and what it signs.

The key lives in a V3 keystore file and, while the agent runs, in this object; no message and no ``repr`` shows it. Its
derivation is PBKDF2 with a million rounds: the usual scrypt setting takes 256 MiB at each unlock, which a small
board's memory limit does not allow.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct
from eth_account.signers.local import LocalAccount
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from agent.adapters import keystore_file
from agent.adapters.recursion import bound_recursion
from agent.domain.errors import BadReading, BadRequest, KeystoreInvalid
from agent.domain.fees import Fee
from agent.domain.readings import Reading, SignedReading
from agent.domain.signing import (
    DOMAIN_NAME,
    DOMAIN_TYPE,
    DOMAIN_VERSION,
    READING_TYPE,
    SigningDomain,
    abi_encoded,
)

bound_recursion()

PBKDF2_ROUNDS = 1_000_000
"""About a quarter of a second on a desktop and a second on a Raspberry Pi, and no memory to speak of."""

_KEY_BYTES = 32
_SIGNATURE_BYTES = 65
_EIP712_VERSION = b"\x01"
_TRANSACTION_TYPE = 2  # EIP-1559
# Order of secp256k1; a signature with s above its half is the malleable twin of another one (EIP-2).
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_READING_TYPE_HASH = keccak(text=READING_TYPE)
_BARE_KEY = re.compile(r"(0[xX])?[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"(0[xX])?[0-9a-fA-F]{40}")


@lru_cache(maxsize=8)
def _separator(domain: SigningDomain) -> bytes:
    """EIP-712's domain separator; cached, since it never changes for a market."""
    return keccak(
        keccak(text=DOMAIN_TYPE)
        + keccak(text=DOMAIN_NAME)
        + keccak(text=DOMAIN_VERSION)
        + domain.chain_id.to_bytes(32, "big")
        + bytes.fromhex(domain.contract[2:]).rjust(32, b"\0")
    )


def _signable(reading: Reading, domain: SigningDomain) -> SignableMessage:
    return SignableMessage(_EIP712_VERSION, _separator(domain), keccak(_READING_TYPE_HASH + abi_encoded(reading)))


def reading_digest(reading: Reading, domain: SigningDomain) -> bytes:
    """The 32 bytes that are signed for a reading; the contract's ``readingDigest`` gives the same.

    Raises:
        BadReading: a field does not fit its width.
    """
    message = _signable(reading, domain)
    return keccak(b"\x19" + message.version + message.header + message.body)


class Keystore:
    """An opened keystore: one household's key."""

    __slots__ = ("_account", "path")

    def __init__(self, account: LocalAccount, path: Path) -> None:
        self._account = account
        self.path = path

    def __repr__(self) -> str:
        return f"Keystore(address={self.address!r}, path={str(self.path)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a keystore is never pickled: its key would leave the process")

    @classmethod
    def create(cls, path: Path, passphrase: bytes) -> Keystore:
        """Make a new key where there is no keystore yet.

        Raises:
            KeystoreInvalid: there is a file already, or it cannot be written.
        """
        keystore_file.make_room(path)
        return cls._stored(path, secrets.token_bytes(_KEY_BYTES), passphrase)

    @classmethod
    def import_v3(cls, path: Path, source_json: bytes, source_passphrase: bytes, passphrase: bytes) -> Keystore:
        """Bring a key from another program's V3 keystore and encrypt it anew, light on memory.

        Raises:
            KeystoreInvalid: the source is no V3 keystore or its passphrase is wrong, or ``path`` is taken.
        """
        keystore_file.make_room(path)
        keystore_file.refuse_plain(source_json, "the file to import")
        source = keystore_file.parse(source_json, "the file to import")
        return cls._stored(path, _decrypted(source, source_passphrase, "the file to import"), passphrase)

    @classmethod
    def import_bare(cls, path: Path, key_hex: str, passphrase: bytes) -> Keystore:
        """Bring a key that a person typed at a prompt, 64 hexadecimal digits.

        Raises:
            KeystoreInvalid: it is no such key (the input is not repeated), or ``path`` is taken.
        """
        keystore_file.make_room(path)
        if not _BARE_KEY.fullmatch(key_hex.strip()):
            raise KeystoreInvalid("what was typed is not a private key: 64 hexadecimal digits are")
        return cls._stored(path, bytes.fromhex(key_hex.strip()[-2 * _KEY_BYTES :]), passphrase)

    @classmethod
    def open(cls, path: Path, passphrase: bytes) -> Keystore:
        """Open the keystore at ``path``.

        Raises:
            KeystoreInvalid: it is missing, open to others, plain, damaged, or the passphrase is wrong.
        """
        stored = keystore_file.parse(keystore_file.read(path), f"keystore {path}")
        account = _account(_decrypted(stored, passphrase, f"keystore {path}"), f"keystore {path}")
        if account.address != _stated_address(stored, path):
            raise KeystoreInvalid(f"keystore {path} states another address than its key has; it was tampered with")
        return cls(account, path)

    @classmethod
    def change_passphrase(cls, path: Path, old: bytes, new: bytes) -> Keystore:
        """Encrypt the key at ``path`` with another passphrase.

        Raises:
            KeystoreInvalid: as ``open``, or it cannot be written; the old keystore then stays.
        """
        opened = cls.open(path, old)
        keystore_file.replace(path, _encrypted(opened._account.key, new))  # noqa: SLF001 - its own class
        return opened

    @classmethod
    def facts(cls, path: Path) -> dict[str, str]:
        """What may be shown of a keystore without its passphrase: address, file and key derivation.

        Raises:
            KeystoreInvalid: as ``keystore_address``.
        """
        stored = keystore_file.parse(keystore_file.read(path), f"keystore {path}")
        crypto = stored["crypto"]
        work = ("c",) if crypto["kdf"] == "pbkdf2" else ("n", "r", "p")
        kdf = ", ".join([crypto["kdf"], *(f"{name} = {crypto['kdfparams'][name]}" for name in work)])
        return {"address": _stated_address(stored, path), "file": str(path), "kdf": kdf}

    @classmethod
    def _stored(cls, path: Path, key: bytes, passphrase: bytes) -> Keystore:
        account = _account(key, "the key")
        keystore_file.write_new(path, _encrypted(key, passphrase))
        return cls(account, path)

    @property
    def address(self) -> str:
        """The account, checksummed."""
        return str(self._account.address)

    def sign_reading(self, reading: Reading, domain: SigningDomain) -> SignedReading:
        """Sign a reading for one market (EIP-712); s is low and v is 27 or 28.

        Raises:
            BadReading: it states another household, or a field does not fit its width.
        """
        if reading.household != self.address:
            raise BadReading(f"a reading of {reading.household} cannot be signed with the key of {self.address}")
        signed = self._account.sign_message(_signable(reading, domain))
        return SignedReading(reading, bytes(signed.signature))

    def sign_text(self, text: str) -> str:
        """Sign a text (EIP-191, ``personal_sign``); ``0x`` hex of 65 bytes."""
        return "0x" + bytes(self._account.sign_message(encode_defunct(text=text)).signature).hex()

    def sign_transaction(  # noqa: PLR0917 - a transaction's fields in the order of every Ethereum library
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int, chain_id: int
    ) -> tuple[str, bytes]:
        """Sign an EIP-1559 transaction.

        Args:
            nonce: the account's.
            to: checksummed address; empty to deploy ``data``.
            data: calldata.
            gas: limit.
            fee: wei for each unit of gas.
            value: wei.
            chain_id: EIP-155 chain id.

        Returns:
            ``(hash as 0x hex, signed bytes)``.
        """
        transaction: dict[str, Any] = {
            "type": _TRANSACTION_TYPE,
            "chainId": chain_id,
            "nonce": nonce,
            "maxFeePerGas": fee.max_fee,
            "maxPriorityFeePerGas": fee.priority_fee,
            "gas": gas,
            "value": value,
            "data": data,
        }
        if to:
            transaction["to"] = to
        signed = self._account.sign_transaction(transaction)
        return "0x" + bytes(signed.hash).hex(), bytes(signed.raw_transaction)

    def for_chain(self, chain_id: int) -> ChainSigner:
        """This key bound to one chain, as the submit stage and the operator use it."""
        return ChainSigner(self, chain_id)


class ChainSigner:
    """A key that signs transactions for one chain only."""

    __slots__ = ("_chain_id", "_keystore")

    def __init__(self, keystore: Keystore, chain_id: int) -> None:
        self._keystore = keystore
        self._chain_id = chain_id

    def __repr__(self) -> str:
        return f"ChainSigner({self._keystore!r}, chain_id={self._chain_id})"

    @property
    def address(self) -> str:
        """The account, checksummed."""
        return self._keystore.address

    def sign_transaction(  # noqa: PLR0917 - as the submit stage's port
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int
    ) -> tuple[str, bytes]:
        """As ``Keystore.sign_transaction``, for this chain."""
        return self._keystore.sign_transaction(nonce, to, data, gas, fee, value, self._chain_id)


def keystore_address(path: Path) -> str:
    """The account that the keystore at ``path`` states, checksummed, without its passphrase.

    Raises:
        KeystoreInvalid: it is missing, open to others, or no V3 keystore with an address.
    """
    return _stated_address(keystore_file.parse(keystore_file.read(path), f"keystore {path}"), path)


def recover_reading(signed: SignedReading, domain: SigningDomain) -> str:
    """Who signed a reading for this market, checksummed; compare it with the reading's household.

    Raises:
        BadReading: the signature is malformed or malleable, or recovers to nobody.
    """
    signer = _recovered(_signable(signed.reading, domain), signed.signature)
    if signer is None:
        raise BadReading("the signature is not one: 65 bytes r, s, v are, with a low s and v 27 or 28")
    return signer


def recover_text(text: str, signature: str) -> str:
    """Who signed a text (EIP-191), checksummed.

    Args:
        text: what was signed.
        signature: ``0x`` hex of 65 bytes.

    Raises:
        BadRequest: the signature is malformed or malleable, or recovers to nobody.
    """
    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
        signer = _recovered(encode_defunct(text=text), raw)
    except ValueError:
        signer = None
    if signer is None:
        raise BadRequest("the signature is not one: 0x and 130 hexadecimal digits are, with a low s and v 27 or 28")
    return signer


def _recovered(message: SignableMessage, signature: bytes) -> str | None:
    if len(signature) != _SIGNATURE_BYTES or signature[64] not in (27, 28):
        return None
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if not 0 < r < _CURVE_ORDER or not 0 < s <= _CURVE_ORDER // 2:
        return None
    try:
        return str(Account.recover_message(message, signature=signature))
    except (BadSignature, ValidationError):
        return None


def _account(key: bytes, name: str) -> LocalAccount:
    if len(key) != _KEY_BYTES or not 0 < int.from_bytes(key, "big") < _CURVE_ORDER:
        raise KeystoreInvalid(f"{name} is no secp256k1 private key")
    account: LocalAccount = Account.from_key(key)
    return account


def _encrypted(key: bytes, passphrase: bytes) -> bytes:
    """A V3 keystore, proven to open with the passphrase before anybody relies on it."""
    # eth-account annotates the passphrase as str but takes bytes, which need no encoding guessed.
    stored = Account.encrypt(key, passphrase, kdf="pbkdf2", iterations=PBKDF2_ROUNDS)  # type: ignore[arg-type]
    if _decrypted(stored, passphrase, "the new keystore") != key:
        raise KeystoreInvalid("the new keystore does not give back its key; this machine's memory may be faulty")
    return json.dumps(stored, indent=2).encode() + b"\n"


def _decrypted(stored: Mapping[str, Any], passphrase: bytes, name: str) -> bytes:
    # `from None` throughout: a chained traceback would carry passphrase and key in its frames.
    try:
        return bytes(Account.decrypt(dict(stored), passphrase))  # type: ignore[arg-type] # as in _encrypted
    except (KeyError, TypeError, AttributeError, AssertionError):
        raise KeystoreInvalid(f"{name} is damaged: a part of a V3 keystore is missing") from None
    except ValueError:
        # The library says "MAC mismatch", a ValueError, for both.
        raise KeystoreInvalid(f"{name} cannot be opened: the passphrase is wrong, or the file is damaged") from None


def _stated_address(stored: Mapping[str, Any], path: Path) -> str:
    address = stored.get("address")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise KeystoreInvalid(f"keystore {path} states no address; bring it with 'prosumer-agent keys import'")
    return str(to_checksum_address("0x" + address[-40:]))
