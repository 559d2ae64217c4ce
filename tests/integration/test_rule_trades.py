"""Two households with standing rules trade by themselves on a real node with the real contract."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet

from agent.adapters.chain_rows import ChainRows
from agent.adapters.decision_rows import DecisionRows
from agent.adapters.deployments import load_market
from agent.adapters.full_node import FullNode, HttpRpc
from agent.adapters.household_key import HouseholdKey
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.keystore import Keystore
from agent.adapters.market_logs import MarketLogs
from agent.adapters.meter_rows import MeterRows
from agent.adapters.node_events import NodeEvents
from agent.adapters.node_pool import NodePool
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.domain.decisions import Act, Buy, Offer, Redeem
from agent.domain.market import ChainPin
from agent.domain.orders import cost_of
from agent.domain.outbox import Rules, State
from agent.domain.readings import ClosedReading, Flags
from agent.domain.signing import SigningDomain
from agent.domain.standing_rule import Limits
from agent.stages.confirm import Confirm
from agent.stages.desk import Desk
from agent.stages.follow import Follow
from agent.stages.seal import Seal
from agent.stages.submit import Fees, Submit
from agent.stages.trade import Trade
from contracts import load_artifact
from simulators.chain import Anvil
from tests.fakes.keystores import quick_keystore
from tests.fakes.world import HeardEvents
from tests.integration.test_operator_commands import Office, office

__all__ = ["office"]

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

FEED_IN, RETAIL, SERVICE = 10**12, 5 * 10**12, 10**11
PERIOD_S = 900
RULES = Rules(depth=0, agreement=1)
LIMITS = Limits(
    enabled=True,
    self_first=True,
    keep_wh=0,
    sell_at_least=2 * 10**12,
    buy_at_most=4 * 10**12,
    order_least_wh=100,
    order_most_wh=5_000,
    offer_day_most_wh=50_000,
    buy_day_most_wh=20_000,
    buy_day_most_wei=10**18,
    order_lifetime_s=4 * 3_600,
    reserve_wei=10**16,
)


class Time:
    """The machine's clock, put forward together with the chain's: an interval passes in no time."""

    def __init__(self, anvil: Anvil) -> None:
        self._anvil = anvil
        self._ahead_s = 0.0

    def now_ms(self) -> int:
        return int((time.time() + self._ahead_s) * 1000)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def trusted(self) -> bool:
        return True

    @property
    def now_s(self) -> int:
        return self.now_ms() // 1000

    def advance(self, seconds: int) -> None:
        self._ahead_s += seconds
        self._anvil.rpc("evm_increaseTime", seconds)
        self._anvil.mine()


class Household:
    """The chain's side of one agent: its readings are stated here, and everything after them is real."""

    def __init__(self, directory: Path, office: Office, deployed: dict[str, Any], clock: Time, undo: ExitStack) -> None:
        directory.mkdir(mode=0o700)
        wallet = Wallet.create()
        quick_keystore(directory / "key.json", wallet.key, "a passphrase")
        keystore = Keystore.open(directory / "key.json", b"a passphrase")
        request = office.request(deployed, wallet, serial=directory.name, age_s=1000)
        assert office.run("approve", str(request))[0] == 0
        office.anvil.set_balance(wallet.address, 10**18)
        self.address = keystore.address
        self.clock = clock
        self.registers = [1_000, 2_000]
        key = HouseholdKey(keystore, SigningDomain(deployed["chainId"], deployed["contract"]))
        self.journal = Journal(directory / FILE_NAME)
        self.journal.migrate()
        undo.callback(self.journal.close)
        self.readings = ReadingRows(self.journal, self.address)
        self.outbox = OutboxRows(self.journal)
        self.decisions = DecisionRows(self.journal)
        self.events = HeardEvents()
        pin = ChainPin(deployed["chainId"], deployed["genesis"], deployed["contract"], deployed["codeHash"])
        rpc = HttpRpc(office.url, timeout_s=5.0, log=self.events)
        node = FullNode(name=rpc.name, area="tehran-03", rpc=rpc, pin=pin, monotonic=time.monotonic)
        codec, _ = load_market()
        self.nodes = NodePool(
            [node],
            pin=pin,
            account=self.address,
            area="tehran-03",
            market=codec,
            clock=clock.monotonic,
            random=lambda: 0.5,
            log=self.events,
        )
        undo.callback(self.nodes.close)
        contract, fees = deployed["contract"], Fees(most=10**11)
        self.follow = Follow(
            nodes=self.nodes,
            parameters=ChainRows(self.journal),
            meters=MeterRows(self.journal),
            readings=self.readings,
            outbox=self.outbox,
            journal=self.journal,
            clock=clock,
            events=self.events,
            agreement=1,
            fresh=False,
        )
        self.seal = Seal(readings=self.readings, journal=self.journal, signer=key, gate=self.follow, clock=clock)
        self.submit = Submit(
            outbox=self.outbox,
            readings=self.readings,
            journal=self.journal,
            nodes=self.nodes,
            signer=key,
            codec=codec,
            contract=contract,
            rules=RULES,
            fees=fees,
            may_submit=self.follow.may_submit,
            clock=clock,
            events=self.events,
        )
        self.confirm = Confirm(
            outbox=self.outbox,
            readings=self.readings,
            journal=self.journal,
            nodes=self.nodes,
            signer=key,
            codec=codec,
            rules=RULES,
            fees=fees,
            proofs=None,
            began_at=clock.now_s,
            clock=clock,
            events=self.events,
        )
        self.desk = Desk(
            account=self.address,
            contract=contract,
            most_fee=fees.most,
            outbox=self.outbox,
            journal=self.journal,
            nodes=self.nodes,
            book=NodeEvents(self.nodes, MarketLogs(load_artifact().abi, contract), agreement=1),
            codec=codec,
            clock=clock,
        )
        self.trade = Trade(
            account=self.address,
            limits=LIMITS,
            desk=self.desk,
            readings=self.readings,
            decisions=self.decisions,
            outbox=self.outbox,
            journal=self.journal,
            may_submit=self.follow.may_submit,
            clock=clock,
            events=self.events,
        )

    def reads(self, produced_wh: int, consumed_wh: int) -> None:
        """The interval that has just ended is closed."""
        self.registers = [self.registers[0] + produced_wh, self.registers[1] + consumed_wh]
        end = self.clock.now_s // PERIOD_S * PERIOD_S
        self.readings.close(ClosedReading(end, PERIOD_S, 1, self.clock.now_s, *self.registers, Flags.NONE))

    def turns(self) -> None:
        """Everything has its turns until nothing is under way; the rule has more than it needs."""
        for _ in range(6):
            for stage in (self.follow, self.seal, self.submit, self.confirm, self.trade):
                stage.run_once()
            self.clock.advance(2)  # what the pool has looked at a second ago is looked at again

    def acts(self) -> list[Act]:
        return [act for decision in reversed(self.decisions.newest(99)) for act in decision.acts]

    def unfinished(self) -> list[str]:
        rows = self.journal.query("SELECT key FROM entry WHERE state != ?", (State.FINAL,))
        return [row["key"] for row in rows]


