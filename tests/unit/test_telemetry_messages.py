"""Every message that the code can make fits its published schema; nothing that arrives does harm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent.domain.errors import BadRequest, ConfigurationInvalid
from agent.domain.readings import Flags, Reading, SignedReading
from agent.domain.samples import MeterRole, Quality, Sample
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import (
    JournalEvent,
    Origin,
    SealedReading,
    Topics,
    event_message,
    live_message,
    parse_acknowledgement,
    reading_message,
    status_message,
)

SCHEMAS = Path(__file__).parents[2] / "agent" / "schemas"
HOUSEHOLD = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ORIGIN = Origin(HOUSEHOLD, SigningDomain(31337, CONTRACT), "0.1.0")


def fits(name: str, payload: bytes) -> dict[str, object]:
    message = json.loads(payload)
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(message)
    assert isinstance(message, dict)
    assert payload == json.dumps(message, sort_keys=True, separators=(",", ":")).encode()
    return message


readings = st.builds(
    Reading,
    household=st.just(HOUSEHOLD),
    epoch=st.integers(1, 255),
    sequence=st.integers(1, 2**24 - 1),
    taken_at=st.integers(0, 2**32 - 1),
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
floats = st.none() | st.floats(allow_nan=True, allow_infinity=True)
samples = st.builds(
    Sample,
    role=st.sampled_from(MeterRole),
    taken_ms=st.integers(0, 2**42),
    register_wh=st.none() | st.integers(0, 2**40),
    power_w=st.none() | st.integers(-(2**31), 2**31),
    voltage_v=floats,
    current_a=floats,
    frequency_hz=floats,
    quality=st.sampled_from(Quality),
)
facts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(MeterRole.PRODUCTION),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=40,
)


@given(sealed_readings)
def test_reading_fits(sealed: SealedReading) -> None:
    message = fits("reading", reading_message(ORIGIN, sealed, follows=(1, 1), delivered=(0, 0)))

    reading = sealed.signed.reading
    assert message["producedWh"] == reading.produced_wh
    assert bytes.fromhex(str(message["signature"])[2:]) == sealed.signed.signature
    assert (message["chainId"], message["contract"]) == (31337, CONTRACT)


def test_reading_names_its_flags() -> None:
    reading = Reading(HOUSEHOLD, 1, 2, 900, 10, 20, Flags.PRODUCTION_HELD | Flags.LATE)

    message = fits(
        "reading",
        reading_message(
            ORIGIN, SealedReading(SignedReading(reading, b"\1" * 65), 900, 900), follows=(1, 1), delivered=(0, 0)
        ),
    )

    assert (message["flags"], message["flagNames"]) == (5, ["late", "production_held"])


@given(
    st.dictionaries(st.sampled_from(MeterRole), samples, min_size=1),
    st.integers(0, 2**42),
    st.booleans(),
)
def test_live_fits(newest: dict[MeterRole, Sample], at_ms: int, trusted: bool) -> None:
    message = fits("live", live_message(ORIGIN, newest, at_ms=at_ms, clock_trusted=trusted))

    assert set(message["meters"]) == set(newest)  # type: ignore[call-overload] # an object, as the schema says


def test_live_unknown_is_null() -> None:
    sample = Sample(MeterRole.PRODUCTION, 1, None, None, voltage_v=float("nan"), quality=Quality.UNKNOWN)

    message = json.loads(live_message(ORIGIN, {MeterRole.PRODUCTION: sample}, at_ms=2, clock_trusted=True))

    told = message["meters"]["production"]
    assert (told["registerWh"], told["powerW"], told["voltageV"]) == (None, None, None)


@given(st.booleans(), st.text(), st.none() | st.integers(0, 2**40))
def test_status_fits(online: bool, reason: str, at: int | None) -> None:
    assert fits("status", status_message(ORIGIN, online=online, reason=reason, at=at))["online"] is online


@given(
    st.integers(1, 2**40),
    st.text(min_size=1),
    st.sampled_from(["info", "warning", "error"]),
    st.dictionaries(st.text(), facts),
)
def test_event_fits(number: int, name: str, level: str, told: dict[str, object]) -> None:
    payload = event_message(ORIGIN, JournalEvent(number, 1_700_000_000, name, level, told))

    assert fits("event", payload)["id"] == number
    assert len(payload) < 16_384


def test_event_facts() -> None:
    told: dict[str, object] = {
        "wei": 10**18,
        "deep": [[[["x"]]]],
        "odd": object(),
        "raw": b"secret",
        "huge": 7**50_000,
    }

    message = json.loads(event_message(ORIGIN, JournalEvent(1, 2, "a.b", "info", told)))

    said = message["facts"]
    assert (said["wei"], said["deep"], said["odd"], said["raw"]) == (str(10**18), [["<list>"]], "<object>", "<bytes>")
    assert said["huge"].startswith("0x")
    assert len(said["huge"]) == 500


def test_event_too_long_is_truncated() -> None:
    told: dict[str, object] = {f"fact{number}": "x" * 400 for number in range(100)}

    assert json.loads(event_message(ORIGIN, JournalEvent(1, 2, "a.b", "info", told)))["facts"] == {"truncated": True}


@given(st.integers(0, 255), st.integers(0, 2**24 - 1), st.booleans())
def test_acknowledgement_is_understood(epoch: int, sequence: int, with_schema: bool) -> None:
    message = {"epoch": epoch, "sequence": sequence} | ({"schema": 1} if with_schema else {})
    payload = json.dumps(message).encode()

    fits_loosely = json.loads((SCHEMAS / "ack.json").read_text(encoding="utf-8"))
    Draft202012Validator(fits_loosely).validate(message)
    assert parse_acknowledgement(payload) == (epoch, sequence)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 256, id="deep"),
        pytest.param(b"[" * 1_000_000, id="deep and huge"),
        pytest.param(b'{"epoch":1,"sequence":' + b"9" * 100_000 + b"}", id="100,000 digits"),
        pytest.param(b'{"epoch":1,"sequence":' + b"9" * 200 + b"}", id="200 digits"),
        pytest.param(b'{"epoch":1}', id="half"),
        pytest.param(b'{"epoch":1,"sequence":2,"x":3}', id="more"),
        pytest.param(b'{"epoch":1,"sequence":2,"sequence":3}', id="twice"),
        pytest.param(b'{"epoch":true,"sequence":2}', id="boolean"),
        pytest.param(b'{"epoch":1,"sequence":2.0}', id="fraction"),
        pytest.param(b'{"epoch":1,"sequence":-1}', id="negative"),
        pytest.param(b'{"epoch":256,"sequence":1}', id="epoch too high"),
        pytest.param(b'{"epoch":1,"sequence":16777216}', id="sequence too high"),
        pytest.param(b'{"epoch":1,"sequence":2,"schema":2}', id="another schema"),
        pytest.param(b'{"epoch":NaN,"sequence":2}', id="NaN"),
        pytest.param(b"[1,2]", id="a list"),
        pytest.param(b"null", id="null"),
    ],
)
def test_acknowledgement_is_refused(payload: bytes) -> None:
    with pytest.raises(BadRequest, match="acknowledgement"):
        parse_acknowledgement(payload)


@given(st.binary() | st.text().map(str.encode) | facts.map(lambda value: repr(value).encode(errors="replace")))
def test_acknowledgement_never_raises_anything_else(payload: bytes) -> None:
    try:
        mark = parse_acknowledgement(payload)
    except BadRequest:
        return
    assert isinstance(mark, tuple)


def test_topics() -> None:
    topics = Topics("north-3", HOUSEHOLD)

    assert topics.status == f"energy/v1/north-3/{HOUSEHOLD}/status"
    assert topics.acknowledgement == f"energy/v1/north-3/{HOUSEHOLD}/ack"


@pytest.mark.parametrize("area", ["", "a/b", "+", "#", "a#", "a\0b", "a\nb", "$SYS", "x" * 65, "é" * 33, "\ud800"])
def test_bad_area(area: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="area"):
        Topics(area, HOUSEHOLD)


def test_bad_household() -> None:
    with pytest.raises(ConfigurationInvalid, match="household"):
        Topics("north", "0x/+")


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if "$ref" in node else []
        return here + [found for inner in node.values() for found in _references(inner)]
    if isinstance(node, list):
        return [found for inner in node for found in _references(inner)]
    return []


def _resolve(document: dict[str, object], reference: str) -> object:
    file, _, pointer = reference.partition("#")
    target: object = json.loads((SCHEMAS / file).read_text(encoding="utf-8")) if file else document
    for step in pointer.split("/")[1:]:
        assert isinstance(target, dict), reference
        target = target[step]
    return target


def test_asyncapi_resolves_and_agrees_with_the_topics() -> None:
    document = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text(encoding="utf-8"))

    references = _references(document)
    assert len(references) > 20
    for reference in references:
        assert _resolve(document, reference), reference
    assert document["asyncapi"] == "3.0.0"
    topics = Topics("{area}", "{household}")
    ours = {topics.status, topics.live, topics.reading, topics.event, topics.acknowledgement}
    assert {channel["address"] for channel in document["channels"].values()} == ours
    for operation in document["operations"].values():
        assert operation["action"] == ("receive" if operation["channel"]["$ref"].endswith("/ack") else "send")


@pytest.mark.parametrize("name", ["status", "live", "reading", "event", "ack"])
def test_schema_is_sound_and_closed(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))

    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schema_refuses_what_is_not_ours() -> None:
    reading = Reading(HOUSEHOLD, 1, 2, 900, 10, 20)
    good = json.loads(
        reading_message(
            ORIGIN, SealedReading(SignedReading(reading, b"\1" * 65), 900, 900), follows=(1, 1), delivered=(0, 0)
        )
    )
    validator = Draft202012Validator(json.loads((SCHEMAS / "reading.json").read_text(encoding="utf-8")))

    assert validator.is_valid(good)
    assert not validator.is_valid(good | {"extra": 1})
    assert not validator.is_valid(good | {"producedWh": -1})
    assert not validator.is_valid(good | {"household": "0x0"})


def test_messages_name_the_household_of_the_reading() -> None:
    stranger = replace(ORIGIN, household=CONTRACT)
    reading = Reading(HOUSEHOLD, 1, 2, 900, 10, 20)

    message = json.loads(
        reading_message(
            stranger, SealedReading(SignedReading(reading, b"\1" * 65), 900, 900), follows=(1, 1), delivered=(0, 0)
        )
    )

    assert message["household"] == HOUSEHOLD
