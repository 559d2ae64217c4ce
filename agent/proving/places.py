"""Where the following has come to, and as text: as the journal keeps it beside the pins that it was begun from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.domain.errors import BadEvidence
from agent.light.bft import Vote
from agent.light.evidence import Pins
from agent.light.hashing import keccak
from agent.light.quantities import octets_of, shown
from agent.light.seals import Cast, Place

_ADDRESS_BYTES, _HASH_BYTES = 20, 32
_MOST_NUMBER = (1 << 63) - 1
_MOST_CHARACTERS = 1 << 20
_MEMBERS = frozenset({"pins", "number", "hash", "validators", "recent", "votes", "since", "earlier"})
_PAIR, _TRIPLE = 2, 3


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive blocks that the same validators might seal.

    Attributes:
        first: number of the first one.
        last: number of the last one that is known to be theirs.
        validators: 20 bytes each, ascending.
    """

    first: int
    last: int
    validators: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Followed:
    """Where the following has come to.

    Attributes:
        place: the last block that was followed, and who may seal the next one.
        since: number of the block after which it is known that those might seal every one.
        earlier: the last other validators, oldest first.
    """

    place: Place
    since: int
    earlier: tuple[Span, ...] = ()

    def validators_at(self, number: int) -> tuple[bytes, ...] | None:
        """Who might seal a block; None where that is not known, as between the ends of a jump."""
        if self.since < number <= self.place.number + 1:
            return self.place.validators
        return next((one.validators for one in self.earlier if one.first <= number <= one.last), None)


def begun(pins: Pins) -> Followed:
    """The pinned place, from which nothing was followed yet."""
    return Followed(pins.place, pins.place.number)


def fingerprint(pins: Pins) -> str:
    """What the pins say of the chain and its seals, as one hash in ``0x`` hex; a place belongs to one of them."""
    told = [
        pins.chain.chain_id,
        pins.chain.genesis_hash.lower(),
        pins.rules.consensus,
        pins.rules.epoch,
        pins.rules.named_by_contract,
        *_told(pins.place).values(),
    ]
    return _hex(keccak(json.dumps(told, separators=(",", ":")).encode("ascii")))


def written(followed: Followed, pins: Pins) -> str:
    """The text that ``read`` takes."""
    earlier = [[one.first, one.last, [_hex(each) for each in one.validators]] for one in followed.earlier]
    told = {**_told(followed.place), "since": followed.since, "earlier": earlier}
    return json.dumps({"pins": fingerprint(pins), **told}, separators=(",", ":"))


def read(text: str, pins: Pins) -> Followed:
    """What the text states.

    Raises:
        BadEvidence: it is not of this form, or belongs to other pins.
    """
    if len(text) > _MOST_CHARACTERS:
        raise BadEvidence(f"the place has {len(text)} characters, where at most {_MOST_CHARACTERS} are read")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadEvidence(f"the place is not JSON ({error})") from error
    if not isinstance(told, dict) or told.keys() != _MEMBERS:
        raise BadEvidence(f"the place has not the members {', '.join(sorted(_MEMBERS))}")
    if told["pins"] != fingerprint(pins):
        raise BadEvidence("the place belongs to other pins")
    found = Place(
        number=_number(told["number"], "number"),
        block_hash=octets_of(told["hash"], "hash", _HASH_BYTES),
        validators=_validators(told["validators"]),
        recent=tuple(_recent(one) for one in _list(told["recent"])),
        votes=tuple(_cast(one) for one in _list(told["votes"])),
    )
    if found.number < pins.place.number:
        raise BadEvidence(f"the place is block {found.number}, and the pinned one {pins.place.number} comes after it")
    return Followed(found, _number(told["since"], "since"), tuple(_span(one) for one in _list(told["earlier"])))


def _told(place: Place) -> dict[str, object]:
    return {
        "number": place.number,
        "hash": _hex(place.block_hash),
        "validators": [_hex(one) for one in place.validators],
        "recent": [[number, _hex(one)] for number, one in place.recent],
        "votes": [[_hex(one.voter), _hex(one.vote.subject), one.vote.add] for one in place.votes],
    }


def _validators(value: object) -> tuple[bytes, ...]:
    found = tuple(octets_of(one, "a validator", _ADDRESS_BYTES) for one in _list(value))
    if not found or any(one >= other for one, other in pairwise(found)):
        raise BadEvidence("the place's validators are none, or not ascending")
    return found


def _span(value: object) -> Span:
    first, last, validators = _list(value, _TRIPLE)
    return Span(_number(first, "earlier"), _number(last, "earlier"), _validators(validators))


def _recent(value: object) -> tuple[int, bytes]:
    number, signer = _list(value, _PAIR)
    return _number(number, "recent"), octets_of(signer, "recent", _ADDRESS_BYTES)


def _cast(value: object) -> Cast:
    voter, subject, add = _list(value, _TRIPLE)
    if not isinstance(add, bool):
        raise BadEvidence(f"a vote is {shown(add)}, where true or false belongs")
    return Cast(octets_of(voter, "votes", _ADDRESS_BYTES), Vote(octets_of(subject, "votes", _ADDRESS_BYTES), add=add))


def _list(value: object, length: int | None = None) -> Sequence[object]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise BadEvidence(f"the place holds {shown(value)}, where a list belongs")
    return value


def _number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_NUMBER:
        raise BadEvidence(f"{what} is {shown(value)}, where a whole number from 0 on belongs")
    return value


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
