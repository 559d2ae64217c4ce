"""An invoice for programs: one JSON text for one invoice, so that two can be compared byte by byte.

``agent/schemas/invoice.json`` is its schema. Wei and trade ids are decimal strings, since they pass 2^53; all else is
an integer. No name and no local date is in it: nothing that only one of the two sides knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.domain.errors import BadRequest
from agent.domain.invoices import (
    ConsumptionLine,
    EpochRegisters,
    Invoice,
    Period,
    RedemptionLine,
    RegisterPoint,
    TradeLine,
)
from agent.domain.market_events import Place

SCHEMA = 1
MOST_BYTES = 16 * 1024 * 1024
"""A month of a household is some kB; more than this is no invoice."""
_SHOWN = 200
Document = dict[str, object]


def document(invoice: Invoice) -> Document:
    """The invoice as JSON's values; the keys are those of the schema."""
    return {
        "schema": SCHEMA,
        "chainId": invoice.chain_id,
        "contract": invoice.contract,
        "household": invoice.household,
        "period": {"first": invoice.period.first, "last": invoice.period.last},
        "closed": invoice.closed,
        "asOfBlock": invoice.as_of,
        "registers": [_epoch(entry) for entry in invoice.registers],
        "producedWh": invoice.produced_wh,
        "consumedWh": invoice.consumed_wh,
        "carriedMilliWei": {
            "consumption": invoice.carried.consumption,
            "redemption": invoice.carried.redemption,
        },
        "consumption": [_consumption(line) for line in invoice.consumption],
        "redemptions": [_redemption(line) for line in invoice.redemptions],
        "sold": [_trade(line) for line in invoice.sold],
        "bought": [_trade(line) for line in invoice.bought],
        "totals": {
            "consumptionWei": str(invoice.consumption_wei),
            "redeemedWh": invoice.redeemed_wh,
            "redeemedWei": str(invoice.redeemed_wei),
            "dueWei": str(invoice.due_wei),
            "soldWh": invoice.sold_wh,
            "soldWei": str(invoice.sold_wei),
            "boughtWh": invoice.bought_wh,
            "boughtWei": str(invoice.bought_wei),
            "serviceCostWei": str(invoice.service_cost_wei),
        },
    }


def canonical(invoice: Invoice) -> bytes:
    """The one text of an invoice: keys sorted, no spaces, ASCII, a line feed at the end."""
    return (json.dumps(document(invoice), sort_keys=True, separators=(",", ":")) + "\n").encode("ascii")


@dataclass(frozen=True, slots=True)
class Issued:
    """An invoice that somebody else worked out.

    Attributes:
        facts: all it says.
        household: the account that it is for.
        period: the billing period.
        as_of: number of the block up to which events were known; None where it is closed.
    """

    facts: Document
    household: str
    period: Period
    as_of: int | None


