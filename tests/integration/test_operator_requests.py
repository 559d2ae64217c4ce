"""The registration office on a real node with the real contract, its database on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_utils.crypto import keccak
from sqlalchemy import text

from agent.adapters.deployments import load_market
from agent.adapters.office_database.registration import RegistrationRows
from agent.compose.database import open_database
from agent.domain.office_requests import RequestState
from agent.domain.personal_data import PersonalData, fingerprint
from agent.operator.__main__ import main
from tests.integration.conftest import DatabasePlace
from tests.integration.test_operator_commands import HOUSEHOLD, SARA, Office, office

__all__ = ["office"]

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

# What is the same on every database is tried on one.
on_one = pytest.mark.parametrize("database_place", ["sqlite"], indirect=True)

MINA = PersonalData("مینا", "Nemune", "0000000019")
SALT = b"\2" * 32


@pytest.fixture
def desk(office: Office, database_place: DatabasePlace) -> Office:
    office.database = database_place.words
    return office


@pytest.fixture
def market(desk: Office) -> dict[str, Any]:
    made: dict[str, Any] = desk.run("deploy")[1]
    return made


def on_chain(office: Office, market: dict[str, Any]) -> str:
    codec, _ = load_market()
    call = {"to": market["contract"], "data": "0x" + codec.call("household", HOUSEHOLD.address).hex()}
    answer = office.anvil.rpc("eth_call", call, "latest")
    return "0x" + codec.read_personal_data_hash(bytes.fromhex(str(answer)[2:])).hex()


def hash_of(who: PersonalData, salt: bytes) -> str:
    return "0x" + fingerprint(who, salt, keccak).hex()


def persons(place: DatabasePlace) -> list[tuple[object, ...]]:
    with (
        open_database(place.url, place.password_file, Path(), [], begins=False) as database,
        database.reading() as connection,
    ):
        rows = connection.execute(
            text("SELECT first_name, family_name, national_id FROM registration_person ORDER BY request")
        )
        return [tuple(row) for row in rows]


def test_a_request_is_taken_in_shown_and_approved(
    desk: Office, market: dict[str, Any], database_place: DatabasePlace
) -> None:
    path = desk.request(market)
    code, taken, _ = desk.requests("add", str(path))
    assert (code, taken["number"], taken["kind"], taken["state"]) == (0, 1, "enrolment", "received")
    assert desk.requests("add", str(path))[1] == taken
    assert len(persons(database_place)) == 1

    listed = desk.requests("list")[1]
    assert [one["number"] for one in listed["requests"]] == [1]
    assert not any(word in json.dumps(listed, ensure_ascii=False) for word in (SARA.first_name, SARA.national_id))
    assert desk.requests("list", "--state", "approved")[1]["requests"] == []
    shown = desk.requests("show", "1")[1]
    assert shown["personalData"] == {"firstName": "سارا", "familyName": "Nemune", "nationalId": "0123456789"}
    assert shown["connection"]["production"] == {"profile": "eastron_sdm120", "serial": "1", "registerWh": 1000}

    code, approved, _ = desk.requests("approve", "1", "--fund", "1000")
    assert (code, approved["enrolled"], approved["balanceWei"]) == (0, "now", 1000)
    assert on_chain(desk, market) == taken["personalDataHash"] == hash_of(SARA, bytes(31) + b"\1")
    kept = desk.requests("show", "1")[1]
    assert (kept["state"], kept["transaction"]) == ("approved", approved["transaction"])
    assert kept["decidedBy"]
    assert kept["decidedAt"] >= kept["receivedAt"]
    code, _, says = desk.requests("approve", "1")
    assert (code, "enrolled already" in says) == (1, True)
    assert desk.requests("approve", "1", "--fund", "2000")[1]["enrolled"] == "before"
    assert desk.anvil.balance(HOUSEHOLD.address) == 2000


@on_one
@pytest.mark.usefixtures("market")
def test_what_is_not_there_is_named(desk: Office, tmp_path: Path) -> None:
    code, _, says = desk.requests("add", str(tmp_path / "nothing.json"))
    assert (code, "No such file" in says) == (1, True)
    assert desk.requests("list")[1] == {"requests": []}
    for words in (["show", "7"], ["approve", "7"], ["refuse", "7", "--why", "no"]):
        code, _, says = desk.requests(*words)
        assert code == 1
        assert "there is no request 7" in says


def test_a_refused_request_enrols_nobody(desk: Office, market: dict[str, Any]) -> None:
    desk.requests("add", str(desk.request(market)))
    code, told, _ = desk.requests("refuse", "1", "--why", "the card is another person's")
    assert (code, told["state"], told["why"]) == (0, "refused", "the card is another person's")
    for words in (["approve", "1"], ["refuse", "1", "--why", "again"]):
        code, _, says = desk.requests(*words)
        assert code == 1
        assert "was refused" in says
    assert desk.run("approve", str(desk.request(market, age_s=900)))[0] == 0  # asked anew, later


def test_an_edit_is_approved_again_and_replaces_the_profile(
    desk: Office, market: dict[str, Any], database_place: DatabasePlace
) -> None:
    edit = desk.edit(market, MINA, SALT)
    assert desk.requests("add", str(edit))[1]["kind"] == "edit"
    code, _, says = desk.requests("approve", "1")
    assert (code, "is not enrolled" in says) == (1, True)
    assert desk.run("approve", str(desk.request(market)))[0] == 0
    before = on_chain(desk, market)

    code, told, _ = desk.requests("approve", "1")
    assert (code, told["personalDataHash"]) == (0, hash_of(MINA, SALT))
    assert on_chain(desk, market) == hash_of(MINA, SALT) != before
    with open_database(database_place.url, database_place.password_file, Path(), [], begins=False) as database:
        rows = RegistrationRows(database)
        profile = rows.profile(market["chainId"], market["contract"], HOUSEHOLD.address)
        assert profile is not None
        assert rows.personal(profile.number) == MINA
        history = rows.requests(RequestState.APPROVED, HOUSEHOLD.address)
        assert [rows.personal(one.number) for one in history] == [MINA, SARA]  # taken in first, approved second

    # The same approved edit, and an older one that somebody kept, change nothing any more.
    code, _, says = desk.requests("approve", "1")
    assert (code, "was approved" in says) == (1, True)
    code, _, says = desk.run("approve", str(desk.edit(market, SARA, SALT, age_s=500)))
    assert (code, "is approved; have the household ask anew" in says) == (1, True)
    assert on_chain(desk, market) == hash_of(MINA, SALT)


@on_one
def test_one_person_with_two_households_is_shown_to_the_office(desk: Office, market: dict[str, Any]) -> None:
    assert desk.run("approve", str(desk.request(market)))[0] == 0
    neighbour = Wallet.from_key("0x" + "09" * 32)
    desk.requests("add", str(desk.request(market, neighbour, serial="2")))
    assert desk.requests("show", "2")[1]["sameNationalId"] == [HOUSEHOLD.address]


def test_erased_personal_data_are_in_no_table_and_nothing_waits(
    desk: Office, market: dict[str, Any], database_place: DatabasePlace
) -> None:
    path = desk.request(market)
    desk.run("approve", str(path))
    desk.requests("add", str(desk.edit(market, MINA, SALT)))
    exported = desk.requests("export", HOUSEHOLD.address)[1]["requests"]
    assert [one["personalData"]["firstName"] for one in exported] == ["سارا", "مینا"]
    code, told, _ = desk.requests("erase", HOUSEHOLD.address, "--yes")
    assert (code, told["erasedFromRequests"]) == (0, 2)
    assert persons(database_place) == []
    listed = desk.requests("list")[1]["requests"]
    assert [(one["state"], one["erasedAt"] is not None) for one in listed] == [("approved", True), ("refused", True)]
    assert "personalData" not in desk.requests("show", "1")[1]
    assert desk.requests("erase", HOUSEHOLD.address, "--yes")[1]["erasedFromRequests"] == 0
    # The household can bring them anew; the file it enrolled with brings nothing back.
    assert desk.requests("add", str(path))[1]["erasedAt"] is not None
    assert persons(database_place) == []
    newer = desk.edit(market, MINA, b"\3" * 32, age_s=1)
    assert desk.run("approve", str(newer))[0] == 0
    assert persons(database_place) == [("مینا", "Nemune", "0000000019")]


@pytest.mark.parametrize("kind", ["enrolment", "edit"])
def test_a_command_that_ended_between_chain_and_database_is_run_again(
    desk: Office, market: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "edit":
        desk.run("approve", str(desk.request(market)))
    path = desk.request(market) if kind == "enrolment" else desk.edit(market, MINA, SALT)
    number = str(desk.requests("add", str(path))[1]["number"])
    with monkeypatch.context() as patched:
        patched.setattr(RegistrationRows, "approved", ends)
        code, _, says = desk.requests("approve", number)
    assert (code, "run again" in says or "goes on" in says) == (1, True)
    held, nonce = on_chain(desk, market), desk.anvil.nonce(desk.address)
    assert desk.requests("show", number)[1]["state"] == "received"

    code, told, _ = desk.requests("approve", number)
    assert code == 0
    assert told["transaction"].startswith("0x")
    kept = desk.requests("show", number)[1]
    assert (kept["state"], kept["transaction"]) == ("approved", told["transaction"])
    assert (on_chain(desk, market), desk.anvil.nonce(desk.address)) == (held, nonce)
    assert kept["personalDataHash"] == held


def ends(*_arguments: object) -> None:
    raise KeyboardInterrupt


@on_one
def test_another_command_between_loses_the_transaction_and_not_the_approval(
    desk: Office, market: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.requests("add", str(desk.request(market)))
    with monkeypatch.context() as patched:
        patched.setattr(RegistrationRows, "approved", ends)
        desk.requests("approve", "1")
    assert desk.run("fund", HOUSEHOLD.address, "--amount", "5")[0] == 0
    nonce = desk.anvil.nonce(desk.address)
    code, told, _ = desk.requests("approve", "1")
    assert (code, told["transaction"]) == (0, "by an earlier run")
    assert desk.requests("show", "1")[1]["state"] == "approved"
    assert desk.anvil.nonce(desk.address) == nonce


@on_one
def test_a_document_that_was_changed_in_the_database_enrols_nobody(
    desk: Office, market: dict[str, Any], database_place: DatabasePlace
) -> None:
    desk.requests("add", str(desk.request(market)))
    neighbour = Wallet.from_key("0x" + "09" * 32)
    desk.requests("add", str(desk.request(market, neighbour, serial="2")))
    with (
        open_database(database_place.url, database_place.password_file, Path(), [], begins=False) as database,
        database.writing() as connection,
    ):
        connection.execute(
            text(
                "UPDATE registration_person SET document = (SELECT document FROM registration_person WHERE request = 2)"
            )
        )
    code, _, says = desk.requests("approve", "1")
    assert (code, "was changed in the database" in says) == (1, True)
    with (
        open_database(database_place.url, database_place.password_file, Path(), [], begins=False) as database,
        database.writing() as connection,
    ):
        connection.execute(text("UPDATE registration_person SET document = replace(document, '8000', '9000')"))
    code, _, says = desk.requests("approve", "2")
    assert (code, "was signed by" in says) == (1, True)


@on_one
def test_the_wrong_market_and_the_wrong_role_are_named(desk: Office, market: dict[str, Any]) -> None:
    desk.requests("add", str(desk.request(market)))
    other = desk.run("deploy", "--again", "--registration-office", HOUSEHOLD.address)[1]
    code, _, says = desk.requests("approve", "1")
    assert (code, f"request 1 is for market {market['contract']}" in says) == (1, True)
    code, _, says = desk.run("approve", str(desk.request(other)))
    assert (code, "AccessControlUnauthorizedAccount" in says) == (1, True)
    assert desk.requests("show", "2")[1]["state"] == "received"


# What a person sees, and what is asked. One database is enough.


def typed(office: Office, *words: str) -> tuple[int, str, str]:
    keys = ["--keystore", str(office.path / "key.json"), "--passphrase-file", str(office.path / "passphrase")]
    places = ["--node", office.url, "--deployments", str(office.path / "deployments")]
    office.capsys.readouterr()
    code = main([*words, *keys, *places, "--state-dir", str(office.path / "state")])
    told = office.capsys.readouterr()
    return code, told.out, told.err


def test_a_person_is_shown_the_data_and_asked(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    market = office.run("deploy")[1]
    path = str(office.request(market))
    code, _, says = typed(office, "approve", path)
    assert (code, "add --yes" in says) == (1, True)
    answers = iter(["n", "y"])
    asked: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(answers))
    code, out, says = typed(office, "approve", path)
    assert (code, "still waits" in says) == (1, True)
    assert "سارا" in out
    assert "0123456789" in out
    code, out, _ = typed(office, "requests", "approve", "1")
    assert code == 0
    assert "سارا" in out
    assert len(asked) == 2
    with pytest.raises(SystemExit) as left:
        typed(office, "approve", path, "--json")
    assert left.value.code == 2


def test_screens_for_a_person(office: Office) -> None:
    market = office.run("deploy")[1]
    office.requests("add", str(office.request(market)))
    state = ["--state-dir", str(office.path / "state")]
    office.capsys.readouterr()
    assert main(["requests", "list", *state]) == 0
    listed = office.capsys.readouterr().out
    assert HOUSEHOLD.address in listed
    assert "سارا" not in listed
    assert main(["requests", "show", "1", *state]) == 0
    shown = office.capsys.readouterr().out
    assert "سارا" in shown
    assert "eastron_sdm120, number 1, 1.000 kWh" in shown
    assert main(["requests", "export", HOUSEHOLD.address, *state]) == 0
    assert office.capsys.readouterr().out == shown
    office.requests("erase", HOUSEHOLD.address, "--yes")
    assert main(["requests", "show", "1", *state]) == 0
    assert "national ID  erased" in office.capsys.readouterr().out


def test_a_password_in_the_databases_url_is_bad_configuration(office: Office) -> None:
    office.database = ["--database", "postgresql://u:canary@db.example/office"]
    code, _, says = office.requests("list")
    assert code == 78
    assert "canary" not in says
    office.database = ["--database", "postgresql://u@127.0.0.1:9/office"]
    code, _, says = office.requests("list")
    assert (code, "postgresql://u@127.0.0.1:9/office" in says) == (1, True)


# fund


def test_a_household_is_funded_up_to_a_balance(office: Office) -> None:
    market = office.run("deploy")[1]
    code, _, says = office.run("fund", HOUSEHOLD.address, "--amount", "1000")
    assert (code, "is not enrolled" in says) == (1, True)
    office.run("approve", str(office.request(market)))
    assert office.run("fund", HOUSEHOLD.address, "--amount", "1000")[1]["fundedWei"] == 1000
    assert "fundedWei" not in office.run("fund", HOUSEHOLD.address, "--amount", "1000")[1]
    assert office.run("fund", HOUSEHOLD.address, "--amount", "1500")[1]["fundedWei"] == 500
    code, _, says = office.run("fund", HOUSEHOLD.address, "--amount", str(10**30))
    assert (code, "fund it" in says) == (1, True)


def test_an_interrupted_funding_is_not_done_twice_though_the_balance_moved(office: Office) -> None:
    market = office.run("deploy")[1]
    office.run("approve", str(office.request(market)))
    office.anvil.set_automine(automine=False)
    code, _, says = office.run("fund", HOUSEHOLD.address, "--amount", "1000", "--timeout", "1")
    assert (code, "run the same command again" in says) == (1, True)
    # What is lacking now is another sum, so the command's own transaction would be another one.
    office.anvil.set_balance(HOUSEHOLD.address, 10)
    threading.Timer(1.0, office.anvil.mine).start()
    code, told, _ = office.run("fund", HOUSEHOLD.address, "--amount", "1000")
    assert (code, told["balanceWei"]) == (0, 1010)
    assert "fundedWei" not in told
