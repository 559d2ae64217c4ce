"""A full node of a consortium whose blocks hold the market's events, and whose newest state holds a seller's orders."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rlp
from eth_utils.crypto import keccak

from agent.domain.errors import NodeUnavailable
from agent.domain.market_events import MarketEvent, Place
from agent.light import receipts, tries
from agent.light.evidence import Pins
from agent.light.headers import Consensus, Header
from agent.light.seals import Place as Pinned
from agent.light.seals import Rules
from agent.light.transactions import encoded_of
from tests.fakes.consortium import Consortium, keys
from tests.fakes.logs import log_of
from tests.fakes.recorded import MIXED, pins_of, raw, recording
from tests.fakes.telling import told_header

TOLD = recording()
TRANSACTIONS: list[dict[str, Any]] = TOLD["blocks"][MIXED]["block"]["transactions"]
Change = Callable[[str, list[Any], Any], Any]


def place(block: int, transaction: int, log_index: int) -> Place:
    """Where an event stands: in the recorded transaction with that index, moved to a block."""
    return Place(block, log_index, TRANSACTIONS[transaction]["hash"], 1_782_104_400 + 5 * block)


def told_receipts(by_transaction: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Receipts of the first transactions with these logs, as JSON-RPC has them."""
    found: list[dict[str, Any]] = []
    for index, logs in enumerate(by_transaction):
        made = [receipts.Log(raw(one["address"]), tuple(map(raw, one["topics"])), raw(one["data"])) for one in logs]
        found.append(
            {
                "type": TRANSACTIONS[index].get("type", "0x0"),
                "status": "0x1",
                "cumulativeGasUsed": hex(30_000 * (index + 1)),
                "logsBloom": "0x" + receipts.bloom(made).hex(),
                "logs": list(logs),
            }
        )
    return found


@dataclass
class Market:
    """A chain with blocks that hold events, and the market's storage after its newest block.

    Attributes:
        consensus: who seals.
        logs: by block, the logs of each of its transactions.
        words: by key, what the market's storage holds.
        blocks: how many are sealed.
    """

    consensus: Consensus
    logs: Mapping[int, Sequence[Sequence[dict[str, Any]]]]
    words: Mapping[int, int]
    blocks: int

    def __post_init__(self) -> None:
        self.storage = tries.build(
            {keccak(key.to_bytes(32, "big")): bytes(rlp.encode(word)) for key, word in self.words.items()}
        )
        code_hash = raw(TOLD["state"]["contract"]["codeHash"])
        account = bytes(rlp.encode([1, 0, self.storage.root, code_hash]))
        self.state = tries.build({keccak(raw(TOLD["contract"])): account, keccak(b"another"): b"\xc0" * 40})
        self.chain = Consortium(Rules(self.consensus, 30_000), keys(4))
        for number in range(1, self.blocks + 1):
            self.chain.seal(state_root=self.state.root, **self._roots(number))

    def _roots(self, number: int) -> dict[str, bytes]:
        if number not in self.logs:
            return {}
        told = told_receipts(self.logs[number])
        made = [receipts.of_fields(one) for one in told]
        return {
            "transactions_root": tries.ordered(
                [encoded_of(one, "transaction") for one in TRANSACTIONS[: len(told)]]
            ).root,
            "receipts_root": tries.ordered([one.encoded() for one in made]).root,
            "logs_bloom": receipts.bloom([log for one in made for log in one.logs]),
        }

    @property
    def pins(self) -> Pins:
        return pins_of(TOLD, self.chain.rules, Pinned(0, self.chain.hash_of(0), self.chain.founders))


def logs_of(events: Sequence[MarketEvent]) -> list[dict[str, Any]]:
    return [log_of(event, TOLD["contract"]) for event in events]


@dataclass
class MarketTeller:
    """Tells of a market's chain.

    Attributes:
        name: what it is called.
        market: what there is to tell.
        rewrite: what becomes of an answer on its way: method, parameters, answer.
        asked: every request that came, in order.
    """

    name: str
    market: Market
    rewrite: Change = lambda _method, _params, answer: answer
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)

    def call(self, method: str, params: list[Any]) -> object:
        self.asked.append((method, list(params)))
        answer = copy.deepcopy(getattr(self, f"_{method}")(*params))
        return self.rewrite(method, list(params), answer)

    def _eth_getHeaderByNumber(self, number: str) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        at, headers = int(number, 16), self.market.chain.headers
        return self._told(headers[at]) if at < len(headers) else None

    def _eth_getBlockByNumber(self, number: str, full: bool) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        assert not full
        told = self._eth_getHeaderByNumber(number)
        return None if told is None else {**told, "transactions": []}

    def _eth_getBlockByHash(self, block_hash: str, full: bool) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        assert full
        number = self._number(block_hash)
        held = TRANSACTIONS[: len(self.market.logs.get(number, ()))]
        return {**self._told(self.market.chain.headers[number]), "transactions": held}

    def _eth_getBlockReceipts(self, block_hash: str) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        return told_receipts(self.market.logs.get(self._number(block_hash), ()))

    def _eth_getTransactionReceipt(self, _tx_hash: str) -> None:  # noqa: N802 - JSON-RPC's
        """It keeps no index of transactions this old."""

    def _eth_getProof(self, address: str, slots: list[str], number: str) -> Any:  # noqa: ANN401, N802 - JSON-RPC's
        assert address == TOLD["contract"]
        if int(number, 16) + 20 < self.market.blocks:
            raise NodeUnavailable("refused eth_getProof: that state is not kept")
        proofs = [self.market.storage.proof(keccak(raw(slot))) for slot in slots]
        return {
            "accountProof": _hex(self.market.state.proof(keccak(raw(address)))),
            "storageProof": [{"key": slot, "proof": _hex(proof)} for slot, proof in zip(slots, proofs, strict=True)],
        }

    def _told(self, header: Header) -> dict[str, Any]:
        return told_header(header, self.market.chain.hash_of(header.number))

    def _number(self, block_hash: str) -> int:
        chain = self.market.chain
        return next(number for number in range(len(chain.headers)) if "0x" + chain.hash_of(number).hex() == block_hash)


def _hex(proof: Sequence[bytes]) -> list[str]:
    return ["0x" + node.hex() for node in proof]
