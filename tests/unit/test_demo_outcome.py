"""The demonstration's summary: what holds is said, and what does not says what is wrong, in figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulators.demo.outcome import HomeOutcome, MarketOutcome
from simulators.ledger import Mined, Sale, Standing

READINGS = [Mined(1, number, 900 * number, 1_000, 2_000, 0, number, "0x1") for number in (1, 2, 3)]
HOME = HomeOutcome(
    name="sunny",
    household="0x1",
    opening=(1_000_000, 2_000_000),
    wire=(1_010_500, 2_000_750),
    standing=Standing(1, 3, 2_700, 1_010_500, 2_000_750, 8_500),
    mined=READINGS,
    minted_wh=10_500,
    burned_wh=1_000,
    held=3,
    forged=0,
    contradictions=0,
    agent_code=0,
    faults={},
    final=2,
)
MARKET = MarketOutcome(
    homes=[HOME],
    sales=[Sale(1, "0x1", "0x2", 5, 500, 10**16, 10**15, 900, "0x1")],
    supply_wh=9_500,
    escrow_wh=1_000,
    differences={"sunny": []},
)


def test_everything_that_holds_is_said() -> None:
    assert list(HOME.claims()) == [
        (True, "2 readings became final; 1 more on the chain, not deep enough yet"),
        (True, "each of them exactly once"),
        (True, "energy tokens minted 10.500 = energy produced 10.500 kWh, to the Wh"),
        (True, "the contract's registers = the meters': produced 1,010.500, consumed 2,000.750 kWh"),
        (True, "3 signed readings received over MQTT, each verifies to the household's address"),
        (True, "the agent ended in good order (exit code 0)"),
    ]
    assert list(MARKET.claims(trades_expected=True)) == [
        (True, "1 trades by rule: 0.500 kWh for 0.010000 ETH, and 0.001000 ETH to the distribution company"),
        (True, "tokens minted 10.500 - redeemed 1.000 = held 8.500 + in open orders 1.000 kWh"),
        (True, "sunny: the invoice that it works out itself is the operator's, to the wei and the Wh"),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"final": 0},
            "0 readings became final, and 3 are on the chain; one or more should be, and at most 2 not deep",
        ),
        (
            {"mined": [*READINGS, READINGS[0]], "held": 4},
            "1 readings are on the chain more than once (epoch/sequence): 1/1 2 times",
        ),
        (
            {"minted_wh": 10_400},
            "energy tokens minted 10.400, and energy produced 10.500 kWh: they lie 0.100 kWh apart",
        ),
        (
            {"wire": (1_010_600, 2_000_751)},
            "the meters': produced 1,010.600, consumed 2,000.751 kWh: 0.100 and 0.001 kWh are not booked",
        ),
        ({"held": 2}, "2 signed readings received over MQTT, 3 are on the chain; 0 more do not verify"),
        ({"forged": 1}, "1 more do not verify to the household's address, and 0 came again with another content"),
        ({"contradictions": 4}, "and 4 came again with another content"),
        ({"agent_code": -9}, "the agent ended with exit code -9, and 0 would be in good order"),
    ],
)
def test_what_does_not_hold_of_a_home_says_what_is_wrong(changed: dict[str, Any], told: str) -> None:
    (wrong,) = [said for holds, said in replace(HOME, **changed).claims() if not holds]

    assert told in wrong


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sales": []}, "0 trades by rule, though it ran long enough for one; 1.000 kWh are in open orders"),
        (
            {"supply_wh": 9_400},
            "= 9.500 kWh, held 8.500 + in open orders 1.000 = 9.500 kWh, and the contract counts 9.400 kWh",
        ),
        (
            {"differences": {"sunny": [{"where": f"a{n}", "own": str(n), "theirs": None} for n in range(5)]}},
            "in 5 places: a0: own 0, issued nothing, a1: own 1, issued nothing, a2: own 2, issued nothing, and 2 more",
        ),
    ],
)
def test_what_does_not_hold_of_the_market_says_what_is_wrong(changed: dict[str, Any], told: str) -> None:
    (wrong,) = [said for holds, said in replace(MARKET, **changed).claims(trades_expected=True) if not holds]

    assert told in wrong
