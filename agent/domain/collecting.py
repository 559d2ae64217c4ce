"""Collecting: what a distribution company's collector does with one message of a household.

Nothing in a message is believed. A reading is kept only if its form is right, topic and payload agree, and it was
signed for this market by the household that it names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from agent.domain.errors import ConfigurationInvalid, Refuse
from agent.domain.holding import Hole
from agent.domain.readings import Flags, Reading, SignedReading
from agent.domain.replay import Mark
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import SCHEMA, topic_level

MOST_MESSAGE_BYTES = 4_096
"""A reading's message has 700 bytes, a status with the longest reason 3,300; what is longer is not even parsed."""

AHEAD_S = 120
"""A reading may be taken this far ahead of the collector's clock: both clocks are synchronised, but not the same."""

_ROOT = ("energy", "v1")
_LEVELS = 5
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_SIGNATURE = re.compile(r"0x[0-9a-f]{130}")
_MOST_PERIOD_S = 86_400
# Widths of the packed word, and of what a double holds exactly.
_MOST = {
    "epoch": (1 << 8) - 1,
    "sequence": (1 << 24) - 1,
    "takenAt": (1 << 32) - 1,
    "producedWh": (1 << 40) - 1,
    "consumedWh": (1 << 40) - 1,
    "flags": (1 << 8) - 1,
    "intervalEnd": (1 << 53) - 1,
    "periodS": _MOST_PERIOD_S,
    "chainId": (1 << 53) - 1,
}
_KNOWN_FLAGS = int(Flags.PRODUCTION_HELD | Flags.CONSUMPTION_HELD | Flags.LATE)
_TEXTS = ("household", "signature", "contract")
_PLACES = ("follows", "delivered")
_READING = frozenset({"schema", "flagNames", *_MOST, *_TEXTS, *_PLACES})
_STATUS = frozenset({"schema", "household", "agentVersion", "online", "reason", "at"})


class Refusal(StrEnum):
    """Why a message is not taken; each is counted."""

    TOO_LARGE = "too_large"
    """longer than any message of a household"""
    MALFORMED = "malformed"
    """no reading and no status in the form of agent/schemas"""
    ANOTHER_HOUSEHOLD = "another_household"
    """the topic belongs to another household than the payload names"""
    ANOTHER_MARKET = "another_market"
    """signed for another chain or another contract"""
    FUTURE = "future"
    """taken later than the collector's clock allows"""
    FORGED = "forged"
    """the signature is none, or recovers to nobody"""
    FOREIGN = "foreign"
    """signed by another account than the household that it names, or altered after it was signed"""
    NOT_ENROLLED = "not_enrolled"
    """the household is not enrolled in the market"""
    UNCHECKED = "unchecked"
    """the full node could not be asked whether it is enrolled; it is not acknowledged, so it comes again"""
    TOO_MANY = "too_many"
    """the collector keeps no more households; raise --most-households if they are real"""
    REPLAYED = "replayed"
    """kept already: sent again by the household, as it should while nothing is acknowledged, or by somebody else"""
    CONTRADICTION = "contradiction"
    """another reading is kept under the same household, epoch and sequence; that one stays"""


class NotTaken(Refuse):
    """A message that is not taken.

    Attributes:
        reason: what it is counted as.
    """

    def __init__(self, reason: Refusal, why: str) -> None:
        self.reason = reason
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message came from, by its topic.

    Attributes:
        area: the distribution area.
        household: the account, as the topic has it; not checked.
        kind: ``reading``, ``status``; whatever the last level says.
    """

    area: str
    household: str
    kind: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A reading whose form is right; its signature has still to be recovered.

    Attributes:
        signed: the reading and its signature.
        interval_end: UTC epoch seconds of the boundary that it states; not signed.
        period_s: the reporting period, seconds; not signed.
        follows: the household has no reading between this one and that.
        delivered: the household sends nothing again up to here.
    """

    signed: SignedReading
    interval_end: int
    period_s: int
    follows: Mark
    delivered: Mark

    @property
    def mark(self) -> Mark:
        """Its place among the household's readings."""
        return self.signed.reading.epoch, self.signed.reading.sequence


Key = tuple[str, int, int]
"""Household, epoch and sequence: what a reading is kept under."""


