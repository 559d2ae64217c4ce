"""Every error that the contract's orders can revert with has words for a person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.domain.market_calls import BuyCall, CancelCall, OfferCall, RedeemCall
from agent.domain.outbox import Kind
from agent.domain.refusals import _MEANINGS, advice, order_facts, told_refusal

ORDERS = Path(__file__).parents[2] / "contracts" / "src" / "Orders.sol"
# These pass by themselves, so the codec makes a NotYet of them, or the lock, which nobody meets from outside.
NOT_REFUSALS = {"HouseholdNotActive", "MarketPaused", "Reentered"}


def test_every_error_of_the_orders_has_words() -> None:
    source = ORDERS.read_text(encoding="utf-8")
    thrown = set(re.findall(r"revert (\w+)\(", source)) - NOT_REFUSALS

    assert thrown
    assert thrown <= set(_MEANINGS)


def test_a_refusal_names_the_error_and_its_numbers() -> None:
    told = told_refusal(Kind.BUY, "NotEnoughLeft", {"leftWh": 5})

    assert told.startswith("the contract refuses this buy: somebody was faster")
    assert told.endswith("[NotEnoughLeft(leftWh=5)]")
    assert "Unheard" in told_refusal(Kind.BUY, "Unheard", {})


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_advice(kind: Kind) -> None:
    assert ("readings" in advice(kind)) == (kind in {Kind.REPORT, Kind.OPENING, Kind.FILLER})


def test_a_call_is_named_by_its_order() -> None:
    assert order_facts(OfferCall(1, 2, 3, 4)) == {"order": 1, "energy_wh": 2, "price": 3}
    assert order_facts(CancelCall(1)) == {"order": 1}
    assert order_facts(BuyCall("0xA", 1, 2, 3)) == {"order": "0xA/1", "energy_wh": 2, "price": 3}
    assert order_facts(RedeemCall(2)) == {"energy_wh": 2}
    assert order_facts(None) == {}
