"""An invoice on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.cli import table
from agent.cli.attested_screen import told_proven
from agent.domain.attested import Attested
from agent.domain.invoice_document import Difference
from agent.domain.invoices import Invoice, Period, TradeLine
from agent.domain.market_events import Place

_MOST_DIFFERENCES = 40


class Speaking(Protocol):
    """Dates and amounts in words."""

    symbol: str

    def money(self, *column: int) -> list[str]:
        """Amounts of one column in the unit of money."""

    def moment(self, at: int) -> str:
        """A date and a time of the day."""

    def span(self, period: Period) -> str:
        """A period."""


def told(made: Invoice, speaking: Speaking, attested: Attested | None = None, *, under_way: bool) -> str:
    """The invoice for a person: what is due first, then the lines and what proves them.

    Args:
        made: the invoice.
        speaking: dates and amounts in words.
        attested: how far it is proven; None where nothing is said of that.
        under_way: whether the period has begun and is not over.
    """
    consumption, redeemed, due = speaking.money(made.consumption_wei, -made.redeemed_wei, made.due_wei)
    pairs: list[tuple[str, object]] = [
        ("household", made.household),
        ("period", speaking.span(made.period)),
        ("state", _state(made, under_way=under_way)),
        *([("proof", told_proven(attested))] if attested is not None else []),
        ("produced", f"{table.kwh(made.produced_wh)} kWh"),
        ("consumed", f"{table.kwh(made.consumed_wh)} kWh"),
        ("consumption", f"{consumption} {speaking.symbol}"),
        ("redeemed", f"{redeemed} {speaking.symbol} for {table.kwh(made.redeemed_wh)} kWh"),
        ("credit" if made.due_wei < 0 else "due", f"{due.removeprefix('-')} {speaking.symbol}"),
    ]
    unproven = frozenset[Place]() if attested is None else attested.told
    parts = [table.facts(pairs), _consumption(made, speaking), _redemptions(made, speaking, unproven)]
    for title, lines in (("sold, settled", made.sold), ("bought, settled", made.bought)):
        parts.append(_trades(title, lines, speaking, unproven))
    return "\n\n".join(part for part in parts if part)


def told_differences(differences: Sequence[Difference]) -> str:
    """Whether both invoices agree, and where they do not."""
    if not differences:
        return "The issued invoice agrees to the wei and the Wh."
    lines = [f"  {difference}" for difference in differences[:_MOST_DIFFERENCES]]
    if (more := len(differences) - _MOST_DIFFERENCES) > 0:
        lines.append(f"  and {more} more; --json has them all")
    return "\n".join([f"The issued invoice differs in {len(differences)} place(s):", *lines])


def _state(made: Invoice, *, under_way: bool) -> str:
    if made.closed:
        return "final"
    if not made.registers:
        return f"not enrolled in this period, as known up to block {made.as_of}"
    if under_way:
        return f"provisional: the period is under way, and known up to block {made.as_of}"
    return f"provisional: known up to block {made.as_of}, and no reading taken after the period is booked by then"


def _consumption(made: Invoice, speaking: Speaking) -> str:
    lines = made.consumption
    amounts = speaking.money(*(line.amount_wei for line in lines))
    prices = speaking.money(*(line.price for line in lines))
    rows = [
        (
            speaking.moment(line.first.taken_at),
            speaking.moment(line.last.taken_at),
            line.readings,
            table.kwh(line.energy_wh),
            price,
            amount,
            line.first.place.tx_hash,
            line.last.place.tx_hash,
        )
        for line, price, amount in zip(lines, prices, amounts, strict=True)
    ]
    heads = ("first reading", "last reading", "readings", "kWh", f"{speaking.symbol}/kWh", speaking.symbol, "in", "to")
    return _grid("consumption", heads, rows, (2, 3, 4, 5))


def _redemptions(made: Invoice, speaking: Speaking, unproven: frozenset[Place]) -> str:
    lines = made.redemptions
    amounts = speaking.money(*(line.amount_wei for line in lines))
    prices = speaking.money(*(line.price for line in lines))
    rows = [
        (speaking.moment(line.place.at), table.kwh(line.energy_wh), price, amount, _transaction(line.place, unproven))
        for line, price, amount in zip(lines, prices, amounts, strict=True)
    ]
    heads = ("time", "kWh", f"{speaking.symbol}/kWh", speaking.symbol, "transaction")
    return _grid("redeemed", heads, rows, (1, 2, 3))


def _trades(title: str, lines: Sequence[TradeLine], speaking: Speaking, unproven: frozenset[Place]) -> str:
    prices = speaking.money(*(line.trade.price_wei for line in lines))
    costs = speaking.money(*(line.trade.service_cost_wei for line in lines))
    rows = [
        (
            line.trade.id,
            speaking.moment(line.trade.at),
            table.kwh(line.trade.energy_wh),
            price,
            cost,
            _transaction(line.place, unproven),
        )
        for line, price, cost in zip(lines, prices, costs, strict=True)
    ]
    heads = ("trade", "time", "kWh", speaking.symbol, "service cost", "transaction")
    return _grid(title, heads, rows, (0, 2, 3, 4))


def _transaction(place: Place, unproven: frozenset[Place]) -> str:
    return f"{place.tx_hash} (not proven)" if place in unproven else place.tx_hash


def _grid(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int]) -> str:
    return f"{title}\n{table.grid(heads, rows, right)}" if rows else ""
