"""Looking for meters on a line. What is found is shown to a person, who confirms it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drivers.errors import (
    ConfigurationError,
    LineLostError,
    MeterError,
    RefusedRequestError,
    RetryableError,
)
from drivers.inspection import inspect_meter
from drivers.line import Line, LineSettings, RtuSettings, Session
from drivers.modbus import Request
from drivers.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from drivers.blocks import Block
    from drivers.meter import Inspection
    from drivers.profile import Profile

FIRST_UNITS = range(1, 6)  # makers deliver meters as 1, and installers count up from there
OTHER_UNITS = range(6, 248)
COMMON_BAUDS = (9600, 19200, 2400, 4800, 38400, 115200, 1200, 57600)
# A scan asks into silence most of the time: this is what almost every meter answers within.
PATIENCE_S = 0.3
FALLBACK_PARITIES = ("N", "E", "O")


@dataclass(frozen=True, slots=True)
class Finding:
    """A meter that answered.

    Attributes:
        settings: the line as it was set when the meter answered.
        unit: its Modbus unit number.
        profile: a profile that fits what it said.
        certain: its model register said so; without one, only its registers exist.
        inspection: every value, for a person to compare with the meter's display.
    """

    settings: LineSettings
    unit: int
    profile: Profile
    certain: bool
    inspection: Inspection


def candidates(
    settings: LineSettings, profiles: Sequence[Profile], *, thorough: bool = False
) -> Iterator[tuple[LineSettings, int]]:
    """Line settings and units in the order in which meters are likely to be found.

    Args:
        settings: where to look; baud, parity and stop bits of a serial line are tried out.
        profiles: meters that may be there.
        thorough: also everything that no maker delivers; takes hours on a silent serial line.
    """
    formats = list(_formats(settings, profiles, thorough=thorough))
    yield from itertools.product(formats, FIRST_UNITS)
    yield from itertools.product(formats if thorough else formats[:1], OTHER_UNITS)


def scan(
    settings: LineSettings,
    profiles: Sequence[Profile],
    *,
    thorough: bool = False,
    patience_s: float = PATIENCE_S,
    make_line: Callable[[LineSettings], Line] = Line,
    places: Iterable[tuple[LineSettings, int]] | None = None,
) -> Iterator[Finding]:
    """Ask at one place after another and yield what answers, as it is found.

    Args:
        settings: where to look.
        profiles: meters that may be there.
        thorough: see `candidates`.
        patience_s: how long to wait for each answer, in seconds.
        make_line: opens a line; for tests.
        places: places to ask instead of `candidates`.

    Raises:
        LineLostError: the device or host itself is not there.
        ConfigurationError: the line's settings are impossible.
    """
    found: set[int] = set()
    line: Line | None = None
    try:
        for place, unit in candidates(settings, profiles, thorough=thorough) if places is None else places:
            if unit in found:
                continue  # a meter has one setting: where it answered is where it is
            if line is None or line.settings != place:
                if line is not None:
                    line.leave()
                line = make_line(place)
            finding = _ask(line, unit, profiles, patience_s)
            if finding is not None:
                found.add(unit)
                yield finding
    finally:
        if line is not None:
            line.leave()


def _formats(settings: LineSettings, profiles: Sequence[Profile], *, thorough: bool) -> Iterator[LineSettings]:
    if not isinstance(settings, RtuSettings):
        yield settings
        return
    makers = [profile.serial_line for profile in profiles if profile.serial_line is not None]
    first = [
        replace(settings, baud=maker.baud, parity=maker.parity or "N", stop=maker.stop or 1)
        for maker in makers
        if maker.baud is not None
    ]
    possible = (
        replace(settings, baud=baud, parity=parity, stop=1)
        for maker in makers
        for parity in (maker.parities or (maker.parity or "N",))
        for baud in maker.bauds
    )
    rest: Iterable[LineSettings] = ()
    if thorough:
        rest = (
            replace(settings, baud=baud, parity=parity, stop=1) for parity in FALLBACK_PARITIES for baud in COMMON_BAUDS
        )
    yield from dict.fromkeys(itertools.chain((settings,), first, possible, rest))


def _ask(line: Line, unit: int, profiles: Sequence[Profile], patience_s: float) -> Finding | None:
    """The best fitting profile of whatever answers at a unit, `None` for silence."""
    possible: Finding | None = None
    for profile in profiles:
        probe = profile.model.point if profile.model else profile.points[next(iter(profile.counts.values()))]
        pace = Pace(patience_s, patience_s, gap_s=profile.gap_s)
        try:
            with line.session(pace) as session:
                ask = _Asker(session, pace, unit)
                words = probe.words(ask(probe.block()))
                certain = profile.model is not None and bool(profile.model.judge(words))
                if (profile.model is not None and not certain) or (possible and not certain):
                    continue
                inspection = inspect_meter(profile, str(line), unit, None, ask)
        except RefusedRequestError:
            continue
        except (LineLostError, ConfigurationError):
            raise
        except RetryableError:
            return possible  # silence, or a babble that another baud rate would make sense of
        except MeterError:
            continue
        finding = Finding(line.settings, unit, profile, certain, inspection)
        if certain:
            return finding
        possible = finding
    return possible


class _Asker:
    def __init__(self, session: Session, pace: Pace, unit: int) -> None:
        self._session = session
        self._pace = pace
        self._unit = unit

    def __call__(self, block: Block) -> bytes:
        return self._session.ask(Request("scan", self._unit, block.function, block.address, block.count), self._pace)
