"""A message's form: what the household's agent writes is understood, and nothing else does harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent.domain.collecting import NotTaken, Origin, Refusal, parse_reading, parse_status, parse_topic
from agent.domain.readings import Flags, Reading, SignedReading
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import Origin as Writer
from agent.domain.telemetry import SealedReading, Topics, reading_message, status_message

SCHEMAS = Path(__file__).parents[2] / "agent" / "schemas"
HOUSEHOLD = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
MARKET = SigningDomain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
WRITER = Writer(HOUSEHOLD, MARKET, "0.1.0")
ORIGIN = Origin("north", HOUSEHOLD, "reading")
NOW = 1_800_000_000

readings = st.builds(
    Reading,
    household=st.just(HOUSEHOLD),
    epoch=st.integers(1, 255),
    sequence=st.integers(1, 2**24 - 1),
    taken_at=st.integers(0, NOW),
    produced_wh=st.integers(0, 2**40 - 1),
    consumed_wh=st.integers(0, 2**40 - 1),
    flags=st.integers(0, 7).map(Flags),
)
sealed_readings = st.builds(
    SealedReading,
    signed=st.builds(SignedReading, reading=readings, signature=st.binary(min_size=65, max_size=65)),
    interval_end=st.integers(0, 2**32),
    period_s=st.integers(1, 86_400),
)


def good() -> dict[str, object]:
    reading = Reading(HOUSEHOLD, 2, 5, NOW - 5, 10, 20, Flags.LATE)
    sealed = SealedReading(SignedReading(reading, b"\1" * 65), NOW - 10, 900)
    message = json.loads(reading_message(WRITER, sealed, follows=(2, 4), delivered=(1, 9)))
    assert isinstance(message, dict)
    return message


def refusal(message: object) -> Refusal:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(NotTaken) as told:
        parse_reading(ORIGIN, payload, MARKET, NOW)
    return told.value.reason


@given(sealed_readings)
def test_what_an_agent_writes_is_understood(sealed: SealedReading) -> None:
    payload = reading_message(WRITER, sealed, follows=(0, 0), delivered=(0, 0))
    heard = parse_reading(parse_topic(Topics("north", HOUSEHOLD).reading), payload, MARKET, NOW)
    assert heard.signed == sealed.signed
    assert (heard.interval_end, heard.period_s, heard.follows) == (sealed.interval_end, sealed.period_s, (0, 0))


@given(st.booleans(), st.text(), st.none() | st.integers(0, 2**40))
def test_every_status_is_understood(online: bool, reason: str, at: int | None) -> None:
    payload = status_message(WRITER, online=online, reason=reason, at=at)
    assert parse_status(ORIGIN, payload) is online


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("epoch", True),
        ("epoch", 1.0),
        ("epoch", 256),
        ("sequence", -1),
        ("takenAt", "5"),
        ("producedWh", 1 << 40),
        ("flags", 8),
        ("flags", 1),  # and flagNames says late
        ("flagNames", ["late", "late"]),
        ("flagNames", {}),
        ("periodS", 0),
        ("intervalEnd", None),
        ("signature", "0x" + "AB" * 65),
        ("signature", "0x" + "ab" * 64),
        ("signature", 5),
        ("contract", None),
        ("household", []),
        ("schema", 2),
        ("schema", True),
        ("follows", [1, 2]),
        ("follows", {"epoch": 1}),
        ("follows", {"epoch": 1, "sequence": True}),
        ("follows", {"epoch": 2, "sequence": 5}),  # itself
        ("follows", {"epoch": 3, "sequence": 0}),
        ("delivered", {"epoch": 1, "sequence": 1 << 24}),
    ],
)
def test_a_member_that_is_wrong(member: str, value: object) -> None:
    assert refusal(good() | {member: value}) is Refusal.MALFORMED


@pytest.mark.parametrize("member", sorted(good()))
def test_a_member_that_is_missing(member: str) -> None:
    message = good()
    del message[member]
    assert refusal(message) is Refusal.MALFORMED


def test_one_member_too_many_and_one_twice() -> None:
    assert refusal(good() | {"extra": 1}) is Refusal.MALFORMED
    assert refusal(json.dumps(good()).encode()[:-1] + b',"epoch":2}') is Refusal.MALFORMED


def test_clocks_may_differ_a_little() -> None:
    payload = json.dumps(good() | {"takenAt": NOW + 120}).encode()
    assert parse_reading(ORIGIN, payload, MARKET, NOW).signed.reading.taken_at == NOW + 120
    assert refusal(good() | {"takenAt": NOW + 121}) is Refusal.FUTURE


def test_the_household_is_the_topics() -> None:
    assert refusal(good() | {"household": MARKET.contract}) is Refusal.ANOTHER_HOUSEHOLD
    assert refusal(good() | {"household": HOUSEHOLD.lower()}) is Refusal.ANOTHER_HOUSEHOLD


@given(st.fixed_dictionaries({}, optional={name: st.none() | st.integers() | st.text() for name in good()}))
def test_what_is_taken_fits_the_published_schema(changed: dict[str, object]) -> None:
    message = good() | changed
    try:
        parse_reading(ORIGIN, json.dumps(message).encode(), MARKET, NOW)
    except NotTaken:
        return
    Draft202012Validator(json.loads((SCHEMAS / "reading.json").read_text(encoding="utf-8"))).validate(message)


@given(
    st.binary() | st.text().map(str.encode) | st.recursive(st.none(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_hostile_payloads_raise_nothing_else(payload: bytes) -> None:
    for parse in (lambda: parse_reading(ORIGIN, payload, MARKET, NOW), lambda: parse_status(ORIGIN, payload)):
        with pytest.raises(NotTaken):
            parse()


@pytest.mark.parametrize(
    "payload",
    [b"[" * 4_000, b'{"epoch":' + b"9" * 4_000, b'{"epoch":1e400}', b"[" * 100_000, b'{"epoch":NaN}'],
    ids=["deep", "long number", "infinity", "large", "nan"],
)
def test_hostile_numbers_and_nesting(payload: bytes) -> None:
    assert refusal(payload) in {Refusal.MALFORMED, Refusal.TOO_LARGE}


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "energy",
        f"energy/v2/north/{HOUSEHOLD}/reading",
        f"energy/v1/north/{HOUSEHOLD}/reading/more",
        "energy/v1/north/0x12/reading",
        f"energy/v1//{HOUSEHOLD}/reading",
        f"energy/v1/{'x' * 65}/{HOUSEHOLD}/reading",
        f"energy/v1/\x1b[2J/{HOUSEHOLD}/reading",
    ],
)
def test_topics_that_are_nobodys(topic: str) -> None:
    with pytest.raises(NotTaken):
        parse_topic(topic)
