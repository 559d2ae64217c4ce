"""What ``check``, ``probe``, ``keys`` and ``enrol`` need beside the daemon's parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.adapters.clock import kernel_synchronised
from agent.adapters.meter_views import Answer, MeterView, look_for_meters
from agent.adapters.meters import errors_of_ours
from agent.configuration import Configuration
from agent.domain.errors import ConfigurationInvalid, MeterMisconfigured
from agent.domain.lines import Line
from agent.domain.samples import MeterRole
from drivers.catalogue import Catalogue

__all__ = ["errors_of_ours", "kernel_synchronised", "meter_views", "scan_line"]


def meter_views(configuration: Configuration) -> dict[MeterRole, MeterView]:
    """Both meters, to be looked at; nothing is sent yet.

    Raises:
        ConfigurationInvalid: a profile is unknown or wrong, or the meters contradict each other.
    """
    # Here, since it loads the chain's library, which `probe` can do without.
    from agent.compose.parts import open_meters  # noqa: PLC0415

    try:
        with errors_of_ours():
            return {role: MeterView(meter) for role, meter in open_meters(configuration).items()}
    except MeterMisconfigured as error:
        # Nothing was asked of a meter yet, so it is the configuration, or a profile that it names.
        raise ConfigurationInvalid([f"meters: {error}"]) from error


def scan_line(line: Line, models_directory: Path, *, thorough: bool) -> Iterator[Answer]:
    """Look for meters on a line.

    Args:
        line: where.
        models_directory: the installer's own profiles.
        thorough: also settings that no maker delivers; takes hours on a silent serial line.

    Raises:
        MeterSilent: the device or the host itself is not there.
        MeterMisconfigured: a profile is wrong, or the line's settings are impossible.
    """
    with errors_of_ours():
        catalogue = Catalogue([models_directory])
    yield from look_for_meters(line, catalogue, thorough=thorough)
