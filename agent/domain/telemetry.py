"""Telemetry: the topics and the messages on them.

Every message is a JSON object with sorted keys and a ``schema`` number; ``agent/schemas`` describes each for those who
receive them. Nothing here knows MQTT beyond the names of topics.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from agent.domain.errors import BadRequest, ConfigurationInvalid
from agent.domain.readings import Flags, SignedReading
from agent.domain.replay import Mark
from agent.domain.samples import MeterRole, Sample
from agent.domain.signing import SigningDomain

# The number of the schemas in agent/schemas; it rises when a consumer of the old messages would misread the new.
SCHEMA = 1

# An acknowledgement is two small integers; whatever is longer is none, and is not even parsed.
MOST_ACKNOWLEDGEMENT_BYTES = 256
# The widths of a reading's packed word (agent/domain/readings.py).
_MOST_EPOCH, _MOST_SEQUENCE = (1 << 8) - 1, (1 << 24) - 1

# A fact of an event may be anything; a message may not. A collector's record stays below a tenth of the packet limit.
_MOST_FACTS_BYTES = 6_000
_MOST_FACT_CHARACTERS = 500
_MOST_FACT_DEPTH = 3
# JSON has one kind of number, and many consumers hold it as a double: integers beyond this lose digits.
_MOST_EXACT = (1 << 53) - 1

# MQTT allows 65535 bytes for a topic; brokers' access lists and dashboards are easier to read with short names.
_MOST_LEVEL_BYTES = 64


@dataclass(frozen=True, slots=True)
class SealedReading:
    """A signed reading and the interval that it ends.

    Attributes:
        signed: the reading and its signature.
        interval_end: UTC epoch seconds of the boundary.
        period_s: the reporting period then in force, seconds.
    """

    signed: SignedReading
    interval_end: int
    period_s: int


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """Something that happened, as the journal keeps it.

    Attributes:
        id: rises with every event, from 1.
        at: UTC epoch seconds.
        name: stable name, for example ``meter.silent``.
        level: ``info``, ``warning`` or ``error``.
        facts: what else is known, by name.
    """

    id: int
    at: int
    name: str
    level: str
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class Link:
    """How the connection to the broker stands.

    Attributes:
        connected: whether the broker has accepted the session, and it still stands.
        generation: counts accepted sessions, from 1; what an earlier one had not taken may be lost.
        problem: why there is no connection, in words; None while connected, or before the first attempt ended.
    """

    connected: bool
    generation: int
    problem: str | None


def topic_level(what: str, value: str) -> str:
    """``value``, if it may be one level of a topic.

    Args:
        what: what the value is, for the message.
        value: an area's name or an address.

    Raises:
        ConfigurationInvalid: it is empty, too long, or has a character that topics or terminals give a meaning.
    """
    bad = sorted({character for character in value if character in "+#/" or not character.isprintable()})
    if bad or not value or value.startswith("$") or len(value.encode(errors="replace")) > _MOST_LEVEL_BYTES:
        wrong = f"it has {bad}" if bad else "it is empty, too long, or begins with $"
        right = f"use 1 to {_MOST_LEVEL_BYTES} letters, digits, - and _"
        raise ConfigurationInvalid([f"{what} {value!r} cannot be part of an MQTT topic: {wrong}; {right}"])
    return value


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one household.

    Attributes:
        area: the distribution area's name.
        household: the account's address, checksummed.

    Raises:
        ConfigurationInvalid: either cannot be a level of a topic.
    """

    area: str
    household: str

    def __post_init__(self) -> None:
        topic_level("area", self.area)
        topic_level("household", self.household)

    def _topic(self, last: str) -> str:
        return f"energy/v1/{self.area}/{self.household}/{last}"

    @property
    def status(self) -> str:
        """Retained: whether the agent is connected."""
        return self._topic("status")

    @property
    def live(self) -> str:
        """What the meters say now; lost if nobody listens."""
        return self._topic("live")

    @property
    def reading(self) -> str:
        """Signed readings, each at least once and in order."""
        return self._topic("reading")

    @property
    def event(self) -> str:
        """What happened, each at least once and in order."""
        return self._topic("event")

    @property
    def acknowledgement(self) -> str:
        """What a collector holds; the only topic that the agent may listen on, and only when told to."""
        return self._topic("ack")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose messages they are, and the EIP-712 domain under which readings are signed.

    Attributes:
        household: the account's address, checksummed.
        signing: the chain and the contract for which readings are signed.
        agent_version: this program's version.
    """

    household: str
    signing: SigningDomain
    agent_version: str


def _encode(message: dict[str, object]) -> bytes:
    return json.dumps({"schema": SCHEMA, **message}, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def status_message(origin: Origin, *, online: bool, reason: str, at: int | None) -> bytes:
    """The ``status`` message.

    Args:
        origin: whose it is.
        online: whether the agent is connected.
        reason: why it is so, for a person.
        at: UTC epoch seconds; None in a last will, whose time nobody knows beforehand, or while the clock is not set.
    """
    return _encode(
        {
            "household": origin.household,
            "agentVersion": origin.agent_version,
            "online": online,
            "reason": reason[:_MOST_FACT_CHARACTERS],
            "at": at,
        }
    )


def _known(value: float | None) -> float | None:
    """A number that JSON can carry; what is not finite is unknown."""
    return value if value is not None and math.isfinite(value) else None


def live_message(origin: Origin, samples: Mapping[MeterRole, Sample], *, at_ms: int, clock_trusted: bool) -> bytes:
    """The ``live`` message.

    Args:
        origin: whose it is.
        samples: the newest sample of each meter; a meter without one is left out.
        at_ms: UTC epoch milliseconds.
        clock_trusted: whether that time may be believed.
    """
    meters = {
        role.value: {
            "takenAtMs": sample.taken_ms,
            "registerWh": sample.register_wh,
            "powerW": sample.power_w,
            "voltageV": _known(sample.voltage_v),
            "currentA": _known(sample.current_a),
            "frequencyHz": _known(sample.frequency_hz),
            "quality": sample.quality.value,
        }
        for role, sample in samples.items()
    }
    return _encode({"household": origin.household, "atMs": at_ms, "clockTrusted": clock_trusted, "meters": meters})


def reading_message(origin: Origin, sealed: SealedReading, *, follows: Mark, delivered: Mark) -> bytes:
    """The ``reading`` message: with it alone anyone can recover the signer's address.

    Args:
        origin: the domain under which it is signed.
        sealed: the reading.
        follows: the household has no reading between this one and that; sequences leap after a journal was restored,
            and an epoch has no announced end, so a collector could not tell what is missing from what never was.
        delivered: the household sends nothing again up to here.
    """
    reading = sealed.signed.reading
    return _encode(
        {
            "household": reading.household,
            "epoch": reading.epoch,
            "sequence": reading.sequence,
            "takenAt": reading.taken_at,
            "producedWh": reading.produced_wh,
            "consumedWh": reading.consumed_wh,
            "flags": int(reading.flags),
            "flagNames": sorted(str(flag.name).lower() for flag in Flags if flag and flag in reading.flags),
            "intervalEnd": sealed.interval_end,
            "periodS": sealed.period_s,
            "signature": "0x" + sealed.signed.signature.hex(),
            "chainId": origin.signing.chain_id,
            "contract": origin.signing.contract,
            "follows": _place(follows),
            "delivered": _place(delivered),
        }
    )


def _place(mark: Mark) -> dict[str, object]:
    return {"epoch": mark[0], "sequence": mark[1]}


def _whole(value: int) -> int | str:
    """An integer that every consumer reads alike: amounts of wei are beyond a double, as text they stay exact."""
    if abs(value) <= _MOST_EXACT:
        return value
    # Python limits decimal digits, since converting them is slow; hexadecimal it does not.
    return (str(value) if value.bit_length() <= _MOST_FACT_CHARACTERS else hex(value))[:_MOST_FACT_CHARACTERS]


def _fact(value: object, depth: int = 0) -> object:
    """``value`` as JSON may carry it; what has no JSON form is named by its type, never printed."""
    fact: object = f"<{type(value).__name__}>"
    match value:
        case None | bool():
            fact = value
        case str():
            fact = value[:_MOST_FACT_CHARACTERS]
        case int():
            fact = _whole(value)
        case float():
            fact = _known(value)
        case Mapping() if depth < _MOST_FACT_DEPTH:
            fact = {str(name)[:_MOST_FACT_CHARACTERS]: _fact(inner, depth + 1) for name, inner in value.items()}
        case list() | tuple() if depth < _MOST_FACT_DEPTH:
            fact = [_fact(inner, depth + 1) for inner in value]
    return fact


def event_message(origin: Origin, event: JournalEvent) -> bytes:
    """The ``event`` message; facts that would make it too long are left out, and it says so."""
    facts: object = _fact(event.facts)
    if len(json.dumps(facts)) > _MOST_FACTS_BYTES:
        facts = {"truncated": True}
    return _encode(
        {
            "household": origin.household,
            "id": event.id,
            "at": event.at,
            "name": event.name[:_MOST_FACT_CHARACTERS],
            "level": event.level,
            "facts": facts,
        }
    )


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return members


def acknowledgement_message(mark: Mark) -> bytes:
    """What a collector publishes, retained: it holds everything up to ``mark``."""
    return _encode(_place(mark))


def parse_acknowledgement(payload: bytes) -> Mark:
    """What a collector says it holds: everything up to ``(epoch, sequence)``.

    Args:
        payload: what arrived; nothing about it is believed.

    Raises:
        BadRequest: it is not an acknowledgement.
    """
    right = 'expected {"epoch":E,"sequence":S}'
    if len(payload) > MOST_ACKNOWLEDGEMENT_BYTES:
        raise BadRequest(f"an acknowledgement of {len(payload)} bytes; {right}")
    try:
        message = json.loads(payload, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as wrong:
        raise BadRequest(f"an acknowledgement that is no JSON ({wrong}); {right}") from wrong
    if not isinstance(message, dict) or not {"epoch", "sequence"} <= message.keys() <= {"epoch", "sequence", "schema"}:
        raise BadRequest(f"an acknowledgement with other members; {right}")
    # bool is an int to Python, and 1.0 equals 1: neither is what was agreed.
    if any(type(value) is not int for value in message.values()) or message.get("schema", SCHEMA) != SCHEMA:
        raise BadRequest(f"an acknowledgement whose members are not the agreed integers; {right}")
    epoch, sequence = message["epoch"], message["sequence"]
    if not (0 <= epoch <= _MOST_EPOCH and 0 <= sequence <= _MOST_SEQUENCE):
        raise BadRequest(f"an acknowledgement of epoch {epoch}, sequence {sequence}, which no reading can have")
    return epoch, sequence
