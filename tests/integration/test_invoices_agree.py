"""The operator's invoices and the households' own, from the same chain by two ways: not a byte differs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_account.signers.local import LocalAccount

from agent.adapters.calendars import month, time_zone
from agent.adapters.clock import SystemClock
from agent.adapters.deployments import load_market
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.market_rows import MarketRows
from agent.cli.main import main
from agent.compose import parts
from agent.configuration import load
from agent.domain.orders import money_for
from agent.domain.readings import Flags, Reading
from agent.operator.__main__ import main as operate
from agent.stages.ledger import Ledger, Start
from simulators.chain import Anvil
from tests.fakes.keystores import quick_keystore
from tests.integration.test_operator_commands import HOUSEHOLD, SARA, Office

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

NEIGHBOUR: LocalAccount = Wallet.from_key("0x" + "08" * 32)
TEHRAN = time_zone("Asia/Tehran")
ABAN = month("1405-08", TEHRAN)
MARKET, _ = load_market()
# No multiple of 1,000, so that fractions of a wei are met.
OLD, NEW = 2_000_000_000_000_007, 3_000_000_000_000_001
SERVICE = 111_111_111
DAY = 86_400


class Quiet:
    """A log that nobody reads."""

    def info(self, event: str, **facts: object) -> None: ...

    warning = error = kept = info


@dataclass
class House:
    """A household on the chain and its files."""

    office: Office
    contract: str
    wallet: LocalAccount
    folder: Path
    registers: list[int] = field(default_factory=lambda: [1000, 2000])
    epoch: int = 1
    sequence: int = 0

    def send(self, at: int, function: str, *arguments: object, value: int = 0) -> None:
        """A transaction in a block of that time."""
        anvil = self.office.anvil
        anvil.set_next_timestamp(at)
        call = {"from": self.wallet.address, "to": self.contract, "value": hex(value), "gas": hex(600_000)}
        sent = anvil.rpc("eth_sendTransaction", {**call, "data": "0x" + MARKET.call(function, *arguments).hex()})
        deadline = time.monotonic() + 20
        while not isinstance(receipt := anvil.rpc("eth_getTransactionReceipt", sent), dict):
            assert time.monotonic() < deadline, f"{function} was not mined"
            time.sleep(0.05)
        assert receipt["status"] == "0x1", function

    def report(self, at: int, produced: int, consumed: int, flags: Flags = Flags.NONE) -> None:
        """A reading, taken at a time and booked some seconds later."""
        self.registers = [self.registers[0] + produced, self.registers[1] + consumed]
        self.sequence += 1
        taken = Reading(self.wallet.address, self.epoch, self.sequence, at, *self.registers, flags)
        self.send(at + 7, "report", [taken.packed()])

    def follow(self) -> None:
        """The agent's ledger reads all that is final."""
        configuration = load(self.folder / "agent.toml", {})
        journal = Journal(self.folder / FILE_NAME)
        journal.migrate()
        nodes = parts.open_nodes(configuration, Quiet())
        ledger = Ledger(
            nodes=parts.open_market_events(configuration, nodes),
            rows=MarketRows(journal),
            journal=journal,
            start=Start(self.wallet.address, 0, 0),
            clock=SystemClock(require_synchronised=False, step_tolerance_s=2.0),
            events=Quiet(),
        )
        while ledger.run_once():
            pass
        nodes.close()
        journal.close()

    def invoice(self, *words: str) -> tuple[int, str, str]:
        """What the household's own command says."""
        self.office.capsys.readouterr()
        code = main(["--config", str(self.folder / "agent.toml"), "invoice", *words])
        told = self.office.capsys.readouterr()
        return code, told.out, told.err


@dataclass
class Story:
    """A company and two of its households."""

    office: Office
    first: House
    second: House


