"""The bench's arithmetic: limits, percentiles, the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.bench.__main__ import main
from simulators.bench.figures import Figure, Section, as_json, broken, percentile, table


def test_figures_that_could_not_be_written_are_not_measured(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing" / "figures.json"):
        with pytest.raises(SystemExit) as ended:
            main(["--only", "gas", "--json", str(place)])
        assert ended.value.code == 2


@pytest.mark.parametrize(
    ("value", "limit", "holds"),
    [(36_000, 36_000, True), (36_000.5, 36_000, False), (1, None, None), (None, 25, None), (0, 0, True)],
)
def test_a_limit_holds_up_to_itself_and_an_unknown_value_says_nothing(
    value: float | None, limit: float | None, holds: bool | None
) -> None:
    assert Figure("it", value, "gas", limit).holds is holds


def test_only_a_broken_limit_counts_as_broken() -> None:
    good, bad, unknown = Figure("a", 1, "s", 2), Figure("b", 3, "s", 2), Figure("c", None, "s", 2)
    sections = [Section("x", "how", [good, unknown]), Section("y", "how", [bad])]
    assert broken(sections) == [bad]
    assert [(told["section"], told["name"], told["holds"]) for told in as_json(sections)] == [
        ("x", "a", True),
        ("x", "c", None),
        ("y", "b", False),
    ]


def test_the_table_shows_every_figure_with_its_verdict() -> None:
    figures = [
        Figure("report", 35_692, "gas", 36_000, "steady"),
        Figure("slow", 2.3456, "s", 2),
        Figure("year", None, "GB", 25, "no root"),
    ]
    lines = list(table([Section("gas", "Anvil", figures)]))
    assert lines[1] == "gas: Anvil"
    shown = [line.split() for line in lines[4:]]
    assert shown[0] == ["report", "35,692", "gas", "36,000", "gas", "yes", "steady"]
    assert shown[1] == ["slow", "2.35", "s", "2", "s", "NO"]
    assert shown[2] == ["year", "not", "measured", "25", "GB", "no", "root"]


def test_percentiles_by_nearest_rank() -> None:
    twenty = [float(number) for number in range(20, 0, -1)]
    assert percentile(twenty, 0.5) == 10
    assert percentile(twenty, 0.95) == 19
    assert percentile(twenty, 1) == 20
    assert percentile([7.0], 0.5) == 7


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0), ([1.0], 1.1)])
def test_a_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="give at least one"):
        percentile(values, share)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
