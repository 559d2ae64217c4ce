"""FAULTS 2, trading: a kill -9 at each named point of offer, buy, redeem and cancel (I1, I3).

Real processes, a real journal on the disk, a real chain. Whatever the point, the order takes effect exactly once:
nothing is spent twice, and nothing is lost.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account as Wallet

from agent.adapters.journal import open_journal
from agent.adapters.node_pool import NodePool
from agent.adapters.outbox_rows import OutboxRows
from agent.cli.main import main
from agent.compose import parts, trading
from agent.configuration import load
from agent.domain.market_calls import BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.market_events import Cancelled, MarketEvent, Offered, Redeemed, Traded, Wanted
from agent.domain.outbox import Kind, State
from agent.stages.desk import Desk
from tests.fakes.world import HeardEvents
from tests.integration.test_operator_commands import HOUSEHOLD, Office, office
from tests.integration.trading_house import House, moved_in
from tests.system.trading_child import POINTS

__all__ = ["office"]

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BUYER = Wallet.from_key("0x" + "08" * 32)
ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
WH = 10
HAPPENED = frozenset({Offered, Cancelled, Traded, Redeemed})


class Blocks:
    """The chain goes on by itself while the test looks at something else."""

    def __init__(self, office: Office) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._mine, args=(office,), daemon=True)
        self._thread.start()

    def _mine(self, office: Office) -> None:
        while not self._over.wait(0.1):
            office.anvil.mine()

    def stop(self) -> None:
        """The chain stands still again."""
        self._over.set()
        self._thread.join()


@pytest.fixture
def files(office: Office, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    deployed = office.run("deploy", "--feed-in", "1000", "--retail", "9000", "--service-cost", "500")[1]
    found = []
    for name, wallet, serial in (("seller", HOUSEHOLD, "1"), ("buyer", BUYER, "2")):
        request = office.request(deployed, wallet, serial)
        assert office.run("approve", str(request), "--fund", str(10**18))[0] == 0
        found.append(moved_in(tmp_path / name, office.url, deployed, wallet))
        house = House(found[-1])
        house.reports(1, 2_500, 3_000)
        house.close()
    blocks = Blocks(office)
    for file in found:
        assert child(file, "none", "none") == 0
    yield found[0], found[1]
    blocks.stop()


def child(file: Path, key: str, point: str) -> int:
    """An agent that dies at a point, or takes everything to its end; its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "tests.system.trading_child", str(file), key, point],
        cwd=ROOT,
        timeout=PATIENCE_S,
        check=False,
    ).returncode


def asked(file: Path, *words: str) -> str:
    """Ask by the command itself; returns the entry's key."""
    assert main(["--config", str(file), *words, "--yes", "--json"]) == 0
    journal, _ = open_journal(load(file, {}).journal.directory)
    outbox = OutboxRows(journal)
    key = max((entry for kind in Kind for entry in outbox.newest(kind, 1)), key=lambda entry: entry.id).key
    journal.close()
    return key


def happened(file: Path) -> list[MarketEvent]:
    """What the chain says has happened to orders."""
    configuration = load(file, {})
    nodes: NodePool = parts.open_nodes(configuration, HeardEvents())
    try:
        reader = parts.open_market_events(configuration, nodes)
        return reader.events(Wanted(HAPPENED), 0, reader.agreed_head())
    finally:
        nodes.close()


def calls(file: Path) -> list[tuple[MarketCall | None, State]]:
    """Every order of a journal, and what has become of it."""
    configuration = load(file, {})
    house = House(file)
    found = [
        (house.market.understood(entry.data), entry.state)
        for kind in (Kind.OFFER, Kind.CANCEL, Kind.BUY, Kind.REDEEM)
        for entry in house.outbox.newest(kind, 100)
    ]
    house.close()
    assert configuration.household.account == house.account
    return found


def done(event: MarketEvent) -> MarketCall:
    """The call that made an event."""
    match event:
        case Offered(order=order):
            return OfferCall(order.number, order.energy_wh, order.price, order.expires_at)
        case Cancelled(number=number):
            return CancelCall(number)
        case Traded(trade=trade):
            return BuyCall(trade.seller, trade.number, trade.energy_wh, trade.price_wei * 1_000 // trade.energy_wh)
        case Redeemed(energy_wh=energy_wh):
            return RedeemCall(energy_wh)
        case _:
            raise AssertionError(event)


def test_an_order_that_is_killed_at_any_point_takes_effect_exactly_once(files: tuple[Path, Path]) -> None:
    seller, buyer = files
    stock = asked(seller, "sell", "--energy", "1", "--price", "0.000000000000004")
    assert child(seller, stock, "none") == 0
    order = f"{HOUSEHOLD.address}/{stock.split(':')[1]}"

    killed = Counter[str]()
    for point in POINTS:
        offer = asked(seller, "sell", "--energy", "0.01", "--price", "0.000000000000005")
        assert child(seller, offer, point) == -signal.SIGKILL, point
        bought = asked(buyer, "buy", order, "--energy", "0.01")
        assert child(buyer, bought, point) == -signal.SIGKILL, point
        burned = asked(buyer, "redeem", "--energy", "0.01")
        assert child(buyer, burned, point) == -signal.SIGKILL, point
        # What was left over by the kill comes to its end, and the order can be taken back.
        assert child(seller, "none", "none") == 0, point
        back = asked(seller, "sell", "--cancel", offer.split(":")[1])
        assert child(seller, back, point) == -signal.SIGKILL, point
        killed[point] += 4
    for file in files:
        assert child(file, "none", "none") == 0

    ours = [found for file in files for found in calls(file)]
    assert {state for _, state in ours} == {State.FINAL}
    assert Counter(call for call, _ in ours) == Counter(done(event) for event in happened(seller))
    assert len(ours) == 4 * len(POINTS) + 1
    house = House(buyer)
    state, left = house.nodes.household(), house.nodes.order(HOUSEHOLD.address, int(order.split("/")[1]))
    # 1,500 Wh were produced; as much was bought as was burned.
    assert (state.tokens_wh, house.nodes.redeemable()) == (1_500, 1_000 - WH * len(POINTS))
    assert left.energy_wh == 1_000 - WH * len(POINTS)
    house.close()
    print(f"{sum(killed.values())} kills at {len(POINTS)} points, each order on the chain exactly once")


def test_a_command_that_is_killed_before_its_commit_has_queued_nothing(files: tuple[Path, Path]) -> None:
    seller, _ = files
    script = (
        "import os, sys; from agent.adapters.outbox_rows import OutboxRows; from agent.cli.main import main;"
        "queue = OutboxRows.queue;"
        "OutboxRows.queue = lambda *words: (queue(*words), os.kill(os.getpid(), 9));"
        "main(sys.argv[1:])"
    )
    words = ["--config", str(seller), "sell", "--energy", "0.01", "--price", "0.000000000000005", "--yes"]
    killed = subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, timeout=PATIENCE_S, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert calls(seller) == []

    room = trading.open_trading(load(seller, {}))
    desk: Desk = room.desk
    assert desk.wallet().spoken.tokens_wh == 0
    room.close()
    assert child(seller, asked(seller, *words[2:-1]), "none") == 0
    assert [state for _, state in calls(seller)] == [State.FINAL]
