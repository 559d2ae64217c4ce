"""Large amounts of wei as people write them, in the rule's configuration and on the operator's command line."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.amounts import typed_wei
from agent.operator.options import wei


@pytest.mark.parametrize(
    ("text", "amount"), [("0", 0), ("1_500", 1_500), ("900e18", 900 * 10**18), ("1.5e18", 15 * 10**17), ("2.0", 2)]
)
def test_amounts(text: str, amount: int) -> None:
    assert typed_wei(text) == amount


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e100", "0x10", "1,5", " 1", "1e-3", "1.23e1"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no amount in whole wei"):
        typed_wei(text)
    with pytest.raises(argparse.ArgumentTypeError, match="no amount in whole wei"):
        wei(text)


@given(st.integers(0, 10**40), st.integers(0, 18))
def test_an_exponent_is_a_number_of_zeros(amount: int, zeros: int) -> None:
    assert wei(f"{amount}e{zeros}") == amount * 10**zeros