@pytest.fixture
def story(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    # Commands run in this process here, which has to stay as open as it was for the tests after it.
    monkeypatch.setattr("agent.operator.requests.close_process", lambda: True)
    folder = tmp_path / "office"
    folder.mkdir(mode=0o700)
    (folder / "passphrase").write_text("a passphrase\n")
    (folder / "passphrase").chmod(0o600)
    key = Wallet.create()
    quick_keystore(folder / "key.json", key.key, "a passphrase")
    began = ABAN.first - 10 * DAY
    with Anvil(genesis_epoch=began) as anvil:
        office = Office(anvil, anvil.url, folder, key.address, capsys, [])
        wallets = (HOUSEHOLD, NEIGHBOUR)
        for account in (key.address, *(wallet.address for wallet in wallets)):
            anvil.set_balance(account, 10**21)
        band = ["--feed-in", "1", "--retail", str(OLD), "--service-cost", str(SERVICE)]
        deployed = office.run("deploy", *band)[1]
        age = int(time.time()) - began
        houses = []
        for number, wallet in enumerate(wallets):
            request = office.request(deployed, wallet, serial=str(number), age_s=age)
            assert office.run("approve", str(request), "--max-age", str(10 * DAY))[0] == 0
            anvil.rpc("anvil_impersonateAccount", wallet.address)
            house = House(office, deployed["contract"], wallet, tmp_path / wallet.address)
            house.folder.mkdir(mode=0o700)
            (house.folder / "agent.toml").write_text(_configuration(anvil.url, deployed, house))
            houses.append(house)
        yield Story(office, *houses)


def _configuration(url: str, deployed: dict[str, Any], house: House) -> str:
    return f"""
[household]
account = "{house.wallet.address}"
area = "tehran-03"
rated_power_w = 8000
[meters.production]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:1"
[meters.consumption]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:2"
[chain]
id = {deployed["chainId"]}
genesis = "{deployed["genesis"]}"
contract = "{deployed["contract"]}"
code_hash = "{deployed["codeHash"]}"
depth = 0
unproven = true
[[chain.nodes]]
url = "{url}"
area = "tehran-03"
[journal]
directory = "{house.folder}"
[invoice]
time_zone = "Asia/Tehran"
language = "fa"
"""


def lived(story: Story) -> None:
    """Readings before, in and after the month, a held one, a new tariff, a trade, a redemption, a replaced meter."""
    first, second = story.first, story.second
    at = ABAN.first - DAY
    for house in (first, second):
        house.report(at, 3_333, 1_111)
        at += 900
    first.report(ABAN.first + 5, 4_001, 1_003)
    second.report(ABAN.first + 100, 0, 0, Flags.CONSUMPTION_HELD)
    first.send(ABAN.first + 200, "offer", 1, 3_000, OLD // 2, ABAN.first + 20 * DAY)
    cost = money_for(1_777, OLD // 2) + money_for(1_777, SERVICE)
    second.send(ABAN.first + 300, "buy", first.wallet.address, 1, 1_777, OLD // 2, value=cost)
    second.send(ABAN.first + 400, "redeem", 999)
    second.report(ABAN.first + 1_000, 0, 2_001)
    story.office.anvil.set_next_timestamp(ABAN.first + 5 * DAY)
    assert story.office.run("parameters", "--retail", str(NEW))[0] == 0
    first.report(ABAN.first + 6 * DAY, 17, 7_013)
    first.send(ABAN.first + 6 * DAY + 100, "redeem", 501)
    story.office.anvil.set_next_timestamp(ABAN.first + 7 * DAY)
    new = ["--meter", "consumption", "--profile", "eastron_sdm630", "--serial", "2001", "--opening", "7"]
    closing = ["--closing", str(first.registers[1] + 13)]
    assert story.office.run("replace-meter", first.wallet.address, *new, *closing)[0] == 0
    first.registers[1], first.epoch, first.sequence = 7, 2, 0
    first.report(ABAN.first + 8 * DAY, 100, 5_551)
    second.report(ABAN.first + 8 * DAY + 100, 1, 3_001)


def issued(story: Story, *words: str) -> dict[str, dict[str, Any]]:
    """The operator's summary by household."""
    office = story.office
    places = ["--node", office.url, "--deployments", str(office.path / "deployments")]
    output = ["--output", str(office.path / "invoices"), "--time-zone", "Asia/Tehran", "--language", "fa"]
    office.capsys.readouterr()
    assert operate(["invoices", "--json", *places, *output, "--depth", "0", *words]) == 0
    told = json.loads(office.capsys.readouterr().out)
    return {one["household"]: one for one in told["invoices"]}


def test_both_sides_agree_to_the_byte_once_the_month_is_over(story: Story) -> None:
    lived(story)
    story.first.report(ABAN.last + 9, 11, 13)
    story.second.report(ABAN.last + 900, 11, 13)
    story.first.follow()
    story.second.follow()
    database = f"sqlite:///{story.office.path / 'state' / 'office.sqlite'}"
    made = issued(story, "--all", "--month", "1405-08", "--database", database)

    assert set(made) == {HOUSEHOLD.address, NEIGHBOUR.address}
    for house in (story.first, story.second):
        one = made[house.wallet.address]
        assert one["closed"] is True
        code, own, _ = house.invoice("--json", "--month", "1405-08")
        assert code == 0
        assert own.encode() == Path(one["json"]).read_bytes()
        code, told, says = house.invoice("--compare", one["json"])
        assert (code, says) == (0, "")
        assert "agrees to the wei and the Wh" in told
        page = Path(one["html"]).read_text()
        assert 'dir="rtl"' in page
        assert f"{SARA.first_name} {SARA.family_name}" in page
        assert SARA.family_name not in Path(one["json"]).read_text()
    # By hand: 1,003 at the old tariff; 7,013, the closing 13 and 5,551 at the new one; 501 redeemed at the new one.
    exact = 1_111 * OLD, 1_003 * OLD + (7_013 + 13 + 5_551) * NEW, 501 * NEW
    consumed = -(-(exact[0] + exact[1]) // 1_000) - -(-exact[0] // 1_000)
    assert made[HOUSEHOLD.address]["dueWei"] == str(consumed - -(-exact[2] // 1_000))
    assert made[HOUSEHOLD.address]["soldWei"] == made[NEIGHBOUR.address]["boughtWei"] == str(money_for(1_777, OLD // 2))
    assert made[NEIGHBOUR.address]["serviceCostWei"] == str(money_for(1_777, SERVICE))
    assert made[NEIGHBOUR.address]["redeemedWh"] == 999


def test_months_sum_to_the_whole(story: Story) -> None:
    lived(story)
    story.first.report(ABAN.last + 9, 11, 13)
    address = ["--household", HOUSEHOLD.address]
    parts_of = [issued(story, *address, "--month", name)[HOUSEHOLD.address] for name in ("1405-07", "1405-08")]
    whole = issued(story, *address, "--from", "1405-07-01", "--to", "1405-08-30")[HOUSEHOLD.address]

    assert sum(int(part["dueWei"]) for part in parts_of) == int(whole["dueWei"])
    assert sum(part["consumedWh"] for part in parts_of) == whole["consumedWh"]


def test_a_running_month_is_compared_as_of_the_operators_block(story: Story) -> None:
    lived(story)
    one = issued(story, "--household", NEIGHBOUR.address, "--month", "1405-08")[NEIGHBOUR.address]
    assert one["closed"] is False
    code, _, says = story.second.invoice("--compare", one["json"])
    assert code == 1
    assert "there is no journal" in says
    story.second.report(ABAN.first + 9 * DAY, 1, 100)
    story.second.follow()
    assert story.second.invoice("--compare", one["json"])[0] == 0
    again = issued(story, "--household", NEIGHBOUR.address, "--month", "1405-08")[NEIGHBOUR.address]
    assert again["consumedWh"] == one["consumedWh"] + 100


def test_a_forged_figure_is_found(story: Story) -> None:
    lived(story)
    story.first.report(ABAN.last + 9, 11, 13)
    story.first.follow()
    path = Path(issued(story, "--household", HOUSEHOLD.address, "--month", "1405-08")[HOUSEHOLD.address]["json"])
    path.write_text(path.read_text().replace('"energyWh":1003', '"energyWh":1004'))
    code, told, _ = story.first.invoice("--compare", str(path))

    assert code == 1
    assert "energyWh: own 1003, issued 1004" in told
