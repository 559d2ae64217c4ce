"""What one full node is asked for so that something can be proven, and what it told, kept in case it lied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.domain.errors import BadEvidence, NodeUnavailable
from agent.domain.lies import MOST_TOLD, words
from agent.light import gathering
from agent.light.evidence import StatePiece
from agent.light.headers import Consensus, Header
from agent.light.quantities import number_of, shown

# A proof takes some ten requests at most.
_KEPT = 16
_MOST_NAME = 80

Told = Mapping[str, object]
"""A JSON object of a node's."""


class NotThere(NodeUnavailable):
    """A source does not have a block that another may have: nothing is wrong with either, nor with other questions."""


class Source(Protocol):
    """A full node, asked over JSON-RPC."""

    @property
    def name(self) -> str:
        """What it is called in logs."""

    def call(self, method: str, params: list[object]) -> object:
        """The ``result`` of one request; raises NodeUnavailable."""


def _kept(told: object) -> object:
    """What is kept of an answer: all of it, or of one that is longer than any lie is kept, its beginning.

    An answer of 2 MB can be 50 MB of objects, and sixteen of those are more than the agent may have.
    """
    text = words(told)
    if len(text) < MOST_TOLD:
        return told
    if not isinstance(told, dict):
        return text
    named = {name: value[:_MOST_NAME] for name in ("number", "hash") if isinstance(value := told.get(name), str)}
    return {**named, "told": text}