@dataclass(frozen=True, slots=True)
class Message:
    """What the broker brought.

    Attributes:
        topic: where it was published.
        payload: what it says.
        receipt: names it to ``confirm``.
    """

    topic: str
    payload: bytes
    receipt: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A verified reading on its way into the database.

    Attributes:
        heard: as it was heard.
        received_at: UTC epoch seconds.
    """

    heard: Heard
    received_at: int

    @property
    def key(self) -> Key:
        """What it is kept under."""
        return self.heard.signed.reading.household, *self.heard.mark


@dataclass(frozen=True, slots=True)
class Lost:
    """Readings of a household that will not come."""

    household: str
    hole: Hole
    at: int


def parse_topic(topic: str) -> Origin:
    """Whose topic it is.

    Raises:
        NotTaken: it is none of a household's.
    """
    levels = topic.split("/")
    if len(levels) != _LEVELS or tuple(levels[:2]) != _ROOT or not _ADDRESS.fullmatch(levels[3]):
        raise NotTaken(Refusal.MALFORMED, "a topic other than energy/v1/AREA/0xHOUSEHOLD/KIND")
    if not _may_be_area(levels[2]):  # acknowledgements go to a topic of this area
        raise NotTaken(Refusal.MALFORMED, "a topic whose area is no name that agents can have")
    return Origin(levels[2], levels[3], levels[4])


@lru_cache(maxsize=256)
def _may_be_area(name: str) -> bool:
    try:
        topic_level("area", name)
    except ConfigurationInvalid:
        return False
    return True


def parse_reading(origin: Origin, payload: bytes, market: SigningDomain, now: int) -> Heard:
    """The reading in a message.

    Args:
        origin: its topic.
        payload: what arrived.
        market: the chain and contract that the collector works for.
        now: UTC epoch seconds.

    Raises:
        NotTaken: it is none, or not for this market, this household or this time.
    """
    message = _object(payload, _READING)
    if any(type(message[name]) is not int or not 0 <= message[name] <= most for name, most in _MOST.items()):
        raise NotTaken(Refusal.MALFORMED, "a reading with a number that is none, or out of its range")
    if any(type(message[name]) is not str for name in _TEXTS) or not _SIGNATURE.fullmatch(message["signature"]):
        raise NotTaken(Refusal.MALFORMED, "a reading whose household, contract or signature is none")
    _check_household(origin, message)
    if (message["chainId"], message["contract"].lower()) != (market.chain_id, market.contract.lower()):
        raise NotTaken(
            Refusal.ANOTHER_MARKET,
            f"signed for chain {message['chainId']}, contract {message['contract'][:42]!r}; this is chain"
            f" {market.chain_id}, contract {market.contract}",
        )
    if message["takenAt"] > now + AHEAD_S:
        raise NotTaken(Refusal.FUTURE, f"taken {message['takenAt'] - now} s from now; check both clocks")
    follows, delivered = (_place(message[name]) for name in _PLACES)
    reading = _reading(message)
    heard = Heard(
        SignedReading(reading, bytes.fromhex(message["signature"][2:])),
        message["intervalEnd"],
        message["periodS"],
        follows,
        delivered,
    )
    if not message["periodS"] or follows >= heard.mark:
        raise NotTaken(Refusal.MALFORMED, "a reading with a period of 0, or one that follows itself or a later one")
    return heard


def parse_status(origin: Origin, payload: bytes) -> bool:
    """Whether a household's agent says that it is online; what the broker says of it in its stead is the last will.

    Raises:
        NotTaken: it is no status, or another household's.
    """
    message = _object(payload, _STATUS)
    if type(message["online"]) is not bool or type(message["household"]) is not str:
        raise NotTaken(Refusal.MALFORMED, "a status that says neither online nor offline")
    _check_household(origin, message)
    return bool(message["online"])


def check_signer(heard: Heard, signer: str) -> None:
    """Compare who signed a reading with the household that it names.

    Raises:
        NotTaken: they differ.
    """
    household = heard.signed.reading.household
    if signer != household:
        raise NotTaken(
            Refusal.FOREIGN, f"names {household}, and that account did not sign it (it recovers to {signer})"
        )


def _object(payload: bytes, members: frozenset[str]) -> dict[str, Any]:
    if len(payload) > MOST_MESSAGE_BYTES:
        raise NotTaken(Refusal.TOO_LARGE, f"a message of {len(payload)} bytes; at most {MOST_MESSAGE_BYTES}")
    try:
        message = json.loads(payload, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as wrong:
        raise NotTaken(Refusal.MALFORMED, f"no JSON ({wrong})") from wrong
    if not isinstance(message, dict) or message.keys() != members:
        raise NotTaken(Refusal.MALFORMED, "an object with other members than its schema has")
    if type(message["schema"]) is not int or message["schema"] != SCHEMA:
        raise NotTaken(Refusal.MALFORMED, f"another schema than {SCHEMA}")
    return message


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return members


def _check_household(origin: Origin, message: dict[str, Any]) -> None:
    if message["household"] != origin.household:
        raise NotTaken(
            Refusal.ANOTHER_HOUSEHOLD,
            f"on the topic of {origin.household} a message of {str(message['household'])[:42]!r}",
        )


def _place(value: object) -> Mark:
    if isinstance(value, dict) and value.keys() == {"epoch", "sequence"}:
        epoch, sequence = value["epoch"], value["sequence"]
        whole = type(epoch) is int and type(sequence) is int
        if whole and 0 <= epoch <= _MOST["epoch"] and 0 <= sequence <= _MOST["sequence"]:
            return epoch, sequence
    raise NotTaken(Refusal.MALFORMED, 'a place that is none; expected {"epoch":E,"sequence":S}')


def _reading(message: dict[str, Any]) -> Reading:
    flags = Flags(message["flags"])
    names = sorted(str(flag.name).lower() for flag in Flags if flag and flag in flags)
    if message["flags"] & ~_KNOWN_FLAGS or message["flagNames"] != names:
        raise NotTaken(Refusal.MALFORMED, f"flags {message['flags']}, which are unknown or named otherwise")
    return Reading(
        household=message["household"],
        epoch=message["epoch"],
        sequence=message["sequence"],
        taken_at=message["takenAt"],
        produced_wh=message["producedWh"],
        consumed_wh=message["consumedWh"],
        flags=flags,
    )
