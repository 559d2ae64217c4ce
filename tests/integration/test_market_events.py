"""The market's events on a real chain with the real contract: the ledger, the order book, trades and consensus."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_account.signers.local import LocalAccount

from agent.adapters.deployments import load_market
from agent.adapters.event_log import EventLog
from agent.adapters.event_rows import EventRows
from agent.adapters.full_node import FullNode, HttpRpc
from agent.adapters.journal import Journal, open_journal
from agent.adapters.market import Market
from agent.adapters.market_logs import MarketLogs
from agent.adapters.market_rows import MarketRows
from agent.adapters.node_events import NodeEvents
from agent.adapters.node_pool import NodePool
from agent.compose.pins import order_layout, slot_layout
from agent.domain.attested import OrderWord, own_orders
from agent.domain.errors import NodesDisagree
from agent.domain.market import ChainPin
from agent.domain.market_events import (
    ORDERS,
    Cancelled,
    Enrolled,
    MarketEvent,
    Offered,
    Place,
    ReadingBooked,
    Redeemed,
    ServiceCostSet,
    TariffSet,
    Traded,
    Wanted,
    concerned,
)
from agent.domain.readings import Reading
from agent.light.evidence import Pins
from agent.light.headers import Consensus, block_hash
from agent.light.seals import Place as PinnedPlace
from agent.light.seals import Rules
from agent.operator.__main__ import main
from agent.proving import building
from agent.proving.questions import Questions
from agent.stages.ledger import Ledger, Start
from contracts import load_artifact
from simulators.proxy import RpcProxy
from tests.fakes.world import FakeClock, HeardEvents
from tests.integration.test_operator_commands import Office, office

__all__ = ["office"]  # the fixture

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

SELLER: LocalAccount = Wallet.from_key("0x" + "07" * 32)
BUYER: LocalAccount = Wallet.from_key("0x" + "08" * 32)
DEPTH = 2
AN_HOUR = 3600


@dataclass
class Street:
    """A market with two households, and two full nodes before its chain."""

    office: Office
    deployed: dict[str, Any]
    codec: Market
    proxies: Sequence[RpcProxy]
    pool: NodePool
    events: NodeEvents

    def send(self, who: LocalAccount, function: str, *arguments: object, value: int = 0) -> int:
        """Send a call of the market; returns the block that holds it."""
        anvil = self.office.anvil
        signed = who.sign_transaction(
            {
                "type": 2,
                "chainId": anvil.chain_id,
                "nonce": anvil.nonce(who.address),
                "to": self.deployed["contract"],
                "value": value,
                "data": self.codec.call(function, *arguments),
                "gas": 500_000,
                "maxFeePerGas": 10**11,
                "maxPriorityFeePerGas": 10**9,
            }
        )
        tx_hash = anvil.rpc("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
        receipt: Any = None
        until = time.monotonic() + 20.0  # it mines in a thread of its own
        while receipt is None and time.monotonic() < until:
            receipt = anvil.rpc("eth_getTransactionReceipt", tx_hash)
        assert receipt is not None, function
        assert receipt["status"] == "0x1", function
        return int(receipt["blockNumber"], 16)

    def look(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        """What a command of the distribution agent tells, which needs no key."""
        self.office.capsys.readouterr()
        folder = ["--deployments", str(self.office.path / "deployments")]
        assert main([words[0], "--json", "--node", self.office.url, *folder, *words[1:]]) == 0
        return json.loads(self.office.capsys.readouterr().out)

    def report(self, who: LocalAccount, sequence: int, produced_wh: int, consumed_wh: int) -> Reading:
        reading = Reading(who.address, 1, sequence, int(time.time()) - 5, produced_wh, consumed_wh)
        self.send(who, "report", [reading.packed()])
        return reading


def pool_over(proxies: Sequence[RpcProxy], pin: ChainPin) -> NodePool:
    log = HeardEvents()
    nodes = [
        FullNode(
            name=f"n{place}",
            area=f"area-{place}",
            rpc=HttpRpc(proxy.url, timeout_s=5.0, log=log),
            pin=pin,
            monotonic=time.monotonic,
        )
        for place, proxy in enumerate(proxies)
    ]
    return NodePool(
        nodes,
        pin=pin,
        account=SELLER.address,
        area="area-0",
        market=load_market()[0],
        clock=time.monotonic,
        random=lambda: 0.5,
        log=log,
    )


@pytest.fixture
def street(office: Office) -> Iterator[Street]:
    prices = ["--service-cost", "1000", "--feed-in", "5000", "--retail", "9000"]
    code, deployed, said = office.run("deploy", "--reporting-period", "60", *prices)
    assert code == 0, said
    for number, wallet in enumerate((SELLER, BUYER)):
        request = office.request(deployed, wallet, serial=str(number))
        code, _, said = office.run("approve", str(request), "--fund", str(10**18))
        assert code == 0, said
    pin = ChainPin(deployed["chainId"], deployed["genesis"], deployed["contract"], deployed["codeHash"])
    with RpcProxy(office.anvil.address) as first, RpcProxy(office.anvil.address) as second:
        pool = pool_over([first, second], pin)
        logs = MarketLogs(load_artifact().abi, deployed["contract"])
        yield Street(office, deployed, load_market()[0], [first, second], pool, NodeEvents(pool, logs, agreement=2))
        pool.close()


@dataclass
class House:
    """One household's ledger over a journal file."""

    journal: Journal
    rows: MarketRows
    log: HeardEvents
    ledger: Ledger

    @classmethod
    def of(cls, street: Street, wallet: LocalAccount, folder: Path) -> House:
        journal, _ = open_journal(folder)
        rows, log, clock = MarketRows(journal), HeardEvents(), FakeClock()
        ledger = Ledger(
            nodes=street.events,
            rows=rows,
            journal=journal,
            start=Start(wallet.address, street.deployed["block"], DEPTH),
            clock=clock,
            events=EventLog(logger=log, rows=EventRows(journal), clock=clock),
        )
        return cls(journal, rows, log, ledger)

    def kept(self) -> list[MarketEvent]:
        return self.rows.events(0, 2**40)


