"""How energy and money are written for a person, and read from what one typed. Everywhere else they are integers."""

from __future__ import annotations

import re
from fractions import Fraction

from agent.domain.market import Settlement
from agent.domain.orders import WH_PER_KWH

_KWH_DECIMALS = 3
_LARGE = re.compile(r"([0-9][0-9_]{0,79}(?:\.[0-9]{1,30})?)(?:e([0-9]{1,2}))?")
_TYPED = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,30})?")


def told_money(wei: int, unit: Settlement) -> str:
    """Money for a person: thousands apart, all decimals that it has, and the unit's symbol."""
    return f"{_written(wei, unit.decimals)} {unit.symbol}"


def told_price(wei: int, unit: Settlement) -> str:
    """A price, wei for each kWh, for a person."""
    return f"{told_money(wei, unit)}/kWh"


def typed_money(text: str, unit: Settlement) -> int:
    """What a person typed as an amount in units, in wei.

    Raises:
        ValueError: it is no amount, or has more decimals than the unit.
    """
    return _read(text, unit.decimals, f"an amount of {unit.symbol}")


def typed_wei(text: str) -> int:
    """A large amount of wei as people write it: ``1500``, ``1_500`` or ``1.5e18``.

    Raises:
        ValueError: it is none, or not whole.
    """
    found = _LARGE.fullmatch(text)
    amount = None if found is None else Fraction(found[1].replace("_", "")) * 10 ** int(found[2] or 0)
    if amount is None or amount.denominator != 1:
        raise ValueError(
            f'{text!r} is no amount in whole wei; 1500, "1_500" or "1.5e18" (1.5 units of a currency with 18 decimals)'
            " is"
        )
    return int(amount)


def told_kwh(energy_wh: int) -> str:
    """Energy for a person: three decimals, thousands apart, and the unit."""
    sign = "-" if energy_wh < 0 else ""
    whole, rest = divmod(abs(energy_wh), WH_PER_KWH)
    return f"{sign}{whole:,}.{rest:0{_KWH_DECIMALS}d} kWh"


def typed_kwh(text: str) -> int:
    """What a person typed as energy in kWh, in Wh.

    Raises:
        ValueError: it is no energy, or finer than a watt hour.
    """
    return _read(text, _KWH_DECIMALS, "energy in kWh")


def _written(amount: int, decimals: int) -> str:
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 10**decimals)
    shown = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole:,}.{shown}" if shown else f"{sign}{whole:,}"


def _read(text: str, decimals: int, what: str) -> int:
    if not _TYPED.fullmatch(text):
        raise ValueError(f"{text!r} is not {what}; digits with a point are, for example 1.5")
    whole, _, rest = text.partition(".")
    if len(rest) > decimals:
        raise ValueError(f"{text!r} is finer than {what} can be: at most {decimals} decimals")
    unit: int = 10**decimals
    return int(whole) * unit + int(rest.ljust(decimals, "0") or 0)
