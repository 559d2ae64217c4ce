"""Where a wrong value stands: in the file, or in a variable of the environment that overrides it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent.configuration.sources import PREFIX
from agent.domain.errors import ConfigurationInvalid

_KEY = re.compile(r"[a-z]\w*(?:\.\w+)*")


@contextmanager
def told_where(file: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Problems that are found while a configuration is used say where the wrong value stands.

    Args:
        file: the TOML file that the configuration was read from.
        environ: the environment that it was read with.

    Raises:
        ConfigurationInvalid: the same problems, each with its place.
    """
    try:
        yield
    except ConfigurationInvalid as error:
        raise ConfigurationInvalid([placed(problem, file, environ) for problem in error.problems]) from error


def placed(problem: str, file: Path, environ: Mapping[str, str]) -> str:
    """A problem with the place of its value at its end.

    Args:
        problem: begins with its key, as ``chain.nodes[0].url``, or with the variable that names no key.
        file: the TOML file.
        environ: the environment; a variable for the key, or for its section or list, wins over the file.
    """
    key = _KEY.match(problem)
    if key is None:
        return problem if problem.startswith(PREFIX) else f"{problem} (in {file})"
    variables = {name.upper(): name for name in environ if name.startswith(PREFIX)}
    parts = key[0].upper().split(".")
    for most in range(len(parts), 0, -1):
        if (name := variables.get(PREFIX + "__".join(parts[:most]))) is not None:
            return f"{problem} (in the variable {name})"
    # A section may be set in both places: what is missing from it belongs into the file.
    return f"{problem} (in {file})"
