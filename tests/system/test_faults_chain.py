"""FAULTS 34, 35, 37, 39 and 40: what a chain and a stranger with the key may do to a running agent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest
from eth_account import Account

from simulators.rig import Scene
from tests.system.house import House, lived_in

PERIOD_S: Final = 2
_GWEI: Final = 10**9


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("chain") / "rig"
    with lived_in(Scene(directory=directory, period_s=PERIOD_S, speed=60.0)) as one:
        yield one


pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_fault_34_a_reorganisation_that_forgets_transactions(house: House) -> None:
    house.wait_for("transaction.included")
    house.rig.chain.reorganise(2)
    house.skip()
    house.goes_on()
    house.agrees()


def test_fault_34_a_reorganisation_deeper_than_final(house: House) -> None:
    final = house.wait_for("transaction.final")
    house.skip()
    house.rig.chain.reorganise(house.rig.scene.depth + 3)
    house.wait_for("transaction.reorganised")
    house.goes_on()
    house.agrees()
    assert house.rig.chain.rpc("eth_getTransactionReceipt", final["tx_hash"]) is not None


def test_fault_35_an_evicted_transaction_is_sent_again(house: House) -> None:
    house.rig.chain.set_block_time(3600)
    house.skip()
    sent = str(house.wait_for("transaction.sent")["tx_hash"])
    house.rig.chain.drop_transaction(sent)
    assert house.rig.chain.rpc("eth_getTransactionByHash", sent) is None
    again = house.wait_for("transaction.sent_again")
    assert (again["tx_hash"], again["accepted"]) == (sent, True)
    house.rig.chain.set_block_time(1)
    house.goes_on()


def test_fault_39_without_funds_it_waits_and_says_so(house: House) -> None:
    balance = house.rig.chain.balance(house.rig.household)
    house.rig.chain.set_balance(house.rig.household, 0)
    house.skip()
    assert house.rig.household in str(house.wait_for("submit.waiting")["problem"])
    house.wait_for("interval.closed")
    house.rig.chain.set_balance(house.rig.household, balance)
    house.wait_for("submit.resumed")
    house.goes_on()


def test_fault_39_a_fee_spike_is_waited_out(house: House) -> None:
    house.rig.chain.set_next_base_fee(10**15)
    time.sleep(10)
    house.rig.chain.set_next_base_fee(_GWEI)
    house.goes_on()


def test_fault_40_a_changed_chain_id_sends_nothing(house: House) -> None:
    chain = house.rig.chain
    chain.set_chain_id(4242)
    time.sleep(6)  # what had left is mined by now
    nonce = chain.nonce(house.rig.household, "pending")
    house.skip()
    house.wait_for("interval.closed")
    time.sleep(8)
    assert chain.nonce(house.rig.household, "pending") == nonce
    chain.set_chain_id(chain.chain_id)
    house.goes_on()


def test_fault_37_a_foreign_use_of_the_key_halts_until_a_person_resumes(house: House) -> None:
    rig = house.rig
    key = Account.decrypt(
        (rig.scene.directory / "household-key.json").read_text(encoding="utf-8"),
        (rig.scene.directory / "household-passphrase").read_text(encoding="utf-8").strip(),
    )
    house.skip()
    for _ in range(3):
        foreign = {
            "chainId": rig.chain.chain_id,
            "nonce": rig.chain.nonce(rig.household, "pending"),
            "to": rig.household,
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": 100 * _GWEI,
            "maxPriorityFeePerGas": 50 * _GWEI,
            "type": 2,
        }
        rig.chain.rpc(
            "eth_sendRawTransaction", "0x" + bytes(Account.sign_transaction(foreign, key).raw_transaction).hex()
        )
        time.sleep(0.3)
    halted = house.wait_for("submit.halted")
    assert "keys resume" in str(halted["advice"])
    assert "halted" in rig.agent("status", "--json")
    house.wait_for("interval.closed")  # polling and sealing go on
    rig.agent("keys", "resume", "--yes")
    house.goes_on()


def test_everything_agrees_in_the_end(house: House) -> None:
    house.agrees()
