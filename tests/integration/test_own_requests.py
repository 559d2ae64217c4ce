"""What the full nodes learn of a household: nothing but its own, and that it reads the order list.

The household's agent, wired as the daemon is, and its commands, behind a proxy that notes every request.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_account.signers.local import LocalAccount

from agent.adapters.journal import FILE_NAME, Journal, open_journal
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.cli.main import main
from agent.compose.daemon import build
from agent.configuration import load
from agent.daemon import Daemon
from agent.domain.outbox import Kind, State
from agent.domain.readings import ClosedReading, Flags
from contracts import load_artifact
from simulators.proxy import RpcProxy
from tests.fakes.eavesdropper import Eavesdropper
from tests.integration.test_nodes_pool import Diary
from tests.integration.test_operator_commands import HOUSEHOLD, Office, office
from tests.integration.trading_house import House, moved_in

__all__ = ["office"]

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

BUYER: LocalAccount = Wallet.from_key("0x" + "08" * 32)
PERIOD_S = 60
RULE = """
[rule]
enabled = true
buy = true
buy_at_most_wei_per_kwh = 8000
buy_day_most_wei = 1000000
reserve_wei = 1000
"""


class Neighbourhood:
    """A neighbour, to whom nobody listens, and a household behind a proxy."""

    def __init__(self, office: Office, node: RpcProxy, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.office, self.node, self.capsys = office, node, capsys
        parameters = ("--feed-in", "1000", "--retail", "9000", "--service-cost", "500", "--settlement-decimals", "3")
        self.deployed = office.run("deploy", "--reporting-period", str(PERIOD_S), *parameters)[1]
        for wallet, serial in ((HOUSEHOLD, "1"), (BUYER, "2")):
            request = office.request(self.deployed, wallet, serial)
            assert office.run("approve", str(request), "--fund", str(10**18))[0] == 0
        self.neighbour = House(moved_in(folder / "neighbour", office.url, self.deployed, HOUSEHOLD))
        self.file = moved_in(folder / "household", node.url, self.deployed, BUYER)
        self.file.write_text(self.file.read_text(encoding="utf-8") + RULE, encoding="utf-8")

    def command(self, file: Path, *words: str) -> Any:  # noqa: ANN401 - JSON
        self.capsys.readouterr()
        code = main(["--config", str(file), *words, "--json"])
        told = self.capsys.readouterr()
        assert code == 0, told.err
        return json.loads(told.out)

    def neighbour_offers(self, *energies: str) -> set[tuple[str, int]]:
        self.neighbour.reports(1, 2_500, 3_000)
        offers = set()
        for energy in ("", *energies):
            if energy:
                sold = self.command(self.neighbour.file, "sell", "--energy", energy, "--price", "4", "--yes")
                offers.add((HOUSEHOLD.address, int(sold["plan"]["call"]["number"])))
            for _ in range(4):
                self.neighbour.submit.run_once()
                self.office.anvil.mine()
                self.neighbour.confirm.run_once()
        return offers


def turns(daemon: Daemon, office: Office, count: int = 4) -> None:
    """Every loop that asks a full node has its turns, a block after each."""
    for _ in range(count):
        for name in ("follow", "seal", "submit", "confirm", "trade", "ledger"):
            daemon._schedule._loops[name].turn()
        office.anvil.mine()


def test_every_request_is_about_the_household_itself_or_an_order_of_the_list(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent.adapters.node_pool._GLANCE_S", 0.0)  # turns follow each other at once here
    with RpcProxy(office.anvil.address) as node, ExitStack() as undo:
        there = Neighbourhood(office, node, tmp_path, capsys)
        undo.callback(there.neighbour.close)
        offers = there.neighbour_offers("0.8", "0.7")

        # Readings of two intervals wait: what the second one consumed is what the rule buys for.
        journal, _ = open_journal(tmp_path / "household" / "state")
        end = int(time.time()) // PERIOD_S * PERIOD_S
        for back, registers in ((1, (1_500, 3_000)), (0, (1_550, 3_100))):
            at = end - back * PERIOD_S
            ReadingRows(journal, BUYER.address).close(ClosedReading(at, PERIOD_S, 1, at, *registers, Flags.NONE))
        journal.close()

        daemon = build(load(there.file, {}), logger=Diary(), environ={}, may_reload=lambda: None)
        undo.callback(lambda: [closer("the test is over") for closer in daemon._closers])
        turns(daemon, office, 8)
        (seller, number), *_ = sorted(offers)
        household = there.file
        there.command(household, "sell", "--energy", "0.1", "--price", "5", "--yes")
        turns(daemon, office)
        own = there.command(household, "orders", "--mine")["own"][0]["order"]["number"]
        there.command(household, "sell", "--cancel", str(own), "--yes")
        there.command(household, "buy", f"{seller}/{number}", "--energy", "0.2", "--yes")
        turns(daemon, office)
        there.command(household, "redeem", "--all", "--yes")
        turns(daemon, office)
        for words in (("wallet",), ("orders",), ("orders", "--explain"), ("status",), ("readings",)):
            there.command(household, *words)
        for word in ("check", "invoice"):  # there is no meter, and a reading is older than the market; both ask before
            main(["--config", str(household), word])

        outbox = OutboxRows(Journal(tmp_path / "household" / "state" / FILE_NAME, read_only=True))
        done = {kind: [entry.state for entry in outbox.newest(kind, 9)] for kind in Kind}
        assert {kind for kind, states in done.items() if State.FINAL in states} >= {
            Kind.REPORT, Kind.OFFER, Kind.CANCEL, Kind.BUY, Kind.REDEEM,
        }, done  # fmt: skip
        assert len(done[Kind.BUY]) == 2, "the rule's, and the command's"

        eavesdropper = Eavesdropper(BUYER.address, there.deployed["contract"], load_artifact().abi, offers)
        requests = node.calls()
        assert eavesdropper.strange(requests) == []
        assert len(requests) > 500
        assert set(eavesdropper.heard) >= {
            "sent", "logs", "report", "offer", "cancel", "buy", "redeem", "household", "parameters", "order",
        }  # fmt: skip
