"""A node that shows strangers of whom nothing comes costs few headers, and who was voted in is still followed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.light.headers import Consensus
from agent.proving.following import Following
from agent.proving.validators import Validators
from tests.fakes.chain_source import Rows, grow, in_turn, vote
from tests.fakes.consortium import Consortium, address, keys
from tests.fakes.recorded import sealed
from tests.fakes.telling import Teller
from tests.unit.test_prover import TOLD, World

EVERY = [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2]
BLOCKS, TURN_S = 3, 15.0  # between two turns
NEW, OTHER = keys(2, offset=60)


@dataclass
class Shown(World):
    """Nodes, of which some show strangers just now."""

    strangers: list[str] = field(default_factory=list)


@pytest.fixture(params=EVERY)
def street(request: pytest.FixtureRequest) -> tuple[Shown, Consortium, Following]:
    chain, _, pins = sealed(TOLD, request.param, epoch=1_000_000)
    there = Shown(pins, [Teller(f"node-{place}", chain, TOLD, 2) for place in range(2)])
    following = Following(
        validators=Validators(pins, Rows()), pins=pins, nodes=there, events=there,
        monotonic=lambda: there.now, random=lambda: 0.5,
    )  # fmt: skip
    return there, chain, following


def turn(there: Shown, chain: Consortium, following: Following) -> None:
    """As the daemon's loop, while the chain goes on."""
    grow(chain, len(chain.headers) + BLOCKS - 1)
    there.now += TURN_S
    while following.run_once():
        pass


def doubted(there: Shown, chain: Consortium, following: Following) -> None:
    """A node has shown strangers of whom nothing came, until it is doubted, and shows one still."""
    there.strangers = ["node-0"]
    for _ in range(30):
        turn(there, chain, following)


def headers(teller: Teller) -> int:
    return sum(method == "eth_getBlockByNumber" for method, _ in teller.asked)


def test_strangers_again_and_again_cost_few_headers_though_each_was_followed_at_first(
    street: tuple[Shown, Consortium, Following],
) -> None:
    there, chain, following = street
    for at in range(40):
        there.strangers = ["node-0"] if at % 2 else []
        turn(there, chain, following)
    first = headers(there.tellers[0])
    for at in range(240):  # an hour
        there.strangers = ["node-0"] if at % 2 else []
        turn(there, chain, following)

    assert headers(there.tellers[0]) - first <= 6 * 9, "some probes, where 720 blocks were sealed"
    assert first < len(chain.headers)
    assert (headers(there.tellers[1]), there.lies) == (0, [])


def test_who_is_voted_in_after_many_false_strangers_is_followed_when_the_doubt_has_waited(
    street: tuple[Shown, Consortium, Following],
) -> None:
    there, chain, following = street
    doubted(there, chain, following)
    vote(chain, NEW, *in_turn(chain, 3), add=True)
    grow(chain, len(chain.headers) + 12)
    there.now += 3_600
    turn(there, chain, following)

    assert address(NEW) in following.pins().place.validators


def test_a_node_that_is_not_doubted_is_followed_at_once_and_its_change_ends_all_doubts(
    street: tuple[Shown, Consortium, Following],
) -> None:
    there, chain, following = street
    doubted(there, chain, following)
    vote(chain, NEW, *in_turn(chain, 3), add=True)
    there.strangers = ["node-0", "node-1"]
    turn(there, chain, following)
    turn(there, chain, following)

    assert address(NEW) in following.pins().place.validators
    there.now += 60
    vote(chain, OTHER, *in_turn(chain, 3), add=True)
    there.strangers = ["node-0"]
    turn(there, chain, following)
    turn(there, chain, following)
    assert address(OTHER) in following.pins().place.validators


def test_a_change_that_takes_its_time_to_settle_raises_no_doubt(street: tuple[Shown, Consortium, Following]) -> None:
    there, chain, following = street
    for subject in (NEW, OTHER):
        vote(chain, subject, *in_turn(chain, 3), add=True)
        chain.seal(*(chain.sealers if chain.bft else [subject]))
        there.strangers = ["node-0"]
        there.now += TURN_S
        while following.run_once():  # its block is the newest, and nothing is settled yet
            pass
        for _ in range(2):
            turn(there, chain, following)
        assert address(subject) in following.pins().place.validators
        there.strangers = []
        there.now += 3_600
