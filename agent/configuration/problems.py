"""What is wrong with a configuration, in an installer's words: key, what is wrong, what would be right."""

from __future__ import annotations

import difflib
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from agent.addresses import without_secrets
from agent.configuration.sources import PREFIX

# A key of this kind would hold a secret itself; the configuration only names files.
_SECRETS = ("passphrase", "password", "private_key", "secret", "token", "mnemonic")
_MOST_SHOWN = 60

Place = tuple[int | str, ...]


def problems_of(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One sentence a problem, in the file's order of keys.

    Args:
        error: what pydantic found.
        root: the model that was validated.
    """
    # `input` is needed for ordinary wrong values; it is never shown for an unknown key, which may hold a secret.
    return [_sentence(cast("dict[str, Any]", item), root) for item in error.errors(include_url=False)]


def _sentence(item: dict[str, Any], root: type[BaseModel]) -> str:
    place: Place = item["loc"]
    key, kind = _written(place), item["type"]
    if kind == "extra_forbidden" and key.startswith(PREFIX):
        return f"{key}: names no key; {PREFIX}SECTION__KEY is right"
    if kind == "extra_forbidden":
        return f"{key}: {_unknown(str(place[-1]), _section(place[:-1], root))}"
    if kind == "value_error":
        return f"{key}: {without_secrets(str(item['ctx']['error']))}"
    if kind == "model_type":
        # The value is not shown: a secret may have been put where its section belongs.
        return f"{key}: is a value, but is a section; write [{key}] and its keys below"
    right = _right(place, root)
    if kind == "missing":
        return f"{key}: is missing; {right}"
    return f"{key}: is {_shown(item['input'])}, but {_rule(item)}; {right}"


def _rule(item: dict[str, Any]) -> str:
    message = str(item["msg"])
    return message[:1].lower() + message[1:]


def _shown(value: object) -> str:
    text = without_secrets(repr(value))
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _written(place: Place) -> str:
    """The place as an installer writes it: ``chain.nodes[0].url``."""
    key = ""
    for part in place:
        key += f"[{part}]" if isinstance(part, int) else f"{'.' if key else ''}{part}"
    return key


def _unknown(name: str, section: type[BaseModel] | None) -> str:
    known = list(section.model_fields) if section is not None else []
    file_key = f"{name}_file"
    if any(word in name.lower() for word in _SECRETS):
        right = f"name the file in {file_key}" if file_key in known else "leave it out"
        return f"a configuration holds no secrets; put it into a file of its own and {right}"
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"is no known key; {hint}"


def _field(place: Place, root: type[BaseModel]) -> FieldInfo | None:
    section: type[BaseModel] | None = root
    field: FieldInfo | None = None
    for part in place:
        if isinstance(part, int):
            continue
        if section is None or part not in section.model_fields:
            return field
        field = section.model_fields[part]
        section = _model(field.annotation)
    return field


def _section(place: Place, root: type[BaseModel]) -> type[BaseModel] | None:
    if not place:
        return root
    field = _field(place, root)
    return _model(field.annotation) if field is not None else None


def _model(annotation: object) -> type[BaseModel] | None:
    """The model in an annotation: itself, or what a tuple holds."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _right(place: Place, root: type[BaseModel]) -> str:
    field = _field(place, root)
    return f"right is: {field.description}" if field is not None and field.description else "see its documentation"
