"""prosumer-operator on a real node with the real contract: deploy, approve, parameters, and what goes wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from agent.adapters.deployments import load_market
from agent.adapters.full_node import FullNode, HttpRpc
from agent.adapters.node_pool import NodePool
from agent.cli.enrol import personal
from agent.domain.errors import NotYet, Rejected
from agent.domain.market import ChainPin, Parameters
from agent.domain.office_requests import EDIT_SCHEMA, ENROLMENT_SCHEMA, signed_text
from agent.domain.personal_data import PersonalData
from agent.domain.readings import Reading
from agent.operator.__main__ import main
from simulators.chain import Anvil
from simulators.proxy import RpcMode, RpcProxy
from tests.fakes.keystores import quick_keystore

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

SARA = PersonalData("سارا", "Nemune", "0123456789")
HOUSEHOLD: LocalAccount = Wallet.from_key("0x" + "07" * 32)


@dataclass
class Office:
    """A distribution company: its node, its key, its folders."""

    anvil: Anvil
    url: str
    path: Path
    address: str
    capsys: pytest.CaptureFixture[str]
    database: list[str]

    def run(self, *words: str, url: str | None = None, key: bool = True) -> tuple[int, Any, str]:
        """Exit code, the JSON told, and what went to standard error."""
        keys = ["--keystore", str(self.path / "key.json"), "--passphrase-file", str(self.path / "passphrase")]
        places = ["--deployments", str(self.path / "deployments"), "--state-dir", str(self.path / "state")]
        self.capsys.readouterr()
        code = main(
            [
                words[0],
                "--json",
                "--node",
                url or self.url,
                "--timeout",
                "20",
                *places,
                *(keys if key else []),
                *(["--yes", *self.database] if words[0] == "approve" else []),
                *words[1:],
            ]
        )
        told = self.capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    def requests(self, action: str, *words: str, url: str | None = None) -> tuple[int, Any, str]:
        """The same for one of the actions of ``requests``."""
        places = ["--state-dir", str(self.path / "state"), *self.database]
        if action in {"add", "approve"}:
            places += ["--node", url or self.url, "--deployments", str(self.path / "deployments")]
        if action == "approve":
            places += ["--keystore", str(self.path / "key.json"), "--passphrase-file", str(self.path / "passphrase")]
            places += ["--timeout", "20", "--yes"]
        self.capsys.readouterr()
        code = main(["requests", action, "--json", *places, *words])
        told = self.capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    def request(
        self, deployed: dict[str, Any], wallet: LocalAccount = HOUSEHOLD, serial: str = "1", age_s: int = 1000
    ) -> Path:
        asked: dict[str, Any] = {
            "schema": ENROLMENT_SCHEMA,
            "household": wallet.address,
            "area": "tehran-03",
            "ratedPowerW": 8000,
            "productionMeter": {"profile": "eastron_sdm120", "serial": serial, "registerWh": 1000},
            "consumptionMeter": {"profile": "eastron_sdm120", "serial": serial + "c", "registerWh": 2000},
            "chainId": deployed["chainId"],
            "contract": deployed["contract"],
            "createdAt": int(time.time()) - age_s,
            **personal(SARA, bytes(31) + b"\1"),
        }
        return self.signed(asked, wallet, "request")

    def edit(self, deployed: dict[str, Any], who: PersonalData, salt: bytes, age_s: int = 10) -> Path:
        asked: dict[str, Any] = {
            "schema": EDIT_SCHEMA,
            "household": HOUSEHOLD.address,
            "chainId": deployed["chainId"],
            "contract": deployed["contract"],
            "createdAt": int(time.time()) - age_s,
            **personal(who, salt),
        }
        return self.signed(asked, HOUSEHOLD, "edit")

    def signed(self, asked: dict[str, Any], wallet: LocalAccount, name: str) -> Path:
        signature = wallet.sign_message(encode_defunct(text=signed_text(asked))).signature.hex()
        path = self.path / f"{name}-{wallet.address}.json"
        path.write_text(json.dumps({**asked, "signature": "0x" + signature}))
        return path


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    # Commands run in this process here, which has to stay as open as it was for the tests after it.
    monkeypatch.setattr("agent.operator.requests.close_process", lambda: True)
    folder = tmp_path / "office"
    folder.mkdir(mode=0o700)
    (folder / "passphrase").write_text("a passphrase\n")
    (folder / "passphrase").chmod(0o600)
    key = Wallet.create()
    quick_keystore(folder / "key.json", key.key, "a passphrase")
    with Anvil() as anvil:
        anvil.set_balance(key.address, 10**20)
        yield Office(anvil, anvil.url, folder, key.address, capsys, [])


def pool_of(office: Office, deployed: dict[str, Any], account: str) -> NodePool:
    class Quiet:
        def info(self, event: str, **facts: object) -> None: ...

        warning = error = info

    pin = ChainPin(deployed["chainId"], deployed["genesis"], deployed["contract"], deployed["codeHash"])
    rpc = HttpRpc(office.url, timeout_s=5.0, log=Quiet())
    node = FullNode(name=rpc.name, area="tehran-03", rpc=rpc, pin=pin, monotonic=time.monotonic)
    market, _ = load_market()
    return NodePool(
        [node],
        pin=pin,
        account=account,
        area="tehran-03",
        market=market,
        clock=time.monotonic,
        random=lambda: 0.5,
        log=Quiet(),
    )


def test_from_nothing_to_a_household_that_may_report(office: Office) -> None:
    code, deployed, _ = office.run("deploy", "--reporting-period", "60", "--feed-in", "5", "--retail", "9")
    assert code == 0
    assert deployed["registrationOffice"] == office.address
    assert f'contract = "{deployed["contract"]}"' in deployed["toml"]
    assert f"id = {office.anvil.chain_id}" in deployed["toml"]
    assert deployed["toml"].endswith("\nunproven = true\n")
    assert (deployed["unproven"], "validators" in deployed) == (True, False)

    code, approved, _ = office.run("approve", str(office.request(deployed)), "--fund", str(10**18))
    assert (code, approved["enrolled"], approved["fundedWei"]) == (0, "now", 10**18)
    assert (approved["epoch"], approved["producedWh"], approved["consumedWh"]) == (1, 1000, 2000)

    pool = pool_of(office, deployed, HOUSEHOLD.address)
    assert pool.parameters() == Parameters(60, 0, 5, 9, paused=False)
    state = pool.household()
    assert (state.active, state.rated_power_w, state.sequence, state.tokens_wh) == (True, 8000, 0, 0)
    assert pool.balance() == 10**18
    market, _ = load_market()

    def report(**changed: int) -> bytes:
        facts = {"epoch": 1, "sequence": 1, "taken_at": int(time.time()) - 5, "produced_wh": 1100, "consumed_wh": 2050}
        return market.report([Reading(HOUSEHOLD.address, **{**facts, **changed}).packed()])

    pool.rehearse(deployed["contract"], report())
    with pytest.raises(Rejected) as fell:
        pool.rehearse(deployed["contract"], report(produced_wh=10))
    assert (fell.value.error, fell.value.facts["meter"]) == ("RegisterFell", "production")
    with pytest.raises(Rejected, match="ImpossibleEnergy"):
        pool.rehearse(deployed["contract"], report(consumed_wh=10**9))
    with pytest.raises(NotYet, match="clock"):
        pool.rehearse(deployed["contract"], report(taken_at=int(time.time()) + 5000))
    with pytest.raises(NotYet, match="replaced meter"):
        pool.rehearse(deployed["contract"], report(epoch=2))
    assert office.run("parameters", "--pause")[1]["paused"] is True
    with pytest.raises(NotYet, match="paused"):
        pool.rehearse(deployed["contract"], report())
    pool.close()


def test_an_account_that_is_not_enrolled_has_to_wait(office: Office) -> None:
    _, deployed, _ = office.run("deploy")
    pool = pool_of(office, deployed, HOUSEHOLD.address)
    market, _ = load_market()
    assert pool.household().enrolled is False
    with pytest.raises(NotYet, match="not enrolled"):
        pool.rehearse(deployed["contract"], market.report([1]))
    pool.close()


def test_a_market_is_not_deployed_twice_by_mistake(office: Office) -> None:
    first = office.run("deploy")[1]
    code, _, says = office.run("deploy")
    assert code == 1
    assert "--again" in says
    second = office.run("deploy", "--again")[1]
    assert second["contract"] != first["contract"]


def test_parameters_are_shown_without_a_key_and_set_with_one(office: Office) -> None:
    office.run("deploy", "--reporting-period", "900")
    assert office.run("parameters", key=False)[1]["reportingPeriodS"] == 900
    code, told, _ = office.run("parameters", "--reporting-period", "60", "--service-cost", "7", "--retail", "3")
    assert code == 0
    assert len(told["transactions"]) == 3
    shown = office.run("parameters", key=False)[1]
    assert (shown["reportingPeriodS"], shown["serviceCostWeiPerKWh"], shown["retailWeiPerKWh"]) == (60, 7, 3)
    assert office.run("parameters", "--reporting-period", "60")[1]["transactions"] == []
    code, _, says = office.run("parameters", "--feed-in", "4")
    assert code == 1
    assert "set --retail to as much as --feed-in or more" in says
    assert "TariffInverted(feedInWeiPerKWh=4, retailWeiPerKWh=3)" in says


def test_the_settlement_unit_is_named_when_the_market_is_deployed(office: Office) -> None:
    ether = office.run("deploy")[1]
    assert [ether[f"settlement{part}"] for part in ("Name", "Symbol", "Decimals")] == ["Ether", "ETH", 18]
    unit = ["--settlement-name", "Iranian rial", "--settlement-symbol", "IRR", "--settlement-decimals", "2"]
    office.run("deploy", "--again", *unit)
    shown = office.run("parameters", key=False)[1]
    assert [shown[f"settlement{part}"] for part in ("Name", "Symbol", "Decimals")] == ["Iranian rial", "IRR", 2]


def test_the_service_cost_goes_to_the_distribution_agent_until_another_is_named(office: Office) -> None:
    agent, other = (Wallet.from_key("0x" + byte * 32).address for byte in ("08", "09"))
    office.run("deploy", "--distribution-agent", agent)
    assert office.run("parameters", key=False)[1]["serviceCostReceiver"] == agent
    office.run("deploy", "--again")
    assert office.run("parameters", key=False)[1]["serviceCostReceiver"] == office.address
    code, told, _ = office.run("parameters", "--service-cost-receiver", other)
    assert (code, told["serviceCostReceiver"], len(told["transactions"])) == (0, other, 1)
    assert office.run("parameters", "--service-cost-receiver", other)[1]["transactions"] == []
    code, _, says = office.run("parameters", "--service-cost-receiver", "0x" + "00" * 20)
    assert code == 1
    assert "ZeroAccount" in says


def test_a_key_without_the_role_is_refused_by_name(office: Office) -> None:
    other = Wallet.from_key("0x" + "08" * 32).address
    deployed = office.run("deploy", "--registration-office", other)[1]
    code, _, says = office.run("approve", str(office.request(deployed)))
    assert code == 1
    assert f"account {office.address} is not a registration office of this market; sign with" in says
    assert "AccessControlUnauthorizedAccount" in says


def test_a_household_is_enrolled_once_and_its_meter_too(office: Office) -> None:
    deployed = office.run("deploy")[1]
    path = office.request(deployed)
    assert office.run("approve", str(path))[0] == 0
    code, _, says = office.run("approve", str(path))
    assert code == 1
    assert "enrolled already" in says
    code, again, _ = office.run("approve", str(path), "--fund", "1000")
    assert (code, again["enrolled"], again["balanceWei"]) == (0, "before", 1000)
    assert "fundedWei" not in office.run("approve", str(path), "--fund", "1000")[1]
    neighbour = Wallet.from_key("0x" + "09" * 32)
    code, _, says = office.run("approve", str(office.request(deployed, neighbour)))
    assert code == 1
    assert f"is household {HOUSEHOLD.address}'s already" in says
    assert "MeterInUse" in says


def test_a_rating_that_is_not_the_contracts_enrols_nobody(office: Office) -> None:
    deployed = office.run("deploy")[1]
    path = str(office.request(deployed))
    code, _, says = office.run("approve", path, "--rated-power", "7000")
    assert code == 1
    assert "states a rating of 8000 W, and --rated-power is 7000 W" in says
    assert office.run("approve", path, "--rated-power", "8000")[1]["ratedPowerW"] == 8000
    assert "--rated-power is 1 W" in office.run("approve", path, "--rated-power", "1", "--fund", "5")[2]
    with pytest.raises(SystemExit, match="2"):
        office.run("approve", path, "--rated-power", "0")


def test_a_forged_request_enrols_nobody(office: Office) -> None:
    deployed = office.run("deploy")[1]
    path = office.request(deployed)
    forged = json.loads(path.read_text())
    forged["ratedPowerW"] = 50_000
    path.write_text(json.dumps(forged))
    code, _, says = office.run("approve", str(path))
    assert code == 1
    assert "was signed by" in says


def test_registers_of_long_ago_enrol_nobody(office: Office) -> None:
    # What the first reading may state grows with their age: a year of the connection's full rating.
    deployed = office.run("deploy")[1]
    path = office.request(deployed, age_s=8 * 24 * 3600)
    code, _, says = office.run("approve", str(path))
    assert code == 1
    assert "--max-age" in says
    assert office.run("approve", str(path), "--max-age", str(9 * 24 * 3600))[0] == 0


def test_another_chain_under_the_same_number_is_found_out(office: Office) -> None:
    office.run("deploy")
    with Anvil(genesis_epoch=1_700_000_000) as other:
        code, _, says = office.run("parameters", url=other.url, key=False)
    assert code == 1
    assert "another chain with the same number" in says


def test_an_answer_lost_after_acceptance_deploys_once(office: Office) -> None:
    with RpcProxy(office.anvil.address) as proxy:
        proxy.set_mode(RpcMode.DROP_REPLY, methods=["eth_sendRawTransaction"])
        code, deployed, _ = office.run("deploy", url=proxy.url)
    assert code == 0
    assert deployed["block"] == 1
    assert office.anvil.nonce(office.address) == 1


def test_a_command_that_gave_up_goes_on_with_the_same_transaction(office: Office) -> None:
    office.anvil.set_automine(automine=False)
    code, _, says = office.run("deploy", "--timeout", "1")
    assert code == 1
    assert "run the same command again" in says
    threading.Timer(1.0, office.anvil.mine).start()
    assert office.run("deploy")[0] == 0
    assert office.anvil.nonce(office.address) == 1
    assert list((office.path / "state").iterdir()) == []


def test_a_node_that_is_not_there_is_named(office: Office) -> None:
    code, _, says = office.run("parameters", url="http://127.0.0.1:9", key=False)
    assert code == 1
    assert "full node 127.0.0.1:9: cannot be reached" in says
    code, _, says = office.run("parameters", url="http://me:" + "c4nary@127.0.0.1:9/c4nary", key=False)
    assert code == 1
    assert says == "prosumer-operator: full node 127.0.0.1:9: cannot be reached (ConnectionError)\n"


def test_a_wrong_passphrase_is_one_line(office: Office) -> None:
    (office.path / "passphrase").write_text("canary\n")
    code, _, says = office.run("deploy")
    assert code == 1
    assert len(says.splitlines()) == 1
    assert "canary" not in says


def test_misuse_and_bad_configuration_have_their_codes(office: Office) -> None:
    assert office.run("parameters", url="http://192.0.2.1:8545", key=False)[0] == 78
    for words in (
        ["deploy", "--node", "x", "--admin", "0x1"],
        ["deploy", "--node", "x", "--settlement-symbol", " "],
        ["deploy", "--node", "x", "--settlement-decimals", "37"],
        ["deploy", "--node", "x"],
        ["nothing"],
        [],
    ):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
