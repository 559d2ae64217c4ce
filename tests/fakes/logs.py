"""What a full node would answer for the market's events, encoded here by hand, apart from the code that reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import strategies as st

from agent.domain.market_events import (
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
)
from agent.domain.orders import Order, Trade
from agent.domain.readings import Reading
from agent.domain.samples import MeterRole

MARKET = to_checksum_address("0x" + "22" * 20)
ACCOUNTS = tuple(to_checksum_address("0x" + f"{number:02x}" * 20) for number in (0x11, 0xAB, 0xCD, 0xEF))
AREA = "tehran-03"
ENROLMENT = "(address,uint24,uint32,uint40,uint40,bytes32,bytes32,bytes32,bytes32)"


def block_hash(number: int) -> str:
    return "0x" + f"{number:064x}"


def signature(text: str) -> str:
    return "0x" + keccak(text=text).hex()


def account_topic(account: str) -> str:
    return "0x" + account[2:].lower().rjust(64, "0")


def data(types: str, *values: object) -> str:
    return "0x" + encode(types.split(), values).hex()


def _content(event: MarketEvent) -> tuple[list[str], str]:  # noqa: PLR0911 - one a kind of event
    """Topics and data."""
    match event:
        case Enrolled():
            area = keccak(text=AREA)
            rest = (b"p" * 32, b"c" * 32, b"h" * 32)
            registers = (event.rated_power_w, event.taken_at, event.produced_wh, event.consumed_wh)
            told = data(ENROLMENT, (event.household, *registers, area, *rest))
            named = signature(f"HouseholdEnrolled(address,bytes32,{ENROLMENT})")
            return [named, account_topic(event.household), "0x" + area.hex()], told
        case ReadingBooked(reading=reading):
            return [account_topic(reading.household)], data("uint256", reading.packed())
        case MeterReplaced():
            meter = "0x" + f"{list(MeterRole).index(event.meter):064x}"
            told = data(
                "bytes32 uint40 uint40 uint8 uint32",
                *(b"m" * 32, event.closing_wh, event.opening_wh, event.epoch, event.taken_at),
            )
            named = signature("MeterReplaced(address,uint8,bytes32,uint40,uint40,uint8,uint32)")
            return [named, account_topic(event.household), meter], told
        case Offered(order=order):
            terms = (order.number, order.energy_wh, order.price, order.expires_at)
            named = signature("Offered(address,uint40,uint40,uint80,uint32)")
            return [named, account_topic(order.seller)], data("uint40 uint40 uint80 uint32", *terms)
        case Cancelled():
            named = signature("Cancelled(address,uint40,uint40)")
            return [named, account_topic(event.seller)], data("uint40 uint40", event.number, event.energy_wh)
        case Traded(trade=trade):
            money = (trade.price_wei, trade.service_cost_wei)
            told = data(
                "uint256 uint40 uint40 uint256 uint256 uint32",
                *(trade.id, trade.number, trade.energy_wh, *money, trade.at),
            )
            named = signature("Traded(address,address,uint256,uint40,uint40,uint256,uint256,uint32)")
            return [named, account_topic(trade.seller), account_topic(trade.buyer)], told
        case Redeemed():
            named = signature("Redeemed(address,uint40)")
            return [named, account_topic(event.household)], data("uint40", event.energy_wh)
        case TariffSet():
            return [signature("TariffSet(uint80,uint80)")], data("uint80 uint80", event.feed_in, event.retail)
        case ServiceCostSet():
            return [signature("ServiceCostSet(uint96)")], data("uint96", event.service_cost)


def log_of(event: MarketEvent, contract: str = MARKET) -> dict[str, object]:
    """The event as ``eth_getLogs`` gives it."""
    topics, told = _content(event)
    return {
        "address": contract.lower(),
        "topics": topics,
        "data": told,
        "blockNumber": hex(event.place.block),
        "blockHash": block_hash(event.place.block),
        "transactionHash": event.place.tx_hash,
        "transactionIndex": "0x0",
        "logIndex": hex(event.place.log_index),
        "removed": False,
    }


def matching(logs: Iterable[dict[str, Any]], asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a node's logs that a filter of ``eth_getLogs`` finds."""

    def fits(log: dict[str, Any]) -> bool:
        in_range = int(asked["fromBlock"], 16) <= int(log["blockNumber"], 16) <= int(asked["toBlock"], 16)
        enough = len(log["topics"]) >= len(asked["topics"])
        topics = zip(log["topics"], asked["topics"], strict=False)
        return in_range and enough and all(some is None or topic in some for topic, some in topics)

    return [log for log in logs if fits(log)]


def transfer_of(block: int, log_index: int) -> dict[str, object]:
    """A log of the contract that nothing here reads."""
    event = Redeemed(place(block, log_index), ACCOUNTS[0], 1)
    topics = [signature("Transfer(address,address,uint256)"), *map(account_topic, ACCOUNTS[:2])]
    return {**log_of(event), "topics": topics, "data": data("uint256", 1)}


def place(block: int, log_index: int = 0) -> Place:
    """A place; a block's time is told by its number."""
    return Place(block, log_index, "0x" + f"{block:032x}{log_index:032x}", 1000 + block)


def _whole(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


_ACCOUNT = st.sampled_from(ACCOUNTS)


@st.composite
def events(draw: st.DrawFn, block: int | None = None, log_index: int | None = None) -> MarketEvent:  # noqa: PLR0911 - one a kind of event
    """Any event of the contract."""
    number = draw(st.integers(0, 10_000)) if block is None else block
    at = place(number, draw(st.integers(0, 500)) if log_index is None else log_index)
    account, other = draw(_ACCOUNT), draw(_ACCOUNT)
    whole40 = _whole(40)
    kind = draw(st.integers(0, 8))
    match kind:
        case 0:
            registers = (draw(_whole(32)), draw(whole40), draw(whole40), draw(_whole(24)))
            return Enrolled(at, account, *registers, area_hash="0x" + keccak(text=AREA).hex())
        case 1:
            words = (draw(_whole(8)), draw(_whole(24)), draw(_whole(32)), draw(whole40), draw(whole40))
            return ReadingBooked(at, Reading(account, *words))
        case 2:
            role = draw(st.sampled_from(MeterRole))
            return MeterReplaced(at, account, role, draw(whole40), draw(whole40), draw(_whole(8)), draw(_whole(32)))
        case 3:
            return Offered(at, Order(account, draw(whole40), draw(whole40), draw(_whole(80)), draw(_whole(32))))
        case 4:
            return Cancelled(at, account, draw(whole40), draw(whole40))
        case 5:
            money = (draw(_whole(256)), draw(_whole(256)))
            numbers = (draw(whole40), draw(whole40))
            return Traded(at, Trade(draw(_whole(256)), account, other, *numbers, *money, at.at))
        case 6:
            return Redeemed(at, account, draw(whole40))
        case 7:
            return TariffSet(at, draw(_whole(80)), draw(_whole(80)))
        case _:
            return ServiceCostSet(at, draw(_whole(96)))
