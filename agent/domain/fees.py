"""What a transaction offers for its gas."""

from __future__ import annotations

from dataclasses import dataclass

# A pool takes a replacement only if it offers a tenth more (geth); an eighth is over it after rounding.
_BUMP_NUMERATOR, _BUMP_DENOMINATOR = 9, 8

# A transfer of nothing (Ethereum yellow paper, appendix G).
TRANSFER_GAS = 21_000
# Limits well above what the contract's report() uses where each reading goes the long way: after a held meter, 6,900
# gas each, four times an ordinary one's. Unused gas is not paid for. Estimating at a node instead would trust it, and
# be wrong while earlier readings are still in flight.
_REPORT_GAS, _READING_GAS = 80_000, 12_000
# Of the market's calls: twice what they take at most and more, since that may change between looking and mining (the
# first use of a slot is dear, and the company's account may be a contract that takes some). Measured: an offer 45,000,
# or 62,000 in a place never used; a cancellation 41,000; a purchase 77,000 with money to return, and 25,000 more for
# each paid account that never held money; a redemption 42,000.
OFFER_GAS, CANCEL_GAS, BUY_GAS, REDEEM_GAS = 150_000, 100_000, 250_000, 100_000


@dataclass(frozen=True, slots=True)
class Fee:
    """EIP-1559 fee caps, wei for each unit of gas."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """What a full node says gas costs now, wei for each unit of gas."""

    base_fee: int
    priority_fee: int


def offer(quote: FeeQuote, most: int) -> Fee:
    """A first offer: twice the base fee, so that six full blocks in a row do not price it out.

    Args:
        quote: what a node says.
        most: the most that the household pays for a unit of gas, wei.
    """
    priority = min(quote.priority_fee, most)
    return Fee(max_fee=min(2 * quote.base_fee + priority, most), priority_fee=priority)


def bump(last: Fee, quote: FeeQuote, most: int) -> Fee | None:
    """A replacement that every pool takes, or None where bumping cannot help.

    It cannot where gas is free (a pool that charges nothing compares nothing), nor beyond ``most``.
    """
    if last.max_fee == 0:
        return None
    fresh = offer(quote, most)
    raised = Fee(
        max_fee=max(last.max_fee * _BUMP_NUMERATOR // _BUMP_DENOMINATOR + 1, fresh.max_fee),
        priority_fee=max(last.priority_fee * _BUMP_NUMERATOR // _BUMP_DENOMINATOR + 1, fresh.priority_fee),
    )
    return raised if raised.max_fee <= most else None


def report_gas(count: int) -> int:
    """A gas limit that a report of ``count`` readings never reaches."""
    return _REPORT_GAS + _READING_GAS * count
