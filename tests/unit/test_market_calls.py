"""The market's calls through the real contract's ABI, and what its views return."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.market import Market
from agent.domain.errors import BadRequest, NodeUnavailable
from agent.domain.market_calls import MARKET_GAS, BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.orders import MOST_ENERGY_WH, MOST_NUMBER, MOST_PRICE, MOST_TIME, Order
from contracts import load_artifact

MARKET = Market(load_artifact().abi)
SELLER = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
ORDER_TYPE = "(address,uint40,uint40,uint80,uint32)"

numbers = st.integers(0, MOST_NUMBER)
energies = st.integers(0, MOST_ENERGY_WH)
prices = st.integers(0, MOST_PRICE)
calls = st.one_of(
    st.builds(OfferCall, numbers, energies, prices, st.integers(0, MOST_TIME)),
    st.builds(CancelCall, numbers),
    st.builds(BuyCall, st.just(SELLER), numbers, energies, prices),
    st.builds(RedeemCall, energies),
)


@given(calls)
def test_what_is_encoded_is_understood(call: MarketCall) -> None:
    assert MARKET.understood(MARKET.encoded(call)) == call
    assert call.kind in MARKET_GAS


@given(calls, st.integers(1, 40))
def test_half_a_call_is_none(call: MarketCall, missing: int) -> None:
    data = MARKET.encoded(call)
    assert MARKET.understood(data[: len(data) - min(missing, len(data))]) is None


def test_other_calls_are_none_of_the_market() -> None:
    assert MARKET.understood(b"") is None
    assert MARKET.understood(MARKET.report([1])) is None
    assert Market([]).understood(MARKET.encoded(CancelCall(1))) is None


@pytest.mark.parametrize(
    "call",
    [CancelCall(MOST_NUMBER + 1), RedeemCall(-1), OfferCall(1, 1, MOST_PRICE + 1, 1), BuyCall("nobody", 1, 1, 1)],
)
def test_what_does_not_fit_is_refused(call: MarketCall) -> None:
    with pytest.raises(BadRequest, match="does not fit"):
        MARKET.encoded(call)


def test_an_order_is_read_with_its_seller_checksummed() -> None:
    data = encode([ORDER_TYPE], [(SELLER.lower(), 7, 1_000, 25, 99)])

    assert MARKET.read_order(data) == Order(SELLER, 7, 1_000, 25, 99)
    with pytest.raises(NodeUnavailable, match="do not decode"):
        MARKET.read_order(data[:-1])