def kinds(events: Sequence[MarketEvent]) -> list[type]:
    return [type(event) for event in events]


def trade_a_little(street: Street) -> tuple[Reading, Reading]:
    """Production becomes an order, part of it a trade, part of that is redeemed; another order is taken back."""
    sold, bought = street.report(SELLER, 1, 3000, 2100), street.report(BUYER, 1, 1000, 2900)
    expires_at = int(time.time()) + AN_HOUR
    street.send(SELLER, "offer", 1, 1500, 7000, expires_at)
    street.send(SELLER, "offer", 2, 100, 6000, expires_at)
    street.send(BUYER, "buy", SELLER.address, 1, 501, 7000, value=10**6)
    street.send(SELLER, "cancel", 2)
    street.send(BUYER, "redeem", 400)
    return sold, bought


def test_a_households_ledger_holds_its_own_final_events_and_its_prices(street: Street, tmp_path: Path) -> None:
    sold, bought = trade_a_little(street)
    (tmp_path / "seller").mkdir()
    seller = House.of(street, SELLER, tmp_path / "seller")
    seller.ledger.run_once()
    # The buyer's redemption and the cancellation are not deep enough yet.
    assert Cancelled not in kinds(seller.kept())
    street.office.anvil.mine(DEPTH)
    seller.ledger.run_once()
    kept = seller.kept()
    assert sorted(kinds(kept[:2]), key=str) == sorted([TariffSet, ServiceCostSet], key=str)
    assert kinds(kept[2:]) == [Enrolled, ReadingBooked, Offered, Offered, Traded, Cancelled]
    assert [event.reading for event in kept if isinstance(event, ReadingBooked)] == [sold]
    (traded,) = (event for event in kept if isinstance(event, Traded))
    trade = traded.trade
    # Both are rounded up: 501 Wh at 7000 and at 1000 wei for each kWh.
    assert (trade.id, trade.seller, trade.buyer, trade.number) == (1, SELLER.address, BUYER.address, 1)
    assert (trade.energy_wh, trade.price_wei, trade.service_cost_wei) == (501, 3507, 501)
    block: Any = street.office.anvil.rpc("eth_getBlockByNumber", hex(traded.place.block), False)
    assert traded.place.at == trade.at == int(block["timestamp"], 16)
    assert traded.place.tx_hash in block["transactions"]
    assert seller.log.names() == ["trade.concluded"]
    seller.journal.close()

    (tmp_path / "buyer").mkdir()
    buyer = House.of(street, BUYER, tmp_path / "buyer")
    buyer.ledger.run_once()
    assert kinds(buyer.kept()[2:]) == [Enrolled, ReadingBooked, Traded, Redeemed]
    assert [event.reading for event in buyer.kept() if isinstance(event, ReadingBooked)] == [bought]
    assert buyer.log.last("trade.concluded")["side"] == "bought"
    buyer.journal.close()


def test_a_reorganisation_above_the_depth_leaves_no_trace_and_a_deeper_one_is_read_anew(
    street: Street, tmp_path: Path
) -> None:
    anvil = street.office.anvil
    street.report(SELLER, 1, 3000, 2100)
    house = House.of(street, SELLER, tmp_path)
    anvil.mine(DEPTH)
    house.ledger.run_once()
    before = house.kept()
    street.send(SELLER, "offer", 1, 1500, 7000, int(time.time()) + AN_HOUR)
    house.ledger.run_once()
    anvil.reorganise(1)  # the offer is gone
    anvil.mine(DEPTH + 1)
    house.ledger.run_once()
    assert house.kept() == before
    assert house.log.names() == []

    street.send(SELLER, "offer", 1, 700, 7000, int(time.time()) + AN_HOUR)
    anvil.mine(DEPTH)
    house.ledger.run_once()
    assert house.kept()[:-1] == before
    anvil.reorganise(DEPTH + 2)
    anvil.mine(1)
    house.ledger.run_once()
    assert house.log.names() == ["ledger.rewritten"]
    house.ledger.run_once()
    assert house.kept() == before
    house.journal.close()


