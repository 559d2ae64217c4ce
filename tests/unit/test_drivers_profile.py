"""Profiles as files: what ships is right, and every mistake in a file is named at once."""

from __future__ import annotations

import contextlib
import copy
import json
import tempfile
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from drivers.catalogue import SHIPPED, Catalogue
from drivers.errors import ProfileError, UnknownProfileError
from drivers.meter import Counts
from drivers.profile import Profile
from drivers.profile_file import load_profile

SCHEMA = Draft202012Validator(json.loads((SHIPPED / "profile.schema.json").read_text()))
FILES = sorted(SHIPPED.glob("*.toml"))

GOOD = """
schema = 1
id = "acme_one"
maker = "Acme"
models = ["One"]
confidence = "B"
sources = ["Acme, manual"]

[read]
function = 3
word_order = "low_first"
max_registers = 11
holes = false
gap_ms = 20
timeout_ms = [200, 600]

[invalid]
i32 = 0x7FFFFFFF

[counts]
import = "import_energy"

[points.import_energy]
address = 0x3E
type = "u32"
scale = 0.1
unit = "kWh"

[points.partial_energy]
address = 0x42
type = "u32"
unit = "kWh"
never_bill = "anybody can reset it"

[points.active_power]
address = 0x28
type = "i16"
scale_factor = "power_sf"
unit = "W"

[points.power_sf]
address = 0x2B
type = "sf"

[[identity.serial]]
address = 0x1300
type = "str"
registers = 7

[identity.model]
address = 0x000B
type = "u16"
expect = [71, 72]
sentence = "Another code is another map."

[[settings]]
name = "application"
address = 0x1101
type = "u16"
expect = 7
sentence = "Set application H."
"""


def written(folder: Path, content: str, name: str = "acme.toml") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def problems_of(folder: Path, content: str) -> tuple[str, ...]:
    with pytest.raises(ProfileError) as caught:
        load_profile(written(folder, content))
    return caught.value.problems


def loaded(folder: Path, content: str = GOOD) -> Profile:
    return load_profile(written(folder, content))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_ships_loads_fits_the_schema_and_is_named_like_its_file(path: Path) -> None:
    assert list(SCHEMA.iter_errors(tomllib.loads(path.read_text()))) == []
    assert load_profile(path).id == path.stem


def documented(number: int) -> str:
    return (SHIPPED / "README.md").read_text().split("```toml")[number].split("```")[0]


def test_the_short_documented_example_is_a_profile(tmp_path: Path) -> None:
    assert list(SCHEMA.iter_errors(tomllib.loads(documented(1)))) == []
    assert loaded(tmp_path, documented(1)).id == "acme_two"


def test_the_long_documented_example_is_a_profile(tmp_path: Path) -> None:
    example = documented(2)
    # the one example shows every key; a real point has `registers` or a fixed length, and not every key at once
    example = "\n".join(
        line for line in example.splitlines() if not line.startswith(("registers = 1 ", "never_bill", "scale_factor"))
    )
    example = example.replace('export = "export_energy"', "")

    assert list(SCHEMA.iter_errors(tomllib.loads(example))) == []
    assert loaded(tmp_path, example).counter_modulus_wh(Counts.IMPORT) == 99_999_999_000


def test_quirks_come_through(tmp_path: Path) -> None:
    profile = loaded(tmp_path)

    assert (profile.max_registers, profile.holes, profile.gap_s) == (11, False, 0.02)
    assert profile.timeout_s == (0.2, 0.6)
    assert profile.span(profile.points["active_power"]).count == 4
    assert profile.counter_modulus_wh(Counts.IMPORT) == 2**32 * 100
    assert profile.model is not None
    assert profile.model.expect == ("71", "72")


def test_a_scale_factor_scales_and_an_impossible_one_makes_the_value_unknown(tmp_path: Path) -> None:
    profile = loaded(tmp_path)
    power = profile.points["active_power"]
    block = profile.span(power)

    assert profile.value(power, block, bytes.fromhex("0011 0000 0000 FFFF")) == Decimal("1.7")
    assert profile.value(power, block, bytes.fromhex("0011 0000 0000 0002")) == 1700
    assert profile.value(power, block, bytes.fromhex("0011 0000 0000 8000")) is None
    assert profile.value(power, block, bytes.fromhex("0011 0000 0000 0040")) is None


