"""State proofs: an account, a slot, a household's last reading, as Anvil gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence
from agent.domain.readings import Reading
from agent.light import state
from agent.light.state import NEVER_USED, HouseholdSlot
from contracts.artifact import load_artifact
from tests.fakes.recorded import HARDFORKS, LAST, header_of, raw, recording


def nodes(told: list[str]) -> list[bytes]:
    return [raw(node) for node in told]


@pytest.mark.parametrize("hardfork", HARDFORKS)
def test_the_households_last_reading_is_proven(hardfork: str) -> None:
    told = recording(hardfork)
    root, household = header_of(told, LAST).state_root, raw(told["household"])
    account, contract = told["state"]["account"], told["state"]["contract"]

    own = state.account(root, household, nodes(account["accountProof"]))
    market = state.account(root, raw(told["contract"]), nodes(contract["accountProof"]))
    word = state.slot(market.storage_root, state.household_key(household), nodes(contract["storageProof"][0]["proof"]))
    slot = HouseholdSlot.unpack(word)

    assert (own.nonce, own.balance) == (int(account["nonce"], 16), int(account["balance"], 16))
    assert own.code_hash == state.NO_CODE
    assert "0x" + market.code_hash.hex() == contract["codeHash"]
    assert slot.last_reading(household) == Reading(
        household=told["household"], epoch=1, sequence=2, taken_at=told["takenAt"],
        produced_wh=told["produced"], consumed_wh=told["consumed"],
    )  # fmt: skip
    assert slot.active
    assert slot.tokens_wh == 2 * 311


def test_what_the_state_does_not_hold_is_proven_too() -> None:
    told = recording()
    stranger, contract = told["stranger"], told["stranger"]["contract"]
    root, address = header_of(told, LAST).state_root, raw("0x" + "5e" * 20)
    market = state.account(root, raw(told["contract"]), nodes(contract["accountProof"]))
    word = state.slot(
        market.storage_root,
        state.household_key(raw(told["strangerAddress"])),
        nodes(contract["storageProof"][0]["proof"]),
    )

    assert word == 0
    assert HouseholdSlot.unpack(word).last_reading(raw(told["strangerAddress"])) is None
    assert not HouseholdSlot.unpack(word).active
    assert (
        state.account(root, raw(told["strangerAddress"]), nodes(stranger["account"]["accountProof"])).balance == 12_345
    )
    assert state.slot(NEVER_USED.storage_root, 5, []) == 0
    with pytest.raises(BadEvidence, match="proof of the account 0x"):
        state.account(root, address, nodes(stranger["account"]["accountProof"]))


def test_another_households_proof_is_none() -> None:
    told = recording()
    with pytest.raises(BadEvidence):
        state.account(
            header_of(told, LAST).state_root, raw(told["household"]), nodes(told["stranger"]["account"]["accountProof"])
        )
    with pytest.raises(BadEvidence, match="proof of the slot"):
        state.slot(bytes(32), state.household_key(raw(told["household"])), [])


def test_the_slots_key_is_the_contracts() -> None:
    account = "0x" + "a1" * 20
    assert state.household_key(raw(account)) == load_artifact().household_slot(account)


@given(st.integers(0, 2**256 - 1))
def test_a_slot_holds_each_field_once_and_nothing_else(word: int) -> None:
    slot, again, at = HouseholdSlot.unpack(word), 0, 0
    for name, bits in (
        ("consumed_wh", 40), ("produced_wh", 40), ("taken_at", 32), ("sequence", 24), ("epoch", 8),
        ("production_held_s", 24), ("consumption_held_s", 24), ("rated_power_w", 24), ("tokens_wh", 40),
    ):  # fmt: skip
        again |= getattr(slot, name) << at
        at += bits

    assert (again, at) == (word, 256)
