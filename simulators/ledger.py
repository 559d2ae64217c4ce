"""What the chain holds of a household, read by a second codec: a check that shares the agent's proves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ARTIFACT: Final = Path(__file__).resolve().parent.parent / "contracts" / "artifacts" / "EnergyMarket.json"

_TRANSFER: Final = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
_ZERO_TOPIC: Final = "0x" + "0" * 64

Rpc = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the contract holds of a household now.

    Attributes:
        epoch: Of its readings.
        sequence: Of the last reading.
        taken_at: Of the last reading, UTC epoch seconds.
        produced_wh: Production register.
        consumed_wh: Consumption register.
        tokens_wh: Energy tokens, 1 Wh each.
    """

    epoch: int
    sequence: int
    taken_at: int
    produced_wh: int
    consumed_wh: int
    tokens_wh: int


@dataclass(frozen=True, slots=True)
class Mined:
    """One reading in the chain's log.

    Attributes:
        epoch: Of the reading.
        sequence: Of the reading.
        taken_at: UTC epoch seconds.
        produced_wh: Production register.
        consumed_wh: Consumption register.
        flags: How it was taken.
        block: Number of the block that holds it.
        transaction: Hash of the transaction that carried it.
    """

    epoch: int
    sequence: int
    taken_at: int
    produced_wh: int
    consumed_wh: int
    flags: int
    block: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Sale:
    """One trade in the chain's log: the paper's Table 8.

    Attributes:
        trade: Its number.
        seller: Account that was paid.
        buyer: Account that received the energy.
        order: The seller's order.
        energy_wh: Wh bought.
        price_wei: Wei that the seller received.
        service_cost_wei: Wei that the distribution company received.
        time: UTC epoch seconds.
        transaction: Hash of the transaction.
    """

    trade: int
    seller: str
    buyer: str
    order: int
    energy_wh: int
    price_wei: int
    service_cost_wei: int
    time: int
    transaction: str


class Ledger:
    """Reads one market contract over JSON-RPC.

    Args:
        rpc: Asks a full node: method, then parameters.
        contract: The market's address.
        artifact: The compiler's output as the project checks it in.
    """

    def __init__(self, rpc: Rpc, contract: str, artifact: Path = ARTIFACT) -> None:
        self._rpc = rpc
        self._contract = contract
        abi = json.loads(artifact.read_text(encoding="utf-8"))["abi"]
        self._functions = {item["name"]: item for item in abi if item["type"] == "function"}
        self._events = {item["name"]: item for item in abi if item["type"] == "event"}

    def standing(self, household: str) -> Standing:
        """What the contract holds of a household at the newest block."""
        told = self._call("household", household)
        return Standing(
            epoch=told["epoch"],
            sequence=told["sequence"],
            taken_at=told["takenAt"],
            produced_wh=told["producedWh"],
            consumed_wh=told["consumedWh"],
            tokens_wh=told["tokensWh"],
        )

    def readings(self, household: str) -> list[Mined]:
        """Every reading of a household in the canonical chain's logs, oldest first."""
        topic = "0x" + household[2:].lower().rjust(64, "0")
        # The event is anonymous, so that its only topic is the household; every other event has its signature there.
        return [_mined(log) for log in self._logs([topic])]

    def minted_wh(self, household: str) -> int:
        """Tokens that were ever minted to a household."""
        topic = "0x" + household[2:].lower().rjust(64, "0")
        return sum(int(log["data"], 16) for log in self._logs([_TRANSFER, _ZERO_TOPIC, topic]))

    def burned_wh(self, household: str) -> int:
        """Tokens that a household ever redeemed."""
        topic = "0x" + household[2:].lower().rjust(64, "0")
        return sum(int(log["data"], 16) for log in self._logs([_TRANSFER, topic, _ZERO_TOPIC]))

    def received_wh(self, household: str) -> int:
        """Tokens that ever came to a household, less those that left it."""
        topic = "0x" + household[2:].lower().rjust(64, "0")
        # None stands for any sender.
        came, left = self._logs([_TRANSFER, None, topic]), self._logs([_TRANSFER, topic])
        return sum(int(log["data"], 16) for log in came) - sum(int(log["data"], 16) for log in left)

    def sales(self) -> list[Sale]:
        """Every trade of the market, oldest first."""
        told = [part["type"] for part in self._events["Traded"]["inputs"] if not part["indexed"]]
        return [_sale(log, told) for log in self._logs([self._topic("Traded")])]

    def transactions(self, event: str, household: str) -> list[str]:
        """Hashes of the transactions in which an event happened whose first indexed field is a household, with repeats.

        Args:
            event: Its name in the contract.
            household: An account.
        """
        topic = "0x" + household[2:].lower().rjust(64, "0")
        return [str(log["transactionHash"]) for log in self._logs([self._topic(event), topic])]

    def _topic(self, event: str) -> str:
        inputs = self._events[event]["inputs"]
        return "0x" + keccak(text=f"{event}({','.join(part['type'] for part in inputs)})").hex()

    def supply_wh(self) -> int:
        """All tokens that there are."""
        return int(next(iter(self._call("totalSupply").values())))

    def escrow_wh(self) -> int:
        """Tokens that open orders hold."""
        return int(next(iter(self._call("balanceOf", self._contract).values())))

    def _logs(self, topics: Sequence[str | None]) -> list[Mapping[str, Any]]:
        answer = self._rpc(
            "eth_getLogs",
            {"address": self._contract, "fromBlock": "0x0", "toBlock": "latest", "topics": list(topics)},
        )
        if not isinstance(answer, list):
            raise TypeError(f"eth_getLogs answered {answer!r}, not a list")
        return answer

    def _call(self, function: str, *arguments: object) -> dict[str, Any]:
        item = self._functions[function]
        types = [collapse_if_tuple(part) for part in item["inputs"]]
        data = keccak(text=f"{function}({','.join(types)})")[:4] + encode(types, arguments)
        answer = self._rpc("eth_call", {"to": self._contract, "data": "0x" + data.hex()}, "latest")
        outputs = item["outputs"]
        values = decode([collapse_if_tuple(part) for part in outputs], bytes.fromhex(str(answer)[2:]))
        if len(outputs) == 1 and "components" in outputs[0]:
            return dict(zip((part["name"] for part in outputs[0]["components"]), values[0], strict=True))
        return dict(zip((part["name"] for part in outputs), values, strict=True))


def _sale(log: Mapping[str, Any], types: Sequence[str]) -> Sale:
    trade, order, energy_wh, price_wei, service_cost_wei, time = decode(types, bytes.fromhex(log["data"][2:]))
    seller, buyer = (to_checksum_address(topic[-40:]) for topic in log["topics"][1:])
    return Sale(
        trade=trade,
        seller=seller,
        buyer=buyer,
        order=order,
        energy_wh=energy_wh,
        price_wei=price_wei,
        service_cost_wei=service_cost_wei,
        time=time,
        transaction=log["transactionHash"],
    )


def _mined(log: Mapping[str, Any]) -> Mined:
    word = int(log["data"], 16)

    def field(shift: int, bits: int) -> int:
        return (word >> shift) & ((1 << bits) - 1)

    return Mined(
        consumed_wh=field(0, 40),
        produced_wh=field(40, 40),
        taken_at=field(80, 32),
        sequence=field(112, 24),
        epoch=field(136, 8),
        flags=field(144, 8),
        block=int(log["blockNumber"], 16),
        transaction=log["transactionHash"],
    )
