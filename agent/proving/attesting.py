"""Proving what the household's ledger is made of: what a block says of it, and what the market keeps of its orders.

A block's receipts show every event of the household's in it, with all of their figures: so one that was made up,
changed or left out of that block is found. What is left of an order shows whether every sale of it is there, in
whatever block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from agent.domain.attested import OrderWord, ProvenBlock, ProvenOrders
from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import NodeUnavailable
from agent.domain.market_events import MarketEvent, Place, concerned
from agent.light.orders import OrderLayout
from agent.proving import building
from agent.proving.asking import Asking, Following, Nodes
from agent.proving.questions import Heard, Questions

# All that one proof may take: several sources, each asked some ten questions, are no turn that hangs.
_TURN_S = 15.0
_BACKOFF = BackOff(first_s=2.0, most_s=300.0)
# Of five thousand households, proofs of so many places are some 60 kB.
_PLACES_AT_ONCE = 16

T = TypeVar("T")


class Codec(Protocol):
    """The contract's events."""

    def event_of(self, place: Place, topics: tuple[bytes, ...], data: bytes) -> MarketEvent | None:
        """What a log of the contract says; None for one that means nothing here."""


class Attestor:
    """Proves events and orders of the household's.

    Not for several threads at once: the attest stage alone asks it.

    Args:
        household: the account, checksummed.
        nodes: who is asked.
        following: who may seal.
        codec: reads the contract's events.
        layout: where the market keeps orders.
        monotonic: seconds that never step.
        random: gives a number in [0, 1).
    """

    def __init__(
        self,
        *,
        household: str,
        nodes: Nodes,
        following: Following,
        codec: Codec,
        layout: OrderLayout,
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._household = household
        self._nodes = nodes
        self._following = following
        self._asking = Asking(nodes, following, monotonic)
        self._codec = codec
        self._layout = layout
        self._monotonic = monotonic
        self._random = random
        self._of_events: dict[str, Patience] = {}
        self._of_orders: dict[str, Patience] = {}
        self._whole_blocks: set[str] = set()

    def events(self, block: int) -> ProvenBlock | None:
        """All that a block says of the household and of prices, by the word of no node; None if nobody proves it now.

        The whole block is asked for, so that nobody learns which of its transactions is looked for.

        Raises:
            NodeUnavailable: no full node may be asked just now.
        """
        return self._anyone(lambda heard: self._events(heard, block), self._of_events)

    def orders(self, numbers: Sequence[int], block: int) -> ProvenOrders | None:
        """What the market keeps of some of the household's orders; None if nobody proves it now.

        Args:
            numbers: the orders'.
            block: number of the block after which it is asked for; full nodes keep the state of the newest hundred.

        Raises:
            NodeUnavailable: no full node may be asked just now.
        """
        # Who no longer keeps a block's state may prove its events all the same, and the other way round.
        return self._anyone(lambda heard: self._orders(heard, numbers, block), self._of_orders)

    def _anyone(self, work: Callable[[Heard], T], patiences: dict[str, Patience]) -> T | None:
        until, asked = self._monotonic() + _TURN_S, False
        for source in self._nodes.sources():
            patience = patiences.setdefault(source.name, Patience(_BACKOFF, self._random))
            if not patience.ready(self._monotonic()):
                continue
            if self._monotonic() >= until:  # the slow ones before it are no fault of its own
                break
            asked = True
            try:
                found = self._asking.of(source, work, until)
            except NodeUnavailable:  # another is asked, and the stage comes again
                patience.failed(self._monotonic())
                continue
            patience.succeeded()
            return found
        if not asked:
            raise NodeUnavailable("no full node may be asked for a proof just now")
        return None

    def _questions(self, heard: Heard) -> Questions:
        return Questions(heard, self._following.pins().rules.consensus, self._whole_blocks)

    def _events(self, heard: Heard, number: int) -> ProvenBlock:
        questions, pins = self._questions(heard), self._following.pins(number)
        header, named = building.sealed(questions, pins, number)
        market = bytes.fromhex(pins.chain.contract[2:])
        found: list[MarketEvent] = []
        for one in building.carried(questions, header, named):
            for index, log in enumerate(one.receipt.logs, one.first_log):
                if log.address != market:
                    continue
                place = Place(number, index, one.tx_hash, header.timestamp)
                event = self._codec.event_of(place, log.topics, log.data)
                if event is not None and (not concerned(event) or self._household in concerned(event)):
                    found.append(event)
        return ProvenBlock(number, "0x" + named.hex(), tuple(found))

    def _orders(self, heard: Heard, numbers: Sequence[int], block: int) -> ProvenOrders:
        questions, pins = self._questions(heard), self._following.pins(block)
        header, named = building.sealed(questions, pins, block)
        seller = bytes.fromhex(self._household[2:])
        key_of = {number: self._layout.key(seller, number) for number in numbers}
        keys = sorted({*key_of.values()})  # however many orders: a seller has so many places
        words: dict[int, OrderWord] = {}
        for first in range(0, len(keys), _PLACES_AT_ONCE):
            words |= building.orders(questions, pins, self._layout, header, keys[first : first + _PLACES_AT_ONCE])
        return ProvenOrders(block, "0x" + named.hex(), {number: words[key] for number, key in key_of.items()})
