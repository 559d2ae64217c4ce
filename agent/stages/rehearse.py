"""Rehearse: ask the contract before anything is signed, and end what it refuses, then or on the chain."""

from __future__ import annotations

from typing import Protocol

from agent.domain.errors import NotYet, Rejected
from agent.domain.market_calls import MARKET_GAS, MarketCall
from agent.domain.order_rules import most_cost
from agent.domain.outbox import Entry, Kind, Move, State
from agent.domain.refusals import advice, order_facts, told_refusal
from agent.stages.bundle import Readings, release
from agent.stages.ports import Clock, Events, Outbox, Together


class Nodes(Protocol):
    """The full nodes, asked together."""

    def rehearse(self, to: str, data: bytes, value: int = 0, gas: int = 0) -> None:
        """Call it as the account would, without sending (``eth_call``).

        Raises:
            Rejected: the contract would reject it for good.
            NotYet: it would be rejected now but may be taken later (paused, suspended, taken in the future).
            NodeUnavailable: no node gave a usable answer.
        """

    def balance(self, *, sure: bool = False) -> int:
        """The account's balance, wei.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """


class Codec(Protocol):
    """The contract's calls."""

    def understood(self, data: bytes) -> MarketCall | None:
        """What calldata asks of the market; None if it is something else (readings)."""


class Refusals:
    """Ends entries that the contract refuses, lets what they carried go, and says so in words."""

    def __init__(
        self, *, outbox: Outbox, readings: Readings, journal: Together, codec: Codec, clock: Clock, events: Events
    ) -> None:
        self._outbox = outbox
        self._readings = readings
        self._journal = journal
        self._codec = codec
        self._clock = clock
        self._events = events

    def before_signing(self, entry: Entry, rejected: Rejected) -> None:
        """The contract would not take it."""
        ours = entry.kind in MARKET_GAS
        why = told_refusal(entry.kind, rejected.error, rejected.facts) if ours else str(rejected)
        carried = self._end(entry, Move(State.REFUSED, why=why))
        facts = self.facts(entry) | ({} if ours else {"readings": carried})
        self._events.error("transaction.refused", why=why, **facts, advice=advice(entry.kind))

    def on_the_chain(self, entry: Entry, step: Move) -> None:
        """The contract has reverted it; a receipt does not say why, so a market call's entry says what that may be."""
        if entry.kind in MARKET_GAS:
            step = Move(step.to, step.inclusion, f"{step.why}: {advice(entry.kind)}")
        self._end(entry, step)
        facts = self.facts(entry) | {"nonce": entry.nonce}
        if step.inclusion is not None:
            facts |= {"tx_hash": step.inclusion.tx_hash, "block": step.inclusion.block_number}
        self._events.error("transaction.reverted", **facts, advice=advice(entry.kind))

    def facts(self, entry: Entry) -> dict[str, object]:
        """What names an entry in the log."""
        called = self._codec.understood(entry.data) if entry.kind in MARKET_GAS else None
        return {"entry": entry.id, "kind": entry.kind} | order_facts(called)

    def _end(self, entry: Entry, step: Move) -> int:
        carried = [row for row, _ in self._readings.of_entry(entry.id)]
        with self._journal.transaction():
            self._outbox.move(entry.id, step.to, self._clock.now_ms() // 1000, step.inclusion, step.why)
            release(self._readings, carried, step.why)
        return len(carried)


class Rehearsal:
    """Whether an entry may be signed now.

    Readings build on one another, so behind others that are in flight the contract cannot be asked about them. A
    reading in flight takes nothing from an order, and an order nothing from a reading: either is asked about behind the
    other. Of an order a pass is believed at once: should another order in flight spoil it, the contract reverts it,
    which costs its fee and nothing else. A refusal is believed only when all that is signed is mined, since that may be
    just what it lacks; until then it waits.
    """

    def __init__(self, *, outbox: Outbox, nodes: Nodes, refusals: Refusals, account: str) -> None:
        self._outbox = outbox
        self._nodes = nodes
        self._refusals = refusals
        self._account = account

    def passes(self, entry: Entry) -> bool:
        """Whether the contract would take it; one that it refuses for good is ended.

        Raises:
            NotYet: the contract would take it later.
            NodeUnavailable: no node gave a usable answer.
        """
        if entry.kind is not Kind.REPORT and entry.kind not in MARKET_GAS:
            return True
        flying = [other for other in self._outbox.open_entries() if other.state.in_flight]
        if entry.kind is Kind.REPORT and any(other.kind not in MARKET_GAS for other in flying):
            return True
        try:
            self._nodes.rehearse(entry.to, entry.data, entry.value, entry.gas)
        except Rejected as rejected:
            if entry.kind is Kind.REPORT or all(other.state is State.INCLUDED for other in flying):
                self._refusals.before_signing(entry, rejected)
            return False
        return True

    def check_funds(self, entry: Entry, max_fee: int) -> None:
        """Whether the account can pay it after all that is signed and not mined.

        Args:
            entry: not signed yet.
            max_fee: what it will offer for a unit of gas, wei.

        Raises:
            NotYet: it cannot.
            NodeUnavailable: no node gave a usable answer.
        """
        cost = most_cost(entry, max_fee)
        flying = [other for other in self._outbox.open_entries() if other.state in {State.SIGNED, State.SENT}]
        owed = sum(most_cost(other, max_fee) for other in flying)
        if cost and (balance := self._nodes.balance(sure=bool(entry.value))) < cost + owed:
            before = f" beside {owed} for what is on its way" if owed else ""
            raise NotYet(
                f"the account holds {balance} wei and the next transaction may cost {cost}{before};"
                f" send funds to {self._account}"
            )
