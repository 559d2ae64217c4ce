"""Who the household is: asked of a person, or read from a file. It goes into the request and nowhere else."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.domain.errors import BadRequest
from agent.domain.personal_data import PersonalData, personal_data
from agent.passphrase import on_terminal

_FIELDS = ("first_name", "family_name", "national_id")
_FOREIGN = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 4096


def find(path: Path | None, ask: Callable[[str], str] | None = None) -> PersonalData:
    """The personal data, spelt in one way and checked.

    Args:
        path: TOML, or JSON where its name ends so, with ``first_name``, ``family_name``, ``national_id``; None to ask.
        ask: prompts; by default the terminal is asked, if there is one.

    Raises:
        BadRequest: the file is not there, readable by others or wrong, nobody can be asked, or a name or the ID cannot
            be right. No message repeats what it holds.
    """
    if path is not None:
        return from_file(path)
    if ask is None:
        if not on_terminal():
            raise BadRequest("nobody can be asked for names and national ID without a terminal; add --profile FILE")
        ask = input
    return personal_data(ask("First name: "), ask("Family name: "), ask("National ID: "))


def from_file(path: Path) -> PersonalData:
    """The personal data that a file holds.

    Raises:
        BadRequest: the file is not there, readable by others or wrong.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()[: _MOST_BYTES + 1]
    except OSError as error:
        raise BadRequest(f"profile {path}: {error.strerror}; name a file that exists") from None
    if mode & _FOREIGN:
        raise BadRequest(f"profile {path} may be read by others; run: chmod 600 {path}")
    if len(content) > _MOST_BYTES:
        raise BadRequest(f"profile {path} is longer than {_MOST_BYTES} bytes; it holds three lines")
    stated = _parsed(path, content)
    if set(stated) != set(_FIELDS) or not all(isinstance(stated[field], str) for field in _FIELDS):
        raise BadRequest(f"profile {path} has the texts {', '.join(_FIELDS)}, each in quotes, and nothing else")
    return personal_data(*(str(stated[field]) for field in _FIELDS))


def _parsed(path: Path, content: bytes) -> Mapping[str, object]:
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = content.decode("utf-8-sig")
        stated = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # The parser's message may repeat the line.
        raise BadRequest(f"profile {path} is no {kind} ({type(error).__name__})") from None
    if not isinstance(stated, dict):
        raise BadRequest(f"profile {path} is no object of {', '.join(_FIELDS)}")
    return stated
