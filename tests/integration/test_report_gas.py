"""A day of readings fits the gas that its transaction is given, also when each goes the contract's long way."""

from __future__ import annotations

import time

import pytest

from agent.adapters.deployments import load_market
from agent.compose.office import open_chain
from agent.domain.fees import report_gas
from agent.domain.readings import Flags, Reading
from tests.integration.test_operator_commands import HOUSEHOLD, Office, office

__all__ = ["office"]

pytestmark = [pytest.mark.integration, pytest.mark.untimed]


@pytest.mark.parametrize("count", [1, 96])
def test_readings_with_a_dead_meter_fit_their_gas(office: Office, count: int) -> None:
    deployed = office.run("deploy")[1]
    assert office.run("approve", str(office.request(deployed)))[0] == 0
    first = int(time.time()) - 1000
    words = [
        Reading(HOUSEHOLD.address, 1, k, first + 10 * k, 1000 + 20 * k, 2000, Flags.CONSUMPTION_HELD).packed()
        for k in range(1, count + 1)
    ]
    market, _ = load_market()
    chain = open_chain(office.url, allow_plain=False, ca_file=None)
    try:
        used = chain.estimate_gas(HOUSEHOLD.address, deployed["contract"], market.report(words), 0)
    finally:
        chain.close()
    assert used * 5 // 4 < report_gas(count), f"{used} gas are used"