def test_every_mistake_is_reported_at_once_with_its_key(tmp_path: Path) -> None:
    bad = (
        GOOD.replace('maker = "Acme"', "maker = 7")
        .replace("max_registers = 11", "max_registers = 500\nmax_register = 3")
        .replace('type = "sf"', 'type = "int"')
        .replace("holes = false", 'holes = "no"')
        .replace('sentence = "Set application H."', "")
    )

    text = "\n".join(problems_of(tmp_path, bad))

    for key in (
        "maker: is 7",
        "read.max_registers: is 500, expected a whole number from 2 to 125",
        "read.max_register: is not a key here; known are",
        "points.power_sf.type: is 'int', right are i16",
        "read.holes: is 'no', expected true or false",
        "settings[0].sentence: is missing",
    ):
        assert key in text


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('import = "import_energy"', 'import = "nowhere"', "counts.import: there is no point 'nowhere'"),
        ('import = "import_energy"', 'import = "active_power"', "is no energy counter"),
        ('import = "import_energy"', 'import = "partial_energy"', "must never be billed on: anybody can reset it"),
        ('import = "import_energy"', "", "counts.import: name the counter of at least one direction"),
        ("address = 0x2B", "address = 0x48", "takes 33 registers, max_registers is 11"),
        ('scale_factor = "power_sf"', 'scale_factor = "import_energy"', "is no point of type sf"),
        ("holes = false", "holes = false\neven_counts = true", "even_counts is set"),
        ("address = 0x3E", "address = 0xFFFF", "ends after the last address"),
        ("scale = 0.1", "scale = -0.1", "must be above 0"),
        ("timeout_ms = [200, 600]", "timeout_ms = [600, 200]", "the shortest comes first"),
        ("timeout_ms = [200, 600]", "timeout_ms = [200]", "expected 2 numbers from 1 to 10000"),
        ("i32 = 0x7FFFFFFF", 'i32 = "x"', "invalid.i32: is 'x', expected whole numbers"),
        ("schema = 1", "schema = 2", "schema: is 2, right are 1"),
        ("[[identity.serial]]", "[identity.serial]", "expected tables in double brackets: [[identity.serial]]"),
        ("registers = 7", "", "identity.serial[0].registers: is missing"),
        ("schema = 1", "schema = = 1", "is not TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert problem in "\n".join(problems_of(tmp_path, GOOD.replace(old, new, 1)))


def mutations() -> list[tuple[str, Any]]:
    """Documents that neither the schema nor the loader may accept."""
    good = tomllib.loads(GOOD)
    made: list[tuple[str, Any]] = []

    def without(*path: str) -> None:
        document = copy.deepcopy(good)
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        made.append(("without " + ".".join(path), document))

    def changed(value: object, *path: str) -> None:
        document = copy.deepcopy(good)
        inner = document
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
        made.append((f"{'.'.join(path)}={value!r}", document))

    for key in ("schema", "id", "maker", "models", "sources", "counts", "points"):
        without(key)
    without("points", "import_energy", "address")
    without("points", "import_energy", "type")
    without("identity", "model", "sentence")
    changed(1, "surprise")
    changed(1, "points", "import_energy", "surprise")
    changed(2, "points", "import_energy", "registers")
    changed(0, "points", "import_energy", "scale")
    changed("MWh", "points", "import_energy", "unit")
    changed(70000, "points", "import_energy", "address")
    changed([1], "points", "import_energy", "limits")
    changed(1, "read", "max_registers")
    changed("big", "read", "word_order")
    changed(0, "serial_line", "unit")
    changed(["X"], "serial_line", "parities")
    changed(-1, "invalid", "u16")
    changed(2, "phases")
    changed(True, "identity", "model", "expect")
    return made


def as_toml(value: dict[str, Any], path: str = "") -> str:
    """Just enough TOML for these documents."""
    lines = [f"{key} = {json.dumps(item)}" for key, item in value.items() if not nested(item)]
    for key, item in value.items():
        name = f"{path}{key}"
        for one in item if isinstance(item, list) else [item]:
            if nested(item):
                brackets = f"[[{name}]]" if isinstance(item, list) else f"[{name}]"
                lines += [brackets, as_toml(one, f"{name}.")]
    return "\n".join(lines)


def nested(item: object) -> bool:
    return isinstance(item, dict) or (isinstance(item, list) and bool(item) and isinstance(item[0], dict))


def test_the_example_of_these_tests_fits_the_schema(tmp_path: Path) -> None:
    assert list(SCHEMA.iter_errors(tomllib.loads(GOOD))) == []
    assert loaded(tmp_path, as_toml(tomllib.loads(GOOD))).id == "acme_one"


@pytest.mark.parametrize(("what", "document"), mutations(), ids=lambda value: value if isinstance(value, str) else "")
def test_schema_and_loader_refuse_the_same(tmp_path: Path, what: str, document: dict[str, Any]) -> None:
    assert list(SCHEMA.iter_errors(document)), what
    assert problems_of(tmp_path, as_toml(document)), what


def leaves(value: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path] if path else []
    for key, item in value.items():
        found += leaves(item, (*path, key)) if isinstance(item, dict) else [(*path, key)]
    return found


scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab 1", max_size=3)
)
tables = st.dictionaries(st.sampled_from(["type", "address", "a"]), scalars, max_size=3)
anything = scalars | st.lists(scalars, max_size=3) | tables | st.lists(tables, min_size=1, max_size=2)


@given(where=st.sampled_from(leaves(tomllib.loads(GOOD))), what=anything)
def test_whatever_stands_in_a_file_it_is_a_profile_or_a_list_of_mistakes(where: tuple[str, ...], what: object) -> None:
    document = tomllib.loads(GOOD)
    inner = document
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = what
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ProfileError):
        loaded(Path(folder), as_toml(document))


def test_the_installers_file_wins_over_ours(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("acme_one", "eastron_sdm120"))

    assert Catalogue([tmp_path]).profile("eastron_sdm120").maker == "Acme"
    assert Catalogue().profile("eastron_sdm120").maker == "Eastron"


def test_a_folder_that_is_missing_is_empty(tmp_path: Path) -> None:
    assert {profile.id for profile in Catalogue([tmp_path / "none"])} == {path.stem for path in FILES}


def test_one_name_in_two_files_is_a_mistake(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "a.toml")
    written(tmp_path, GOOD, "b.toml")

    with pytest.raises(ProfileError, match=r"b\.toml: id: 'acme_one' is already the name of .*a\.toml"):
        Catalogue([tmp_path])


def test_an_unknown_profile_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownProfileError, match="no meter profile 'sdm121'; known are eastron_sdm120, eastron"):
        Catalogue().profile("sdm121")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none\.toml: cannot be read: No such file"):
        load_profile(tmp_path / "none.toml")


def test_eastrons_total_can_never_be_counted() -> None:
    for path in FILES:
        profile = load_profile(path)
        assert profile.points["total_energy"].never_bill
        assert "total_energy" not in profile.counts.values()
