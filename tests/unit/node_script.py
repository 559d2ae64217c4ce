"""Scripted full nodes, and a pool over them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from eth_utils.crypto import keccak

from agent.adapters.full_node import CheckHead, FullNode
from agent.adapters.market import Market
from agent.adapters.node_faults import RpcRefused
from agent.adapters.node_pool import NodePool
from agent.domain.errors import JournalBusy
from agent.domain.fees import Fee
from agent.domain.lies import Lie
from agent.domain.market import ChainPin
from agent.domain.outbox import Attempt, Entry, Kind, State
from tests.fakes.logs import matching

ACCOUNT = "0x" + "11" * 20
CONTRACT = "0x" + "22" * 20
CODE = b"\x60\x80"
BEGAN_AT = 1_800_000_000  # UTC epoch seconds
RAW = b"\x02signed"
TX = "0x" + keccak(RAW).hex()
PIN = ChainPin(31337, "0x" + "00" * 32, CONTRACT, "0x" + keccak(CODE).hex())
MARKET = Market(
    [
        {"type": "function", "name": "report", "inputs": [{"name": "words", "type": "uint256[]"}], "outputs": []},
        {"type": "error", "name": "MarketPaused", "inputs": []},
        {"type": "error", "name": "Nope", "inputs": [{"name": "last", "type": "uint256"}]},
    ]
)
PAUSED = "0x" + keccak(text="MarketPaused()")[:4].hex()
NOPE = "0x" + (keccak(text="Nope(uint256)")[:4] + (7).to_bytes(32, "big")).hex()


class ScriptedNode:
    """One node's JSON-RPC; blocks are named by their number unless it is told otherwise."""

    def __init__(self) -> None:
        self.chain_id = 31337
        self.code = CODE
        self.genesis = PIN.genesis_hash
        self.head = 100
        self.fork = "aa"
        self.nonces = {"latest": 5, "pending": 5}
        self.mined: dict[str, tuple[int, str]] = {}
        self.pool: set[str] = set()
        self.fault: Exception | None = None
        self.takes = True
        self.held: threading.Event | None = None
        self.special: dict[str, Callable[[list[object]], object]] = {}
        self.asked: Counter[str] = Counter()
        self.logs: list[dict[str, Any]] = []
        self.most_blocks = 1_000_000
        self.ranges: list[tuple[int, int]] = []

    def block_hash(self, number: int) -> str:
        return self.genesis if number == 0 else "0x" + self.fork + f"{number:062x}"

    def call(self, method: str, params: list[object]) -> object:
        self.asked[method] += 1
        if self.held is not None:
            assert self.held.wait(20)
        if self.fault is not None:
            raise self.fault
        if method in self.special:
            return self.special[method](params)
        return getattr(self, method)(*params)

    def eth_chainId(self) -> object:  # noqa: N802 - the protocol's name
        return hex(self.chain_id)

    def eth_getCode(self, _address: str, _at: str) -> object:  # noqa: N802 - the protocol's name
        return "0x" + self.code.hex()

    def eth_getBlockByNumber(self, which: str, _full: bool) -> object:  # noqa: N802 - the protocol's name
        number = self.head if which == "latest" else int(which, 16)
        if number > self.head:
            return None
        return {
            "number": hex(number),
            "hash": self.block_hash(number),
            "timestamp": hex(1000 + number),
            "baseFeePerGas": "0x64",
        }

    def eth_maxPriorityFeePerGas(self) -> object:  # noqa: N802 - the protocol's name
        return "0x2"

    def eth_getTransactionCount(self, _account: str, at: str) -> object:  # noqa: N802 - the protocol's name
        return hex(self.nonces[at])

    def eth_getBalance(self, _account: str, _at: str) -> object:  # noqa: N802 - the protocol's name
        return "0x" + "ff" * 16

    def eth_getLogs(self, asked: dict[str, Any]) -> object:  # noqa: N802 - the protocol's name
        first, last = int(asked["fromBlock"], 16), int(asked["toBlock"], 16)
        self.ranges.append((first, last))
        if last - first >= self.most_blocks:
            raise RpcRefused("some words", -32005, None)
        found = matching(self.logs, asked)
        return [{**log, "blockHash": self.block_hash(int(log["blockNumber"], 16))} for log in found]

    def eth_call(self, _call: object, _at: str) -> object:
        return "0x"

    def eth_getTransactionReceipt(self, tx_hash: str) -> object:  # noqa: N802 - the protocol's name
        if tx_hash not in self.mined:
            return None
        number, block_hash = self.mined[tx_hash]
        return {"transactionHash": tx_hash, "blockNumber": hex(number), "blockHash": block_hash, "status": "0x1"}

    def eth_getTransactionByHash(self, tx_hash: str) -> object:  # noqa: N802 - the protocol's name
        return {"hash": tx_hash} if tx_hash in self.pool or tx_hash in self.mined else None

    def eth_sendRawTransaction(self, raw: str) -> object:  # noqa: N802 - the protocol's name
        if not self.takes:
            raise RpcRefused("some words", -32003, None)
        tx_hash = "0x" + keccak(bytes.fromhex(raw[2:])).hex()
        self.pool.add(tx_hash)
        return tx_hash

    def mine(self, tx_hash: str, number: int, nonce: int = 5) -> None:
        self.pool.discard(tx_hash)
        self.mined[tx_hash] = (number, self.block_hash(number))
        self.nonces["latest"] = self.nonces["pending"] = nonce + 1

    def close(self) -> None:
        pass


class Diary:
    """A log that is kept."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **facts: object) -> None:
        self.said.append((event, facts))

    warning = error = info

    def events(self) -> list[str]:
        return [f"{event} {facts['node']}" for event, facts in self.said]


class House:
    """A pool over scripted nodes, with a clock that moves when it is told to."""

    def __init__(
        self,
        count: int,
        deadline_s: float = 20.0,
        grace_s: float = 20.0,
        *,
        check_head: CheckHead | None = None,
        lies: Sequence[Lie] = (),
    ) -> None:
        self.rpcs = [ScriptedNode() for _ in range(count)]
        self.now = 1000.0
        self.kept: list[Lie] = []
        self.journal_busy = False
        self.log = Diary()
        nodes = [
            FullNode(
                name=f"n{i}",
                area=f"area-{i}",
                rpc=rpc,
                pin=PIN,
                monotonic=lambda: self.now,
                check_head=check_head,
            )
            for i, rpc in enumerate(self.rpcs)
        ]
        self.pool = NodePool(
            nodes,
            pin=PIN,
            account=ACCOUNT,
            area="area-1",
            market=MARKET,
            clock=lambda: self.now,
            random=lambda: 0.0,
            log=self.log,
            deadline_s=deadline_s,
            grace_s=grace_s,
            now_s=lambda: BEGAN_AT + int(self.now - 1000.0),
            keep_lie=self.keep,
            lies=lies,
        )

    def keep(self, lie: Lie) -> None:
        if self.journal_busy:
            raise JournalBusy
        self.kept.append(lie)

    def later(self, seconds: float) -> None:
        self.now += seconds


ENTRY = Entry(
    id=1,
    key="k",
    kind=Kind.REPORT,
    to=CONTRACT,
    data=b"",
    gas=100_000,
    state=State.SENT,
    created_at=0,
    nonce=5,
    attempts=(Attempt(TX, RAW, Fee(1, 1), 0),),
)


def reverting(data: str) -> Callable[[list[object]], object]:
    def revert(_params: list[object]) -> object:
        raise RpcRefused("execution reverted", 3, data)

    return revert
