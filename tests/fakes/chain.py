"""A chain in memory with one account and one market: several full nodes that lag, lose, evict, reorganise and lie.

The contract checks what the Solidity one checks. What was ever mined, and in which block, is what the tests judge by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from agent.adapters import node_votes
from agent.domain.errors import NodeUnavailable, NotYet, Rejected
from agent.domain.fees import FeeQuote
from agent.domain.market import Head, HouseholdState, Parameters, Settlement
from agent.domain.market_calls import MarketCall
from agent.domain.orders import Order
from agent.domain.outbox import Entry, Inclusion, Sighting
from agent.domain.readings import Flags, Reading
from tests.fakes.trading import NEIGHBOUR, UNIT, Trading, understood
from tests.fakes.world import HOUSEHOLD, MARKET, FakeClock

PARAMETERS = Parameters(900, 10, 20, 30, paused=False)
ENROLLED = HouseholdState(
    enrolled=True,
    active=True,
    epoch=1,
    sequence=0,
    taken_at=0,
    produced_wh=0,
    consumed_wh=0,
    tokens_wh=0,
    rated_power_w=11_000,
)
_AHEAD_S = 60


@dataclass(frozen=True)
class Tx:
    tx_hash: str
    nonce: int
    to: str
    data: bytes
    max_fee: int
    priority_fee: int
    value: int = 0

    @classmethod
    def of(cls, raw: bytes) -> Tx:
        fields = json.loads(raw)
        tx_hash = "0x" + hashlib.sha256(raw).hexdigest()
        data = bytes.fromhex(fields["data"])
        return cls(tx_hash, fields["nonce"], fields["to"], data, *fields["fee"], fields["value"])


@dataclass(frozen=True)
class Mined:
    tx: Tx
    ok: bool
    booked: tuple[Reading, ...]


@dataclass(frozen=True)
class Block:
    number: int
    block_hash: str
    timestamp: int
    txs: tuple[Mined, ...]
    nonce: int
    state: HouseholdState
    trading: Trading = field(default_factory=Trading)


@dataclass
class Node:
    """One full node's view: how many blocks it is behind, what waits in its pool, and what is wrong with it."""

    name: str
    pool: dict[str, Tx] = field(default_factory=dict)
    behind: int = 0
    fault: str = ""
    """``silent``, ``deaf`` (takes what it is sent and its answer is lost), ``invents`` (a false receipt)"""


