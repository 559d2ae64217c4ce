"""Any interleaving of orders, turns, crashes, reorganisations and neighbours ends well (I1, I3, I6, I7).

An order is on the chain at most once, and in the end exactly once unless it ended refused or expired; nothing is spent
twice, whatever else is asked meanwhile; and readings go on.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.domain.errors import BadRequest, JournalBusy, NodeUnavailable, NotYet
from agent.domain.market_calls import MARKET_GAS, BuyCall, CancelCall, OfferCall, RedeemCall
from agent.domain.outbox import State
from agent.domain.plans import Plan
from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import RULES, STAGES, Crash, Home
from tests.fakes.trading import NEIGHBOUR, understood
from tests.fakes.world import FakeClock

# What chance reaches is reached by the other tests too, and counting would double the time it takes.
pytestmark = pytest.mark.no_cover

HOUR = 3_600
FUNDS = 3_000_000_000
WHAT = ("offer", "buy", "redeem", "cancel")
energies = st.integers(1, 2_000)
# Most of the time the market is open: a story in which nothing moves tells little.
seldom = st.sampled_from([False, False, False, True])


class Trades(RuleBasedStateMachine):
    """Hypothesis chooses what happens next; after each thing the invariants are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="trades-"))
        self.clock = FakeClock()
        self.clock.advance(10)
        self.chain = Chain(self.clock)
        self.chain.funds = FUNDS
        self.home = Home(self.directory, self.chain, self.clock)
        self.plans: list[Plan] = []
        self.asked: set[str] = set()
        self.final: set[int] = set()
        self.neighbours = 0

    @initialize()
    def begin(self) -> None:
        for _ in range(3):
            self.home.interval()
        self.home.settle(6)
        self.neighbour(4_000, 25)
        for what in ("offer", "buy", "redeem"):
            self.asks(what, 1_000)
            self.submit(twice=False)

    # -- the household

    def plan(self, made: Plan) -> None:
        self.plans.append(made)

    def asks(self, what: str, energy_wh: int) -> None:
        desk = self.home.desk
        try:
            match what:
                case "offer":
                    self.plan(desk.offer(energy_wh, 25, self.clock.now_s + HOUR))
                case "buy":
                    self.plan(desk.cheapest(energy_wh))
                case "redeem":
                    self.plan(desk.redemption(energy_wh))
                case _:
                    for own in desk.own_orders()[-1:]:
                        self.plan(desk.cancellation(own.order.number))
        except (BadRequest, NotYet, NodeUnavailable, JournalBusy):
            pass

    @rule(wishes=st.lists(st.tuples(st.sampled_from(WHAT), energies), min_size=1, max_size=3), at_once=st.booleans())
    def ask(self, wishes: list[tuple[str, int]], at_once: bool) -> None:
        """With ``at_once`` false the plans are thought about, and perhaps submitted when the world is another."""
        for what, energy_wh in wishes:
            self.asks(what, energy_wh)
            if at_once:
                self.submit(twice=False)

    @rule(twice=st.booleans())
    def submit(self, twice: bool) -> None:
        if not self.plans:
            return
        plan = self.plans[-1] if twice else self.plans.pop()
        try:
            self.home.desk.submit(plan)
        except Crash:
            self.home.kill()
            self.home.start()
        except (BadRequest, JournalBusy, NodeUnavailable):
            pass
        if self.home.desk.asked(plan.intent.key) is not None:
            self.asked.add(plan.intent.key)

    # -- the agent

    @rule(stages=st.lists(st.sampled_from(STAGES), min_size=1, max_size=6))
    def turns(self, stages: list[str]) -> None:
        self.home.turns(*stages)

    @rule(seconds=st.sampled_from([1, 20, 300, 900]))
    def round(self, seconds: int) -> None:
        self.home.pass_time(seconds)
        self.home.turns("poll", "poll")
        self.home.turns()

    @rule(blocks=st.integers(1, 4))
    def some_blocks(self, blocks: int) -> None:
        for _ in range(blocks):
            self.home.pass_time(5)
            self.home.turns("follow", "seal", "submit", "confirm")
            self.chain.mine()

    @rule(point=st.integers(1, 12))
    def crash_soon(self, point: int) -> None:
        self.home.fuse.left = point

    @rule()
    def restart(self) -> None:
        self.home.kill()
        self.home.start()

    @rule(busy=seldom)
    def hold_the_journal(self, busy: bool) -> None:
        self.home.journal.busy = busy

    # -- the chain and the neighbours

    @rule(energy_wh=energies, price=st.integers(20, 30))
    def neighbour(self, energy_wh: int, price: int) -> None:
        self.neighbours += 1
        self.chain.neighbour_offers(self.neighbours, energy_wh, price, self.clock.now_s + HOUR)

    @rule(share=st.integers(1, 4))
    def another_buys(self, share: int) -> None:
        """A third household is faster, at the neighbour's or at ours."""
        for order in self.chain.top.trading.standing()[:1]:
            self.chain.sold(order.seller, order.number, -(-order.energy_wh // share))

    @rule(paused=seldom)
    def pause(self, paused: bool) -> None:
        self.chain.market = replace(self.chain.market, paused=paused)

    @rule(suspended=seldom)
    def suspend(self, suspended: bool) -> None:
        self.chain.office(active=not suspended)

    @rule(service_cost=st.integers(5, 15))
    def dearer(self, service_cost: int) -> None:
        self.chain.market = replace(self.chain.market, service_cost=service_cost)

    @rule(depth=st.integers(1, 6), keep=st.booleans())
    def reorganise(self, depth: int, keep: bool) -> None:
        self.chain.reorganise(depth, keep=keep)

    @rule()
    def evict(self) -> None:
        self.chain.evict()

    @rule(node=st.integers(0, 2), fault=st.sampled_from(["", "", "silent", "deaf"]), behind=st.integers(0, 2))
    def node(self, node: int, fault: str, behind: int) -> None:
        self.chain.nodes[node].fault, self.chain.nodes[node].behind = fault, behind

    # -- what always holds

    @invariant()
    def each_call_takes_effect_at_most_once(self) -> None:
        ok = [mined.tx for block in self.chain.blocks for mined in block.txs if mined.ok]
        nonces = Counter(tx.nonce for tx in ok)
        assert max(nonces.values(), default=0) <= 1
        entries = {entry.nonce: entry for entry in self.home.entries() if entry.nonce is not None}
        for tx in ok:
            if understood(tx.data) is not None:
                assert entries[tx.nonce].data == tx.data
        offers = Counter(call.number for call in self.chain.top.trading.done if isinstance(call, OfferCall))
        assert max(offers.values(), default=0) <= 1

    @invariant()
    def no_nonce_has_two_live_intents(self) -> None:
        assert all(len(intents) == 1 for intents in self.chain.intents().values())

    @invariant()
    def every_asked_order_has_one_row(self) -> None:
        keys = Counter(entry.key for entry in self.home.entries())
        assert all(keys[key] == 1 for key in self.asked)

    @invariant()
    def nothing_is_spent_twice(self) -> None:
        top = self.chain.top
        assert top.state.tokens_wh >= 0
        assert top.trading.paid_wei <= self.chain.funds
        assert all(order.energy_wh >= 0 for order in top.trading.orders.values())

    @invariant()
    def final_only_with_agreement_and_depth(self) -> None:
        finals = {one.id: one for one in self.home.entries() if one.state is State.FINAL}
        for entry_id in finals.keys() - self.final:
            found = finals[entry_id].inclusion
            assert found is not None
            assert self.chain.holders(found, RULES.depth) >= RULES.agreement
        self.final = set(finals)

    # -- and in the end

    def teardown(self) -> None:
        try:
            self.heal()
            self.judge()
        finally:
            self.home.journal.close()
            shutil.rmtree(self.directory)

    def heal(self) -> None:
        self.home.fuse.left = None
        self.home.journal.busy = False
        self.chain.market = replace(self.chain.market, paused=False)
        self.chain.office(active=True)
        for node in self.chain.nodes:
            node.fault, node.behind = "", 0
        for _ in range(3):
            self.home.interval()
        self.home.settle(20)

    def judge(self) -> None:
        home, top = self.home, self.chain.top
        assert home.outbox.halted() is None
        assert home.outbox.open_entries() == []
        done = Counter(top.trading.done)
        trades = [entry for entry in home.entries() if entry.kind in MARKET_GAS]
        final = Counter(understood(entry.data) for entry in trades if entry.state is State.FINAL)
        # Exactly what the journal calls final has happened, each as often as it was asked for.
        assert done == final
        assert {entry.state for entry in trades} <= {State.FINAL, State.REFUSED, State.EXPIRED}
        reverted = {mined.tx.nonce for block in self.chain.blocks for mined in block.txs if not mined.ok}
        for entry in trades:
            if entry.state is State.REFUSED:
                assert entry.nonce is None or entry.nonce in reverted
                assert home.outbox.why(entry.id)
            elif entry.state is State.EXPIRED:
                assert entry.nonce is None
                assert entry.attempts == ()
        # Energy is neither made nor lost: produced and bought, less what is in escrow, sold, or burned.
        gained = sum(call.energy_wh for call in top.trading.done if isinstance(call, BuyCall))
        burned = sum(call.energy_wh for call in top.trading.done if isinstance(call, RedeemCall))
        offered = sum(call.energy_wh for call in top.trading.done if isinstance(call, OfferCall))
        assert top.trading.redeemed_wh == burned <= top.state.consumed_wh
        back = top.state.tokens_wh - (top.state.produced_wh + gained - burned - offered)
        assert 0 <= back <= offered
        if not any(isinstance(call, CancelCall) for call in top.trading.done):
            assert back == 0
        # Orders held no reading up.
        last = home.readings.sealed_after(top.state.epoch, 0, 10_000)[-1]
        assert top.state.sequence == last.signed.reading.sequence
        assert set(home.states()) <= {ReadingState.FINAL, ReadingState.COVERED, ReadingState.REFUSED}
        assert not set(self.asked) - {entry.key for entry in home.entries()}
        assert top.trading.order(NEIGHBOUR, 0).energy_wh == 0


Trades.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    # A failing story is not shortened, since that takes minutes; each of its steps is printed.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
TestTrades = Trades.TestCase
