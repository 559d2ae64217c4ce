"""A consortium's chain, told over JSON-RPC as Besu and geth word it, and what follows it for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_keys.datatypes import PrivateKey

from agent.domain.errors import NodeUnavailable
from agent.domain.market import ChainPin
from agent.light import clique
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.light.seals import Place, Rules
from agent.proving.validators import Validators
from tests.fakes.consortium import FOR, Consortium, address, keys
from tests.fakes.recorded import LAYOUT
from tests.fakes.telling import told_header

EPOCH = 20


class ChainSource:
    """Answers from a consortium's headers.

    Attributes:
        chain: whose; tests change it while it is asked.
        asked: the numbers of the blocks that were asked for.
        before_answer: called with the number before each answer.
        rewrite: what becomes of each answer.
    """

    def __init__(self, chain: Consortium, name: str = "north", *, headers_alone: bool = False) -> None:
        self.name = name
        self.chain = chain
        self.asked: list[int] = []
        self.before_answer: Callable[[int], None] = lambda _: None
        self.rewrite: Callable[[dict[str, Any]], Any] = lambda told: told
        self.headers_alone = headers_alone
        self.refusals = 0
        self.silent_from: int | None = None

    @property
    def head(self) -> int:
        return len(self.chain.headers) - 1

    def call(self, method: str, params: list[object]) -> object:
        if method == "eth_getHeaderByNumber" and not self.headers_alone:
            self.refusals += 1
            raise NodeUnavailable("refused eth_getHeaderByNumber with code -32601")  # as Besu
        number, *whole = params
        assert (method, whole) in (("eth_getHeaderByNumber", []), ("eth_getBlockByNumber", [False]))
        assert isinstance(number, str)
        at = int(number, 16)
        self.before_answer(at)
        self.asked.append(at)
        if self.silent_from is not None and at >= self.silent_from:
            raise NodeUnavailable("no answer in time")
        if at > self.head:
            return None
        return self.rewrite(told_header(self.chain.headers[at], self.chain.hash_of(at)))


class Rows:
    """The journal's one row."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.written = 0

    def place(self) -> str | None:
        return self.text

    def set_place(self, text: str) -> None:
        self.text, self.written = text, self.written + 1


def begun(consensus: Consensus, sealers: int = 4, epoch: int = EPOCH) -> Consortium:
    return Consortium(Rules(consensus, epoch=epoch), keys(sealers))


def grow(chain: Consortium, to: int) -> None:
    """Seal up to a block: in turn, or by the next one where that one sealed just before."""
    while len(chain.headers) <= to:
        chain.seal(*(chain.sealers if chain.bft else in_turn(chain, 1)))


def pins_at(place: Place, rules: Rules) -> Pins:
    """Pins of some chain with this place."""
    pin = ChainPin(7, "0x" + place.block_hash.hex(), "0x" + "11" * 20, "0x" + "22" * 32)
    return Pins(pin, rules, place, LAYOUT)


def pins_of(chain: Consortium) -> Pins:
    return pins_at(Place(0, chain.hash_of(0), chain.founders), chain.rules)


def caught_up(validators: Validators, source: ChainSource, *, wanted: bool = True) -> int:
    """Steps until there is no more to be done."""
    for step in range(1, 100):
        if not validators.catch_up(source, source.head, wanted=wanted):
            return step
    pytest.fail("it never comes to an end")


def vote(chain: Consortium, subject: PrivateKey, *by: PrivateKey, add: bool) -> None:
    """Each seals a block with its vote; the one that brings more than half changes the sealers."""
    for key in by:
        if chain.bft:
            others = (one for one in chain.sealers if one is not key)
            chain.seal(key, *others, vote=(address(subject), add))
        else:
            chain.seal(key, miner=address(subject), nonce=FOR if add else bytes(8))
    left = [key for key in chain.sealers if key is not subject]
    chain.sealers = sorted([*left, subject] if add else left, key=address)


def in_turn(chain: Consortium, count: int) -> list[PrivateKey]:
    """Who may seal the next so many blocks, from whoever's turn it is."""
    turn = len(chain.headers) % len(chain.sealers)
    last = chain.headers[-(len(chain.sealers) // 2) :] if len(chain.sealers) > 1 and not chain.bft else []
    busy = {clique.sealer(header.fields()) for header in last}
    order = [*chain.sealers[turn:], *chain.sealers[:turn]]
    return sorted(order, key=lambda key: address(key) in busy)[:count]
