"""Where the configuration's values come from: the environment over one TOML file, by pydantic-settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from agent.domain.errors import ConfigurationInvalid

PREFIX = "PROSUMER_AGENT__"
"""``PROSUMER_AGENT__SECTION__KEY`` overrides ``key`` in ``[section]``."""

_DELIMITER = "__"
# A configuration has a few kilobytes; a larger file is a mistaken path.
_MOST_BYTES = 1_000_000


class Settled(BaseSettings):
    """Settings of one file and one environment, both handed in: nothing else is read, and nothing without ``read``."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, env_prefix=PREFIX, env_nested_delimiter=_DELIMITER
    )

    @classmethod
    def read(cls, file: Path | None, environ: Mapping[str, str], option: str = "--config") -> Self:
        """Read and check.

        Args:
            file: the TOML file, if there is one.
            environ: the environment; only what begins with ``PREFIX`` is looked at, and it wins over the file.
            option: by which the file is named on the command line.

        Raises:
            ConfigurationInvalid: the file cannot be read, or is no TOML.
            pydantic.ValidationError: with every wrong value, of both places.
        """
        handed_in: dict[str, Any] = {"file": file, "environ": environ, "option": option}
        return cls(**handed_in)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the process's environment; ours is handed in
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - one file is enough
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a configuration holds no secrets
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What a caller states, over the environment, over the file."""
        values = init_settings()
        file, environ, option = values.pop("file", None), values.pop("environ", {}), values.pop("option", "")
        given = InitSettingsSource(settings_cls, values), Variables(settings_cls, environ)
        return given if file is None else (*given, ConfigurationFile(settings_cls, file, option))


class Variables(EnvSettingsSource):
    """The environment that was handed in. The library passes over a name that it does not know; here it is an error.

    Args:
        settings_cls: whose keys they are.
        environ: the environment.
    """

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        self._astray = {
            key: self._environ.pop(name)
            for name in list(self._environ)
            if (key := _astray(name, settings_cls)) is not None
        }
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}

    def __call__(self) -> dict[str, Any]:
        """The tree of what is set. A name that leads nowhere is in it as a key, which the validation then refuses."""
        return {**super().__call__(), **self._astray}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: str) -> object:  # noqa: ARG002 - the library's signature
        """A list, written as in TOML. What is none is left as it is: the key's own type says what would be right."""
        try:
            return tomllib.loads(f"value = {value}")["value"] if value.lstrip().startswith("[") else value
        except (ValueError, RecursionError):
            return value


class ConfigurationFile(TomlConfigSettingsSource):
    """One TOML file.

    Args:
        settings_cls: whose keys they are.
        file: the file.
        option: by which it is named on the command line.

    Raises:
        ConfigurationInvalid: it cannot be read, or is no TOML.
    """

    def __init__(self, settings_cls: type[BaseSettings], file: Path, option: str) -> None:
        self._file, self._option = file, option
        super().__init__(settings_cls, toml_file=file)

    def _read_files(self, *_: object, **__: object) -> dict[str, Any]:
        # The library passes over a file that is missing, and tells no reader which line is wrong in which file.
        path = self._file
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise ConfigurationInvalid(
                    [f"{path}: is longer than {_MOST_BYTES} bytes; name the right file with {self._option}"]
                )
            return tomllib.loads(content.decode())
        except OSError as error:
            raise ConfigurationInvalid(
                [f"{path}: cannot be read ({error.strerror}); name the file with {self._option}"]
            ) from None
        except UnicodeDecodeError as error:
            raise ConfigurationInvalid([f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
        except ValueError as error:  # wrong TOML, or a number of thousands of digits
            raise ConfigurationInvalid(
                [f"{path}: is not TOML: {error}; text stands in quotes, one key a line"]
            ) from None
        except RecursionError:
            raise ConfigurationInvalid(
                [f"{path}: is nested too deeply; sections and keys are all that is needed"]
            ) from None


def _astray(name: str, root: type[BaseModel]) -> str | None:
    """The key under which a variable that the library would pass over or misread is refused; None for all others."""
    *sections, key = name.removeprefix(PREFIX).lower().split(_DELIMITER)
    if not key or not all(sections):
        return name
    first = (*sections, key)[0]
    if first not in root.model_fields:
        return first
    section = root
    for part in sections:
        field = section.model_fields.get(part)
        if field is None:
            return None  # the validation says which keys that section has
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return name
        section = field.annotation
    return None
