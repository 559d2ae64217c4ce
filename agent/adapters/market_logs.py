"""The market contract's events, out of a full node's logs.

A log is read with the suspicion that everything from a node meets (``node_answers``): it must be of the contract, fit
the filter that was asked for, stand in the blocks that were asked for, and decode to the last bit. Anything else means
that the node gave no usable answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from agent.adapters import node_answers
from agent.domain.errors import BadReading, NodeUnavailable
from agent.domain.market_events import (
    PARAMETERS,
    Cancelled,
    Enrolled,
    MarketEvent,
    MeterReplaced,
    Offered,
    Place,
    ReadingBooked,
    Redeemed,
    ServiceCostSet,
    TariffSet,
    Traded,
    Wanted,
)
from agent.domain.orders import Order, Trade
from agent.domain.readings import Reading
from agent.domain.samples import MeterRole

_WORD_BYTES = 32
_ADDRESS_BYTES = 20
_NO_ACCOUNT = bytes(_WORD_BYTES - _ADDRESS_BYTES)
_MOST_TOPICS = 4
_MOST_UINT32 = (1 << 32) - 1
# The contract's enum Meter, in its order.
_METERS = (MeterRole.PRODUCTION, MeterRole.CONSUMPTION)
_READING = "Reading"

Topics = tuple[tuple[bytes, ...] | None, ...]
"""A filter: for each place the topics that will do, None for any."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log that is the contract's, not decoded yet.

    Attributes:
        block: its block's number.
        block_hash: its block's hash, ``0x`` hex.
        index: its index in the block.
        tx_hash: of the transaction that made it, ``0x`` hex.
        topics: 32 bytes each, up to four.
        data: the rest.
        at: its block's time where the node says it with the log, UTC epoch seconds; None where it does not.
    """

    block: int
    block_hash: str
    index: int
    tx_hash: str
    topics: tuple[bytes, ...]
    data: bytes
    at: int | None = None


_Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One event of the ABI, and what it is in the domain."""

    name: str
    becomes: type
    build: Callable[[Place, _Facts], MarketEvent]
    signature: bytes
    indexed: tuple[Mapping[str, Any], ...]
    rest: tuple[Mapping[str, Any], ...]


def _enrolled(place: Place, facts: _Facts) -> MarketEvent:
    enrolment = facts["enrolment"]
    _same("account", enrolment["account"], facts["account"])
    _same("area", enrolment["area"], facts["area"])
    return Enrolled(
        place,
        household=to_checksum_address(facts["account"]),
        taken_at=enrolment["firstTakenAt"],
        produced_wh=enrolment["firstProducedWh"],
        consumed_wh=enrolment["firstConsumedWh"],
        rated_power_w=enrolment["ratedPowerW"],
        area_hash="0x" + facts["area"].hex(),
    )


def _meter_replaced(place: Place, facts: _Facts) -> MarketEvent:
    if (meter := facts["meter"]) >= len(_METERS):
        raise NodeUnavailable(f"MeterReplaced: meter is {meter}, where 0 or 1 belongs")
    return MeterReplaced(
        place,
        household=to_checksum_address(facts["account"]),
        meter=_METERS[meter],
        closing_wh=facts["closingWh"],
        opening_wh=facts["openingWh"],
        epoch=facts["epoch"],
        taken_at=facts["takenAt"],
    )


def _reading(place: Place, facts: _Facts) -> MarketEvent:
    try:
        reading = Reading.from_packed(to_checksum_address(facts["household"]), facts["reading"])
    except BadReading as error:
        raise NodeUnavailable(f"Reading: {error}, which the contract never books") from error
    return ReadingBooked(place, reading)


def _offered(place: Place, facts: _Facts) -> MarketEvent:
    return Offered(
        place,
        Order(
            seller=to_checksum_address(facts["seller"]),
            number=facts["number"],
            energy_wh=facts["energyWh"],
            price=facts["priceWeiPerKWh"],
            expires_at=facts["expiresAt"],
        ),
    )


def _cancelled(place: Place, facts: _Facts) -> MarketEvent:
    return Cancelled(place, to_checksum_address(facts["seller"]), facts["number"], facts["energyWh"])


def _traded(place: Place, facts: _Facts) -> MarketEvent:
    if facts["time"] != place.at:
        raise NodeUnavailable(f"Traded: time is {facts['time']}, where its block's, {place.at}, belongs")
    return Traded(
        place,
        Trade(
            id=facts["tradeId"],
            seller=to_checksum_address(facts["seller"]),
            buyer=to_checksum_address(facts["buyer"]),
            number=facts["number"],
            energy_wh=facts["energyWh"],
            price_wei=facts["priceWei"],
            service_cost_wei=facts["serviceCostWei"],
            at=facts["time"],
        ),
    )


