"""One market on a chain of its own, with households that report to it: whose gas is measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from simulators.bench.figures import BenchError
from simulators.chain import Anvil
from simulators.ledger import ARTIFACT
from simulators.signing import reading_message

PERIOD_S: Final = 900
RATED_POWER_W: Final = 10_000
SERVICE_COST: Final = 23_456_789_012_345_678
"""Wei for each kWh; no byte of it is 0."""

_GAS: Final = 25_000_000  # below Anvil's block; what is not used is not counted
_ENROLMENT_GAS: Final = 250_000
_FEE_WEI: Final = 10**12
_FUND_WEI: Final = 10**21
_TARIFF: Final = (56_789_012_345_678_901, 345_678_901_234_567_890)
_HOUSEHOLD_SLOTS: Final = 1 << 160


@dataclass(slots=True)
class House:
    """A household and what its meters show.

    Attributes:
        account: Its key.
        produced_wh: Production register.
        consumed_wh: Consumption register.
        taken_at: Of the last reading, UTC epoch seconds.
        sequence: Of the last reading.
        epoch: Of its readings.
    """

    account: LocalAccount
    produced_wh: int
    consumed_wh: int
    taken_at: int
    sequence: int = 0
    epoch: int = 1

    @property
    def address(self) -> str:
        """Its account, checksummed."""
        return str(self.account.address)

    @property
    def slot(self) -> str:
        """The key of its storage slot, as an access list names it: 2^160 + account."""
        return "0x" + (_HOUSEHOLD_SLOTS + int(self.address, 16)).to_bytes(32, "big").hex()

    def read(self, produced_wh: int, consumed_wh: int = 157) -> int:
        """One interval goes by: the registers rise by so much, and this is the reading's word."""
        self.produced_wh += produced_wh
        self.consumed_wh += consumed_wh
        self.taken_at += PERIOD_S
        self.sequence += 1
        return (
            self.consumed_wh | self.produced_wh << 40 | self.taken_at << 80 | self.sequence << 112 | self.epoch << 136
        )


