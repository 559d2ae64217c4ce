"""What the desk needs of the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.domain.fees import FeeQuote
from agent.domain.market import HouseholdState, Parameters, Settlement
from agent.domain.market_calls import MarketCall
from agent.domain.orders import Order
from agent.domain.outbox import Entry, Intent, Kind


class Nodes(Protocol):
    """The full nodes, asked together. Every method may raise NodeUnavailable."""

    def household(self) -> HouseholdState:
        """What the contract holds of the household, at the newest block."""

    def parameters(self) -> Parameters:
        """The market's parameters, at the newest block."""

    def balance(self, *, sure: bool = False) -> int:
        """The account's balance, wei."""

    def fee_quote(self) -> FeeQuote:
        """What gas costs now."""

    def order(self, seller: str, number: int) -> Order:
        """An order as the contract has it, at the newest block; with no energy left if there is none."""

    def redeemable(self) -> int:
        """Consumption of the household that no token was burned against yet, Wh."""

    def settlement(self) -> Settlement:
        """What money is called on screens."""

    def rehearse(self, to: str, data: bytes, value: int = 0, gas: int = 0) -> None:
        """Call it as the account would, without sending; raises Rejected or NotYet."""


class Book(Protocol):
    """The orders of everybody, read from a full node when asked for and kept nowhere."""

    def standing_orders(self) -> Sequence[Order]:
        """Every order with something left in it, also one that is over; raises NodeUnavailable."""


class Outbox(Protocol):
    """The outbox's rows. Every method may raise JournalBusy."""

    def open_entries(self) -> list[Entry]:
        """Entries that have not ended, oldest first."""

    def halted(self) -> str | None:
        """Why submission is stopped, or None."""

    def newest(self, kind: Kind, limit: int) -> list[Entry]:
        """The newest entries of a kind in any state, newest first."""

    def newest_id(self) -> int:
        """The newest row; 0 if there is none."""

    def live_after(self, entry_id: int) -> list[Entry]:
        """Entries newer than a row that were neither refused nor expired nor replaced, oldest first."""

    def by_key(self, key: str) -> Entry | None:
        """The entry with an idempotency key, or None."""

    def queue(self, intent: Intent, now: int) -> bool:
        """Put an intent in; with the same key it is there once. Returns whether it was new."""


class Codec(Protocol):
    """The contract's calls."""

    def encoded(self, call: MarketCall) -> bytes:
        """Calldata; raises BadRequest if a number does not fit."""

    def understood(self, data: bytes) -> MarketCall | None:
        """What calldata asks of the market; None if it is something else (readings)."""
