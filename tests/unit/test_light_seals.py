"""Seals: who may seal, who did, and how those who may change."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence
from agent.light import bft, seals
from agent.light.headers import Consensus, Header
from agent.light.seals import Place, Rules, follow, quorum
from tests.fakes.consortium import FOR, Consortium, address, addresses, keys

BFT = [Consensus.QBFT, Consensus.IBFT2]
STRANGER = PrivateKey(b"\x77" * 32)


def at_genesis(chain: Consortium) -> Place:
    return Place(0, chain.hash_of(0), chain.founders)


def followed(chain: Consortium, place: Place | None = None) -> Place:
    place = place or at_genesis(chain)
    for header in chain.headers[place.number + 1 :]:
        place = follow(place, header, chain.rules)
    return place


@pytest.fixture(params=[Consensus.CLIQUE, *BFT])
def chain(request: pytest.FixtureRequest) -> Consortium:
    return Consortium(Rules(request.param, epoch=5), keys(4))


def test_a_sealed_chain_is_followed_over_its_checkpoints(chain: Consortium) -> None:
    for _ in range(12):
        chain.seal()

    end = followed(chain)

    assert (end.number, end.block_hash, end.validators) == (12, chain.hash_of(12), chain.validators)


def test_a_header_that_hangs_on_none_that_is_known_needs_the_pinned_validators(chain: Consortium) -> None:
    header = [chain.seal() for _ in range(3)][-1]

    assert follow(seals.before(header, chain.validators), header, chain.rules).block_hash == chain.hash_of(3)
    with pytest.raises(BadEvidence):
        follow(seals.before(header, addresses(keys(4, offset=50))), header, chain.rules)


def test_every_changed_field_breaks_the_seal(chain: Consortium) -> None:
    good = chain.seal()
    follow(at_genesis(chain), good, chain.rules)
    changes: dict[str, Any] = {
        "parent_hash": bytes(32), "uncles_hash": bytes(32), "miner": b"m" * 20, "state_root": bytes(32),
        "transactions_root": bytes(32), "receipts_root": bytes(32), "logs_bloom": b"\1" + bytes(255), "difficulty": 3,
        "number": 2, "gas_limit": 1, "gas_used": 1, "timestamp": 1, "extra_data": b"", "mix_hash": b"\1" * 32,
        "nonce": b"\1" * 8, "base_fee": 1,
    }  # fmt: skip

    for name, value in changes.items():
        with pytest.raises(BadEvidence):
            pytest.fail(f"{name}: {follow(at_genesis(chain), replace(good, **{name: value}), chain.rules)}")


def test_a_thousand_random_rewrites_of_a_sealed_header_are_all_refused(chain: Consortium) -> None:
    raw = chain.seal().encoded()
    chance = random.Random(20)  # noqa: S311 - no secret
    accepted = 0
    for _ in range(1_000):
        changed = bytearray(raw)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            changed[chance.randrange(len(raw))] ^= chance.randrange(1, 256)
        if bytes(changed) == raw:
            continue
        try:
            follow(at_genesis(chain), Header.decode(bytes(changed)), chain.rules)
        except BadEvidence:
            continue
        accepted += 1
    assert accepted == 0


def test_a_block_must_follow_the_one_before_it(chain: Consortium) -> None:
    first, second = chain.seal(), chain.seal()

    with pytest.raises(BadEvidence, match="block 2 comes where block 1 belongs"):
        follow(at_genesis(chain), second, chain.rules)
    with pytest.raises(BadEvidence, match="block 1 follows"):
        follow(replace(at_genesis(chain), block_hash=bytes(32)), first, chain.rules)


def test_nobody_seals_a_development_node() -> None:
    chain = Consortium(Rules(Consensus.UNSEALED), keys(1))
    header = chain.bare(1, chain.hash_of(0))

    assert follow(at_genesis(chain), header, chain.rules).number == 1


# --- Clique ---


def clique(count: int = 4, epoch: int = 100) -> Consortium:
    return Consortium(Rules(Consensus.CLIQUE, epoch), keys(count))


def test_a_stranger_seals_no_clique_block() -> None:
    chain = clique()
    chain.seal(STRANGER)

    with pytest.raises(BadEvidence, match="not authorised"):
        followed(chain)


def test_who_sealed_just_before_waits() -> None:
    chain = clique(4)
    one, two, three, _ = chain.sealers
    for signer in (one, two, three, one):  # at the third block again: floor(4/2) others are between
        chain.seal(signer)
    followed(chain)
    chain.seal(three)

    with pytest.raises(BadEvidence, match="sealed block 3 just before"):
        followed(chain)


def test_one_signer_alone_seals_every_block() -> None:
    chain = clique(1)
    for _ in range(3):
        chain.seal()

    assert followed(chain).number == 3


def test_the_difficulty_says_whether_it_was_the_signers_turn() -> None:
    chain = clique()
    chain.seal(difficulty=1)

    with pytest.raises(BadEvidence, match="in turn"):
        followed(chain)


@pytest.mark.parametrize(("by", "joins_after"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_signer_joins_once_more_than_half_voted(by: int, joins_after: int) -> None:
    chain = clique(by)
    new = address(STRANGER)
    place = at_genesis(chain)
    for count in range(1, joins_after + 1):
        assert new not in place.validators
        place = follow(place, chain.seal(miner=new, nonce=FOR), chain.rules)
        assert (new in place.validators) is (count == joins_after)
    assert place.votes == ()


def test_a_signer_leaves_and_its_open_votes_go_with_it() -> None:
    chain = clique(3)
    one, two, three = chain.sealers
    chain.seal(three, miner=b"x" * 20, nonce=FOR)
    assert [cast.voter for cast in followed(chain).votes] == [address(three)]
    chain.seal(one, miner=address(three))
    chain.seal(two, miner=address(three))

    end = followed(chain)

    assert end.validators == addresses([one, two])
    assert end.votes == ()


def test_a_vote_can_be_taken_back_and_counts_once() -> None:
    chain = clique(3)
    one, two, _ = chain.sealers
    for signer in (one, two):
        chain.seal(signer, miner=b"x" * 20, nonce=FOR if signer is one else bytes(8))
    place = followed(chain)
    assert [cast.voter for cast in place.votes] == [address(one)]  # against who is not there is no vote
    chain.seal(chain.sealers[2])
    chain.seal(one, miner=b"x" * 20)
    assert followed(chain).votes == ()


def test_a_checkpoint_forgets_votes_and_lists_the_signers_that_are_known() -> None:
    chain = clique(4, epoch=3)
    chain.seal(miner=b"x" * 20, nonce=FOR)
    chain.seal()
    assert followed(chain).votes
    chain.seal()
    assert followed(chain).votes == ()
    with pytest.raises(BadEvidence, match="checkpoint of the signers"):
        followed(
            chain,
            replace(
                followed(Consortium(chain.rules, chain.sealers, chain.headers[:3])),
                validators=addresses(chain.sealers[:3]),
            ),
        )
    chain.headers.pop()
    chain.seal(miner=b"x" * 20, nonce=FOR)
    with pytest.raises(BadEvidence, match="is a checkpoint, and votes"):
        followed(chain)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"mix_hash": b"\1" * 32}, "mix hash"),
        ({"nonce": b"\1" * 8}, "no vote"),
        ({"uncles_hash": bytes(32)}, "uncles"),
        ({"extra_data": b"v" * 32 + b"s" * 20}, "only a checkpoint"),
        ({"extra_data": b"v" * 33}, "no vanity, addresses and seal"),
    ],
)
def test_a_clique_block_has_cliques_form_though_it_is_sealed(changed: dict[str, Any], why: str) -> None:
    chain = clique()
    chain.seal(**changed)

    with pytest.raises(BadEvidence, match=why):
        followed(chain)


# --- QBFT and IBFT 2 ---


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)])
def test_a_quorum_is_two_thirds_rounded_up(count: int, needed: int) -> None:
    assert quorum(count) == needed


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from(BFT), st.integers(0, 5))
def test_a_block_stands_with_a_quorum_and_no_less(count: int, by: int, consensus: Consensus, round_: int) -> None:
    chain = Consortium(Rules(consensus), keys(count))
    chain.seal(*chain.sealers[:by], round=round_)

    if min(by, count) >= quorum(count):
        assert followed(chain).number == 1
    else:
        with pytest.raises(BadEvidence, match="seals, where"):
            followed(chain)


@pytest.mark.parametrize("consensus", BFT)
def test_seals_are_validators_each_once(consensus: Consensus) -> None:
    one, two, three, _ = keys(4)
    for by, why in (((one, two, STRANGER), "no validator"), ((one, two, two), "twice"), ((one, two), "2 seals")):
        chain = Consortium(Rules(consensus), keys(4))
        chain.seal(*by)
        with pytest.raises(BadEvidence, match=why):
            followed(chain)
    chain = Consortium(Rules(consensus), keys(4))
    chain.seal(miner=address(STRANGER))
    with pytest.raises(BadEvidence, match="proposed by"):
        followed(chain)
    chain = Consortium(Rules(consensus), keys(4))
    chain.seal(one, two, three, validators=addresses([one, two, three]))
    with pytest.raises(BadEvidence, match="names as validators"):
        followed(chain)


@pytest.mark.parametrize("consensus", BFT)
def test_seals_over_the_blocks_hash_or_another_round_are_worth_nothing(consensus: Consensus) -> None:
    chain = Consortium(Rules(consensus), keys(4))
    good = bft.decode(chain.seal(round=1).extra_data, ibft2=chain.ibft2)
    moved = replace(chain.headers[1], extra_data=replace(good, round=2).encoded(ibft2=chain.ibft2))

    assert followed(chain).number == 1
    with pytest.raises(BadEvidence, match="seal 0"):
        follow(at_genesis(chain), moved, chain.rules)


@pytest.mark.parametrize("consensus", BFT)
def test_a_validator_joins_and_leaves_by_more_than_half(consensus: Consensus) -> None:
    chain = Consortium(Rules(consensus), keys(4))
    one, two, three, four = chain.sealers
    for proposer in (one, two, three):
        assert address(STRANGER) not in followed(chain).validators
        chain.seal(proposer, *(key for key in chain.sealers if key is not proposer), vote=(address(STRANGER), True))
    chain.sealers = [*chain.sealers, STRANGER]
    assert followed(chain).validators == chain.validators
    for proposer in (one, two, STRANGER):
        chain.seal(proposer, *(key for key in chain.sealers if key is not proposer), vote=(address(four), False))
    chain.sealers = [one, two, three, STRANGER]
    chain.seal()

    assert followed(chain).validators == chain.validators


@pytest.mark.parametrize("consensus", BFT)
def test_an_epoch_forgets_votes_and_its_own_block_has_none(consensus: Consensus) -> None:
    chain = Consortium(Rules(consensus, epoch=2), keys(3))
    one, two, three = chain.sealers
    chain.seal(one, two, three, vote=(b"x" * 20, True))
    assert followed(chain).votes
    chain.seal(two, one, three, vote=(b"x" * 20, True))

    assert followed(chain).votes == ()
    assert followed(chain).validators == chain.validators


def test_validators_that_a_contract_names_are_the_pinned_ones() -> None:
    chain = Consortium(Rules(Consensus.QBFT, named_by_contract=True), keys(4))
    chain.seal(validators=[])
    assert followed(chain).number == 1
    with pytest.raises(BadEvidence, match="validators none"):
        followed(replace(chain, rules=Rules(Consensus.QBFT)), Place(0, chain.hash_of(0), chain.validators))
    chain.seal()
    with pytest.raises(BadEvidence, match="where a contract names them"):
        followed(chain)


@pytest.mark.parametrize("consensus", BFT)
@pytest.mark.parametrize("changed", [{"difficulty": 2}, {"nonce": FOR}, {"mix_hash": bytes(32)}])
def test_a_bft_block_has_bfts_form_though_it_is_sealed(consensus: Consensus, changed: dict[str, Any]) -> None:
    chain = Consortium(Rules(consensus), keys(4))
    chain.seal(**changed)

    with pytest.raises(BadEvidence, match="not those of a BFT block"):
        followed(chain)


def test_the_last_validator_cannot_vote_itself_away() -> None:
    chain = Consortium(Rules(Consensus.QBFT), keys(1))
    chain.seal(vote=(chain.validators[0], False))

    with pytest.raises(BadEvidence, match="nobody could seal"):
        followed(chain)
