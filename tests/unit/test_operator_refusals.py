"""What an operator is told when the contract refuses: words, advice, and the contract's own name and facts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from agent.domain.errors import Rejected
from agent.operator import __main__ as program
from agent.operator import parameters, refusals
from agent.operator.answer import Answer
from agent.operator.refusals import told

ABI = Path(__file__).parents[2] / "contracts" / "artifacts" / "EnergyMarket.json"
WHO = "0x" + "11" * 20


def role(name: str) -> dict[str, object]:
    return {"account": WHO, "neededRole": "0x" + keccak(text=name).hex()}


@pytest.mark.parametrize(
    ("error", "facts", "says"),
    [
        (
            "AccessControlUnauthorizedAccount",
            role("REGISTRATION_OFFICE"),
            f"{WHO} is not a registration office of this",
        ),
        ("AccessControlUnauthorizedAccount", role("DISTRIBUTION_AGENT"), "is not a distribution agent of this"),
        ("AccessControlUnauthorizedAccount", {"account": WHO, "neededRole": "0x" + "00" * 32}, "not an administrator"),
        ("AccessControlUnauthorizedAccount", role("OTHER"), "is not a holder of the role 0x"),
        ("AlreadyEnrolled", {"account": WHO}, f"household {WHO} is enrolled already; .* replace-meter"),
        ("NotEnrolled", {"account": WHO}, f"household {WHO} is not enrolled in this market; .* approve"),
        ("MeterInUse", {"meterId": "0x22", "account": WHO}, f"is household {WHO}'s already, .* meter's plate"),
        (
            "ImpossibleEnergy",
            {"household": WHO, "meter": "production", "allowedWh": 3, "gotWh": 9},
            "production meter's closing register is 9 Wh above .* allows 3 Wh .* --closing",
        ),
        (
            "RegisterFell",
            {"household": WHO, "meter": "consumption", "lastWh": 1000, "gotWh": 999},
            "consumption meter's closing register of 999 Wh is below the 1000 Wh .* --closing 1000",
        ),
        ("EpochsExhausted", {"account": WHO}, "another account"),
        (
            "TariffInverted",
            {"feedInWeiPerKWh": 9, "retailWeiPerKWh": 5},
            "9 wei would be above .* of 5 wei, .* --retail",
        ),
        ("PeriodOutOfBounds", {"minimumS": 1, "maximumS": 86400, "gotS": 0}, "of 0 s is out of bounds; 1 to 86400 s"),
        ("ZeroAccount", {}, "zero address"),
        ("unknown", {"data": "0x1234"}, "does not know; .*data=0x1234"),
    ],
)
def test_an_error_is_told_in_words_with_its_name_and_facts(error: str, facts: dict[str, object], says: str) -> None:
    refusal = Rejected(error, facts)

    text = told(refusal)

    assert text.endswith(f"({refusal})")
    assert "?" not in text
    assert re.search(says, text), text


def test_an_account_is_shown_with_its_checksum() -> None:
    account = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"

    assert told(Rejected("NotEnrolled", {"account": account.lower()})).startswith(
        f"household {account} is not enrolled"
    )


def test_an_error_whose_facts_did_not_decode_is_told_all_the_same() -> None:
    assert "RegisterFell(data=0x12)" in told(Rejected("RegisterFell", {"data": "0x12"}))


def test_an_error_that_only_readings_meet_stays_as_it_is() -> None:
    assert told(Rejected("SequenceNotRising", {"last": 2})) == "the contract rejects it: SequenceNotRising(last=2)"


def test_every_error_and_fact_named_is_the_contracts() -> None:
    errors = {item["name"]: item["inputs"] for item in json.loads(ABI.read_text())["abi"] if item["type"] == "error"}

    for name, meaning in refusals._MEANINGS.items():
        if name != "unknown":
            facts = {part["name"] for part in errors[name]} | {"role"}
            meaning.format_map(dict.fromkeys(facts, ""))


def test_the_program_tells_it_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*_: object) -> Answer:
        raise Rejected("PeriodOutOfBounds", {"minimumS": 1, "maximumS": 5, "gotS": 9})

    monkeypatch.setattr(parameters, "run", refused)

    assert program.main(["parameters", "--node", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == (
        "prosumer-operator: a reporting period of 9 s is out of bounds; 1 to 5 s are right"
        " (the contract rejects it: PeriodOutOfBounds(minimumS=1, maximumS=5, gotS=9))\n"
    )
