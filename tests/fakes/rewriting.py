"""A proxy that rewrites what a node tells: any digit, number, member, list or length of the JSON, seeded."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from agent.domain.errors import NodeUnavailable

_CHARACTERS = '0123456789abcdefABCDEF"{}[],:x- tn'
_OTHERS: tuple[object, ...] = (None, True, 0, 7, -1, 1.5, "", "0x", "0x0", [], {})
_DIGITS = "0123456789abcdef"

Path = tuple[str | int, ...]


def paths(value: object, before: Path = ()) -> Iterator[Path]:
    """Every place of a JSON value, the whole of it first."""
    yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from paths(part, (*before, key))


def at(value: Any, path: Path) -> Any:  # noqa: ANN401 - JSON
    """What stands at a place."""
    for step in path:
        value = value[step]
    return value


def put(value: Any, path: Path, new: object) -> Any:  # noqa: ANN401 - JSON
    """The value with something else at a place."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = new
    return changed


def another_digit(text: str, place: int) -> str:
    """A text with another hex digit at a place."""
    known = _DIGITS.find(text[place].lower())
    return text[:place] + _DIGITS[(known + 1) % 16] + text[place + 1 :]


def rewritten(value: Any, chance: random.Random) -> Any:  # noqa: ANN401 - JSON
    """The value, rewritten at one random place.

    Raises:
        NodeUnavailable: it is no JSON any more, as a node's adapter says it.
    """
    if chance.random() < 0.3:
        return _in_its_text(value, chance)
    path = chance.choice(list(paths(value)))
    old = at(value, path)
    if isinstance(old, str) and chance.random() < 0.9:
        return put(value, path, _of_text(old, chance))
    if isinstance(old, list) and old and chance.random() < 0.9:
        return put(value, path, _of_list(old, chance))
    if isinstance(old, dict) and old and chance.random() < 0.9:
        return put(value, path, _of_object(old, chance))
    return put(value, path, chance.choice(_OTHERS))


def _in_its_text(value: object, chance: random.Random) -> object:
    text = json.dumps(value, separators=(",", ":"))
    place = chance.randrange(len(text))
    changed = text[:place] + chance.choice(_CHARACTERS) + text[place + chance.choice((0, 1, 1, 1, 2)) :]
    try:
        return json.loads(changed)
    except ValueError as error:
        raise NodeUnavailable("its answer is not JSON") from error


def _of_text(old: str, chance: random.Random) -> str:
    kind = chance.randrange(6)
    if kind < 3 and len(old) > 2:
        return another_digit(old, chance.randrange(2, len(old)))
    longer = old + chance.choice(("0", "00", "ff", old[2:4]))
    shorter = old[: -chance.choice((1, 2))]
    begun = old[:2] + chance.choice(("0", "00", "01")) + old[2:]
    return (longer, shorter, begun, old[:2] + old[2:][::-1])[chance.randrange(4)]


def _of_list(old: list[object], chance: random.Random) -> list[object]:
    first, second = chance.randrange(len(old)), chance.randrange(len(old))
    changed = copy.deepcopy(old)
    kind = chance.randrange(3)
    if kind == 0:
        changed[first], changed[second] = changed[second], changed[first]
    elif kind == 1:
        del changed[first]
    else:
        changed.insert(second, copy.deepcopy(changed[first]))
    return changed


def _of_object(old: dict[str, object], chance: random.Random) -> dict[str, object]:
    first, second = chance.choice(list(old)), chance.choice(list(old))
    changed = copy.deepcopy(old)
    if chance.random() < 0.5:
        del changed[first]
    else:
        changed[first], changed[second] = changed[second], changed[first]
    return changed