@dataclass(frozen=True, slots=True)
class Heard:
    """A source that is asked for so long, and what it told, kept in case it lied.

    Attributes:
        source: who is asked.
        clock: seconds that never step.
        until: when it is asked nothing more.
        answers: the newest of what it told.
    """

    source: Source
    clock: Callable[[], float]
    until: float
    answers: list[Told] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is called in logs."""
        return self.source.name

    def call(self, method: str, params: list[object]) -> object:
        """The ``result`` of one request; raises NodeUnavailable."""
        if self.clock() >= self.until:
            raise NodeUnavailable("it takes too long for all that is asked of it at a time")
        told = self.source.call(method, params)
        # The last ones show what was wrong; two hundred headers of one step would only hide it.
        del self.answers[: -_KEPT + 1]
        self.answers.append({"method": method, "params": params, "result": _kept(told)})
        return told


@dataclass(slots=True)
class Questions:
    """Questions to one source.

    Attributes:
        source: who is asked.
        consensus: how its blocks are hashed.
        whole_blocks: names of sources that tell headers only together with their block's transactions' hashes.
    """

    source: Source
    consensus: Consensus
    whole_blocks: set[str] = field(default_factory=set)

    def newest(self) -> int:
        """The number of its newest block.

        Raises:
            NodeUnavailable: it gave no answer.
            BadEvidence: what it told is no number.
        """
        return number_of(self.source.call("eth_blockNumber", []), "newest block", 64)

    def header(self, number: int) -> Header:
        """The header of a block of its chain, which hashes to what the node calls it.

        Raises:
            NodeUnavailable: it gave no answer, or has no such block.
            BadEvidence: the header is not in order.
        """
        return self._of_number(self._header(number), number)

    def _header(self, number: int) -> Told:
        """Without the block's transactions where the source knows the question: a full block has 2 kB of hashes."""
        if self.source.name not in self.whole_blocks:
            try:
                return self._object("eth_getHeaderByNumber", [hex(number)], f"block {number}")
            except NodeUnavailable:
                self.whole_blocks.add(self.source.name)
        return self._object("eth_getBlockByNumber", [hex(number), False], f"block {number}")

    def run(self, first: int, count: int) -> list[Header]:
        """The headers of consecutive blocks; whether they follow each other is for who checks their seals."""
        return [self.header(number) for number in range(first, first + count)]

    def block(self, block_hash: str) -> tuple[Header, list[Told], list[Told]]:
        """A block with all of its transactions and their receipts, which its header does not vouch for yet.

        Args:
            block_hash: ``0x`` hex.

        Raises:
            NotThere: it does not have the block.
            NodeUnavailable: it gave no answer.
            BadEvidence: it told something else than was asked for.
        """
        told = self.source.call("eth_getBlockByHash", [block_hash, True])
        if told is None:
            raise NotThere(f"it does not have block {block_hash}")
        if not isinstance(told, dict):
            raise BadEvidence(f"block {block_hash} is {shown(told)}, where an object belongs")
        found = gathering.header(told, self.consensus, f"block {block_hash}")
        if told.get("hash") != block_hash:
            raise BadEvidence(f"asked for block {block_hash}, it told block {shown(told.get('hash'))}")
        transactions = _objects(told.get("transactions"), "transactions")
        return found, transactions, self._receipts(block_hash, transactions)

    def _receipts(self, block_hash: str, transactions: Sequence[Told]) -> list[Told]:
        try:
            told = self.source.call("eth_getBlockReceipts", [block_hash])
        except NodeUnavailable:
            # Some clients do not know the question. Each is asked for, so that no single one shows whom we look for.
            hashes = [shown_hash(one) for one in transactions]
            told = [self.source.call("eth_getTransactionReceipt", [one]) for one in hashes]
        # Many keep the index of the newest transactions alone, and know nothing of an older one by its hash.
        if told is None or (isinstance(told, list) and None in told):
            raise NodeUnavailable(f"it does not have the receipts of block {block_hash}")
        return _objects(told, "receipts")

    def receipt(self, tx_hash: str) -> Told | None:
        """What it says of a transaction's receipt; None if it knows of none."""
        told = self.source.call("eth_getTransactionReceipt", [tx_hash])
        return told if isinstance(told, dict) else None

    def state(self, household: str, contract: str, key: int, number: int) -> StatePiece:
        """The proofs of an account and of one slot of the market, at a block of its chain.

        Args:
            household: the account, ``0x`` hex.
            contract: the market, ``0x`` hex.
            key: of the slot.
            number: of the block.

        Raises:
            NodeUnavailable: it gave no answer, or no longer has that state.
            BadEvidence: what it told has another form.
        """
        account = self._object("eth_getProof", [household, [], hex(number)], "proof of the account")
        market = self.market(contract, [key], number)
        return gathering.state_piece(bytes.fromhex(household[2:]), account, market)

    def market(self, contract: str, keys: Sequence[int], number: int) -> Told:
        """What it tells as proofs of the market's account and of some of its slots, at a block of its chain.

        Raises:
            NodeUnavailable: it gave no answer, or no longer has that state.
            BadEvidence: what it told has another form.
        """
        slots = ["0x" + key.to_bytes(32, "big").hex() for key in keys]
        return self._object("eth_getProof", [contract, slots, hex(number)], "proof of the slots")

    def _of_number(self, told: Told, number: int) -> Header:
        found = gathering.header(told, self.consensus, f"block {number}")
        if found.number != number:
            raise BadEvidence(f"asked for block {number}, it told block {found.number}")
        return found

    def _object(self, method: str, params: list[object], what: str) -> Told:
        told = self.source.call(method, params)
        if told is None:
            raise NodeUnavailable(f"it does not have {what}")
        if not isinstance(told, dict):
            raise BadEvidence(f"{what} is {shown(told)}, where an object belongs")
        return told


def shown_hash(transaction: Told) -> str:
    """The hash that a node gives a transaction.

    Raises:
        BadEvidence: it gives none.
    """
    found = transaction.get("hash")
    if not isinstance(found, str):
        raise BadEvidence(f"a transaction's hash is {shown(found)}, where a text belongs")
    return found


def _objects(value: object, what: str) -> list[Told]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadEvidence(f"{what} are {shown(value)}, where a list of objects belongs")
    return value
