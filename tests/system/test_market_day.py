"""A day at the market, from enrolment to both invoices: two households with an agent each, and an operator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulators.collector import Collector
from simulators.demo.scenes import PRICES
from simulators.ground import Ground
from simulators.household import Site
from simulators.invoices import compared, issue
from simulators.ledger import Sale
from simulators.load import Load
from simulators.meters import Wiring
from simulators.process import StartError
from simulators.rig import AREA, Rig, Scene, stop_agent
from tests.system.agreement import assert_agreement, come_to_rest, wait_for_log

pytestmark = [pytest.mark.integration, pytest.mark.slow]

UNIT = 10**18
# Nobody's account: what it holds, it was paid by trades.
TREASURY = "0x000000000000000000000000000000000000bEEF"
OFFERED_WH, BOUGHT_WH, PRICE = 300, 101, 12_345_678_901_234_567


@dataclass
class Street:
    """Two households on one market, and who listens to each."""

    ground: Ground
    seller: Rig
    buyer: Rig
    collectors: dict[str, Collector]

    def wait_until(self, holds: Callable[[], bool], what: str, *, within_s: float = 60.0) -> None:
        """Wait for something on the chain."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not come within {within_s:g} s"
            time.sleep(0.2)

    def balance(self, account: str, block: int) -> int:
        """Money of an account after a block, wei."""
        return int(str(self.ground.chain.rpc("eth_getBalance", account, hex(block))), 16)

    def fees(self, account: str, block: int) -> int:
        """What an account paid for gas in a block, wei."""
        found: Any = self.ground.chain.rpc("eth_getBlockByNumber", hex(block), True)
        hashes = [tx["hash"] for tx in found["transactions"] if tx["from"].lower() == account.lower()]
        receipts: list[Any] = [self.ground.chain.rpc("eth_getTransactionReceipt", tx_hash) for tx_hash in hashes]
        return sum(int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) for receipt in receipts)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with ExitStack() as stack:
        ground = stack.enter_context(Ground(tmp_path / "market", prices=PRICES))
        ground.operator("parameters", *ground.operator_options, "--service-cost-receiver", TREASURY)
        sunny = Scene(directory=tmp_path / "seller", wiring=Wiring.TCP)
        shade = Site(panel_w=150.0, load=Load(base_w=800.0))
        shady = Scene(directory=tmp_path / "buyer", wiring=Wiring.TCP, seed=2, site=shade)
        seller, buyer = (stack.enter_context(Rig(scene, ground)) for scene in (sunny, shady))
        collectors = {
            rig.household: stack.enter_context(Collector(ground.broker.address, AREA, rig.household))
            for rig in (seller, buyer)
        }
        for rig in (seller, buyer):
            stack.callback(stop_agent, rig.start_agent())
            wait_for_log(rig, "transaction.final", 2, within_s=60)
        yield Street(ground, seller, buyer, collectors)


