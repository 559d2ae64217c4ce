"""How an invoice speaks: words, digits, dates and amounts in one language. Decimal points exist only here."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import cast
from zoneinfo import ZoneInfo

from agent.adapters.calendars import jalali, local
from agent.domain.invoices import Period
from agent.domain.market import Settlement

LANGUAGES = ("en", "fa")
_ZERO_OF_PERSIAN = 0x06F0
_PERSIAN = str.maketrans(
    {
        **{str(digit): chr(_ZERO_OF_PERSIAN + digit) for digit in range(10)},
        ".": "\N{ARABIC DECIMAL SEPARATOR}",
        ",": "\N{ARABIC THOUSANDS SEPARATOR}",
    }
)
_WH_DIGITS = 3
# Money has this many decimals at least, where its unit has so many.
_SHOWN_DECIMALS = 2


class Tongue:
    """One language, in one time zone, with one unit of money.

    Args:
        language: ``en`` or ``fa``.
        zone: the household's.
        unit: what wei are called, and how many decimals it has.
    """

    def __init__(self, language: str, zone: ZoneInfo, unit: Settlement) -> None:
        self._words = words(language)
        self._persian = self._words["calendar"] == "jalali"
        self._months = cast("list[str]", self._words["months"])
        self._zone = zone
        self._unit = unit
        self.language = language
        self.direction = str(self._words["direction"])
        self.symbol = unit.symbol

    def word(self, key: str, **facts: str) -> str:
        """A word or sentence, with facts filled in; ``{unit}`` is the unit's symbol."""
        return str(self._words[key]).format(unit=self._unit.symbol, **facts)

    @property
    def zone(self) -> str:
        """The time zone's name."""
        return self._zone.key

    @property
    def unit_note(self) -> str:
        """The sentence about the unit of money."""
        unit = self._unit
        return self.word("unit_note", name=unit.name, symbol=unit.symbol, decimals=self.digits(str(unit.decimals)))

    def digits(self, number: str) -> str:
        """A number in the language's digits and separators."""
        return number.translate(_PERSIAN) if self._persian else number

    def count(self, number: int) -> str:
        """A whole number, thousands apart."""
        return self.digits(f"{number:,}")

    def kwh(self, wh: int) -> str:
        """Energy in kWh, three decimals."""
        return self.digits(_decimal(wh, _WH_DIGITS, _WH_DIGITS))

    def money(self, *column: int) -> list[str]:
        """Amounts of one column, wei, in their unit and to the wei: all with as many decimals as the longest needs."""
        decimals = self._unit.decimals
        needed = max((decimals - _zeros_at_the_end(wei, decimals) for wei in column), default=0)
        least = max(needed, min(_SHOWN_DECIMALS, decimals))
        return [self.digits(_decimal(wei, decimals, least)) for wei in column]

    def moment(self, at: int) -> str:
        """A date and a time of the day.

        Args:
            at: UTC epoch seconds.
        """
        day = local(at, self._zone)
        if self._persian:
            year, month, number = jalali(day)
            return self.digits(f"{year}/{month:02}/{number:02} {day:%H:%M:%S}")
        return f"{day:%Y-%m-%d %H:%M:%S}"

    def day(self, at: int) -> str:
        """A date, its month by name.

        Args:
            at: UTC epoch seconds.
        """
        day = local(at, self._zone)
        year, month, number = jalali(day) if self._persian else (day.year, day.month, day.day)
        return self.digits(f"{number} {self._months[month - 1]} {year}")

    def span(self, period: Period) -> str:
        """A period: its first and last day, or two moments where it is not of whole days."""
        edges = [local(at, self._zone) for at in (period.first, period.last)]
        # A change of the clock may leave out midnight; then the day begins later, and the second before is yesterday's.
        whole = all(edge.date() != local(int(edge.timestamp()) - 1, self._zone).date() for edge in edges)
        if whole and period.first < period.last:
            return self.word("span", first=self.day(period.first), last=self.day(period.last - 1))
        return self.word("span", first=self._apart(period.first), last=self._apart(period.last))

    def _apart(self, at: int) -> str:
        """A moment that stands in a sentence: date before time, whichever way the sentence runs."""
        return f"\N{LEFT-TO-RIGHT ISOLATE}{self.moment(at)}\N{POP DIRECTIONAL ISOLATE}"

    def open_note(self, block: int) -> str:
        """The sentence about an invoice that may still change.

        Args:
            block: number of the newest block whose events were known.
        """
        return self.word("open_note", block=self.digits(str(block)))


def words(language: str) -> dict[str, object]:
    """The words of a language, by key."""
    return tomllib.loads((files("agent.adapters") / "templates" / f"invoice.{language}.toml").read_text("utf-8"))


def _decimal(units: int, decimals: int, shown: int) -> str:
    """``units`` of the smallest kind with a point and ``shown`` of their ``decimals``; the others must be zeros."""
    whole, part = divmod(abs(units), 10**decimals)
    digits = f"{part:0{decimals}}"[:shown] if shown else ""
    sign = "-" if units < 0 else ""
    return f"{sign}{whole:,}.{digits}" if digits else f"{sign}{whole:,}"


def _zeros_at_the_end(units: int, most: int) -> int:
    zeros = 0
    while zeros < most and units % 10 ** (zeros + 1) == 0:
        zeros += 1
    return zeros
