"""Two meters that are wired wrongly are found before anything is signed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agent.cli import checks
from agent.domain.samples import MeterRole
from tests.unit.test_cli_checks import MEASURED, Inspection, Meter, Point, levels

EXPORT = Point()
PRODUCTION, CONSUMPTION = MeterRole.PRODUCTION, MeterRole.CONSUMPTION


@pytest.mark.parametrize(("power_w", "told"), [(-51, ["ok", "warning"]), (-50, ["ok"]), (0, ["ok"]), (None, ["ok"])])
def test_power_against_the_counted_direction_is_shown(power_w: int | None, told: list[str]) -> None:
    found, _, _ = checks.meter(PRODUCTION, Meter(measured=replace(MEASURED, power_w=power_w)))

    assert levels(found) == told
    assert found[-1].part == "production meter"


@pytest.mark.parametrize(
    ("other", "told"),
    [("1236.031", ["ok"]), ("1237", ["ok", "warning"]), (None, ["ok"])],
)
def test_the_counter_that_has_counted_more_is_shown(other: str | None, told: list[str]) -> None:
    point = Point("import_energy", value=None if other is None else Decimal(other))

    found, _, _ = checks.meter(PRODUCTION, Meter(Inspection(points=(EXPORT, point))))

    assert levels(found) == told


def test_one_meter_in_both_places_is_a_problem() -> None:
    one, other = Inspection(), Inspection(serial="22")

    assert levels(checks.same_meter({PRODUCTION: one, CONSUMPTION: one})) == ["problem"]
    assert checks.same_meter({PRODUCTION: one, CONSUMPTION: other}) == []
    assert checks.same_meter({PRODUCTION: one, CONSUMPTION: replace(one, profile="eastron_sdm630")}) == []


@pytest.mark.parametrize("serial", [None, ""])
def test_meters_that_state_no_serial_number_may_be_two(serial: str | None) -> None:
    silent = Inspection(serial=serial)

    assert checks.same_meter({PRODUCTION: silent, CONSUMPTION: silent}) == []
    assert checks.same_meter({PRODUCTION: Inspection()}) == []
