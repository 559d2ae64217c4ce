"""The configuration: one TOML file, overridden by the environment, checked whole before anything starts.

Nothing is read at import; ``load`` is called once, by the command that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import SettingsConfigDict

from agent.configuration.places import placed, told_where
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
    PinSettings,
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
    "PinSettings",
    "RuleSettings",
    "TelemetrySettings",
    "load",
    "load_keystore",
    "load_models_directory",
    "load_pins",
    "told_where",
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
        raise _invalid(error, Configuration, path, environ) from None


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
        raise _invalid(error, _KeystoreAlone, path, environ) from None


def load_models_directory(path: Path, environ: Mapping[str, str]) -> Path:
    """The folder of the installer's own meter profiles alone: meters are searched for before they can be configured.

    Args:
        path: the TOML file; one that is missing is empty.
        environ: as for ``load``.

    Raises:
        ConfigurationInvalid: the file is no TOML, or this key is wrong.
    """
    try:
        return _ModelsAlone.read(path if path.exists() else None, environ).meters.models_directory
    except ValidationError as error:
        raise _invalid(error, _ModelsAlone, path, environ) from None


def load_pins(path: Path, environ: Mapping[str, str], option: str = "--config") -> PinSettings:
    """The chain's section alone, and of it what proofs rest on: who verifies evidence needs no meters and no nodes.

    Args:
        path: a configuration, or a file that holds only ``[chain]``, as ``prosumer-operator deploy`` prints it.
        environ: as for ``load``.
        option: by which the file is named on the command line.

    Raises:
        ConfigurationInvalid: the file is no TOML, or a pin is missing or wrong.
    """
    try:
        return _PinsAlone.read(path, environ, option).chain
    except ValidationError as error:
        raise _invalid(error, _PinsAlone, path, environ) from None


def _invalid(
    error: ValidationError, root: type[BaseModel], path: Path, environ: Mapping[str, str]
) -> ConfigurationInvalid:
    return ConfigurationInvalid([placed(problem, path, environ) for problem in problems_of(error, root)])


class _KeystoreAlone(Settled):
    model_config = SettingsConfigDict(extra="ignore")

    keystore: KeystoreSettings = KeystoreSettings()


class _ChainWithoutNodes(PinSettings):
    nodes: object = None  # may be there, and is not looked at


class _PinsAlone(Settled):
    model_config = SettingsConfigDict(extra="ignore")

    chain: _ChainWithoutNodes = Field(description="a section, as prosumer-operator deploy prints it")


class _ModelsFolder(BaseModel):
    model_config = ConfigDict(extra="ignore")

    models_directory: Path = MetersSettings.model_fields["models_directory"].default


class _ModelsAlone(Settled):
    model_config = SettingsConfigDict(extra="ignore")

    meters: _ModelsFolder = _ModelsFolder()