class Chain:
    """The canonical chain, its nodes, and what the nodes say together: every ``Nodes`` port of the stages."""

    def __init__(self, clock: FakeClock, nodes: int = 3, state: HouseholdState = ENROLLED) -> None:
        self.clock = clock
        self.nodes = [Node(f"n{number}") for number in range(nodes)]
        self.blocks = [Block(0, "0xb0", clock.now_s - 1000, (), 0, state)]
        self.market = PARAMETERS
        self.quote = FeeQuote(1000, 100)
        self.funds = 10**18
        self.forks = 0
        self.broadcasts: list[Tx] = []
        self.before_send: Callable[[], None] = lambda: None
        self.after_send: Callable[[], None] = lambda: None

    # -- what happens on it

    @property
    def top(self) -> Block:
        return self.blocks[-1]

    def mine(self) -> None:
        """A block of everything that any node holds and that fits."""
        waiting = [tx for node in self.nodes for tx in node.pool.values()]
        nonce, state, trading, mined = self.top.nonce, self.top.state, self.top.trading, []
        while fitting := [tx for tx in waiting if tx.nonce == nonce]:
            tx = max(fitting, key=lambda tx: tx.max_fee)
            state, trading, ok, booked = self.executed(tx, state, trading)
            mined.append(Mined(tx, ok, booked))
            nonce += 1
        self._append(tuple(mined), nonce, state, trading)

    def stranger(self) -> None:
        """Somebody else uses the key's next nonce, straight into a block."""
        tx = Tx(f"0xstranger{self.top.nonce}", self.top.nonce, "0x" + "77" * 20, b"", 1, 1)
        self._append((Mined(tx, ok=True, booked=()),), self.top.nonce + 1, self.top.state)

    def office(self, **changes: int | bool) -> None:
        """The registration office changes what the contract holds."""
        self._append((), self.top.nonce, replace(self.top.state, **changes))

    def neighbour_offers(self, number: int, energy_wh: int, price: int, expires_at: int) -> None:
        """Another household puts an order in."""
        self.puts(Order(NEIGHBOUR, number, energy_wh, price, expires_at))

    def puts(self, order: Order) -> None:
        """Any other household puts an order in."""
        self._append((), self.top.nonce, self.top.state, self.top.trading.put(order))

    def sold(self, seller: str, number: int, energy_wh: int) -> None:
        """A third household buys."""
        self._append((), self.top.nonce, self.top.state, self.top.trading.taken(seller, number, energy_wh))

    def _append(
        self, mined: tuple[Mined, ...], nonce: int, state: HouseholdState, trading: Trading | None = None
    ) -> None:
        number = self.top.number + 1
        block_hash = f"0xb{number}f{self.forks}"
        kept = self.top.trading if trading is None else trading
        self.blocks.append(Block(number, block_hash, self.clock.now_s, mined, nonce, state, kept))
        for node in self.nodes:
            node.pool = {tx_hash: tx for tx_hash, tx in node.pool.items() if tx.nonce >= nonce}

    def reorganise(self, depth: int, *, keep: bool) -> None:
        """Take the newest blocks back; with ``keep`` their transactions wait again in every pool."""
        depth = min(depth, len(self.blocks) - 1)
        self.forks += 1
        gone = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        for node in self.nodes:
            node.behind = 0
            for block in gone if keep else []:
                node.pool |= {mined.tx.tx_hash: mined.tx for mined in block.txs}
        self._append((), self.top.nonce, self.top.state)

    def evict(self) -> None:
        """Every pool forgets everything."""
        for node in self.nodes:
            node.pool.clear()

    def executed(
        self, tx: Tx, state: HouseholdState, trading: Trading
    ) -> tuple[HouseholdState, Trading, bool, tuple[Reading, ...]]:
        if tx.to != MARKET:
            return state, trading, True, ()
        if (call := understood(tx.data)) is not None:
            after = trading.after(call, HOUSEHOLD, tx.value, self.clock.now_s, state=state, market=self.market)
            made, held = after if isinstance(after[0], Trading) else (trading, state)
            if made is not trading and made.paid_wei > self.funds:
                return state, trading, False, ()
            return held, made, made is not trading, ()
        booked, ok, readings = self._reported(tx, state)
        return booked, trading, ok, readings

    def _reported(self, tx: Tx, state: HouseholdState) -> tuple[HouseholdState, bool, tuple[Reading, ...]]:
        readings = tuple(Reading.from_packed(HOUSEHOLD, word) for word in json.loads(tx.data))
        after = state
        for reading in readings:
            if self.wrong(after, reading):
                return state, False, ()
            after = replace(
                after,
                sequence=reading.sequence,
                taken_at=reading.taken_at,
                produced_wh=reading.produced_wh,
                consumed_wh=reading.consumed_wh,
                tokens_wh=after.tokens_wh + reading.produced_wh - after.produced_wh,
            )
        return after, True, readings

    def wrong(self, state: HouseholdState, reading: Reading) -> str:
        """The name of the error that the contract reverts with; empty if it takes the reading."""
        fell = reading.produced_wh < state.produced_wh or reading.consumed_wh < state.consumed_wh
        moved = (Flags.PRODUCTION_HELD in reading.flags and reading.produced_wh != state.produced_wh) or (
            Flags.CONSUMPTION_HELD in reading.flags and reading.consumed_wh != state.consumed_wh
        )
        checks = (
            (self.market.paused, "MarketPaused"),
            (not state.active, "HouseholdNotActive"),
            (reading.epoch != state.epoch, "UnexpectedEpoch"),
            (reading.sequence <= state.sequence, "SequenceNotRising"),
            (reading.taken_at <= state.taken_at, "TimeNotRising"),
            (reading.taken_at > self.clock.now_s + _AHEAD_S, "TakenInFuture"),
            (fell, "RegisterFell"),
            (moved, "HeldRegisterMoved"),
        )
        return next((name for failed, name in checks if failed), "")

    # -- what is true of it

    def booked(self) -> list[Reading]:
        return [reading for block in self.blocks for mined in block.txs for reading in mined.booked]

    def intents(self) -> dict[int, set[tuple[str, bytes]]]:
        """For each nonce, what the transactions with it that may still take effect would do."""
        live = [mined.tx for block in self.blocks for mined in block.txs]
        live += [tx for node in self.nodes for tx in node.pool.values()]
        found: dict[int, set[tuple[str, bytes]]] = {}
        for tx in live:
            found.setdefault(tx.nonce, set()).add((tx.to, tx.data))
        return found

    def seen_by(self, node: Node) -> list[Block]:
        return self.blocks[: max(1, len(self.blocks) - node.behind)]

    def holders(self, inclusion: Inclusion, depth: int) -> int:
        """How many nodes truly have it mined in that block, this deep."""
        return sum(
            any(
                block.block_hash == inclusion.block_hash
                and any(mined.tx.tx_hash == inclusion.tx_hash for mined in block.txs)
                and self.seen_by(node)[-1].number - block.number >= depth
                for block in self.seen_by(node)
            )
            for node in self.nodes
        )

    def deep(self, inclusion: Inclusion, depth: int) -> bool:
        """Whether the canonical chain truly holds it in that block, this deep, with that outcome."""
        return any(
            block.block_hash == inclusion.block_hash and self.top.number - block.number >= depth
            for block in self.blocks
            for mined in block.txs
            if (mined.tx.tx_hash, mined.ok) == (inclusion.tx_hash, inclusion.succeeded)
        )

    # -- what the nodes say: the stages' ports

    def ask(self) -> None:
        """Raises NodeUnavailable where no node answers."""
        self._up()

    def _up(self) -> list[Node]:
        up = [node for node in self.nodes if node.fault != "silent"]
        if not up:
            raise NodeUnavailable("no node answers")
        return up

    def pending_nonce(self, witnesses: int = 1) -> int:
        return max(self._pending(node) for node in self._witnesses(witnesses))

    def _witnesses(self, count: int) -> list[Node]:
        nodes = self._up()
        if len(nodes) < count:
            raise NodeUnavailable(f"{len(nodes)} answered, not {count}")
        return nodes

    def _pending(self, node: Node) -> int:
        nonce = self.seen_by(node)[-1].nonce
        held = {tx.nonce for tx in node.pool.values()}
        while nonce in held:
            nonce += 1
        return nonce

    def mined_nonce(self) -> int:
        return min(self.seen_by(node)[-1].nonce for node in self._up())

    def fee_quote(self) -> FeeQuote:
        self._up()
        return self.quote

    def balance(self, *, sure: bool = False) -> int:  # noqa: ARG002 - the nodes of this chain do not lie about it
        return self.funds - min(self.seen_by(node)[-1].trading.paid_wei for node in self._up())

    def order(self, seller: str, number: int) -> Order:
        told = [self.seen_by(node)[-1].trading.order(seller, number) for node in self._up()]
        return node_votes.least_of_most(told, lambda order: order.energy_wh)

    def redeemable(self) -> int:
        blocks = [self.seen_by(node)[-1] for node in self._up()]
        return min(block.state.consumed_wh - block.trading.redeemed_wh for block in blocks)

    def settlement(self) -> Settlement:
        self._up()
        return UNIT

    def standing_orders(self) -> list[Order]:
        return self.seen_by(self._up()[0])[-1].trading.standing()

    def household(self, witnesses: int = 1) -> HouseholdState:
        return node_votes.household([self.seen_by(node)[-1].state for node in self._witnesses(witnesses)])

    def parameters(self) -> Parameters:
        self._up()
        return self.market

    def head(self) -> Head:
        best = max((self.seen_by(node)[-1] for node in self._up()), key=lambda block: block.number)
        return Head(best.number, best.block_hash, best.timestamp)

    def rehearse(self, to: str, data: bytes, value: int = 0, gas: int = 0) -> None:  # noqa: ARG002 - the fake burns none
        self._up()
        if to != MARKET:
            return
        if (call := understood(data)) is not None:
            refused = node_votes.verdict([self._tried(node, call, value) for node in self._up()])
            if refused is not None:
                raise refused
            return
        state = self.household()
        for word in json.loads(data):
            reading = Reading.from_packed(HOUSEHOLD, word)
            wrong = self.wrong(state, reading)
            if wrong in {"MarketPaused", "HouseholdNotActive", "TakenInFuture"}:
                raise NotYet(wrong)
            if wrong:
                raise Rejected(wrong, {"sequence": reading.sequence})
            state = replace(
                state,
                sequence=reading.sequence,
                taken_at=reading.taken_at,
                produced_wh=reading.produced_wh,
                consumed_wh=reading.consumed_wh,
            )

    def _tried(self, node: Node, call: MarketCall, value: int) -> Rejected | NotYet | None:
        block = self.seen_by(node)[-1]
        after = block.trading.after(call, HOUSEHOLD, value, self.clock.now_s, state=block.state, market=self.market)
        if isinstance(after[0], Trading):
            return None
        name, facts = after
        return NotYet(name) if name in {"MarketPaused", "HouseholdNotActive"} else Rejected(name, facts)

    def broadcast(self, raw: bytes) -> bool:
        self.before_send()
        tx = Tx.of(raw)
        self.broadcasts.append(tx)
        answers = []
        for node in self._up():
            taken = self._take(node, tx)
            if node.fault != "deaf":
                answers.append(taken)
        self.after_send()
        if not answers:
            raise NodeUnavailable("the connection was reset before the answer came")
        return any(answers)

    def _take(self, node: Node, tx: Tx) -> bool:
        seen = self.seen_by(node)
        if tx.nonce < seen[-1].nonce:
            return any(mined.tx == tx for block in seen for mined in block.txs)
        rivals = [other for other in node.pool.values() if other.nonce == tx.nonce and other != tx]
        if any(tx.max_fee * 10 < other.max_fee * 11 for other in rivals):
            return False
        for other in rivals:
            del node.pool[other.tx_hash]
        node.pool[tx.tx_hash] = tx
        return True

    def sight(self, entry: Entry) -> Sighting:
        return node_votes.sighting(entry, [self._look(node, entry) for node in self._up()])

    def _look(self, node: Node, entry: Entry) -> node_votes.Look:
        hashes = {attempt.tx_hash for attempt in entry.attempts}
        seen = self.seen_by(node)
        head = Head(seen[-1].number, seen[-1].block_hash, seen[-1].timestamp)
        found = None
        for block in seen:
            for mined in block.txs:
                if mined.tx.tx_hash in hashes:
                    found = Inclusion(mined.tx.tx_hash, block.number, block.block_hash, mined.ok)
        nonce = seen[-1].nonce
        if found is None and node.fault == "invents" and entry.nonce is not None:
            found = Inclusion(entry.attempts[-1].tx_hash, 0, "0xfalse", succeeded=True)
            nonce = entry.nonce + 1
        return node_votes.Look(head, nonce, found, pooled=any(tx_hash in node.pool for tx_hash in hashes))
