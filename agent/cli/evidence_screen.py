"""What evidence proves, on a terminal and for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from agent.cli import table
from agent.domain.market_calls import BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.market_events import (
    Cancelled,
    Enrolled,
    MarketEvent,
    MeterReplaced,
    Offered,
    ReadingBooked,
    Redeemed,
    ServiceCostSet,
    TariffSet,
    Traded,
)
from agent.light.evidence import Evidence, Outcome, Verdict
from agent.light.hashing import shown
from agent.light.receipts import Receipt
from agent.light.state import Account, HouseholdSlot
from agent.light.transactions import Transaction

_REFUSED = (
    "The file was changed on its way, or it is not of these pins. If validators changed since they were pinned, ask for"
    " the evidence with --linked, or take the pins of its time."
)
_ELSEWHERE = (
    "The file is written, and right by the validators that the agent has followed; those pinned at first did not seal"
    " its blocks. Whoever has the pins of its time can verify it; one exported with --linked, anybody with the first."
)
Pairs = list[tuple[str, object]]


class Call(Protocol):
    """What a transaction asked of the market."""

    @property
    def function(self) -> str:
        """Its name in the contract."""

    @property
    def arguments(self) -> Mapping[str, object]:
        """By name, as the contract has them."""

    @property
    def asked(self) -> MarketCall | None:
        """The same as a household asks it."""


class Checked(Protocol):
    """Evidence that was looked at."""

    @property
    def evidence(self) -> Evidence:
        """As the file has it."""

    @property
    def verdict(self) -> Verdict:
        """What it is worth."""

    @property
    def call(self) -> Call | None:
        """What the transaction asked of the market."""

    @property
    def events(self) -> Sequence[MarketEvent]:
        """What the receipt says of the market."""

    @property
    def unread(self) -> int:
        """How many more of the market's logs are in the receipt."""


# --- For a person ---


def exported(checked: Checked, *, linked: bool) -> str:
    """The same of a file that was exported and checked just now: nobody changed it on its way."""
    return told(checked, _REFUSED if linked else _ELSEWHERE)


def told(checked: Checked, refused: str = _REFUSED) -> str:
    """The verdict in plain words: what is proven, by whom it is sealed, and what is not shown.

    Args:
        checked: evidence that was looked at.
        refused: what to do where it is refused.
    """
    verdict = checked.verdict
    if verdict.outcome is Outcome.REFUSED:
        return f"REFUSED: {' '.join(verdict.lacks)}\n{refused}"
    lacks = verdict.lacks
    if verdict.outcome is Outcome.PROVEN:
        head = "PROVEN by the pins alone; no full node was asked."
    else:
        # Why it is unproven comes first, and begins with that word.
        head, lacks = f"UNPROVEN: {lacks[0].removeprefix('unproven: ')}\nWhat follows is only claimed.", lacks[1:]
    parts = [head, _block(checked), _transaction(checked), _state(checked)]
    if lacks:
        parts.append("\n".join(["Not shown:", *(f"- {one}" for one in lacks)]))
    return "\n\n".join(part for part in parts if part)


def _block(checked: Checked) -> str:
    verdict = checked.verdict
    time = None if verdict.header is None else verdict.header.timestamp
    pairs: Pairs = [
        ("chain", checked.evidence.chain_id),
        ("market", shown(checked.evidence.contract)),
        ("block", checked.evidence.block),
        ("time", table.moment(time)),
    ]
    return f"{table.facts(pairs)}\n{verdict.proves[0]}"


def _transaction(checked: Checked) -> str:
    transaction, receipt = checked.verdict.transaction, checked.verdict.receipt
    if transaction is None or receipt is None:
        return ""
    pairs: Pairs = [
        ("transaction", "0x" + transaction.tx_hash.hex()),
        ("signed by", f"{shown(transaction.sender)}, its transaction number {transaction.nonce}"),
        ("to", _receiver(transaction, checked)),
        ("asks", _asked(checked.call)),
        ("pays", f"{transaction.value} wei"),
        ("outcome", "carried out" if receipt.succeeded else "reverted, so it did nothing"),
        *(("says", line) for line in map(said, checked.events)),
    ]
    if checked.unread:
        pairs.append(("says", f"and {checked.unread} more that are not read here, as of tokens or roles"))
    return table.facts(pairs)


def _receiver(transaction: Transaction, checked: Checked) -> str:
    if transaction.to is None:
        return "nobody: it creates a contract"
    return "the market" if transaction.to == checked.evidence.contract else shown(transaction.to)


def _asked(call: Call | None) -> str:
    if call is None:
        return ""
    match call.asked:
        case OfferCall(number, energy_wh, price, expires_at):
            until = table.moment(expires_at)
            return f"offer {table.kwh(energy_wh)} kWh at {price} wei/kWh until {until} (order {number})"
        case CancelCall(number):
            return f"take order {number} back"
        case BuyCall(seller, number, energy_wh, price):
            return f"buy {table.kwh(energy_wh)} kWh of order {number} of {seller} at {price} wei/kWh"
        case RedeemCall(energy_wh):
            return f"redeem {table.kwh(energy_wh)} kWh"
        case None:
            readings = call.arguments.get("readings")
            return f"{call.function} of {len(readings)} reading(s)" if isinstance(readings, list) else call.function


