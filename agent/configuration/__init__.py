"""The configuration: one TOML file, overridden by the environment, checked whole before anything starts.

Nothing is read at import; ``load`` is called once, by the command that needs it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.configuration.problems import problems_of
from agent.configuration.sections import (
    ChainSettings,
    ClockSettings,
    Configuration,
    FeeSettings,
    HouseholdSettings,
    JournalSettings,
    KeystoreSettings,
    LogSettings,
    MeterSettings,
    MetersSettings,
    NodeSettings,
    Section,
    TelemetrySettings,
)
from agent.domain.errors import ConfigurationInvalid

DEFAULT_PATH = Path("/etc/prosumer-agent/prosumer-agent.toml")
PREFIX = "PROSUMER_AGENT__"
"""``PROSUMER_AGENT__SECTION__KEY`` overrides ``key`` in ``[section]``."""

# A configuration has a few kilobytes; a larger file is a mistaken path.
_MOST_BYTES = 1_000_000

__all__ = [
    "DEFAULT_PATH",
    "PREFIX",
    "ChainSettings",
    "ClockSettings",
    "Configuration",
    "FeeSettings",
    "HouseholdSettings",
    "JournalSettings",
    "KeystoreSettings",
    "LogSettings",
    "MeterSettings",
    "MetersSettings",
    "NodeSettings",
    "TelemetrySettings",
    "load",
    "load_keystore",
]


def load(path: Path, environ: Mapping[str, str]) -> Configuration:
    """Read and check the configuration.

    Args:
        path: the TOML file.
        environ: the environment; only what begins with ``PREFIX`` is looked at.

    Raises:
        ConfigurationInvalid: with every problem at once, one sentence each.
    """
    tree = _file(path)
    problems = _override(tree, environ)
    try:
        configuration = Configuration.model_validate(tree)
    except ValidationError as error:
        # `from None`: pydantic's own text repeats inputs, and a misplaced secret would be among them.
        raise ConfigurationInvalid(problems + problems_of(error, Configuration)) from None
    if problems:
        raise ConfigurationInvalid(problems)
    return configuration


def load_keystore(path: Path, environ: Mapping[str, str]) -> KeystoreSettings:
    """The keystore's section alone: a key is made before the rest of the configuration can be known.

    Args:
        path: the TOML file; one that is missing is empty.
        environ: as for ``load``.

    Raises:
        ConfigurationInvalid: the file is no TOML, or this section is wrong.
    """
    tree = _file(path) if path.exists() else {}
    _override(tree, environ)
    try:
        return _KeystoreAlone.model_validate({name: tree[name] for name in ("keystore",) if name in tree}).keystore
    except ValidationError as error:
        raise ConfigurationInvalid(problems_of(error, _KeystoreAlone)) from None


class _KeystoreAlone(Section):
    keystore: KeystoreSettings = KeystoreSettings()


def _file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigurationInvalid([f"{path}: is longer than {_MOST_BYTES} bytes; name the configuration's file"])
        return tomllib.loads(content.decode())
    except OSError as error:
        raise ConfigurationInvalid(
            [f"{path}: cannot be read ({error.strerror}); name the file with --config"]
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid([f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid([f"{path}: is not TOML: {error}; text stands in quotes, one key a line"]) from None
    except RecursionError:
        raise ConfigurationInvalid(
            [f"{path}: is nested too deeply; sections and keys are all that is needed"]
        ) from None


def _override(tree: dict[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Put the environment's values into the tree; returns what cannot be put anywhere."""
    problems = []
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        target: Any = tree
        for section in sections:
            target = target.setdefault(section, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict) or not key or not all(sections):
            problems.append(f"{name}: names no key; {PREFIX}SECTION__KEY is right")
            continue
        target[key] = _value(environ[name])
    return problems


def _value(text: str) -> object:
    """A list is written as in TOML; everything else is text, which the key's own type reads."""
    if text.lstrip().startswith("["):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text
