"""A state directory that was mistyped is told: nothing is made there, and it is not taken for an empty office."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.domain.errors import ConfigurationInvalid
from agent.domain.invoices import Book
from agent.operator.__main__ import main
from agent.operator.arguments import parser
from agent.operator.invoices import _names

HOUSE = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NODE = ("--node", "http://127.0.0.1:1")
KEY = (*NODE, "--keystore", "none.json")


@pytest.mark.parametrize(
    "words",
    [
        ("requests", "list"),
        ("requests", "show", "1"),
        ("requests", "export", HOUSE),
        ("requests", "approve", "1", *KEY, "--yes"),
        ("requests", "refuse", "1", "--why", "no"),
        ("requests", "erase", HOUSE, "--yes"),
        ("collect", "--report"),
    ],
)
@pytest.mark.parametrize("place", ["--state-dir", "--database"])
def test_an_office_is_not_begun_by_who_looks_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], place: str
) -> None:
    typo = tmp_path / "typo"
    named = str(typo) if place == "--state-dir" else f"sqlite:///{typo / 'office.sqlite'}"
    assert main([*words, place, named]) == 78

    says = capsys.readouterr().err
    assert f"there is no database {typo / 'office.sqlite'}: name the right folder with --state-dir" in says
    assert "'prosumer-operator requests add' begins one" in says
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("suspend", HOUSE),
        ("fund", HOUSE, "--amount", "1"),
        ("parameters", "--pause"),
        ("replace-meter", HOUSE, "--meter", "production", "--profile", "m", "--serial", "1", "--opening", "0"),
    ],
)
def test_what_was_sent_is_looked_for_where_it_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert main([*words, *KEY, "--state-dir", str(tmp_path / "typo")]) == 1

    assert f"there is no folder {tmp_path / 'typo'}: name with --state-dir the one that" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_invoices_take_no_names_from_an_office_that_is_not_there(tmp_path: Path) -> None:
    asked = parser().parse_args(
        ["invoices", *NODE, "--all", "--output", "x", "--database", f"sqlite:///{tmp_path / 'typo.sqlite'}"]
    )
    with pytest.raises(ConfigurationInvalid, match="there is no database"):
        _names(asked, Book(1, HOUSE, 1), [])
    assert list(tmp_path.iterdir()) == []