def read(content: bytes) -> Issued:
    """Read an invoice that somebody else worked out. Only what is needed to work out one's own is checked.

    Args:
        content: the file's bytes.

    Raises:
        BadRequest: it is no invoice, or of another schema.
    """
    if len(content) > MOST_BYTES:
        raise BadRequest(f"the invoice has more than {MOST_BYTES} bytes; a month of a household is some kB")
    try:
        facts = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the invoice is no JSON: {error}") from error
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
        raise BadRequest(f"the file is no invoice of schema {SCHEMA}; name the JSON file that the operator issued")
    household = facts.get("household")
    if not isinstance(household, str):
        raise BadRequest("the invoice names no household")
    period = facts.get("period")
    first, last = (_whole(period if isinstance(period, dict) else {}, key) for key in ("first", "last"))
    as_of = None if facts.get("asOfBlock") is None else _whole(facts, "asOfBlock")
    return Issued(facts, household, Period(first, last), as_of)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two invoices say differently.

    Attributes:
        where: the key's path; lines are named by their event, epoch or first reading.
        own: our value as JSON, None where we have none.
        theirs: the same of the other invoice.
    """

    where: str
    own: str | None
    theirs: str | None

    def __str__(self) -> str:
        own, theirs = (("nothing" if value is None else _short(value)) for value in (self.own, self.theirs))
        return f"{self.where}: own {own}, issued {theirs}"


def differences(own: Invoice, issued: Issued) -> list[Difference]:
    """Where an issued invoice differs from our own; empty if they agree to the wei and the Wh."""
    return list(_compare("", document(own), issued.facts))


def _compare(where: str, own: object, theirs: object) -> Iterator[Difference]:
    if isinstance(own, Mapping) and isinstance(theirs, Mapping):
        ours, others = own, theirs
    elif isinstance(own, list) and isinstance(theirs, list):
        ours, others = _by_line(own), _by_line(theirs)
    else:
        mine, other = json.dumps(own, sort_keys=True), json.dumps(theirs, sort_keys=True)
        if mine != other:
            yield Difference(where or "the whole", mine, other)
        return
    for key in [*ours, *(key for key in others if key not in ours)]:
        # What the other side wrote may be meant for a terminal; JSON's escapes make it harmless.
        shown = _short(json.dumps(key)[1:-1])
        inner = f"{where}.{shown}" if where and not key.startswith("[") else f"{where}{shown}"
        if key not in others:
            yield Difference(inner, json.dumps(ours[key], sort_keys=True), None)
        elif key not in ours:
            yield Difference(inner, None, json.dumps(others[key], sort_keys=True))
        else:
            yield from _compare(inner, ours[key], others[key])


def _by_line(lines: Sequence[object]) -> dict[str, object]:
    """Lines by what names them, so that one that is missing does not shift the rest."""
    named: dict[str, object] = {}
    for index, line in enumerate(lines):
        name = _name(line) if isinstance(line, Mapping) else None
        key = f"[{index}]" if name is None else f"[{name}]"
        named[key if key not in named else f"[{index}]"] = line
    return named


def _name(line: Mapping[str, object]) -> str | None:
    if "epoch" in line:
        return f"epoch {line['epoch']!s:.10}"
    for key in ("event", "tariff"):
        place = line.get(key)
        if isinstance(place, Mapping):
            return f"{key} {place.get('txHash')!s:.66}#{place.get('logIndex')!s:.10}"
    return None


def _short(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."


def _once(pairs: list[tuple[str, object]]) -> Document:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _whole(facts: Document, key: str) -> int:
    value = facts.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadRequest(f"the invoice's {key} is {_short(json.dumps(value))}; a whole number of 0 or more is right")
    return value


def _place(place: Place) -> Document:
    return {"block": place.block, "logIndex": place.log_index, "txHash": place.tx_hash.lower(), "at": place.at}


def _point(point: RegisterPoint) -> Document:
    return {
        "takenAt": point.taken_at,
        "producedWh": point.produced_wh,
        "consumedWh": point.consumed_wh,
        "event": _place(point.place),
    }


def _epoch(entry: EpochRegisters) -> Document:
    return {"epoch": entry.epoch, "opening": _point(entry.opening), "closing": _point(entry.closing)}


def _consumption(line: ConsumptionLine) -> Document:
    return {
        "tariff": _place(line.tariff),
        "priceWeiPerKWh": str(line.price),
        "energyWh": line.energy_wh,
        "amountWei": str(line.amount_wei),
        "readings": line.readings,
        "first": _point(line.first),
        "last": _point(line.last),
    }


def _redemption(line: RedemptionLine) -> Document:
    return {
        "event": _place(line.place),
        "energyWh": line.energy_wh,
        "tariff": _place(line.tariff),
        "priceWeiPerKWh": str(line.price),
        "amountWei": str(line.amount_wei),
    }


def _trade(line: TradeLine) -> Document:
    trade = line.trade
    return {
        "event": _place(line.place),
        "id": str(trade.id),
        "seller": trade.seller,
        "buyer": trade.buyer,
        "orderNumber": trade.number,
        "energyWh": trade.energy_wh,
        "priceWei": str(trade.price_wei),
        "serviceCostWei": str(trade.service_cost_wei),
        "at": trade.at,
    }
