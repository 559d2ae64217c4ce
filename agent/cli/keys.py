"""``keys``: the household's key. Nothing secret is taken from an argument or shown."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Callable
from pathlib import Path

from agent import passphrase
from agent.cli import table
from agent.cli.asking import confirmed
from agent.compose.keys import Keystore
from agent.configuration import KeystoreSettings, load, load_keystore
from agent.domain.errors import BadRequest, KeystoreInvalid
from agent.privacy import close_process

# A keystore has 500 bytes; more is another file.
_MOST_BYTES = 65_536

_NEXT = """\
Keep a copy of the file and its passphrase somewhere else: whoever loses them loses the household's tokens.
Write the address into household.account of the configuration.\
"""


def command(asked: argparse.Namespace) -> int:
    """Carry out ``keys``."""
    if asked.action == "resume":
        return _resume(asked)
    close_process()
    settings = load_keystore(asked.config, os.environ)
    path = asked.keystore or settings.path
    given = asked.passphrase_file or settings.passphrase_file
    match asked.action:
        case "new":
            _tell(Keystore.create(path, _new(asked, settings)).path, json=asked.json, more=_NEXT)
        case "import":
            _tell(_brought(asked, path, settings).path, json=asked.json, more=_NEXT)
        case "change-passphrase":
            old = passphrase.find(given)
            # Opened first, so that a wrong old passphrase is told before a new one is thought of.
            Keystore.open(path, old)
            file = asked.new_passphrase_file
            new = passphrase.chosen() if file is None else passphrase.new_from_file(file)
            Keystore.change_passphrase(path, old, new)
            _tell(path, json=asked.json, more="The passphrase is changed. Change it also where the service reads it.")
        case _:
            _tell(path, json=asked.json)
    return 0


def _tell(path: Path, *, json: bool, more: str = "") -> None:
    facts = Keystore.facts(path)
    print(table.as_json(facts) if json else table.facts(facts.items()))
    if more and not json:
        print(f"\n{more}")


def _new(asked: argparse.Namespace, settings: KeystoreSettings) -> bytes:
    """The passphrase of a new keystore: a file that is there already, or typed twice."""
    if asked.passphrase_file is not None:
        return passphrase.new_from_file(asked.passphrase_file)
    if settings.passphrase_file is not None and settings.passphrase_file.exists():
        return passphrase.new_from_file(settings.passphrase_file)
    return passphrase.chosen()


def _brought(asked: argparse.Namespace, path: Path, settings: KeystoreSettings) -> Keystore:
    if asked.typed:
        typed = _prompt("Private key, 64 hexadecimal digits (not shown): ", "a private key is typed on a terminal only")
        return Keystore.import_bare(path, typed, _new(asked, settings))
    try:
        with asked.source.open("rb") as file:
            source = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"{asked.source}: {error.strerror}; name the keystore to bring") from None
    if asked.source_passphrase_file is not None:
        theirs = passphrase.from_file(asked.source_passphrase_file)
    else:
        theirs = _prompt(
            f"Passphrase of {asked.source}: ",
            "its passphrase is typed on a terminal, or read with --source-passphrase-file",
        ).encode()
    return Keystore.import_v3(path, source, theirs, _new(asked, settings))


def _prompt(question: str, otherwise: str, ask: Callable[[str], str] = getpass.getpass) -> str:
    if not passphrase.on_terminal():
        raise KeystoreInvalid(otherwise)
    return ask(question)


def _resume(asked: argparse.Namespace) -> int:
    # Here, since the journal's library is not needed for the others.
    from agent.compose.looking import open_journal_view, resume_submission  # noqa: PLC0415

    configuration = load(asked.config, os.environ)
    view = open_journal_view(configuration)
    try:
        why = view.status().halted
    finally:
        view.close()
    if why is None:
        print(table.as_json({"resumed": False, "halted": None}) if asked.json else "Submission is not halted.")
        return 0
    if not asked.json:
        print(f"Submission is halted: {why}\nGo on only when nobody else uses this key any more.")
    if not confirmed("Resume?", yes=asked.yes):
        return 1
    resume_submission(configuration)
    print(table.as_json({"resumed": True, "halted": why}) if asked.json else "Resumed.")
    return 0
