"""The commented configuration that ships: every key, its default, and a sentence about it."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent.configuration import Configuration, load
from agent.configuration.problems import _model
from agent.domain.errors import ConfigurationInvalid

SHIPPED = Path(__file__).parents[2] / "config" / "prosumer-agent.toml"
_COMMENTED = re.compile(r"^#([a-z_]+ = .*)$", re.MULTILINE)


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigurationInvalid) as caught:
        load(path, {})
    return caught.value.problems


def documented() -> dict[str, Any]:
    return tomllib.loads(_COMMENTED.sub(r"\1", SHIPPED.read_text()))


def compare(model: type[BaseModel], full: dict[str, Any], active: dict[str, Any], place: str) -> None:
    assert set(full) == set(model.model_fields), place
    for name, field in model.model_fields.items():
        section = _model(field.annotation)
        here = f"{place}.{name}"
        if section is not None:
            nested = (full[name][0], active[name][0]) if isinstance(full[name], list) else (full[name], active[name])
            compare(section, *nested, here)
        elif field.is_required() or field.default is None:
            assert name not in active, f"{here} has no default, so the shipped line is commented out"
        else:
            default = str(field.default) if isinstance(field.default, Path) else field.default
            assert active[name] == default, here


def test_the_shipped_file_has_every_key_with_its_default() -> None:
    compare(Configuration, documented(), tomllib.loads(SHIPPED.read_text()), "")


def test_every_key_of_the_shipped_file_has_a_comment_above_it() -> None:
    lines = SHIPPED.read_text().splitlines()

    bare = [
        line
        for before, line in itertools.pairwise(lines)
        if re.match(r"#?[a-z_]+ = ", line) and not before.startswith("# ")
    ]

    assert bare == []


def test_the_examples_of_the_shipped_file_are_good_but_for_the_second_node(tmp_path: Path) -> None:
    found = problems(tmp_path / "x.toml", _COMMENTED.sub(r"\1", SHIPPED.read_text()))

    assert [problem.split(":")[0] for problem in found] == ["chain.nodes"]


def test_the_shipped_file_as_it_is_names_what_to_fill_in(tmp_path: Path) -> None:
    found = problems(tmp_path / "x.toml", SHIPPED.read_text())

    assert [problem.split(":")[0] for problem in found] == [
        "household.account", "household.area", "household.rated_power_w",
        "meters.production.profile", "meters.production.line",
        "meters.consumption.profile", "meters.consumption.line",
        "chain.id", "chain.genesis", "chain.contract", "chain.code_hash",
        "chain.consensus", "chain.validators", "chain.nodes[0].area", "chain.nodes[0].url",
    ]  # fmt: skip
