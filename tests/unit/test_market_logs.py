"""Logs of the market contract: what is asked for, what comes out, and that nothing odd is taken for an event."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.market_logs import MarketLogs, Topics, area_hash
from agent.domain.errors import NodeUnavailable
from agent.domain.market_events import (
    ORDERS,
    OWN,
    PARAMETERS,
    Enrolled,
    MarketEvent,
    Offered,
    ReadingBooked,
    Redeemed,
    ServiceCostSet,
    TariffSet,
    Traded,
    Wanted,
    concerned,
)
from agent.domain.orders import Trade
from agent.domain.readings import Reading
from contracts import load_artifact
from tests.fakes.logs import (
    ACCOUNTS,
    AREA,
    MARKET,
    account_topic,
    data,
    events,
    log_of,
    place,
    signature,
    transfer_of,
)

LOGS = MarketLogs(load_artifact().abi, MARKET)
US, OTHER = ACCOUNTS[:2]
EVERYTHING: Topics = ()
REDEEMED = Redeemed(place(7, 3), US, 250)


def decoded(log: object, at: int = 1007, topics: Topics = EVERYTHING) -> MarketEvent | None:
    (found,) = LOGS.read([log], topics, 0, 10_000)
    return LOGS.event(found, at)


def topics_of(wanted: Wanted) -> list[list[list[str] | None]]:
    told: list[list[list[str] | None]] = [LOGS.asked(topics, 1, 2)["topics"] for topics in LOGS.filters(wanted)]  # type: ignore[misc] # JSON
    return [[None if some is None else sorted(some) for some in topics] for topics in told]


@given(events())
def test_every_event_comes_back_as_it_went(event: MarketEvent) -> None:
    assert decoded(log_of(event), event.place.at) == event


@given(events(), st.sampled_from(ACCOUNTS))
def test_a_filter_lets_through_what_names_the_account_and_the_parameters(event: MarketEvent, account: str) -> None:
    found = 0
    for topics in LOGS.filters(Wanted.of_household(account)):
        with suppress(NodeUnavailable):
            found += len(LOGS.read([log_of(event)], topics, 0, 10_000))
    named = concerned(event)
    # A purchase from oneself comes twice; the contract allows none.
    assert found == (named.count(account) if named else 1)


def test_a_households_events_are_asked_for_by_three_filters() -> None:
    ours = account_topic(US)
    own, bought, first = topics_of(Wanted.of_household(US))
    assert own[1:] == [[ours]]
    assert own[0] == sorted(
        signature(text)
        for text in (
            "HouseholdEnrolled(address,bytes32,(address,uint24,uint32,uint40,uint40,bytes32,bytes32,bytes32,bytes32))",
            "MeterReplaced(address,uint8,bytes32,uint40,uint40,uint8,uint32)",
            "Offered(address,uint40,uint40,uint80,uint32)",
            "Cancelled(address,uint40,uint40)",
            "Traded(address,address,uint256,uint40,uint40,uint256,uint256,uint32)",
            "Redeemed(address,uint40)",
        )
    )
    assert bought == [[signature("Traded(address,address,uint256,uint40,uint40,uint256,uint256,uint32)")], None, [ours]]
    assert first == [sorted([ours, signature("TariffSet(uint80,uint80)"), signature("ServiceCostSet(uint96)")])]


def test_everybodys_orders_are_one_filter_and_everybodys_readings_need_all_logs() -> None:
    assert [len(topics[0] or ()) for topics in topics_of(Wanted(ORDERS))] == [3]
    assert topics_of(Wanted(frozenset({ReadingBooked}))) == [[]]
    assert topics_of(Wanted(frozenset())) == []
    assert topics_of(Wanted(PARAMETERS, US)) == topics_of(Wanted(PARAMETERS))


def test_the_range_and_the_contract_are_asked_for() -> None:
    asked = LOGS.asked(LOGS.filters(Wanted(PARAMETERS))[0], 16, 255)
    assert (asked["address"], asked["fromBlock"], asked["toBlock"]) == (MARKET, "0x10", "0xff")


def test_a_tokens_transfer_is_no_event_of_the_market() -> None:
    assert decoded(transfer_of(7, 3)) is None
    assert decoded({**log_of(REDEEMED), "topics": []}) is None


def test_a_removed_log_is_not_taken() -> None:
    assert LOGS.read([{**log_of(REDEEMED), "removed": True}], EVERYTHING, 0, 10) == []
    untold = {name: value for name, value in log_of(REDEEMED).items() if name != "removed"}
    assert len(LOGS.read([untold], EVERYTHING, 0, 10)) == 1  # some nodes leave it out


def test_logs_come_in_the_chains_order() -> None:
    later, earlier = Redeemed(place(7, 4), US, 1), Redeemed(place(6, 9), US, 1)
    found = LOGS.read([log_of(later), log_of(REDEEMED), log_of(earlier)], EVERYTHING, 0, 10)
    assert [(log.block, log.index) for log in found] == [(6, 9), (7, 3), (7, 4)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"address": ACCOUNTS[0]}, "address"),
        ({"address": None}, "address"),
        ({"blockNumber": "0xb"}, "blockNumber is 11, where 0 to 10"),
        ({"blockNumber": None}, "blockNumber"),
        ({"blockHash": None}, "blockHash"),
        ({"transactionHash": "0x12"}, "transactionHash"),
        ({"logIndex": "0x100000000"}, "logIndex"),
        ({"topics": ["0x" + "00" * 32] * 5}, "topics"),
        ({"topics": {"0": "1"}}, "topics"),
        ({"topics": ["0x" + "00" * 31]}, "topic"),
        ({"data": "0x0"}, "data"),
        ({"removed": "no"}, "removed"),
        ({"removed": None}, "removed"),
    ],
)
def test_a_log_that_is_odd_is_no_usable_answer(changed: dict[str, object], said: str) -> None:
    with pytest.raises(NodeUnavailable, match=said):
        LOGS.read([{**log_of(REDEEMED), **changed}], EVERYTHING, 0, 10)


def test_one_index_twice_in_a_block_is_no_usable_answer() -> None:
    with pytest.raises(NodeUnavailable, match="two logs have index 3 in block 7"):
        LOGS.read([log_of(REDEEMED), log_of(Redeemed(place(7, 3), US, 251))], EVERYTHING, 0, 10)


def test_another_accounts_event_is_none_that_was_asked_for() -> None:
    own = LOGS.filters(Wanted(OWN, OTHER))[0]
    with pytest.raises(NodeUnavailable, match="none that was asked for"):
        LOGS.read([log_of(REDEEMED)], own, 0, 10)


def _word(value: int) -> str:
    return f"{value:064x}"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ({**log_of(REDEEMED), "data": "0x"}, "Redeemed: 0 bytes"),
        ({**log_of(REDEEMED), "data": "0x" + _word(1) + "00"}, "Redeemed: 33 bytes"),
        ({**log_of(REDEEMED), "data": "0x" + _word(1 << 40)}, "Redeemed: 32 bytes"),
        ({**log_of(REDEEMED), "topics": [signature("Redeemed(address,uint40)")]}, "Redeemed: it has 0 indexed"),
        ({**log_of(REDEEMED), "topics": [signature("Redeemed(address,uint40)"), "0x" + "ff" * 32]}, "Redeemed"),
        ({**log_of(REDEEMED), "topics": [account_topic(US)], "data": "0x" + _word(1 << 152)}, "Reading"),
        ({**log_of(REDEEMED), "topics": [account_topic(US)], "data": "0x" + _word(8 << 144)}, "Reading"),
        ({**log_of(REDEEMED), "topics": [account_topic(US)] * 2, "data": "0x" + _word(1)}, "Reading: it has 2"),
        (
            {
                **log_of(REDEEMED),
                "topics": [
                    signature("MeterReplaced(address,uint8,bytes32,uint40,uint40,uint8,uint32)"),
                    account_topic(US),
                    "0x" + _word(2),
                ],
                "data": data("bytes32 uint40 uint40 uint8 uint32", b"m" * 32, 1, 1, 1, 1),
            },
            "meter is 2",
        ),
    ],
)
def test_an_event_that_does_not_decode_to_the_last_bit_is_no_usable_answer(log: object, said: str) -> None:
    with pytest.raises(NodeUnavailable, match=said):
        decoded(log)


def test_a_trade_at_another_time_than_its_blocks_is_no_usable_answer() -> None:
    event = Traded(place(7), Trade(1, US, OTHER, 1, 1, 1, 0, 1007))
    assert decoded(log_of(event), 1007) == event
    with pytest.raises(NodeUnavailable, match="time is 1007, where its block's, 1008"):
        decoded(log_of(event), 1008)


def test_an_enrolment_whose_data_name_another_account_is_no_usable_answer() -> None:
    log = log_of(Enrolled(place(7), US, 1, 2, 3, 4))
    named = log["topics"]
    assert isinstance(named, list)
    with pytest.raises(NodeUnavailable, match="account is"):
        decoded({**log, "topics": [named[0], account_topic(OTHER), named[2]]})
    with pytest.raises(NodeUnavailable, match="area is"):
        decoded({**log, "topics": [named[0], named[1], "0x" + "00" * 32]})


# Logs that have the right names and anything in them.
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_logs_or_unusable(value: object) -> None:
    with suppress(NodeUnavailable):
        LOGS.read(value, EVERYTHING, 0, 10_000)


@given(events(), st.data())
def test_one_field_may_hold_anything(event: MarketEvent, draw: st.DataObject) -> None:
    log = log_of(event)
    name = draw.draw(st.sampled_from(sorted(log)))
    with suppress(NodeUnavailable):
        for found in LOGS.read([{**log, name: draw.draw(JSON)}], EVERYTHING, 0, 10_000):
            LOGS.event(found, event.place.at)


@given(events(), st.binary(max_size=400), st.lists(st.binary(min_size=32, max_size=32), max_size=3))
def test_any_bytes_under_an_events_name_are_an_event_or_unusable(
    event: MarketEvent, content: bytes, more: list[bytes]
) -> None:
    log = log_of(event)
    named = log["topics"]
    assert isinstance(named, list)
    topics = [named[0], *("0x" + topic.hex() for topic in more)]
    with suppress(NodeUnavailable):
        found = decoded({**log, "topics": topics, "data": "0x" + content.hex()}, event.place.at)
        # What is taken for an event encodes to the very bytes that came, but for what the domain leaves out.
        if isinstance(found, Redeemed | TariffSet | ServiceCostSet | Offered | Traded | ReadingBooked):
            assert log_of(found)["data"] == "0x" + content.hex()
            assert log_of(found)["topics"] == topics


def test_an_areas_name_is_hashed_on_the_chain() -> None:
    assert area_hash(AREA) == signature(AREA)


def test_a_reading_needs_no_name_of_an_event() -> None:
    reading = Reading(US, 1, 5, 900, 1000, 2000)
    assert decoded(log_of(ReadingBooked(place(7, 3), reading))) == ReadingBooked(place(7, 3), reading)