def said(event: MarketEvent) -> str:  # noqa: PLR0911 - an event a line
    """An event of the market in words."""
    match event:
        case ReadingBooked(_, reading):
            return (
                f"reading of {reading.household}: epoch {reading.epoch}, sequence {reading.sequence}, taken"
                f" {table.moment(reading.taken_at)}, produced {table.kwh(reading.produced_wh)} kWh, consumed"
                f" {table.kwh(reading.consumed_wh)} kWh"
            )
        case Offered(_, order):
            return (
                f"order {order.number} of {order.seller}: {table.kwh(order.energy_wh)} kWh at {order.price} wei/kWh"
                f" until {table.moment(order.expires_at)}"
            )
        case Cancelled(_, seller, number, energy_wh):
            return f"order {number} of {seller} is taken back: {table.kwh(energy_wh)} kWh"
        case Traded(_, trade):
            return (
                f"trade {trade.id}: {trade.seller} sold {table.kwh(trade.energy_wh)} kWh of order {trade.number} to"
                f" {trade.buyer} for {trade.price_wei} wei, service cost {trade.service_cost_wei} wei"
            )
        case Redeemed(_, household, energy_wh):
            return f"{household} redeemed {table.kwh(energy_wh)} kWh"
        case Enrolled(_, household, _, produced_wh, consumed_wh, rated_power_w, _):
            return (
                f"{household} is enrolled with {rated_power_w} W, registers {table.kwh(produced_wh)} kWh produced and"
                f" {table.kwh(consumed_wh)} kWh consumed"
            )
        case MeterReplaced(_, household, meter, closing_wh, opening_wh, epoch, _):
            return (
                f"the {meter.value} meter of {household} is replaced: closed at {table.kwh(closing_wh)} kWh, opened at"
                f" {table.kwh(opening_wh)} kWh, epoch {epoch}"
            )
        case TariffSet(_, feed_in, retail):
            return f"tariff: feed-in {feed_in} wei/kWh, retail {retail} wei/kWh"
        case ServiceCostSet(_, service_cost):
            return f"service cost: {service_cost} wei/kWh"


def _state(checked: Checked) -> str:
    piece, account, slot = checked.evidence.state, checked.verdict.account, checked.verdict.slot
    if piece is None or account is None or slot is None:
        return ""
    reading = slot.last_reading(piece.household)
    pairs: Pairs = [
        ("household", shown(piece.household)),
        ("transactions", f"{account.nonce} sent up to this block"),
        ("balance", f"{account.balance} wei"),
        ("connection", f"{slot.rated_power_w} W" if slot.active else "suspended, or never enrolled"),
        ("energy tokens", f"{table.kwh(slot.tokens_wh)} kWh"),
    ]
    if reading is None:
        return table.facts([*pairs, ("last reading", f"none in epoch {slot.epoch}")])
    pairs += [
        ("last reading", f"epoch {reading.epoch}, sequence {reading.sequence}, taken {table.moment(reading.taken_at)}"),
        ("produced", f"{table.kwh(reading.produced_wh)} kWh"),
        ("consumed", f"{table.kwh(reading.consumed_wh)} kWh"),
        ("", "registers are cumulative, so this covers every reading before it"),
    ]
    return table.facts(pairs)


# --- For a program ---


def as_json(checked: Checked) -> str:
    """Verdict and fields, keys sorted: integers in Wh, wei, W and UTC epoch seconds."""
    verdict, evidence = checked.verdict, checked.evidence
    facts: dict[str, object] = {
        **_worth(verdict),
        "chainId": evidence.chain_id,
        "contract": shown(evidence.contract),
        "block": evidence.block,
    }
    if verdict.header is not None:
        facts |= {
            "blockHash": "0x" + verdict.block_hash.hex(),
            "time": verdict.header.timestamp,
            "linked": verdict.linked,
            "blocksAfter": verdict.after,
        }
    if verdict.transaction is not None and verdict.receipt is not None:
        facts["transaction"] = _transaction_facts(checked, verdict.transaction, verdict.receipt)
    if evidence.state is not None and verdict.account is not None and verdict.slot is not None:
        facts["state"] = _state_facts(evidence.state.household, verdict.account, verdict.slot)
    return json.dumps(table.plain(facts), indent=2, sort_keys=True)


def unread_as_json(why: str) -> str:
    """The verdict on a file that cannot be read, or is no evidence: refused, and why; it has no fields."""
    return json.dumps(table.plain(_worth(Verdict(Outcome.REFUSED, (), (why,)))), indent=2, sort_keys=True)


def _worth(verdict: Verdict) -> dict[str, object]:
    return {"outcome": verdict.outcome.value, "proves": verdict.proves, "lacks": verdict.lacks}


def _transaction_facts(checked: Checked, transaction: Transaction, receipt: Receipt) -> dict[str, object]:
    facts: dict[str, object] = {
        "hash": "0x" + transaction.tx_hash.hex(),
        "sender": shown(transaction.sender),
        "nonce": transaction.nonce,
        "to": None if transaction.to is None else shown(transaction.to),
        "valueWei": transaction.value,
        "carriedOut": receipt.succeeded,
        "events": [{"event": type(event).__name__, **_fields(event)} for event in checked.events],
        "logs": len(receipt.logs),
    }
    if checked.call is not None:
        facts |= {"function": checked.call.function, "arguments": checked.call.arguments}
    return facts


def _fields(event: MarketEvent) -> dict[str, object]:
    # The place is the transaction's own, which is told already; a log's index in the block is not known here.
    plain = cast("dict[str, object]", table.plain(event))
    return {name: value for name, value in plain.items() if name != "place"}


def _state_facts(household: bytes, account: Account, slot: HouseholdSlot) -> dict[str, object]:
    return {
        "household": shown(household),
        "nonce": account.nonce,
        "balanceWei": account.balance,
        "slot": slot,
        "active": slot.active,
        "holdsReading": slot.last_reading(household) is not None,
    }