class GasMarket:
    """Deploys the market and counts what transactions use.

    Every key, time and value is fixed, so that a figure is the same to the last unit each time.

    Args:
        chain: A fresh node that mines a block for each transaction.
        now: The chain's time, UTC epoch seconds; at or after the node's own.

    Raises:
        BenchError: A transaction reverted.
    """

    def __init__(self, chain: Anvil, now: int) -> None:
        artifact = json.loads(ARTIFACT.read_text(encoding="utf-8"))
        self._functions = {item["name"]: item for item in artifact["abi"] if item["type"] == "function"}
        self._chain = chain
        self.now = now
        self.office: LocalAccount = Account.from_key(chain.accounts[0].key)
        constructor = next(item for item in artifact["abi"] if item["type"] == "constructor")
        office = self.office.address
        data = artifact["bytecode"] + _encoded(
            constructor["inputs"],
            ["Energy", "ENERGY", office, office, office, (SERVICE_COST, PERIOD_S, *_TARIFF), ("Ether", "ETH", 18)],
        )
        receipt = self._send(self.office, None, data, ())
        self.deployment_gas = int(receipt["gasUsed"], 16)
        self.contract = to_checksum_address(receipt["contractAddress"])

    def house(self, number: int, produced_wh: int, consumed_wh: int) -> tuple[House, int]:
        """Enrol a household with these registers; gives it and the gas used."""
        house, enrolment = self._enrolment(number, produced_wh, consumed_wh)
        return house, self.transact(self.office, "enrol", enrolment)

    def enrol_together(self, numbers: Sequence[int], produced_wh: int, consumed_wh: int) -> None:
        """Enrol many households in one block: thousands of blocks would be slow.

        Args:
            numbers: Theirs, at most a hundred.
            produced_wh: Each one's production register.
            consumed_wh: Each one's consumption register.

        Raises:
            BenchError: One of them is not enrolled.
        """
        self._chain.set_automine(automine=False)
        began = self._chain.nonce(self.office.address)
        for place, number in enumerate(numbers):
            data = self.data("enrol", self._enrolment(number, produced_wh, consumed_wh)[1])
            raw = self._signed_transaction(self.office, self.contract, data, nonce=began + place, gas=_ENROLMENT_GAS)
            last = str(self._chain.rpc("eth_sendRawTransaction", raw))
        self.now += 1
        self._chain.set_next_timestamp(self.now)
        self._chain.mine()
        self._chain.set_automine(automine=True)
        block: Any = self._chain.rpc("eth_getBlockReceipts", self._receipt(last)["blockNumber"])
        enrolled = sum(receipt["status"] == "0x1" for receipt in block)
        if enrolled != len(numbers):
            raise BenchError(f"{enrolled} of {len(numbers)} households were enrolled in one block")

    def _enrolment(self, number: int, produced_wh: int, consumed_wh: int) -> tuple[House, tuple[object, ...]]:
        account: LocalAccount = Account.from_key(keccak(text=f"household {number} of the bench"))
        self._chain.set_balance(account.address, _FUND_WEI)
        house = House(account, produced_wh, consumed_wh, self.now)
        enrolment = (
            account.address,
            RATED_POWER_W,
            self.now,
            produced_wh,
            consumed_wh,
            *(keccak(text=f"{what} {number}") for what in ("area", "production", "consumption", "personal data")),
        )
        return house, enrolment

    def pass_time(self, intervals: int = 1) -> None:
        """Let intervals go by."""
        self.now += PERIOD_S * intervals

    def report(self, house: House, readings: Sequence[int]) -> int:
        """A household's own report; the gas used."""
        return self.transact(house.account, "report", list(readings))

    def report_signed(self, houses: Sequence[House], produced_wh: int, *, listed: bool) -> int:
        """An area carries one reading of each household, signed by it; the gas used.

        Args:
            houses: Whose readings.
            produced_wh: What each has produced since its last reading.
            listed: Whether the transaction names their slots in an access list.
        """
        signed = [self._signed(house, house.read(produced_wh)) for house in houses]
        access = ({"address": self.contract, "storageKeys": [house.slot for house in houses]},) if listed else ()
        return self.transact(self.office, "reportSigned", signed, access_list=access)

    def transact(
        self,
        sender: LocalAccount,
        function: str,
        *arguments: object,
        access_list: Sequence[dict[str, Any]] = (),
        value: int = 0,
    ) -> int:
        """Call a function in a transaction; the gas used."""
        return int(
            self._send(sender, self.contract, self.data(function, *arguments), access_list, value)["gasUsed"], 16
        )

    def data(self, function: str, *arguments: object) -> str:
        """The calldata of a call, 0x hex."""
        item = self._functions[function]
        types = ",".join(collapse_if_tuple(part) for part in item["inputs"])
        return "0x" + keccak(text=f"{function}({types})")[:4].hex() + _encoded(item["inputs"], arguments)

    def _signed(self, house: House, reading: int) -> tuple[int, bytes, bytes]:
        made = house.account.sign_message(reading_message(self._chain.chain_id, self.contract, reading))
        # EIP-2098: the parity in the highest bit of s.
        return reading, made.r.to_bytes(32, "big"), (made.s | (made.v - 27) << 255).to_bytes(32, "big")

    def _send(
        self, sender: LocalAccount, to: str | None, data: str, access_list: Sequence[dict[str, Any]], value: int = 0
    ) -> dict[str, Any]:
        self.now += 1
        self._chain.set_next_timestamp(self.now)
        nonce = self._chain.nonce(sender.address)
        raw = self._signed_transaction(sender, to, data, access_list, value, nonce=nonce)
        sent = self._chain.rpc("eth_sendRawTransaction", raw)
        receipt = self._receipt(str(sent))
        if receipt["status"] != "0x1":
            raise BenchError(f"transaction {sent} with data {data[:10]}… to {to or 'a new contract'} reverted")
        return receipt

    def _signed_transaction(
        self,
        sender: LocalAccount,
        to: str | None,
        data: str,
        access_list: Sequence[dict[str, Any]] = (),
        value: int = 0,
        *,
        nonce: int,
        gas: int = _GAS,
    ) -> str:
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain.chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": _FEE_WEI,
            "maxPriorityFeePerGas": 0,
            "value": value,
            "data": data,
            "accessList": list(access_list),
        }
        if to is not None:
            transaction["to"] = to
        raw: bytes = sender.sign_transaction(transaction).raw_transaction
        return "0x" + raw.hex()

    def _receipt(self, tx_hash: str) -> dict[str, Any]:
        for _ in range(200):
            # Anvil answers a send before the block is mined, and each question gives it the time to.
            receipt = self._chain.rpc("eth_getTransactionReceipt", tx_hash)
            if isinstance(receipt, dict):
                return receipt
        raise BenchError(f"transaction {tx_hash} was not mined, although the node mines each at once")


def _encoded(inputs: Sequence[dict[str, Any]], arguments: Sequence[object]) -> str:
    return encode([collapse_if_tuple(part) for part in inputs], list(arguments)).hex()
