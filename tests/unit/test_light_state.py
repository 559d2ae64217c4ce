"""State proofs: an account, a slot, a household's last reading, as Anvil gives them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence
from agent.domain.readings import Reading
from agent.light import state
from agent.light.state import NEVER_USED, SlotField, SlotLayout
from contracts.artifact import load_artifact
from tests.fakes.recorded import HARDFORKS, LAST, LAYOUT, header_of, raw, recording


def nodes(told: list[str]) -> list[bytes]:
    return [raw(node) for node in told]


@pytest.mark.parametrize("hardfork", HARDFORKS)
def test_the_households_last_reading_is_proven(hardfork: str) -> None:
    told = recording(hardfork)
    root, household = header_of(told, LAST).state_root, raw(told["household"])
    account, contract = told["state"]["account"], told["state"]["contract"]

    own = state.account(root, household, nodes(account["accountProof"]))
    market = state.account(root, raw(told["contract"]), nodes(contract["accountProof"]))
    word = state.slot(market.storage_root, LAYOUT.key(household), nodes(contract["storageProof"][0]["proof"]))
    slot = LAYOUT.unpack(word)

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
        LAYOUT.key(raw(told["strangerAddress"])),
        nodes(contract["storageProof"][0]["proof"]),
    )

    assert word == 0
    assert LAYOUT.unpack(word).last_reading(raw(told["strangerAddress"])) is None
    assert not LAYOUT.unpack(word).active
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
        state.slot(bytes(32), LAYOUT.key(raw(told["household"])), [])


def test_the_slots_key_is_the_contracts() -> None:
    account = "0x" + "a1" * 20
    assert LAYOUT.key(raw(account)) == load_artifact().household_slot(account)


@given(st.integers(0, 2**256 - 1))
def test_a_slot_holds_each_field_once_and_nothing_else(word: int) -> None:
    slot, again, at = LAYOUT.unpack(word), 0, 0
    for name, bits in (
        ("consumed_wh", 40), ("produced_wh", 40), ("taken_at", 32), ("sequence", 24), ("epoch", 8),
        ("production_held_s", 24), ("consumption_held_s", 24), ("rated_power_w", 24), ("tokens_wh", 40),
    ):  # fmt: skip
        again |= getattr(slot, name) << at
        at += bits

    assert (again, at) == (word, 256)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fields": LAYOUT.fields[1:]}, "where consumed_wh, consumption_held_s"),
        ({"fields": (*LAYOUT.fields, LAYOUT.fields[0])}, "are consumed_wh, consumed_wh"),
        ({"fields": (SlotField("consumed_wh", 0, 41), *LAYOUT.fields[1:])}, "produced_wh has the 40 bits from 40 on"),
        ({"fields": (SlotField("consumed_wh", 0, 0), *LAYOUT.fields[1:])}, "consumed_wh has the 0 bits"),
        ({"fields": (*LAYOUT.fields[:-1], SlotField("tokens_wh", 216, 41))}, "tokens_wh has the 41 bits from 216 on"),
        ({"base": (1 << 160) + 1}, "slots begin at 0x1"),
        ({"base": 1 << 256}, "slots begin at 0x1"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(LAYOUT, **change)


def test_another_layout_reads_other_fields() -> None:
    first, second, *others = LAYOUT.fields
    moved = (SlotField(first.name, second.offset, 40), SlotField(second.name, first.offset, 40), *others)
    slot = SlotLayout(LAYOUT.base, moved).unpack(5 | 7 << 40)

    assert (slot.consumed_wh, slot.produced_wh) == (7, 5)
    assert SlotLayout(1 << 200, moved).key(b"\1" * 20) == (1 << 200) + int("01" * 20, 16)
