"""Validators change between a block and its proof: who tells the truth of before is believed, and called no liar."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.domain.errors import NodeUnavailable
from agent.domain.outbox import Kind
from agent.domain.proofs import Claim
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.light.seals import Rules
from agent.proving.following import Following
from agent.proving.prover import Prover
from agent.proving.validators import Validators
from tests.fakes.chain_source import Rows, grow, in_turn, vote
from tests.fakes.consortium import FOR, Consortium, address, keys
from tests.fakes.recorded import sealed
from tests.fakes.telling import Teller
from tests.unit.test_prover import HOUSEHOLD, TOLD, World, claim

HELD, HEAD = 2, 24
(NEW,) = keys(1, offset=60)


class Nodes(World):
    """Nodes whose newest block may be a stranger's."""

    @property
    def strangers(self) -> list[str]:
        return [teller.name for teller in self.sources()]


def changed(consensus: Consensus, *, add: bool) -> tuple[Nodes, Validators]:
    """A chain whose block 2 is to be proven, and whose validators changed after it."""
    chain, _, pins = sealed(TOLD, consensus, before=1, after=5)
    subject = NEW if add else chain.sealers[-1]
    vote(chain, subject, *[key for key in in_turn(chain, 4) if key is not subject][:3], add=add)
    grow(chain, HEAD)
    return Nodes(pins, [Teller(f"node-{place}", chain, TOLD, HELD) for place in range(2)]), Validators(pins, Rows())


def changes_right_behind(*, add: bool, epoch: int = 1_000) -> tuple[Nodes, Validators]:
    """A Clique chain whose block 3 is to be proven, and whose validators change with block 4: two votes came before."""
    chain, _, pins = sealed(TOLD, Consensus.CLIQUE, before=0, after=0, epoch=epoch)
    recorded, chain.headers = chain.headers[1], chain.headers[:1]
    subject = NEW if add else chain.sealers[-1]
    one, two, three = [key for key in in_turn(chain, 4) if key is not subject][:3]
    for key in (one, two):
        chain.seal(key, miner=address(subject), nonce=FOR if add else bytes(8))
    by = in_turn(chain, 2)[1] if in_turn(chain, 1) == [three] else in_turn(chain, 1)[0]
    names = ("state_root", "transactions_root", "receipts_root", "logs_bloom")
    chain.seal(by, **{name: getattr(recorded, name) for name in names})
    vote(chain, subject, three, add=add)
    grow(chain, HEAD)
    return Nodes(pins, [Teller(f"node-{place}", chain, TOLD, HELD + 1) for place in range(2)]), Validators(pins, Rows())


def claimed(there: Nodes, kind: Kind) -> Claim:
    """That the transaction is in block 3."""
    told = claim(there, kind=kind)
    found = replace(told.found, block_number=HELD + 1, block_hash=there.tellers[0].hash_of(HELD + 1))
    return replace(told, found=found)


def follows(there: Nodes, validators: Validators, pins: Pins) -> Following:
    return Following(
        validators=validators, pins=pins, nodes=there, events=there, monotonic=lambda: there.now, random=lambda: 0.5
    )


def proves(there: Nodes, following: Following, held: int = HELD) -> Prover:
    return Prover(
        household=HOUSEHOLD, nodes=there, following=following, rows=there, events=there, depth=HEAD - held,
        monotonic=lambda: there.now, now=lambda: 1_782_106_300, random=lambda: 0.5,
    )  # fmt: skip


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT])
@pytest.mark.parametrize("kind", [Kind.REPORT, Kind.BUY])
def test_a_block_from_before_a_change_is_proven_after_it(consensus: Consensus, kind: Kind, *, add: bool) -> None:
    there, validators = changed(consensus, add=add)
    following = follows(there, validators, there.pins)
    while following.run_once():
        pass
    assert validators.known() == there.tellers[0].chain.validators != there.pins.place.validators

    proof = proves(there, following).prove(claim(there, kind=kind))

    assert proof is not None
    assert proof.inclusion == claim(there).found
    assert there.lies == []


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("kind", [Kind.REPORT, Kind.BUY])
def test_a_clique_block_right_before_a_change_is_proven(kind: Kind, *, add: bool) -> None:
    there, validators = changes_right_behind(add=add)
    following = follows(there, validators, there.pins)
    while following.run_once():
        pass
    assert validators.known_at(HELD + 1) == there.pins.place.validators != validators.known_at(HELD + 3)

    proof = proves(there, following, HELD + 1).prove(claimed(there, kind))

    assert proof is not None
    assert proof.inclusion == claimed(there, kind).found
    assert there.lies == []


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("kind", [Kind.REPORT, Kind.BUY])
def test_a_clique_block_that_was_jumped_over_is_proven_by_those_who_are_left(kind: Kind, *, add: bool) -> None:
    there, validators = changes_right_behind(add=add, epoch=8)
    following = follows(there, validators, there.pins)
    while following.run_once():
        pass
    assert validators.known_at(HELD + 1) is None
    assert validators.known() != there.pins.place.validators

    proof = proves(there, following, HELD + 1).prove(claimed(there, kind))

    assert proof is not None
    assert proof.inclusion == claimed(there, kind).found
    assert there.lies == []


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT])
def test_a_jump_over_a_change_calls_nobody_a_liar_for_what_lies_between(consensus: Consensus) -> None:
    there, validators = changed(consensus, add=True)
    following = follows(there, validators, there.pins)
    while following.run_once():
        pass

    assert following.knows([HELD, HELD + 1])
    assert following.knows([HEAD - 4, HEAD - 3])
    assert not following.knows([HELD, HEAD - 4])  # the change lies between
    assert not following.knows([HEAD + 5])
    assert not following.knows([])


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, Consensus.QBFT])
def test_a_stranger_before_the_change_is_a_liar(consensus: Consensus) -> None:
    there, validators = changed(consensus, add=True)
    following = follows(there, validators, there.pins)
    while following.run_once():
        pass
    honest = there.tellers[0].chain
    false = Consortium(Rules(consensus), keys(4, offset=90), honest.headers[:HELD])
    recorded = honest.headers[HELD]
    false.seal(
        state_root=recorded.state_root,
        transactions_root=recorded.transactions_root,
        receipts_root=recorded.receipts_root,
        logs_bloom=recorded.logs_bloom,
    )
    grow(false, HEAD)
    there.tellers[0] = Teller("liar", false, TOLD, HELD)

    proof = proves(there, following).prove(claim(there, kind=Kind.REPORT))

    assert proof is not None  # the other node proves it
    assert [name for name, _, _ in there.lies] == ["liar"]


def test_an_epoch_that_is_pinned_wrongly_makes_no_node_a_liar() -> None:
    there, _ = changed(Consensus.CLIQUE, add=True)
    wrong = replace(there.pins, rules=replace(there.pins.rules, epoch=4))
    following = follows(there, Validators(wrong, Rows()), wrong)

    assert not following.run_once()
    with pytest.raises(NodeUnavailable, match=r"chain\.epoch, 4, is not this chain's"):
        following.catch_up(there.tellers[0])
    assert there.lies == []
    assert "validators.unknown" in there.told


def test_former_validators_outlive_a_restart() -> None:
    there, _ = changed(Consensus.QBFT, add=True)
    rows = Rows()
    following = follows(there, Validators(there.pins, rows), there.pins)
    while following.run_once():
        pass

    again = Validators(there.pins, rows)

    assert again.known_at(HELD) == there.pins.place.validators
    assert again.known_at(HEAD) == again.known()
    assert address(NEW) in again.known()