def _redeemed(place: Place, facts: _Facts) -> MarketEvent:
    return Redeemed(place, to_checksum_address(facts["household"]), facts["energyWh"])


def _tariff(place: Place, facts: _Facts) -> MarketEvent:
    return TariffSet(place, facts["feedInWeiPerKWh"], facts["retailWeiPerKWh"])


def _service_cost(place: Place, facts: _Facts) -> MarketEvent:
    return ServiceCostSet(place, facts["weiPerKWh"])


_MEANING: Mapping[str, tuple[type, Callable[[Place, _Facts], MarketEvent]]] = {
    "HouseholdEnrolled": (Enrolled, _enrolled),
    _READING: (ReadingBooked, _reading),
    "MeterReplaced": (MeterReplaced, _meter_replaced),
    "Offered": (Offered, _offered),
    "Cancelled": (Cancelled, _cancelled),
    "Traded": (Traded, _traded),
    "Redeemed": (Redeemed, _redeemed),
    "TariffSet": (TariffSet, _tariff),
    "ServiceCostSet": (ServiceCostSet, _service_cost),
}


class MarketLogs:
    """The contract's events: what to ask for, and what an answer means.

    Args:
        abi: of the contract, as the artifact has it.
        contract: its address.
    """

    def __init__(self, abi: Sequence[Mapping[str, Any]], contract: str) -> None:
        self.contract = contract
        kinds = [_kind(item) for item in abi if item["type"] == "event" and item["name"] in _MEANING]
        if missing := _MEANING.keys() - {kind.name for kind in kinds}:
            raise AssertionError(f"the artifact's ABI has no event {', '.join(sorted(missing))}")
        self._reading = next(kind for kind in kinds if kind.name == _READING)
        self._signed = {kind.signature: kind for kind in kinds if kind is not self._reading}

    def filters(self, wanted: Wanted) -> list[Topics]:
        """The filters that together find what is wanted; an event may come through two of them."""
        signed = {kind.becomes: kind.signature for kind in self._signed.values()}
        general = tuple(signed[kind] for kind in signed if kind in wanted.kinds & PARAMETERS)
        own = tuple(signed[kind] for kind in signed if kind in wanted.kinds - PARAMETERS)
        readings = ReadingBooked in wanted.kinds
        if wanted.account is None:
            # Nothing tells everybody's readings from the rest: their first topic is the household.
            return [()] if readings else [(own + general,)] if own + general else []
        account = _account_topic(wanted.account)
        found: list[Topics] = [(own, (account,))] if own else []
        if Traded in wanted.kinds:
            found.append(((signed[Traded],), None, (account,)))
        if first := (account,) * readings + general:
            found.append((first,))
        return found

    def asked(self, topics: Topics, first_block: int, last_block: int) -> dict[str, object]:
        """The parameter of ``eth_getLogs``."""
        return {
            "address": self.contract,
            "fromBlock": hex(first_block),
            "toBlock": hex(last_block),
            "topics": [None if some is None else ["0x" + one.hex() for one in some] for some in topics],
        }

    def read(self, value: object, topics: Topics, first_block: int, last_block: int) -> list[Log]:
        """What ``eth_getLogs`` answered, checked and in the chain's order; removed logs are left out.

        Args:
            value: the answer.
            topics: the filter that was asked for.
            first_block: first block of the range.
            last_block: last block of the range.

        Raises:
            NodeUnavailable: something in it is odd.
        """
        if not isinstance(value, list):
            raise NodeUnavailable(f"logs are {node_answers.shown(value)}, where a JSON array belongs")
        found: dict[tuple[int, int], Log] = {}
        for told in value:
            log = self._log(told, topics, first_block, last_block)
            if log is None:
                continue
            if found.setdefault((log.block, log.index), log) is not log:
                raise NodeUnavailable(f"two logs have index {log.index} in block {log.block}")
        return [found[place] for place in sorted(found)]

    def _log(self, value: object, topics: Topics, first_block: int, last_block: int) -> Log | None:
        told = node_answers.fields(value, "log")
        removed = told.get("removed", False)
        if not isinstance(removed, bool):
            raise NodeUnavailable(f"log: removed is {node_answers.shown(removed)}, where true or false belongs")
        if removed:
            return None
        address = node_answers.octets(told.get("address"), "log: address", _ADDRESS_BYTES)
        if address != bytes.fromhex(self.contract[2:]):
            raise NodeUnavailable(f"log: address is 0x{address.hex()}, where {self.contract} belongs")
        named = told.get("topics")
        if not isinstance(named, list) or len(named) > _MOST_TOPICS:
            raise NodeUnavailable("log: topics are no JSON array of up to 4")
        at = told.get("blockTimestamp")
        log = Log(
            block=node_answers.quantity(told.get("blockNumber"), "log: blockNumber"),
            block_hash=node_answers.hash32(told.get("blockHash"), "log: blockHash"),
            index=node_answers.quantity(told.get("logIndex"), "log: logIndex", _MOST_UINT32),
            tx_hash=node_answers.hash32(told.get("transactionHash"), "log: transactionHash"),
            topics=tuple(node_answers.octets(topic, "log: topic", _WORD_BYTES) for topic in named),
            data=node_answers.octets(told.get("data"), "log: data"),
            at=None if at is None else node_answers.quantity(at, "log: blockTimestamp"),
        )
        if not first_block <= log.block <= last_block:
            raise NodeUnavailable(f"log: blockNumber is {log.block}, where {first_block} to {last_block} belongs")
        if not _fits(log.topics, topics):
            raise NodeUnavailable(f"log {log.index} of block {log.block} is none that was asked for")
        return log

    def event(self, log: Log, at: int) -> MarketEvent | None:
        """What a log says; None for an event of the contract that means nothing here (a token's transfer).

        Args:
            log: checked.
            at: its block's time, UTC epoch seconds.

        Raises:
            NodeUnavailable: its topics and data are not what the event has.
        """
        return self.event_of(Place(log.block, log.index, log.tx_hash, at), log.topics, log.data)

    def event_of(self, place: Place, topics: tuple[bytes, ...], data: bytes) -> MarketEvent | None:
        """What a log of the contract says; None and errors as ``event``.

        Args:
            place: where it stands.
            topics: 32 bytes each.
            data: the rest.
        """
        if not topics:
            return None
        if topics[0].startswith(_NO_ACCOUNT):
            # No keccak begins with twelve zero bytes: it is an account, and the event has no name.
            return self._reading.build(place, _facts(self._reading, topics, data))
        kind = self._signed.get(topics[0])
        return None if kind is None else kind.build(place, _facts(kind, topics[1:], data))


