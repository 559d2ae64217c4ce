"""The codec over a small ABI written here: encoding, decoding, and what each revert means."""

from __future__ import annotations

from contextlib import suppress

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.market import Market
from agent.domain.errors import BadRequest, NodeUnavailable, NotYet, Rejected
from agent.domain.market import HouseholdState, Parameters, Settlement

ACCOUNT = "0x" + "11" * 20


def parts(*named: str) -> list[dict[str, object]]:
    return [dict(zip(("type", "name"), one.split(), strict=True)) for one in named]


PARAMETERS = parts(
    "uint96 serviceCostWeiPerKWh", "uint32 reportingPeriodS", "uint80 feedInWeiPerKWh", "uint80 retailWeiPerKWh"
)
HOUSEHOLD = [
    *parts("bool enrolled", "bool active", "uint8 epoch", "uint24 sequence", "uint32 takenAt"),
    *parts("uint40 producedWh", "uint40 consumedWh", "uint40 tokensWh"),
    {"type": "tuple", "name": "record", "components": parts("uint24 ratedPowerW", "bool suspended")},
]
METER = {"type": "uint8", "name": "meter", "internalType": "enum Meter"}
MARKET = Market(
    [
        {"type": "constructor", "inputs": parts("string name")},
        {"type": "function", "name": "report", "inputs": parts("uint256[] readings"), "outputs": []},
        {
            "type": "function",
            "name": "parameters",
            "inputs": [],
            "outputs": [{"type": "tuple", "name": "", "components": PARAMETERS}],
        },
        {"type": "function", "name": "paused", "inputs": [], "outputs": [{"type": "bool", "name": ""}]},
        {
            "type": "function",
            "name": "household",
            "inputs": parts("address account"),
            "outputs": [{"type": "tuple", "name": "", "components": HOUSEHOLD}],
        },
        {
            "type": "function",
            "name": "settlement",
            "inputs": [],
            "outputs": [
                {"type": "tuple", "name": "", "components": parts("string name", "string symbol", "uint8 decimals")}
            ],
        },
        {"type": "error", "name": "MarketPaused", "inputs": []},
        {"type": "error", "name": "Reentered", "inputs": []},
        {
            "type": "error",
            "name": "ExceedsConsumption",
            "inputs": parts("address household", "uint256 allowedWh", "uint256 gotWh"),
        },
        {"type": "error", "name": "HouseholdNotActive", "inputs": parts("address household")},
        {
            "type": "error",
            "name": "TakenInFuture",
            "inputs": parts("address household", "uint256 latest", "uint256 got"),
        },
        {
            "type": "error",
            "name": "UnexpectedEpoch",
            "inputs": parts("address household", "uint256 expected", "uint256 got"),
        },
        {
            "type": "error",
            "name": "RegisterFell",
            "inputs": [*parts("address household"), METER, *parts("uint256 lastWh")],
        },
        {"type": "error", "name": "MeterInUse", "inputs": parts("bytes32 meterId")},
    ]
)


def reverted(signature: str, *values: object) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else [], values)


@given(st.lists(st.integers(0, (1 << 256) - 1), max_size=5))
def test_a_report_is_encoded_as_solidity_has_it(words: list[int]) -> None:
    data = MARKET.report(words)
    assert data[:4] == keccak(text="report(uint256[])")[:4]
    numbers = [int.from_bytes(data[at : at + 32], "big") for at in range(4, len(data), 32)]
    assert numbers == [32, len(words), *words]


def test_a_word_that_does_not_fit_is_refused_here() -> None:
    with pytest.raises(BadRequest, match="report"):
        MARKET.report([1 << 256])


def test_a_creation_is_the_code_and_its_arguments() -> None:
    assert MARKET.creation(b"\x60\x80", "Energy") == b"\x60\x80" + encode(["string"], ["Energy"])


