"""A table of a TOML file that is asked for its keys and remembers every mistake."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Value = TypeVar("Value", int, str)


class Table:
    """Hands out typed values; what is missing, of the wrong type, out of range or unknown is a problem.

    A getter always returns something of the right type, so that reading goes on and finds the next mistake.
    """

    def __init__(self, content: dict[str, object], where: str, problems: list[str]) -> None:
        self._content = content
        self._where = where
        self._problems = problems
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def complain(self, key: str, sentence: str) -> None:
        """Note a mistake at a key."""
        self._problems.append(f"{self._name(key)}: {sentence}")

    def keys_left(self) -> tuple[str, ...]:
        """Keys that were not asked for yet, in the file's order."""
        return tuple(key for key in self._content if key not in self._asked)

    def finish(self) -> None:
        """Every key that was not asked for is unknown, and so a mistake: a typing error must not pass."""
        for key in self.keys_left():
            self.complain(key, f"is not a key here; known are {', '.join(sorted(self._asked))}")

    def anything(self, key: str) -> object:
        """The value as it is, `None` when missing."""
        self._asked.add(key)
        return self._content.get(key)

    def text(self, key: str, *, required: bool = False) -> str:
        """A text that is not empty; an empty one when missing."""
        value = self._take(key, required=required)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.complain(key, f"is {value!r}, expected a text")
            return ""
        return value

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of texts."""
        value = self._take(key, required=required)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.complain(key, f"is {value!r}, expected a list of texts")
            return ()
        if required and not value:
            self.complain(key, "is empty, expected at least one text")
        return tuple(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.complain(key, f"is {value!r}, expected true or false")
            return default
        return value

    def whole(self, key: str, default: int, *, low: int, high: int, required: bool = False) -> int:
        """A whole number within limits."""
        value = self._take(key, required=required)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.complain(key, f"is {value!r}, expected a whole number from {low} to {high}")
            return default
        return value

    def wholes(self, key: str, *, low: int, high: int) -> tuple[int, ...]:
        """A whole number or a list of them, each within limits."""
        value = self._take(key)
        items = value if isinstance(value, list) else [] if value is None else [value]
        good = [item for item in items if isinstance(item, int) and not isinstance(item, bool) and low <= item <= high]
        if len(good) != len(items):
            self.complain(key, f"is {value!r}, expected whole numbers from {low} to {high}")
        return tuple(good)

    def number(self, key: str, default: Decimal) -> Decimal:
        """An exact number."""
        value = self._take(key)
        if value is None:
            return default
        exact = _exact(value)
        if exact is None:
            self.complain(key, f"is {value!r}, expected a number")
            return default
        return exact

    def numbers(
        self,
        key: str,
        count: int,
        default: tuple[Decimal, ...],
        *,
        low: float = float("-inf"),
        high: float = float("inf"),
    ) -> tuple[Decimal, ...]:
        """A list of so many exact numbers, each within limits."""
        value = self._take(key)
        if value is None:
            return default
        items = value if isinstance(value, list) else []
        exact = tuple(item for item in map(_exact, items) if item is not None and low <= item <= high)
        if len(exact) != count or len(items) != count:
            self.complain(key, f"is {value!r}, expected {count} numbers" + _between(low, high))
            return default
        return exact

    def choice(
        self, key: str, choices: Sequence[Value], default: Value | None = None, *, required: bool = False
    ) -> Value:
        """One of some values; without a default the key is required and the first choice stands in."""
        value = self._take(key, required=required or default is None)
        fallback = choices[0] if default is None else default
        if value is None:
            return fallback
        for choice in choices:
            if value == choice and not isinstance(value, bool):
                return choice
        self.complain(key, f"is {value!r}, right are {', '.join(str(choice) for choice in choices)}")
        return fallback

    def table(self, key: str, *, required: bool = False) -> Table:
        """A table inside this one, empty when missing."""
        value = self._take(key, required=required)
        if value is not None and not isinstance(value, dict):
            self.complain(key, f"is {value!r}, expected a table")
        return Table(value if isinstance(value, dict) else {}, self._name(key), self._problems)

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of tables, empty when missing."""
        value = self._take(key)
        items = value if isinstance(value, list) else []
        good = [item for item in items if isinstance(item, dict)]
        if value is not None and (not isinstance(value, list) or len(good) != len(items)):
            self.complain(key, f"is {value!r}, expected tables in double brackets: [[{self._name(key)}]]")
        return tuple(Table(item, f"{self._name(key)}[{index}]", self._problems) for index, item in enumerate(good))

    def _take(self, key: str, *, required: bool = False) -> object:
        self._asked.add(key)
        if required and key not in self._content:
            self.complain(key, "is missing")
        return self._content.get(key)

    def _name(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key


def _exact(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    return exact if exact.is_finite() else None


def _between(low: float, high: float) -> str:
    return "" if low == float("-inf") else f" from {low:g} to {high:g}"
