"""Keystore files: read with suspicion, written so that a power cut leaves the old one or the new one, never half."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.domain.errors import KeystoreInvalid

_FOREIGN = stat.S_IRWXG | stat.S_IRWXO
# A V3 keystore has about 500 bytes.
_MOST_BYTES = 65_536
_PLAIN = re.compile(rb"\s*(0[xX])?[0-9a-fA-F]{64}\s*")
# What a hostile or foreign file may ask of this machine: geth's largest setting (n = 262144, r = 8) takes 256 MiB.
_MOST_SCRYPT_BYTES = 512 * 1024 * 1024
_MOST_SCRYPT_PARALLEL = 16
# The expansion of a large r runs for minutes in this library, however small n is; everybody uses 1 or 8.
_MOST_SCRYPT_BLOCK = 32
_MOST_PBKDF2_ROUNDS = 50_000_000


def read(path: Path) -> bytes:
    """The bytes of the keystore at ``path``.

    Raises:
        KeystoreInvalid: it is missing, may be read by others, or is a plain key.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise KeystoreInvalid(
            f"there is no keystore at {path}; make one with 'prosumer-agent keys new' or bring one with 'keys import'"
        ) from None
    except OSError as error:
        raise KeystoreInvalid(f"keystore {path} cannot be read: {error.strerror}") from None
    if mode & _FOREIGN:
        raise KeystoreInvalid(f"keystore {path} is open to others (mode {mode & 0o777:04o}); run: chmod 600 {path}")
    refuse_plain(content, str(path))
    return content


def refuse_plain(content: bytes, name: str) -> None:
    """Refuse a file that holds a bare private key.

    Raises:
        KeystoreInvalid: it does.
    """
    if _PLAIN.fullmatch(content):
        raise KeystoreInvalid(
            f"{name} is a plain private key, which is refused: type it at the prompt of 'prosumer-agent keys import',"
            " then destroy the file"
        )


def parse(content: bytes, name: str) -> dict[str, Any]:
    """The V3 keystore that ``content`` holds, with its limits checked before any work is done for it.

    Args:
        content: what was read.
        name: how messages call it.

    Raises:
        KeystoreInvalid: it is not a V3 keystore, or asks for more memory or time than any honest one does.
    """
    if len(content) > _MOST_BYTES:
        raise KeystoreInvalid(f"{name} is longer than {_MOST_BYTES} bytes; a V3 keystore has about 500")
    try:
        stored = json.loads(content)
    except (ValueError, RecursionError):
        raise KeystoreInvalid(f"{name} is not JSON; a V3 keystore is expected") from None
    if not isinstance(stored, dict) or stored.get("version") != 3:  # noqa: PLR2004 - the format's own number
        raise KeystoreInvalid(f'{name} is not a V3 keystore (a JSON object with "version": 3)')
    stored = {key.lower(): value for key, value in stored.items()}  # one old client wrote "Crypto"
    crypto = stored.get("crypto")
    if not isinstance(crypto, dict) or not isinstance(crypto.get("kdfparams"), dict):
        raise KeystoreInvalid(f"{name} has no crypto.kdfparams; a V3 keystore is expected")
    _bound(crypto.get("kdf"), crypto["kdfparams"], name)
    return stored


def _bound(kdf: object, parameters: dict[str, Any], name: str) -> None:
    """Refuse work that would exhaust a small machine before the passphrase is even looked at."""
    if kdf == "pbkdf2":
        fits = parameters.get("prf") == "hmac-sha256" and 0 < _whole(parameters, "c") <= _MOST_PBKDF2_ROUNDS
    elif kdf == "scrypt":
        n, r, p = (_whole(parameters, name) for name in ("n", "r", "p"))
        fits = (
            0 < p <= _MOST_SCRYPT_PARALLEL
            and n > 1
            and 0 < r <= _MOST_SCRYPT_BLOCK
            and 128 * n * r <= _MOST_SCRYPT_BYTES
        )
    else:
        raise KeystoreInvalid(f"{name} names another key derivation than pbkdf2 or scrypt")
    if not fits or parameters.get("dklen") != 32:  # noqa: PLR2004 - the format's own number
        raise KeystoreInvalid(f"{name} has {kdf} parameters outside what a keystore may ask for")


def _whole(parameters: dict[str, Any], name: str) -> int:
    """The parameter, or 0, which no keystore may have, if it is no whole number."""
    value = parameters.get(name)
    return value if type(value) is int else 0


def make_room(path: Path) -> None:
    """Make the keystore's directory, 0700, and see that nothing is in the way.

    Raises:
        KeystoreInvalid: a file is there already, or others may look into the directory.
    """
    if path.exists() or path.is_symlink():
        raise KeystoreInvalid(f"there is a keystore at {path} already; it is never overwritten")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.parent.stat().st_mode
    except OSError as error:
        raise KeystoreInvalid(f"directory {path.parent} cannot be made: {error.strerror}") from None
    if mode & _FOREIGN:
        raise KeystoreInvalid(
            f"directory {path.parent} is open to others (mode {mode & 0o777:04o}); run: chmod 700 {path.parent}"
        )


def write_new(path: Path, content: bytes) -> None:
    """Write a keystore where there is none; whoever comes second is refused, also in a race.

    Raises:
        KeystoreInvalid: there is one already, or it cannot be written.
    """
    make_room(path)
    with _beside(path, content) as temporary:
        try:
            os.link(temporary, path)  # unlike rename, link does not overwrite
        except FileExistsError:
            raise KeystoreInvalid(f"there is a keystore at {path} already; it is never overwritten") from None
        temporary.unlink()
        _sync_directory(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of the keystore at ``path`` in one step.

    Raises:
        KeystoreInvalid: it cannot be written; the old one is still there.
    """
    with _beside(path, content) as temporary:
        temporary.replace(path)
        _sync_directory(path.parent)


@contextmanager
def _beside(path: Path, content: bytes) -> Iterator[Path]:
    """A durable temporary file in the same directory, mode 0600, gone at the end if it still has its name."""
    temporary: Path | None = None
    try:
        # mkstemp opens with O_EXCL and mode 0600, so no other process sees or precedes it.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except OSError as error:
        raise KeystoreInvalid(f"keystore {path} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
