"""What the office does with an enrolled household, on a real node with the real contract: suspend, replace-meter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.test_operator_commands import HOUSEHOLD, Office, office, pool_of

__all__ = ["office"]

pytestmark = [pytest.mark.integration, pytest.mark.untimed]


@pytest.fixture
def deployed(office: Office) -> dict[str, Any]:
    made: dict[str, Any] = office.run("deploy")[1]
    assert office.run("approve", str(office.request(made)))[0] == 0
    return made


def new_meter(serial: str, opening: int, *more: str) -> list[str]:
    new = ["--profile", "eastron_sdm630", "--serial", serial, "--opening", str(opening)]
    return ["replace-meter", HOUSEHOLD.address, "--meter", "production", *new, *more]


def test_a_household_is_suspended_and_taken_back_once(
    office: Office,
    deployed: dict[str, Any],
) -> None:
    code, told, _ = office.run("suspend", HOUSEHOLD.address)
    assert (code, told["active"]) == (0, False)
    assert "transaction" not in office.run("suspend", HOUSEHOLD.address)[1]
    code, told, _ = office.run("suspend", HOUSEHOLD.address, "--lift")
    assert (code, told["active"], told["epoch"]) == (0, True, 1)
    pool = pool_of(office, deployed, HOUSEHOLD.address)
    assert pool.household().active
    pool.close()


def test_a_new_meter_opens_one_epoch_however_often_it_is_entered(
    office: Office,
    deployed: dict[str, Any],
) -> None:
    code, told, _ = office.run(*new_meter("2001", 7, "--closing", "1100"))
    assert (code, told["epoch"], told["producedWh"], told["consumedWh"]) == (0, 2, 7, 2000)
    code, _, says = office.run(*new_meter("2001", 7))
    assert code == 1
    assert "is household" in says
    pool = pool_of(office, deployed, HOUSEHOLD.address)
    state = pool.household()
    assert (state.epoch, state.sequence, state.tokens_wh) == (2, 0, 100)
    pool.close()


@pytest.mark.usefixtures("deployed")
def test_a_reset_says_so_and_names_the_register_before(office: Office) -> None:
    same = ["--profile", "eastron_sdm120", "--serial", "1", "--opening", "0"]
    words = ["replace-meter", HOUSEHOLD.address, "--meter", "production", *same]
    assert "--reset" in office.run(*words)[2]
    assert "--closing" in office.run(*words, "--reset")[2]
    assert office.run(*words, "--reset", "--closing", "1000")[1]["epoch"] == 2
    assert "ImpossibleEnergy" in office.run(*words, "--reset", "--closing", "9000")[2]
    assert "is not household" in office.run(*new_meter("3", 0, "--reset", "--closing", "0"))[2]


@pytest.mark.usefixtures("deployed")
def test_what_the_contract_refuses_is_named(office: Office) -> None:
    fell = office.run(*new_meter("2001", 7, "--closing", "999"))[2]
    assert "production meter's closing register of 999 Wh is below the 1000 Wh" in fell
    assert "RegisterFell" in fell
    leapt = office.run(*new_meter("2001", 7, "--closing", "900000"))[2]
    assert "is 899000 Wh above the last one booked" in leapt
    assert "ImpossibleEnergy" in leapt
    stranger = "0x00000000000000000000000000000000000be4C4"
    for words in (["suspend", stranger.lower()], ["replace-meter", stranger.lower(), *new_meter("5", 1)[2:]]):
        assert "is not enrolled" in office.run(*words)[2]
