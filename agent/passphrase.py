"""Where the keystore's passphrase comes from: a systemd credential, a file, or a person at a terminal.

Never from an argument or an environment variable: both can be read by others on the same machine.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.domain.errors import KeystoreInvalid

CREDENTIAL = "keystore-passphrase"
"""Name of the systemd credential (``LoadCredential=`` or ``LoadCredentialEncrypted=``)."""

# A passphrase file is a line of text; anything longer is the wrong file.
_MOST_BYTES = 4096
_FOREIGN = stat.S_IRWXG | stat.S_IRWXO
# Whoever copies a keystore tries passphrases at home, thousands a second on one graphics card in spite of a million
# rounds of PBKDF2. What a person thinks of in fewer characters does not withstand that.
_LEAST_CHARACTERS = 12


def on_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def find(
    passphrase_file: Path | None,
    environ: Mapping[str, str] | None = None,
    ask: Callable[[str], str] | None = None,
) -> bytes:
    """The passphrase of an existing keystore.

    Args:
        passphrase_file: the configured file, or None.
        environ: where ``CREDENTIALS_DIRECTORY`` is looked up, which systemd sets; the process's own by default.
        ask: prompts without an echo; by default the terminal is asked, if there is one.

    Raises:
        KeystoreInvalid: no source has one, or a source is readable by others or empty.
    """
    directory = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
    if directory:
        credential = Path(directory) / CREDENTIAL
        if credential.exists():
            # systemd decides who may read it: root-owned 0440 with an access list on some kernels, so no mode check.
            return _line(credential)
    if passphrase_file is not None:
        return from_file(passphrase_file)
    if ask is None and on_terminal():
        ask = getpass.getpass
    if ask is not None:
        return _nonempty(ask("Passphrase of the keystore: ").encode(), "the passphrase that was typed")
    raise KeystoreInvalid(
        f"no passphrase for the keystore: give the service the systemd credential '{CREDENTIAL}', name a file in"
        " keystore.passphrase_file, or run it on a terminal that can be asked"
    )


def from_file(path: Path) -> bytes:
    """The passphrase that a file of one line holds; its line end is not part of it.

    Raises:
        KeystoreInvalid: it cannot be read, others may read it, or it is empty.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise KeystoreInvalid(f"passphrase file {path}: {error.strerror}; name a file that exists") from None
    if mode & _FOREIGN:
        raise KeystoreInvalid(f"passphrase file {path} may be read by others; run: chmod 600 {path}")
    return _line(path)


def new_from_file(path: Path) -> bytes:
    """A new passphrase that a file of one line holds.

    Raises:
        KeystoreInvalid: as ``from_file``, or it is too short for a new one.
    """
    return _long_enough(from_file(path), f"the one in {path}")


def chosen(ask: Callable[[str], str] | None = None) -> bytes:
    """A new passphrase, typed twice.

    Raises:
        KeystoreInvalid: there is no terminal, the two differ, or it is too short.
    """
    if ask is None:
        if not on_terminal():
            raise KeystoreInvalid("a new passphrase is typed on a terminal, or read with --passphrase-file")
        ask = getpass.getpass
    first = _long_enough(ask(f"New passphrase ({_LEAST_CHARACTERS} characters or more): ").encode(), "what was typed")
    if ask("The same again: ").encode() != first:
        raise KeystoreInvalid("the two passphrases differ; nothing was written")
    return first


def _line(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise KeystoreInvalid(f"passphrase file {path}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise KeystoreInvalid(f"passphrase file {path} is longer than {_MOST_BYTES} bytes; it should hold one line")
    return _nonempty(content.removesuffix(b"\n").removesuffix(b"\r"), f"passphrase file {path}")


def _long_enough(passphrase: bytes, what: str) -> bytes:
    # Characters as a person counts them; what is no text is counted in bytes.
    count = len(passphrase.decode(errors="surrogateescape"))
    if count < _LEAST_CHARACTERS:
        raise KeystoreInvalid(
            f"a new passphrase has {_LEAST_CHARACTERS} characters or more, and {what} has {count}; take several words,"
            " or what this prints: head -c 24 /dev/urandom | base64"
        )
    return passphrase


def _nonempty(passphrase: bytes, what: str) -> bytes:
    if not passphrase:
        raise KeystoreInvalid(f"{what} is empty")
    return passphrase
