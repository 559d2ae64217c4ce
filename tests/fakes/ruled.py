"""A household whose standing rule trades, over a journal file and a fake chain."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from agent.adapters.decision_rows import DecisionRows
from agent.domain.decisions import Act
from agent.domain.market import Parameters
from agent.domain.market_calls import BuyCall, RedeemCall
from agent.domain.outbox import State
from agent.domain.samples import MeterRole
from agent.domain.standing_rule import Limits
from agent.stages.trade import Trade
from tests.fakes.chain import Chain
from tests.fakes.home import Crash, Home
from tests.fakes.world import HOUSEHOLD, FakeClock, FakeCodec

BAND = Parameters(900, 100, 1_000, 3_000, paused=False)
LIMITS = Limits(
    enabled=True,
    self_first=True,
    keep_wh=0,
    sell_at_least=1_500,
    buy_at_most=2_500,
    order_least_wh=100,
    order_most_wh=5_000,
    offer_day_most_wh=50_000,
    buy_day_most_wh=20_000,
    buy_day_most_wei=1_000_000,
    order_lifetime_s=3_600,
    reserve_wei=0,
)
_EVERYTHING = ("follow", "seal", "submit", "confirm", "trade", "submit", "confirm", "trade")


class Ruled(Home):
    """A home with a desk and a rule; its meters count whole intervals."""

    def __init__(self, directory: Path, chain: Chain, clock: FakeClock, limits: Limits = LIMITS) -> None:
        self.limits = limits
        chain.market = BAND
        super().__init__(directory, chain, clock)
        self.energies = dict.fromkeys(MeterRole, 0)
        for meter in self.meters.values():
            meter.power_w = 0
        for _ in range(3):
            self.turns("poll", "follow")
            self.pass_time(1)

    def start(self) -> None:
        super().start()
        self.decisions = DecisionRows(self.journal)
        self.trade = Trade(
            account=HOUSEHOLD,
            limits=self.limits,
            desk=self.desk,
            readings=self.readings,
            decisions=self.decisions,
            outbox=self.outbox,
            journal=self.journal,
            may_submit=self.follow.may_submit,
            clock=self.clock,
            events=self.events,
        )

    def turn(self, stage: str) -> bool:
        if stage != "trade":
            return super().turn(stage)
        try:
            return self.trade.run_once()
        except Crash:
            self.kill()
            self.start()
            return False

    def each_interval(self, *, produced_wh: int, consumed_wh: int) -> None:
        """What the meters count in each interval from now on."""
        self.energies = {MeterRole.PRODUCTION: produced_wh, MeterRole.CONSUMPTION: consumed_wh}

    def closed(self) -> None:
        """An interval passes, and its reading is signed."""
        self.pass_time(900 - self.clock.now_s % 900)
        for role, meter in self.meters.items():
            meter.wh += self.energies[role]
        self.turns("poll", "poll", "record", "seal")

    def booked(self) -> None:
        """An interval passes, and the contract books its reading; the rule has had no turn yet."""
        self.closed()
        for _ in range(4):
            self.turns("follow", "submit", "confirm")
            self.chain.mine()
            self.pass_time(5)
        self.turns("follow", "confirm", "confirm")

    def settled(self, rounds: int = 8) -> None:
        """Everything that is under way comes to its end, the rule included, without a new interval."""
        for _ in range(rounds):
            self.turns(*_EVERYTHING)
            self.chain.mine()
            self.pass_time(5)

    def interval(self) -> None:
        self.booked()
        self.settled()

    # -- what is true of it

    def acts(self) -> list[Act]:
        return [act for decision in reversed(self.decisions.newest(999)) for act in decision.acts]

    def sound(self) -> None:
        """Each decision's acts are in the outbox once, each is mined once, and no energy came from nowhere."""
        decided = [
            (f"rule:{decision.interval_end}:{number}", act)
            for decision in self.decisions.newest(999)
            for number, act in enumerate(decision.acts)
        ]
        entries = {entry.key: entry for entry in self.entries() if entry.key.startswith("rule:")}
        assert sorted(entries) == sorted(key for key, _ in decided)
        for key, act in decided:
            call = FakeCodec().understood(entries[key].data)
            assert call is not None
            assert call.kind.value == type(act).__name__.lower()
        trading, state = self.chain.top.trading, self.chain.top.state
        mined = Counter(FakeCodec().encoded(call) for call in trading.done)
        final = Counter(entry.data for entry in entries.values() if entry.state is State.FINAL)
        assert mined == final, "what the chain has done is what the outbox says is final"
        bought = sum(call.energy_wh for call in trading.done if isinstance(call, BuyCall))
        burned = sum(call.energy_wh for call in trading.done if isinstance(call, RedeemCall))
        escrow = sum(order.energy_wh for order in trading.standing() if order.seller == HOUSEHOLD)
        sold = state.produced_wh + bought - burned - escrow - state.tokens_wh
        assert sold >= 0
        assert state.tokens_wh >= 0
        assert burned == trading.redeemed_wh <= state.consumed_wh
