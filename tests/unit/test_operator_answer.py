"""How a command's answer looks to a person: units and words, where a program reads integers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from agent.domain.deployment import Deployed, Roles
from agent.domain.market import ChainPin, Parameters, Settlement
from agent.operator.answer import Answer
from agent.operator.deployed import unit_here
from agent.operator.parameters import show_parameters

TOMAN = Settlement("Toman", "IRT", 18)
MARKET = "0x" + "33" * 20


def test_a_fact_stands_in_the_unit_that_its_name_ends_with() -> None:
    told: dict[str, object] = {
        "household": "0x1",
        "closingWh": 1_234_567,
        "fundedWei": 1_500 * 10**15,
        "serviceCostWeiPerKWh": 150 * 10**18,
        "ratedPowerW": 8_000,
        "reportingPeriodS": 900,
        "receivedAt": 1_800_000_000,
        "decidedAt": None,
        "paused": False,
        "transactions": ["0x2", "0x3"],
        "chainId": 7,
    }
    assert str(Answer(told, unit=TOMAN)).splitlines() == [
        "household         0x1",
        "closing           1,234.567 kWh",
        "funded            1.5 IRT",
        "service cost      150 IRT/kWh",
        "rated power       8000 W",
        "reporting period  900 s",
        "received          2027-01-15 08:00:00Z",
        "decided           -",
        "paused            no",
        "transactions      0x2, 0x3",
        "chain id          7",
    ]


def test_money_without_a_unit_is_wei() -> None:
    assert str(Answer({"balanceWei": 1_000})) == "balance  1,000 wei"


@dataclass
class Chain:
    """The operator's node."""

    def chain_id(self) -> int:
        return 1

    def genesis_hash(self) -> str:
        return "0x"

    def code_hash(self, _address: str) -> str:
        return "0x"

    def settlement(self, contract: str) -> Settlement:
        assert contract == MARKET
        return TOMAN

    def parameters(self, _contract: str) -> Parameters:
        return Parameters(900, 150 * 10**18, 900 * 10**18, 2_600 * 10**18, paused=False)

    def service_cost_receiver(self, _contract: str) -> str:
        return "0x9"

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"a screen needs no {name}")


class Files:
    """The deployment files."""

    def load(self, _chain_id: int) -> Deployed:
        return Deployed(ChainPin(1, "0x", MARKET, "0x"), 7, Roles("", "", ""), None)

    def path(self, _chain_id: int) -> Path:
        raise AssertionError("nothing is written")

    def save(self, deployed: Deployed) -> None:
        raise AssertionError(f"nothing is written, not {deployed}")


def test_parameters_are_shown_in_the_markets_own_money() -> None:
    chain, files = Chain(), Files()
    screen = str(Answer(show_parameters(chain, files), unit=unit_here(chain, files)))

    assert "feed in                900 IRT/kWh" in screen
    assert "retail                 2,600 IRT/kWh" in screen
    assert show_parameters(chain, files)["feedInWeiPerKWh"] == 900 * 10**18