def test_from_enrolment_to_both_invoices(street: Street) -> None:
    ground, seller, buyer, ledger = street.ground, street.seller, street.buyer, street.ground.ledger
    street.wait_until(lambda: ledger.standing(seller.household).tokens_wh >= OFFERED_WH, "tokens for what was produced")

    # An order: the energy is in escrow.
    offered = _told(seller, "sell", "--energy", "0.3", "--price", _price(PRICE))
    assert offered["state"] == "final"
    number = offered["plan"]["call"]["number"]
    assert ledger.escrow_wh() == OFFERED_WH
    listed = json.loads(buyer.agent("orders", "--json"))
    assert [(one["seller"], one["number"]) for one in listed["others"]] == [(seller.household, number)]

    # A part of it is bought: seller, distribution company and buyer get what is theirs in one transaction.
    bought = _told(buyer, "buy", f"{seller.household}/{number}", "--energy", "0.101")
    assert bought["state"] == "final"
    (sale,) = ledger.sales()
    assert (sale.seller, sale.buyer, sale.order) == (seller.household, buyer.household, number)
    assert (sale.trade, sale.energy_wh) == (1, BOUGHT_WH)
    assert sale.price_wei == -(-BOUGHT_WH * PRICE // 1000)
    assert sale.service_cost_wei == BOUGHT_WH * PRICES.service_cost // 1000
    _assert_paid(street, sale, int(bought["block"]))
    assert ledger.escrow_wh() == OFFERED_WH - BOUGHT_WH

    # The buyer redeems what it bought, and the rest of the order comes back to the seller.
    assert _told(buyer, "redeem", "--energy", "0.101")["state"] == "final"
    assert ledger.burned_wh(buyer.household) == BOUGHT_WH
    assert _told(seller, "sell", "--cancel", str(number))["state"] == "final"
    assert ledger.escrow_wh() == 0
    held = sum(ledger.standing(rig.household).tokens_wh for rig in (seller, buyer))
    assert held <= ledger.supply_wh()

    # What was refused before anything was signed.
    for words, said in (
        (("buy", f"{seller.household}/{number}"), "order"),
        (("sell", "--energy", "9999", "--price", _price(PRICE)), "kWh"),
        (("sell", "--energy", "0.1", "--price", "5"), "tariff"),
    ):
        _refused(buyer, words, said)

    # Both sides' invoices, of everything up to a block that both agents have read.
    rigs = {"seller": seller, "buyer": buyer}
    street.wait_until(lambda: all(_knows_trade(rig) for rig in rigs.values()), "the trade in both journals")
    for name, file in issue(ground, rigs).items():
        issued = json.loads(file.read_text(encoding="utf-8"))
        told = compared(rigs[name], file)
        assert told["agrees"], told["differences"]
        (line,) = issued["sold" if name == "seller" else "bought"]
        assert (int(line["id"]), line["energyWh"]) == (1, BOUGHT_WH)
        assert (int(line["priceWei"]), int(line["serviceCostWei"])) == (sale.price_wei, sale.service_cost_wei)
        redeemed = sum(one["energyWh"] for one in issued["redemptions"])
        assert redeemed == (BOUGHT_WH if name == "buyer" else 0)
        assert 0 < issued["producedWh"] <= ledger.minted_wh(rigs[name].household)
        due = sum(int(one["amountWei"]) for one in issued["consumption"])
        due -= sum(int(one["amountWei"]) for one in issued["redemptions"])
        assert int(issued["totals"]["dueWei"]) == due

    # And the main job went on all the time.
    for rig in (seller, buyer):
        collector = street.collectors[rig.household]
        readings = come_to_rest(rig, collector, within_s=60)
        assert_agreement(rig, collector, readings)


def _assert_paid(street: Street, sale: Sale, block: int) -> None:
    """The seller has the price and the company the service cost after that block, and the market itself nothing."""
    seller = street.seller.household
    gained = street.balance(seller, block) - street.balance(seller, block - 1) + street.fees(seller, block)
    assert gained == sale.price_wei
    assert street.balance(TREASURY, block - 1) == 0
    assert street.balance(TREASURY, block) == sale.service_cost_wei
    assert street.balance(street.ground.contract, block) == 0


def _told(rig: Rig, *words: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(rig.agent(*words, "--yes", "--wait", "--json"))
    return told


def _price(wei_per_kwh: int) -> str:
    return f"{wei_per_kwh // UNIT}.{wei_per_kwh % UNIT:018d}"


def _refused(rig: Rig, words: tuple[str, ...], said: str) -> None:
    """Refused with a reason, and nothing of it is in the outbox."""
    before = rig.agent("orders", "--mine", "--json")
    with pytest.raises(StartError, match=said):
        rig.agent(*words, "--yes")
    assert rig.agent("orders", "--mine", "--json") == before


def _knows_trade(rig: Rig) -> bool:
    told = json.loads(rig.agent("invoice", "--json"))
    return bool(told["sold"] or told["bought"])