def test_a_household_is_read_by_name() -> None:
    data = encode(
        ["(bool,bool,uint8,uint24,uint32,uint40,uint40,uint40,(uint24,bool))"],
        [(True, False, 2, 3, 4, 5, 6, 7, (8000, True))],
    )
    assert MARKET.read_household(data) == HouseholdState(True, False, 2, 3, 4, 5, 6, 7, 8000)


def test_parameters_are_read_by_name() -> None:
    data = encode(["(uint96,uint32,uint80,uint80)"], [(11, 900, 12, 13)])
    assert MARKET.read_parameters(data, encode(["bool"], [True])) == Parameters(900, 11, 12, 13, True)


def test_the_settlement_unit_is_read_by_name() -> None:
    data = encode(["(string,string,uint8)"], [("Rial", "IRR", 2)])
    assert MARKET.read_settlement(data) == Settlement("Rial", "IRR", 2)


def test_a_period_of_nothing_is_no_answer() -> None:
    data = encode(["(uint96,uint32,uint80,uint80)"], [(11, 0, 12, 13)])
    with pytest.raises(NodeUnavailable, match="period"):
        MARKET.read_parameters(data, encode(["bool"], [False]))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_household_or_no_answer(data: bytes) -> None:
    with suppress(NodeUnavailable):
        assert isinstance(MARKET.read_household(data), HouseholdState)


@given(st.binary(max_size=200))
def test_any_revert_is_refused_or_waited_for(data: bytes) -> None:
    assert isinstance(MARKET.judge(data), Rejected | NotYet)


@pytest.mark.parametrize(
    "data",
    [
        reverted("MarketPaused()"),
        reverted("Reentered()"),
        reverted("HouseholdNotActive(address)", ACCOUNT),
        reverted("TakenInFuture(address,uint256,uint256)", ACCOUNT, 5, 6),
        reverted("UnexpectedEpoch(address,uint256,uint256)", ACCOUNT, 1, 2),
    ],
)
def test_what_passes_by_itself_is_waited_for(data: bytes) -> None:
    assert isinstance(MARKET.judge(data), NotYet)


def test_what_a_person_asked_too_much_of_is_refused() -> None:
    verdict = MARKET.judge(reverted("ExceedsConsumption(address,uint256,uint256)", ACCOUNT, 500, 501))
    assert isinstance(verdict, Rejected)
    assert verdict.facts == {"household": ACCOUNT, "allowedWh": 500, "gotWh": 501}


def test_an_epoch_that_is_over_is_refused() -> None:
    verdict = MARKET.judge(reverted("UnexpectedEpoch(address,uint256,uint256)", ACCOUNT, 2, 1))
    assert isinstance(verdict, Rejected)
    assert verdict.facts == {"household": ACCOUNT, "expected": 2, "got": 1}


def test_a_refusal_has_its_facts_in_words() -> None:
    verdict = MARKET.judge(reverted("RegisterFell(address,uint8,uint256)", ACCOUNT, 1, 500))
    assert str(verdict) == f"the contract rejects it: RegisterFell(household={ACCOUNT}, meter=consumption, lastWh=500)"


def test_bytes_are_shown_as_hex() -> None:
    verdict = MARKET.judge(reverted("MeterInUse(bytes32)", b"\xab" * 32))
    assert isinstance(verdict, Rejected)
    assert verdict.facts == {"meterId": "0x" + "ab" * 32}


def test_soliditys_own_errors_are_known() -> None:
    assert str(MARKET.judge(reverted("Error(string)", "no"))) == "the contract rejects it: Error(reason=no)"
    assert str(MARKET.judge(reverted("Panic(uint256)", 17))) == "the contract rejects it: Panic(code=17)"


def test_an_unknown_revert_keeps_its_bytes() -> None:
    assert str(MARKET.judge(b"\x01\x02\x03\x04\x05")) == "the contract rejects it: unknown(data=0x0102030405)"
    assert str(MARKET.judge(b"")) == "the contract rejects it: unknown(data=0x)"
