"""Where the sun stands, what it gives to a panel, and the clouds between.

Sources:
    Position: J. W. Spencer, "Fourier series representation of the position of the sun", Search 2(5), 1971
    (declination and equation of time); the hour-angle geometry is that of Duffie & Beckman, "Solar
    Engineering of Thermal Processes", chapter 1.
    Clear sky: B. Haurwitz, "Insolation in relation to cloudiness and cloud density", J. Meteorology 2, 1945.
    Clouds: F. Kasten & G. Czeplak, "Solar and terrestrial radiation dependent on the amount and type of
    cloud", Solar Energy 24, 1980.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

DAY_S: Final = 86_400

_YEAR_DAYS: Final = 365.2425
_SOLAR_ZENITH_LIMIT: Final = 0.01
"""Cosine of the zenith angle under which the sun counts as set: Haurwitz's formula is empty there."""
_BEAM_SHARE: Final = 0.85
"""Share of clear-sky irradiance that comes straight from the sun; the rest comes from the whole sky."""
_CLOUD_SLOT_S: Final = 1_800
"""Clouds change over half an hour; between two slots the cover is interpolated."""
_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Position:
    """Where the sun stands, as cosines so that nobody converts angles twice.

    Attributes:
        zenith_cosine: Cosine of the angle from straight up; 0 or less is below the horizon.
        hour_angle: Radians from solar noon, negative in the morning.
        declination: Radians.
    """

    zenith_cosine: float
    hour_angle: float
    declination: float


def position(epoch: float, latitude_deg: float, longitude_deg: float) -> Position:
    """Work out the sun's position.

    Args:
        epoch: UTC seconds since 1970.
        latitude_deg: Degrees north.
        longitude_deg: Degrees east.

    Returns:
        The position, good to about half a degree, which moves a day's energy by well under 1 %.
    """
    day_of_year = (epoch / DAY_S) % _YEAR_DAYS  # 1970 began on a 1 January: the drift is under a day a century
    angle = 2 * math.pi * day_of_year / _YEAR_DAYS
    declination = (
        0.006918
        - 0.399912 * math.cos(angle)
        + 0.070257 * math.sin(angle)
        - 0.006758 * math.cos(2 * angle)
        + 0.000907 * math.sin(2 * angle)
        - 0.002697 * math.cos(3 * angle)
        + 0.00148 * math.sin(3 * angle)
    )
    equation_of_time_min = 229.18 * (
        0.000075
        + 0.001868 * math.cos(angle)
        - 0.032077 * math.sin(angle)
        - 0.014615 * math.cos(2 * angle)
        - 0.040849 * math.sin(2 * angle)
    )
    solar_hours = (epoch % DAY_S) / 3_600 + longitude_deg / 15 + equation_of_time_min / 60
    hour_angle = math.radians(15 * (solar_hours - 12))
    latitude = math.radians(latitude_deg)
    zenith_cosine = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(
        hour_angle
    )
    return Position(zenith_cosine, hour_angle, declination)


def clear_sky_on_panel(epoch: float, latitude_deg: float, longitude_deg: float, tilt_deg: float) -> float:
    """Work out what a cloudless sky gives to a panel that faces the equator.

    Args:
        epoch: UTC seconds since 1970.
        latitude_deg: Degrees north (the panel faces south there, north in the southern half).
        longitude_deg: Degrees east.
        tilt_deg: Degrees from flat.

    Returns:
        W/m2, 0 at night and never negative.
    """
    sun = position(epoch, latitude_deg, longitude_deg)
    if sun.zenith_cosine <= _SOLAR_ZENITH_LIMIT:
        return 0.0
    horizontal = 1_098 * sun.zenith_cosine * math.exp(-0.059 / sun.zenith_cosine)
    # A panel tilted towards the equator sees the sun as a flat one would see it, tilt degrees nearer the equator.
    seen_latitude = math.radians(latitude_deg - math.copysign(tilt_deg, latitude_deg))
    incidence_cosine = math.sin(seen_latitude) * math.sin(sun.declination) + math.cos(seen_latitude) * math.cos(
        sun.declination
    ) * math.cos(sun.hour_angle)
    beam = _BEAM_SHARE * horizontal / sun.zenith_cosine * max(0.0, incidence_cosine)
    diffuse = (1 - _BEAM_SHARE) * horizontal * (1 + math.cos(math.radians(tilt_deg))) / 2
    return beam + diffuse


def chance(seed: int, stream: int, index: int) -> float:
    """Draw a repeatable number: the same three integers give the same number on every machine.

    A mixing function rather than a generator, since registers are asked for at any time in any order.
    Source: the finaliser of S. Vigna's splitmix64.

    Args:
        seed: The household's seed.
        stream: Which quantity is drawn, so that clouds and loads do not move together.
        index: Which draw of it.

    Returns:
        A number in [0, 1).
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03 + index * 0x8CB92BA72F3D8DD7) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


def cloud_transmission(epoch: float, seed: int, mean_cover: float) -> float:
    """Say what share of the light the clouds let through.

    A day has a character of its own (clear or overcast) and the half hours within it vary around that.

    Args:
        epoch: UTC seconds since 1970.
        seed: The household's seed.
        mean_cover: Mean cloud cover, 0 (never) to 1 (always).

    Returns:
        A share in [0.25, 1].
    """
    slot, within = divmod(epoch, _CLOUD_SLOT_S)
    share = within / _CLOUD_SLOT_S
    cover = (1 - share) * _cover(seed, int(slot), mean_cover) + share * _cover(seed, int(slot) + 1, mean_cover)
    return float(1 - 0.75 * cover**3.4)


def _cover(seed: int, slot: int, mean_cover: float) -> float:
    day = slot * _CLOUD_SLOT_S // DAY_S
    drawn = mean_cover * 2 * (0.7 * chance(seed, 1, day) + 0.3 * chance(seed, 2, slot))
    return min(1.0, max(0.0, drawn))
