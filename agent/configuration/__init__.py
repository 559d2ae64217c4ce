"""The configuration: one TOML file, overridden by the environment, checked whole before anything starts.

Nothing is read at import; ``load`` is called once, by the command that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from agent.configuration.problems import problems_of
from agent.configuration.rule import RuleSettings
from agent.configuration.sections import (
    ChainSettings,
    ClockSettings,
    Configuration,
    FeeSettings,
    HouseholdSettings,
    InvoiceSettings,
    JournalSettings,
    KeystoreSettings,
    LogSettings,
    MeterSettings,
    MetersSettings,
    NodeSettings,
    TelemetrySettings,
)
from agent.configuration.sources import PREFIX, Settled
from agent.domain.errors import ConfigurationInvalid

DEFAULT_PATH = Path("/etc/prosumer-agent/prosumer-agent.toml")

__all__ = [
    "DEFAULT_PATH",
    "PREFIX",
    "ChainSettings",
    "ClockSettings",
    "Configuration",
    "FeeSettings",
    "HouseholdSettings",
    "InvoiceSettings",
    "JournalSettings",
    "KeystoreSettings",
    "LogSettings",
    "MeterSettings",
    "MetersSettings",
    "NodeSettings",
    "RuleSettings",
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
    try:
        return Configuration.read(path, environ)
    except ValidationError as error:
        # `from None`: pydantic's own text repeats inputs, and a misplaced secret would be among them.
        raise ConfigurationInvalid(problems_of(error, Configuration)) from None


def load_keystore(path: Path, environ: Mapping[str, str]) -> KeystoreSettings:
    """The keystore's section alone: a key is made before the rest of the configuration can be known.

    Args:
        path: the TOML file; one that is missing is empty.
        environ: as for ``load``.

    Raises:
        ConfigurationInvalid: the file is no TOML, or this section is wrong.
    """
    try:
        return _KeystoreAlone.read(path if path.exists() else None, environ).keystore
    except ValidationError as error:
        raise ConfigurationInvalid(problems_of(error, _KeystoreAlone)) from None


class _KeystoreAlone(Settled):
    model_config = SettingsConfigDict(extra="ignore")

    keystore: KeystoreSettings = KeystoreSettings()