def area_hash(name: str) -> str:
    """What an area's name is on the chain, ``0x`` hex."""
    return "0x" + keccak(text=name).hex()


def _account_topic(account: str) -> bytes:
    return bytes.fromhex(account[2:]).rjust(_WORD_BYTES, b"\0")


def _fits(topics: tuple[bytes, ...], wanted: Topics) -> bool:
    if len(topics) < len(wanted):
        return False
    return all(some is None or topic in some for topic, some in zip(topics, wanted, strict=False))


def _kind(abi: Mapping[str, Any]) -> _Kind:
    inputs = abi["inputs"]
    becomes, build = _MEANING[abi["name"]]
    signature = keccak(text=f"{abi['name']}({','.join(collapse_if_tuple(dict(part)) for part in inputs)})")
    return _Kind(
        name=abi["name"],
        becomes=becomes,
        build=build,
        signature=b"" if abi.get("anonymous") else signature,
        indexed=tuple(part for part in inputs if part["indexed"]),
        rest=tuple(part for part in inputs if not part["indexed"]),
    )


def _facts(kind: _Kind, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
    if len(topics) != len(kind.indexed):
        raise NodeUnavailable(f"{kind.name}: it has {len(topics)} indexed values, where {len(kind.indexed)} belong")
    return _decoded(kind.indexed, b"".join(topics), kind.name) | _decoded(kind.rest, data, kind.name)


def _decoded(parts: Sequence[Mapping[str, Any]], data: bytes, name: str) -> dict[str, Any]:
    types = [collapse_if_tuple(dict(part)) for part in parts]
    try:
        values = decode(types, data)
        # The decoder ignores what follows; the contract writes each event in one way only.
        exact = encode(types, values) == data
    except (DecodingError, OverflowError, ValueError) as error:
        raise NodeUnavailable(f"{name}: {len(data)} bytes that do not decode") from error
    if not exact:
        raise NodeUnavailable(f"{name}: {len(data)} bytes that are not what its values encode to")
    return _named(parts, values)


def _named(parts: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> dict[str, Any]:
    return {
        part["name"]: _named(part["components"], value) if part["type"] == "tuple" else value
        for part, value in zip(parts, values, strict=True)
    }


def _same(name: str, first: object, second: object) -> None:
    if first != second:
        raise NodeUnavailable(f"HouseholdEnrolled: {name} is {first!r} in its data and {second!r} in its topic")
