"""What a person types about orders and lists, as argparse takes it."""

from __future__ import annotations

import argparse
import re

from agent.configuration.checks import an_address
from agent.domain.amounts import told_kwh, typed_kwh, typed_money
from agent.domain.market import Settlement
from agent.domain.order_rules import LONGEST_EXPIRY_S, SHORTEST_EXPIRY_S
from agent.domain.orders import MOST_ENERGY_WH, MOST_NUMBER

_MOST_ROWS = 100_000
_SECONDS = {"min": 60, "h": 3_600, "d": 86_400}
_HASH = re.compile(r"0x[0-9a-f]{64}")
_FINEST = Settlement(name="", symbol="money", decimals=30)
_SPAN = re.compile(r"([0-9]{1,6})(min|h|d)")


def energy(text: str) -> int:
    """Energy typed in kWh, in Wh."""
    try:
        energy_wh = typed_kwh(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < energy_wh <= MOST_ENERGY_WH:
        raise argparse.ArgumentTypeError(f"{text!r} is no energy of an order; 0.001 to {told_kwh(MOST_ENERGY_WH)} is")
    return energy_wh


def price(text: str) -> str:
    """A price typed in the market's unit of money, which only a full node names: how fine it may be comes later."""
    try:
        typed_money(text, _FINEST)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def span(text: str) -> int:
    """How long an order stands, such as ``90min``, ``24h`` or ``7d``, in seconds."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time; 90min, 24h and 7d are")
    length_s = int(found[1]) * _SECONDS[found[2]]
    # The shortest that the market takes is over before it is asked.
    if not SHORTEST_EXPIRY_S < length_s <= LONGEST_EXPIRY_S:
        least, most = f"{SHORTEST_EXPIRY_S // 60 + 1}min", f"{LONGEST_EXPIRY_S // 86_400}d"
        raise argparse.ArgumentTypeError(f"an order cannot stand for {text}; {least} to {most} is right")
    return length_s


def rows(text: str) -> int:
    """How many rows are shown."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MOST_ROWS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows; 1 to {_MOST_ROWS} is")
    return int(text)


def number(text: str) -> int:
    """An order's number."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MOST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text!r} is no order's number; 'prosumer-agent orders --mine' shows yours")
    return int(text)


def order(text: str) -> tuple[str, int]:
    """An order as ``orders`` shows it: its seller's address and its number, with a slash between them."""
    seller, slash, rest = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"{text!r} names no order; SELLER/NUMBER does, as 'orders' shows it")
    try:
        return an_address(seller), number(rest)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def tx_hash(text: str) -> str:
    """A transaction's hash, in small digits."""
    if not _HASH.fullmatch(text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is no transaction's hash; 0x and 64 hexadecimal digits are")
    return text.lower()
