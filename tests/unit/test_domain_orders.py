"""What energy costs: rounded up to the wei, as the contract does."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.orders import MOST_ENERGY_WH, MOST_PRICE, Order, cost_of, money_for

energies = st.integers(0, MOST_ENERGY_WH)
prices = st.integers(0, MOST_PRICE)


def test_a_kilowatt_hour_costs_its_price_and_a_watt_hour_a_thousandth_rounded_up() -> None:
    assert money_for(1_000, 7) == 7
    assert money_for(1, 7) == 1
    assert money_for(0, 7) == 0
    assert cost_of(2_500, 100, 10).total_wei == 275


@given(energies, prices)
def test_no_seller_receives_less_than_his_price_and_no_buyer_pays_a_wei_too_much(energy_wh: int, price: int) -> None:
    exact = Fraction(energy_wh * price, 1_000)

    assert exact <= money_for(energy_wh, price) < exact + 1


@given(energies, energies, prices)
def test_buying_in_parts_is_never_cheaper(first: int, second: int, price: int) -> None:
    assert money_for(first, price) + money_for(second, price) >= money_for(first + second, price)


def test_an_order_is_open_until_it_expires_or_nothing_is_left() -> None:
    order = Order("0x", 1, energy_wh=1, price=5, expires_at=100)

    assert order.open_at(99)
    assert not order.open_at(100)
    assert not Order("0x", 1, energy_wh=0, price=5, expires_at=100).open_at(99)
