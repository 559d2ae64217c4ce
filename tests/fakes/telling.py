"""A full node of a consortium: what it tells over JSON-RPC of a sealed chain that holds one recorded block."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.domain.errors import NodeUnavailable
from agent.light.headers import Header
from tests.fakes.consortium import Consortium
from tests.fakes.recorded import LAST

_NAMES = {
    "parent_hash": "parentHash", "uncles_hash": "sha3Uncles", "miner": "miner", "state_root": "stateRoot",
    "transactions_root": "transactionsRoot", "receipts_root": "receiptsRoot", "logs_bloom": "logsBloom",
    "difficulty": "difficulty", "number": "number", "gas_limit": "gasLimit", "gas_used": "gasUsed",
    "timestamp": "timestamp", "extra_data": "extraData", "mix_hash": "mixHash", "nonce": "nonce",
}  # fmt: skip


def told_header(header: Header, block_hash: bytes) -> dict[str, Any]:
    """A header as JSON-RPC has it."""
    told: dict[str, Any] = {}
    for attribute, name in _NAMES.items():
        value = getattr(header, attribute)
        told[name] = hex(value) if isinstance(value, int) else "0x" + value.hex()
    return {**told, "hash": "0x" + block_hash.hex()}


@dataclass
class Teller:
    """Tells of a chain of which one block is the recording's last, with its transactions, receipts and state.

    Attributes:
        name: what it is called.
        chain: the headers.
        told: the recording.
        holding: number of the block that has the recorded block's roots.
        rewrite: what becomes of an answer on its way: method, parameters, answer.
        asked: every request that came, in order.
    """

    name: str
    chain: Consortium
    told: dict[str, Any]
    holding: int
    rewrite: Callable[[str, list[Any], Any], Any] = lambda _method, _params, answer: answer
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    area: str = "north"
    headers_alone: bool = False
    """Whether it knows a question for a header without its block."""

    def call(self, method: str, params: list[Any]) -> object:
        self.asked.append((method, list(params)))
        answer = copy.deepcopy(getattr(self, f"_{method}")(*params))
        return self.rewrite(method, list(params), answer)

    def _eth_blockNumber(self) -> str:  # noqa: N802 - JSON-RPC's name
        return hex(len(self.chain.headers) - 1)

    def _eth_getHeaderByNumber(self, number: str) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        if not self.headers_alone:
            raise NodeUnavailable("refused eth_getHeaderByNumber with code -32601")
        told = self._block(int(number, 16), full=False)
        return None if told is None else {name: value for name, value in told.items() if name != "transactions"}

    def _eth_getBlockByNumber(self, number: str, full: bool) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        return self._block(int(number, 16), full=full)

    def _eth_getBlockByHash(self, block_hash: str, full: bool) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        return self._block(self._number(block_hash), full=full)

    def _eth_getBlockReceipts(self, block_hash: str) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        return self.told["blocks"][LAST]["receipts"] if self._number(block_hash) == self.holding else []

    def _eth_getTransactionReceipt(self, tx_hash: str) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        found = next((one for one in self.told["blocks"][LAST]["receipts"] if one["transactionHash"] == tx_hash), None)
        return None if found is None else {**found, "blockHash": self.hash_of(self.holding)}

    def _eth_getProof(self, address: str, slots: list[str], number: str) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        if int(number, 16) != self.holding:
            raise NodeUnavailable("refused eth_getProof: that state is not kept")
        assert bool(slots) == (address != self.told["household"].lower())
        return self.told["state"]["contract" if slots else "account"]

    def hash_of(self, number: int) -> str:
        """``0x`` hex."""
        return "0x" + self.chain.hash_of(number).hex()

    def _number(self, block_hash: str) -> int:
        return next((n for n in range(len(self.chain.headers)) if self.hash_of(n) == block_hash), -1)

    def _block(self, number: int, *, full: bool) -> dict[str, Any] | None:
        if not 0 <= number < len(self.chain.headers):
            return None
        told = told_header(self.chain.headers[number], self.chain.hash_of(number))
        held = self.told["blocks"][LAST]["block"]["transactions"] if number == self.holding else []
        return {**told, "transactions": held if full else [one["hash"] for one in held]}