@pytest.fixture
def street(office: Office, tmp_path: Path) -> Iterator[tuple[Time, Household, Household]]:
    deployed = office.run("deploy", "--feed-in", str(FEED_IN), "--retail", str(RETAIL), "--service-cost", str(SERVICE))[
        1
    ]
    clock = Time(office.anvil)
    with ExitStack() as undo:
        sun = Household(tmp_path / "sun", office, deployed, clock, undo)
        shade = Household(tmp_path / "shade", office, deployed, clock, undo)
        yield clock, sun, shade


def test_one_sells_its_surplus_the_other_buys_it_and_both_redeem(street: tuple[Time, Household, Household]) -> None:
    clock, sun, shade = street
    for produced_wh, consumed_wh in ((1_500, 1_000), (0, 0)):
        clock.advance(PERIOD_S - clock.now_s % PERIOD_S + 1)
        sun.reads(produced_wh, 300 if produced_wh else 0)
        shade.reads(0, consumed_wh)
        sun.turns()
        shade.turns()

    price = (LIMITS.sell_at_least or 0) + (RETAIL - SERVICE - (LIMITS.sell_at_least or 0)) // 2
    redeemed, offered = sun.acts()
    assert redeemed == Redeem(300)
    assert isinstance(offered, Offer)
    assert (offered.energy_wh, offered.price) == (1_200, price)
    cost = cost_of(1_000, price, SERVICE)
    assert shade.acts() == [Buy(sun.address, offered.number or 0, 1_000, price, cost.total_wei), Redeem(1_000)]
    assert (sun.unfinished(), shade.unfinished()) == ([], [])
    assert sun.nodes.household().tokens_wh == shade.nodes.household().tokens_wh == 0
    assert sun.nodes.redeemable() == shade.nodes.redeemable() == 0
    assert shade.desk.open_orders()[0].energy_wh == 200, "what nobody needed is still for sale"
    assert 10**18 - shade.nodes.balance() >= cost.total_wei
