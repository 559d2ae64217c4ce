from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from agent.domain.orders import PLACES
from contracts import ArtifactError, load_artifact

FOLDER = Path(__file__).parents[2] / "contracts"
RAW = json.loads((FOLDER / "artifacts" / "EnergyMarket.json").read_text(encoding="utf-8"))
ACCOUNT = "0x00000000000000000000000000000000000000Ff"


def test_checked_in_artifact_loads() -> None:
    artifact = load_artifact()
    assert artifact.name == "EnergyMarket"
    functions = {item["name"] for item in artifact.abi if item["type"] == "function"}
    assert {"enrol", "suspend", "replaceMeter", "report", "reportSigned", "parameters", "household"} <= functions
    assert {"offer", "cancel", "buy", "redeem", "order", "redeemable", "serviceCostReceiver", "settlement"} <= functions
    assert {item["name"] for item in artifact.abi if item["type"] == "error"} >= {
        "HouseholdNotActive",
        "UnexpectedEpoch",
        "SequenceNotRising",
        "TimeNotRising",
        "TakenInFuture",
        "RegisterFell",
        "HeldRegisterMoved",
        "ImpossibleEnergy",
        "UnknownFlags",
        "InvalidSignature",
        "MarketPaused",
    }


def test_runtime_code_fits_a_contract() -> None:
    assert len(load_artifact().deployed_bytecode) < 24_576


def test_own_sources_are_the_ones_compiled() -> None:
    sources = load_artifact().sources
    for path in sorted((FOLDER / "src").glob("*.sol")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert sources[f"src/{path.name}"] == f"sha256:{digest}"


def test_forge_compiles_with_the_same_settings() -> None:
    forge = tomllib.loads((FOLDER / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
    assert RAW["compiler"]["settings"] == {
        "evmVersion": forge["evm_version"],
        "metadata": {"appendCBOR": forge["cbor_metadata"], "bytecodeHash": forge["bytecode_hash"]},
        "optimizer": {"enabled": forge["optimizer"], "runs": forge["optimizer_runs"]},
        "remappings": forge["remappings"],
        "viaIR": forge["via_ir"],
    }


def test_lock_file_names_no_host_and_both_linux_architectures() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    for tool in ("anvil", "forge"):
        for machine in ("amd64", "arm64"):
            assert f"node_modules/@foundry-rs/{tool}-linux-{machine}" in lock["packages"]
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_code_on_a_chain_differs_in_immutables_only() -> None:
    artifact = load_artifact()
    filled = bytearray(artifact.deployed_bytecode)
    for start, length in artifact.immutables:
        filled[start : start + length] = b"\x5a" * length
    assert artifact.is_code(bytes(filled))
    assert not artifact.is_code(bytes(filled[:-1]))
    filled[0] ^= 1
    assert not artifact.is_code(bytes(filled))


def test_ledger_slot_is_where_the_artifact_says() -> None:
    ledger = load_artifact().storage["_ledger"]
    assert ledger.offset == 0
    assert ledger.size == 32


def test_household_slot() -> None:
    assert load_artifact().household_slot(ACCOUNT) == 2**160 + 255


def test_fields_of_the_household_slot_fill_it() -> None:
    household = load_artifact().household
    ends = [field.offset + field.bits for field in household.fields]

    assert [field.offset for field in household.fields] == [0, *ends[:-1]]
    assert ends[-1] == 256
    assert household.fields[0].label == "consumedWh"


def test_places_of_a_sellers_orders_are_the_domains() -> None:
    orders = load_artifact().orders
    ends = [field.offset + field.bits for field in orders.fields]

    assert (orders.base, orders.places) == (2**240, PLACES)
    assert [field.offset for field in orders.fields] == [0, *ends[:-1]]
    assert orders.fields[0].label == "energyWh"
    assert load_artifact().household.places == 1


@pytest.mark.parametrize("account", ["", "0x", ACCOUNT[:-1], ACCOUNT + "0", ACCOUNT[2:] + "00", "0x" + "g" * 40])
def test_household_slot_of_what_is_no_address(account: str) -> None:
    with pytest.raises(ArtifactError, match="not an address"):
        load_artifact().household_slot(account)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not an artifact"),
        ("{}", "contractName"),
        (json.dumps({**RAW, "bytecode": "60"}), "begins with 0x"),
        (json.dumps({**RAW, "householdSlot": {"base": "0x1"}}), "fields"),
        (json.dumps({**RAW, "deployedBytecode": "0xzz"}), "non-hexadecimal"),
    ],
)
def test_damaged_artifact_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "artifact.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=message) as caught:
        load_artifact(path)
    assert str(path) in str(caught.value)


def test_missing_artifact_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"build\.mjs"):
        load_artifact(tmp_path / "artifact.json")


def test_orders_are_told_by_events_with_the_household_indexed() -> None:
    events = {item["name"]: item for item in load_artifact().abi if item["type"] == "event"}
    indexed = {"Offered": 1, "Cancelled": 1, "Redeemed": 1, "Traded": 2}
    for name, count in indexed.items():
        inputs = events[name]["inputs"]
        assert [part["indexed"] for part in inputs] == [True] * count + [False] * (len(inputs) - count)
        assert all(part["type"] == "address" for part in inputs[:count])
    # The paper's Table 8: P_PublicKey, C_PublicKey, ContractID, (the order), Amount, Token, ServiceCost, Time.
    assert [part["name"] for part in events["Traded"]["inputs"]] == [
        *("seller", "buyer", "tradeId", "number"),
        *("energyWh", "priceWei", "serviceCostWei", "time"),
    ]


def test_events_that_agents_follow() -> None:
    events = {item["name"]: item for item in load_artifact().abi if item["type"] == "event"}
    reading = events["Reading"]
    assert reading["anonymous"]  # 375 gas a reading: topic 0 is the household itself
    assert [(part["name"], part["type"], part["indexed"]) for part in reading["inputs"]] == [
        ("household", "address", True),
        ("reading", "uint256", False),
    ]
    transfer = "Transfer(" + ",".join(part["type"] for part in events["Transfer"]["inputs"]) + ")"
    assert keccak(text=transfer).hex() == "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
