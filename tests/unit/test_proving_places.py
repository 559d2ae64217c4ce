"""A place as the journal keeps it: read strictly, and begun anew where it is no place of these pins."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from agent.domain.errors import BadEvidence
from agent.light.headers import Consensus
from agent.proving import places
from agent.proving.validators import Validators
from tests.fakes.chain_source import ChainSource, Rows, begun, caught_up, grow, pins_of
from tests.fakes.consortium import Consortium

EVERY = [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2]


@pytest.fixture(params=EVERY)
def chain(request: pytest.FixtureRequest) -> Consortium:
    return begun(request.param)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda _: "no JSON", "not JSON"),
        (lambda _: "[" * 3, "not JSON"),
        (lambda _: [], "members"),
        (lambda told: {**told, "more": 1}, "members"),
        (lambda told: {**told, "pins": "0x00"}, "other pins"),
        (lambda told: {**told, "number": True}, "number is True"),
        (lambda told: {**told, "number": -1}, "number is -1"),
        (lambda told: {**told, "number": 1.5}, r"number is 1\.5"),
        (lambda told: {**told, "hash": "0x00"}, "hash has 1 bytes"),
        (lambda told: {**told, "validators": []}, "none, or not ascending"),
        (lambda told: {**told, "validators": told["validators"][::-1]}, "none, or not ascending"),
        (lambda told: {**told, "validators": ["0x1234"]}, "a validator has 2 bytes"),
        (lambda told: {**told, "validators": None}, "holds None"),
        (lambda told: {**told, "recent": [[1]]}, "holds list"),
        (lambda told: {**told, "since": "1"}, "since is '1'"),
        (lambda told: {**told, "earlier": [[1, 2, []]]}, "none, or not ascending"),
        (lambda told: {**told, "earlier": [[1, 2]]}, "holds list"),
        (lambda told: {**told, "votes": [["0x" + "11" * 20, "0x" + "11" * 20, 1]]}, "a vote is 1"),
        (lambda told: " " * (1 << 20) + json.dumps(told), "characters"),
    ],
)
# JSON of any form.
def test_a_place_that_cannot_be_read_is_begun_anew_and_said(change: Any, why: str) -> None:  # noqa: ANN401
    chain = begun(Consensus.CLIQUE)
    grow(chain, 30)
    rows, pins = Rows(), pins_of(chain)
    caught_up(Validators(pins, rows), ChainSource(chain))
    changed = change(json.loads(rows.text or ""))
    rows.text = changed if isinstance(changed, str) else json.dumps(changed)

    again = Validators(pins, rows)

    assert again.place == pins.place
    with pytest.raises(BadEvidence, match=why):
        raise BadEvidence(again.begun_anew)
    caught_up(again, ChainSource(chain))
    assert again.place.number == 28


def test_a_place_of_other_pins_is_not_used(chain: Consortium) -> None:
    grow(chain, 30)
    rows, pins = Rows(), pins_of(chain)
    caught_up(Validators(pins, rows), ChainSource(chain))
    for other in (
        replace(pins, chain=replace(pins.chain, chain_id=8)),
        replace(pins, rules=replace(pins.rules, epoch=10)),
        replace(pins, place=replace(pins.place, validators=pins.place.validators[1:])),
        replace(pins, place=replace(pins.place, number=31)),
    ):
        assert Validators(other, rows).place == other.place
    assert Validators(pins, rows).pins().place.number >= 28
    text = rows.text or ""
    assert places.written(places.read(text, pins), pins) == text
