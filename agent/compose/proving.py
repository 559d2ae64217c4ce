"""What proves, wired: pins, validators, full nodes and the journal's evidence."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from agent.adapters.chain_rows import ChainRows
from agent.adapters.evidence_rows import EvidenceRows
from agent.adapters.full_node import CheckHead
from agent.adapters.journal import Journal
from agent.adapters.lie_rows import LieRows
from agent.adapters.node_pool import NodePool
from agent.compose import parts
from agent.compose.pins import judge, order_layout, unsealed
from agent.configuration import Configuration
from agent.domain.errors import BadEvidence, NodeUnavailable
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.proving import places
from agent.proving.attesting import Attestor
from agent.proving.building import followers
from agent.proving.exporting import Known
from agent.proving.following import Following
from agent.proving.heads import head_check
from agent.proving.pinned import contradictions
from agent.proving.places import Followed
from agent.proving.prover import Prover
from agent.proving.validators import Validators
from agent.stages.ports import Clock, Events

# A command follows nothing: it knows who may seal by the pins, and by what the agent wrote down.
_FOLLOWED_ELSEWHERE = "the agent follows the chain's votes while it runs"


@dataclass(frozen=True, slots=True)
class Proving:
    """The full nodes, and what proves what they say.

    Attributes:
        nodes: all of them.
        prover: proves ends; None where the chain is unproven.
        following: follows who may seal; None there too.
        attestor: proves what the ledger has; None there too.
    """

    nodes: NodePool
    prover: Prover | None
    following: Following | None
    attestor: Attestor | None

    def deep_enough(self, depth: int) -> int:
        """How many blocks must follow what is written down, so that it can be proven.

        Args:
            depth: how many must in any case.
        """
        return depth if self.following is None else max(depth, followers(self.following.pins()))


def open_proving(
    configuration: Configuration, *, journal: Journal, lies: LieRows, clock: Clock, events: Events
) -> Proving:
    """The full nodes of the pinned chain, each newest block checked, and what proves the household's own.

    Args:
        configuration: nodes, pins, depth.
        journal: keeps evidence, and who may seal.
        lies: keeps what nodes said that cannot be true.
        clock: the wall clock and the monotonic one.
        events: told of all that.
    """
    lies.begin(judge(configuration.chain))
    pins = parts.light_pins(configuration)
    if pins is None:
        nodes = parts.open_nodes(configuration, events, keep_lie=lies.keep, lies=lies.newest())
        return Proving(nodes, None, None, None)
    validators = Validators(pins, ChainRows(journal))
    if validators.begun_anew:
        events.warning(
            "validators.begun_anew",
            problem=validators.begun_anew,
            advice="the chain's votes are followed again from the pinned block; nothing is lost by it",
        )
    nodes = parts.open_nodes(
        configuration,
        events,
        check_head=head_check(validators.known, pins.rules),
        keep_lie=lies.keep,
        lies=lies.newest(),
    )
    following = Following(
        validators=validators, pins=pins, nodes=nodes, events=events, monotonic=time.monotonic, random=random.random
    )
    prover = Prover(
        household=configuration.household.account,
        nodes=nodes,
        following=following,
        rows=EvidenceRows(journal),
        events=events,
        depth=configuration.chain.depth,
        monotonic=time.monotonic,
        now=lambda: clock.now_ms() // 1000,
        random=random.random,
    )
    attestor = Attestor(
        household=configuration.household.account,
        nodes=nodes,
        following=following,
        codec=parts.market_logs(configuration),
        layout=order_layout(),
        monotonic=time.monotonic,
        random=random.random,
    )
    return Proving(nodes, prover, following, attestor)


def known_by(configuration: Configuration, kept: str | None, *, linked: bool) -> Known:
    """What evidence is exported by: the pins, with the validators as the agent has followed them.

    Args:
        configuration: what was pinned.
        kept: the journal's place, as text; None if there is none.
        linked: whether every header since the pinned block is to be there.
    """
    pins = parts.light_pins(configuration)
    if pins is None:
        pins = unsealed(configuration.chain)
    return Known.followed(pins, _followed(pins, kept), linked=linked)


def pins_now(configuration: Configuration, kept: str | None) -> Pins:
    """The pins, with the validators as the agent has followed them: for commands beside it."""
    return known_by(configuration, kept, linked=False).at(None)


def _followed(pins: Pins, kept: str | None) -> Followed:
    try:
        return places.begun(pins) if kept is None else places.read(kept, pins)
    except BadEvidence:  # of other pins: the agent begins anew too, and says so
        return places.begun(pins)


def pins_against_chain(configuration: Configuration, nodes: NodePool) -> list[str]:
    """What of the pins is not the chain's, a sentence each; nothing where no full node tells its first blocks."""
    pins = parts.light_pins(configuration)
    if pins is None:
        return []
    for source in nodes.sources():
        try:
            return list(contradictions(source, pins))
        except (NodeUnavailable, BadEvidence):  # what is wrong with it is told as a node's
            continue
    return []


def head_check_by(pins: Pins) -> CheckHead | None:
    """What looks at each newest block; None where nobody seals them."""
    if pins.rules.consensus is Consensus.UNSEALED:
        return None
    return head_check(lambda: pins.place.validators, pins.rules, _FOLLOWED_ELSEWHERE)
