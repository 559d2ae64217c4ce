"""Two households on a real chain with the real contract: sell, buy a part, take the rest back, redeem.

Orders are asked for with the commands themselves, beside an agent's stages that sign and send them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_account.signers.local import LocalAccount

from agent.cli.main import main
from agent.domain.outbox import Kind, State
from tests.integration.test_operator_commands import HOUSEHOLD, Office, office
from tests.integration.trading_house import House, moved_in

__all__ = ["office"]

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

BUYER: LocalAccount = Wallet.from_key("0x" + "08" * 32)


@dataclass
class Street:
    """Both households, and the commands."""

    seller: House
    buyer: House
    office: Office
    capsys: pytest.CaptureFixture[str]

    def turns(self, house: House, count: int = 4) -> None:
        """The agent has its turns, and the chain a block after each."""
        for _ in range(count):
            house.submit.run_once()
            self.office.anvil.mine()
            house.confirm.run_once()

    def asks(self, house: House, *words: str) -> tuple[int, Any, str]:
        """Exit code, the JSON told, and what went to standard error."""
        self.capsys.readouterr()
        code = main(["--config", str(house.file), *words, "--json"])
        told = self.capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err


@pytest.fixture
def street(office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Street]:
    parameters = ("--feed-in", "1000", "--retail", "9000", "--service-cost", "500", "--settlement-decimals", "3")
    deployed = office.run("deploy", "--settlement-symbol", "TOM", *parameters)[1]
    for wallet, serial in ((HOUSEHOLD, "1"), (BUYER, "2")):
        request = office.request(deployed, wallet, serial)
        assert office.run("approve", str(request), "--fund", str(10**18))[0] == 0
    wallets = (("s", HOUSEHOLD), ("b", BUYER))
    houses = [House(moved_in(tmp_path / name, office.url, deployed, wallet)) for name, wallet in wallets]
    made = Street(houses[0], houses[1], office, capsys)
    for house in houses:
        house.reports(1, 2_500, 3_000)
        made.turns(house)
    yield made
    for house in houses:
        house.close()


def test_sell_buy_a_part_take_the_rest_back_and_redeem(street: Street, office: Office) -> None:
    seller, buyer = street.seller, street.buyer
    assert (seller.nodes.household().tokens_wh, buyer.nodes.household().tokens_wh) == (1_500, 1_500)

    sell = ("sell", "--energy", "1.2", "--price", "4.321")
    code, dry, _ = street.asks(seller, *sell, "--dry-run")
    assert (code, dry["unproven"], dry["queued"], seller.outbox.newest_id()) == (0, True, False, 2)
    code, sold, _ = street.asks(seller, *sell, "--yes")
    assert (code, sold["queued"], sold["agentRuns"]) == (0, True, True)
    number = sold["plan"]["call"]["number"]
    code, waits, _ = street.asks(seller, "orders", "--mine")
    assert [(one["order"]["number"], one["state"]) for one in waits["own"]] == [(number, "queued")]
    street.turns(seller)
    code, book, _ = street.asks(buyer, "orders")
    assert [(order["seller"], order["number"], order["energyWh"], order["price"]) for order in book["others"]] == [
        (HOUSEHOLD.address, number, 1_200, 4_321)
    ]
    assert book["settlement"]["symbol"] == "TOM"

    before = seller.nodes.balance()
    code, bought, _ = street.asks(buyer, "buy", f"{HOUSEHOLD.address}/{number}", "--energy", "0.5", "--yes")
    assert (code, bought["plan"]["cost"]) == (0, {"priceWei": 2_161, "serviceCostWei": 250})
    street.turns(buyer)
    assert buyer.nodes.household().tokens_wh == 2_000
    assert seller.nodes.balance() - before == 2_161
    assert street.asks(buyer, "orders")[1]["others"][0]["energyWh"] == 700

    code, back, _ = street.asks(seller, "sell", "--cancel", str(number), "--yes")
    assert (code, back["plan"]["energyWh"]) == (0, 700)
    street.turns(seller)
    code, wallet, _ = street.asks(seller, "wallet")
    assert (wallet["tokensWh"], wallet["escrowWh"], wallet["redeemableWh"]) == (1_000, 0, 1_000)

    code, burned, _ = street.asks(seller, "redeem", "--all", "--yes")
    assert (code, burned["plan"]["energyWh"]) == (0, 1_000)
    street.turns(seller)
    code, wallet, _ = street.asks(seller, "wallet")
    assert (wallet["tokensWh"], wallet["redeemableWh"]) == (0, 0)
    for house in (seller, buyer):
        assert house.outbox.open_entries() == []
        assert [entry.state for kind in Kind for entry in house.outbox.newest(kind, 9)].count(State.FINAL) == (
            house.outbox.newest_id()
        )
    # Limits far above what was used.
    for kind in (Kind.OFFER, Kind.CANCEL, Kind.BUY, Kind.REDEEM):
        for entry in (*seller.outbox.newest(kind, 1), *buyer.outbox.newest(kind, 1)):
            receipt = office.anvil.rpc("eth_getTransactionReceipt", entry.attempts[-1].tx_hash)
            assert int(receipt["gasUsed"], 16) * 2 < entry.gas


def test_what_cannot_be_is_refused_before_anything_is_queued(street: Street, office: Office) -> None:
    seller, buyer = street.seller, street.buyer
    code, sold, _ = street.asks(seller, "sell", "--energy", "1", "--price", "4", "--expires-in", "90min", "--yes")
    assert code == 0
    street.turns(seller)
    order = f"{HOUSEHOLD.address}/{sold['plan']['call']['number']}"
    rows = buyer.outbox.newest_id(), seller.outbox.newest_id()
    for house, words, told in (
        (seller, ("sell", "--energy", "0.501", "--price", "4"), "holds 0.500 kWh"),
        (seller, ("sell", "--energy", "0.1", "--price", "9.001"), "retail tariff"),
        (seller, ("buy", order), "is your own"),
        (buyer, ("buy", order, "--energy", "1.001"), "1.000 kWh left"),
        (buyer, ("buy", order, "--most-price", "3.999"), "more than your 3.999 TOM/kWh"),
        (buyer, ("buy", f"{HOUSEHOLD.address}/5"), "does not exist"),
        (buyer, ("redeem", "--energy", "1.001"), "of your consumption"),
        (buyer, ("sell", "--cancel", "5"), "no order 5"),
    ):
        code, _, says = street.asks(house, *words, "--yes")
        assert (code, told in says) == (1, True), says
    assert (buyer.outbox.newest_id(), seller.outbox.newest_id()) == rows
    office.run("parameters", "--pause")
    code, _, says = street.asks(buyer, "buy", order, "--yes")
    assert (code, "paused" in says) == (1, True)
    office.run("parameters", "--resume")
    office.anvil.set_balance(BUYER.address, 10**9)
    code, _, says = street.asks(buyer, "buy", order, "--yes")
    assert (code, "send funds" in says) == (1, True)


def test_an_order_that_is_gone_when_the_agent_has_its_turn_costs_nothing(street: Street) -> None:
    seller, buyer = street.seller, street.buyer
    sold = street.asks(seller, "sell", "--energy", "1", "--price", "4", "--yes")[1]
    street.turns(seller)
    order = f"{HOUSEHOLD.address}/{sold['plan']['call']['number']}"
    assert street.asks(buyer, "buy", order, "--yes")[0] == 0
    # The seller takes it back before the buyer's agent has its turn.
    assert street.asks(seller, "sell", "--cancel", order.split("/")[1], "--yes")[0] == 0
    street.turns(seller)
    street.turns(buyer)

    (bought,) = buyer.outbox.newest(Kind.BUY, 1)
    assert (bought.state, bought.nonce) == (State.REFUSED, None)
    assert "sold or was taken back" in buyer.outbox.why(bought.id)
    assert buyer.events.last("transaction.refused")["order"] == order
    # Readings go on.
    buyer.reports(2, 2_501, 3_001)
    street.turns(buyer)
    assert buyer.nodes.household().sequence == 2


def test_without_an_agent_the_order_waits(street: Street) -> None:
    house = street.seller
    assert house.hold is not None
    house.hold.close()
    house.hold = None

    code, told, says = street.asks(house, "sell", "--energy", "1", "--price", "4", "--yes")
    assert (code, told["queued"], told["agentRuns"]) == (0, True, False)
    assert "waits until it does" in says
    (offer,) = house.outbox.newest(Kind.OFFER, 1)
    assert offer.state is State.QUEUED