def test_a_node_that_hides_an_event_stops_the_ledger_until_it_tells_the_truth(street: Street, tmp_path: Path) -> None:
    trade_a_little(street)
    street.office.anvil.mine(DEPTH)
    street.proxies[1].rewrite(
        "eth_getLogs", lambda result, _params: result[:-1] if isinstance(result, list) else result
    )
    house = House.of(street, SELLER, tmp_path)
    house.ledger.run_once()
    assert (house.kept(), house.log.names()) == ([], ["ledger.disputed"])
    with pytest.raises(NodesDisagree):
        street.events.events(Wanted(ORDERS), 0, street.office.anvil.block_number())
    street.proxies[1].tell_truth()
    house.ledger.run_once()
    assert house.log.names() == ["ledger.disputed", "ledger.agreed", "trade.concluded"]
    house.journal.close()


def test_standing_orders_follow_the_chain(street: Street) -> None:
    trade_a_little(street)
    now = int(time.time())
    (order,) = street.events.open_orders(now)
    assert (order.seller, order.number, order.energy_wh, order.price) == (SELLER.address, 1, 999, 7000)
    assert street.events.open_orders(order.expires_at) == []
    street.send(BUYER, "buy", SELLER.address, 1, 999, 7000, value=10**6)
    assert street.events.standing_orders() == []


def test_the_distribution_agent_sees_orders_trades_and_who_built_the_blocks(street: Street) -> None:
    trade_a_little(street)
    told = street.look("trades")
    (order,) = told["orders"]
    assert (order["seller"], order["order"], order["energyWh"], order["priceWeiPerKWh"]) == (
        SELLER.address,
        1,
        999,
        7000,
    )
    (trade,) = told["trades"]
    assert (trade["contractId"], trade["seller"], trade["buyer"]) == (1, SELLER.address, BUYER.address)
    assert (trade["energyWh"], trade["priceWei"], trade["serviceCostWei"]) == (501, 3507, 501)

    stranger = Wallet.from_key("0x" + "09" * 32).address
    assert street.look("trades", "--household", stranger)["trades"] == []
    assert len(street.look("trades", "--area", "tehran-03")["trades"]) == 1
    assert street.look("trades", "--area", "elsewhere")["trades"] == []
    assert street.look("trades", "--since", str(trade["time"] + 1))["trades"] == []
    assert len(street.look("trades", "--until", str(trade["time"]))["trades"]) == 1
    assert "trades" not in street.look("trades", "--open")

    told = street.look("consensus", "--blocks", "5")
    head = street.office.anvil.block_number()
    assert (told["blocks"], told["firstBlock"], told["lastBlock"]) == (5, head - 4, head)
    (producer,) = told["producers"]
    assert (producer["blocks"], producer["sharePercent"], producer["missedTurns"]) == (5, 100.0, None)
    assert told["rotation"] == "one producer"
    assert "not proven" in told["producerIs"]
    assert len(street.look("consensus")["newest"]) == 10


def test_what_blocks_and_state_prove_of_the_real_contract_is_what_its_nodes_tell(
    street: Street, tmp_path: Path
) -> None:
    trade_a_little(street)
    street.office.anvil.mine(DEPTH)
    house = House.of(street, SELLER, tmp_path)
    house.ledger.run_once()
    source, logs = street.pool.sources()[0], MarketLogs(load_artifact().abi, street.deployed["contract"])
    pin = ChainPin(*(street.deployed[name] for name in ("chainId", "genesis", "contract", "codeHash")))
    genesis = PinnedPlace(0, bytes.fromhex(pin.genesis_hash[2:]), ())
    pins = Pins(pin, Rules(Consensus.UNSEALED), genesis, slot_layout())
    questions = Questions(source, Consensus.UNSEALED)

    proven: list[MarketEvent] = []
    for block in sorted({event.place.block for event in house.kept()}):
        header = questions.header(block)
        for one in building.carried(questions, header, block_hash(header, Consensus.UNSEALED)):
            for index, log in enumerate(one.receipt.logs, one.first_log):
                event = logs.event_of(Place(block, index, one.tx_hash, header.timestamp), log.topics, log.data)
                if event is not None and (not concerned(event) or SELLER.address in concerned(event)):
                    proven.append(event)
    assert proven == house.kept()

    newest = questions.header(questions.newest())
    keys = [order_layout().key(bytes.fromhex(SELLER.address[2:]), number) for number in (1, 2, 3)]
    found = building.orders(questions, pins, order_layout(), newest, keys)
    assert [found[key] for key in keys] == [OrderWord(1, 999), OrderWord(2, 0), OrderWord(0, 0)]
    kept = own_orders(house.kept(), SELLER.address)
    assert {number: one.left_wh for number, one in kept.items()} == {1: 999, 2: 0}
    house.journal.close()
