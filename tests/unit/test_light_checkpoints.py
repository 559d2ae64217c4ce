"""Jumps over epochs: who is believed without following every header, and who is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence, OtherRules, UnknownSealer
from agent.light import clique
from agent.light.checkpoints import jump, strangers_vouched_for, vouched
from agent.light.headers import Consensus, Header
from agent.light.seals import Place, Rules, follow
from tests.fakes.consortium import FOR, Consortium, address, addresses, keys

BFT = [Consensus.QBFT, Consensus.IBFT2]
EPOCH = 10
STRANGERS = keys(4, offset=50)


def sealed(consensus: Consensus, sealers: list[PrivateKey], blocks: int = EPOCH) -> Consortium:
    """A chain of an epoch and so many blocks, sealed in turn."""
    chain = Consortium(Rules(consensus, epoch=EPOCH), sealers)
    while len(chain.headers) <= blocks:
        chain.seal()
    return chain


def at_genesis(chain: Consortium, validators: tuple[bytes, ...] | None = None) -> Place:
    return Place(0, chain.hash_of(0), chain.founders if validators is None else validators)


def over(chain: Consortium, place: Place | None = None, last: int | None = None) -> Place:
    end = len(chain.headers) if last is None else last + 1
    return jump(place or at_genesis(chain), chain.headers[EPOCH:end], chain.rules)


def from_nothing(rules: Rules, listed: list[PrivateKey]) -> Consortium:
    """A chain that begins right before an epoch's block: nobody sees what is before a jump's first header."""
    chain = Consortium(rules, listed)
    extra = chain.headers[0].extra_data
    chain.headers += [chain.bare(number, bytes(32), extra_data=extra) for number in range(1, EPOCH)]
    return chain


def sealed_last(chain: Consortium, blocks: int, among: list[PrivateKey]) -> list[PrivateKey]:
    """Who of some sealed one of the last Clique blocks."""
    last = chain.headers[max(EPOCH, len(chain.headers) - blocks) :]
    by = {clique.sealer(header.fields()) for header in last}
    return [key for key in among if address(key) in by]


@pytest.mark.parametrize("consensus", BFT)
def test_a_quorum_vouches_for_an_epochs_block_that_lists_it(consensus: Consensus) -> None:
    chain = sealed(consensus, keys(4))

    assert over(chain) == Place(EPOCH, chain.hash_of(EPOCH), chain.validators)


def test_a_clique_place_needs_more_than_half_of_those_known_and_takes_no_more_headers() -> None:
    chain = sealed(Consensus.CLIQUE, keys(4), EPOCH + 4)
    taken: list[int] = []

    def run() -> Iterator[Header]:
        for header in chain.headers[EPOCH:]:
            taken.append(header.number)
            yield header

    place = jump(at_genesis(chain), run(), chain.rules)

    signer = chain.validators[EPOCH % 4]
    assert place == Place(EPOCH, chain.hash_of(EPOCH), chain.validators, ((EPOCH, signer),))
    assert taken == [10, 11, 12]
    with pytest.raises(UnknownSealer, match="block 10 and the 1 blocks after it are sealed by 2 of the 4"):
        over(chain, last=EPOCH + 1)


def test_what_follows_a_jump_is_followed() -> None:
    for consensus in (Consensus.CLIQUE, *BFT):
        chain = sealed(consensus, keys(4), EPOCH + 7)
        place, walked = over(chain), at_genesis(chain)
        for header in chain.headers[1:]:
            walked = follow(walked, header, chain.rules)
            place = follow(place, header, chain.rules) if header.number > EPOCH else place
        assert place == walked


def test_a_changed_clique_list_is_taken_when_more_than_half_of_the_old_ones_vouch_for_it() -> None:
    known = keys(4)
    after = sorted([*known[:3], STRANGERS[0]], key=address)
    chain = sealed(Consensus.CLIQUE, after, EPOCH + 4)

    assert over(chain, at_genesis(chain, addresses(known))).validators == addresses(after)


@pytest.mark.parametrize("consensus", BFT)
def test_another_bft_list_is_not_taken_though_all_sealed_it(consensus: Consensus) -> None:
    known = keys(4)
    for after in ([*known, STRANGERS[0]], known[:3]):
        chain = sealed(consensus, sorted(after, key=address))
        with pytest.raises(UnknownSealer, match="names as validators"):
            over(chain, at_genesis(chain, addresses(known)))


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, *BFT])
def test_strangers_vouch_for_nothing(consensus: Consensus) -> None:
    chain = sealed(consensus, STRANGERS, EPOCH + 8)

    with pytest.raises(UnknownSealer):
        over(chain, at_genesis(chain, addresses(keys(4))))
    with pytest.raises(UnknownSealer):
        over(chain, at_genesis(chain, ()))


@given(st.data(), st.integers(1, 7), st.sampled_from([Consensus.CLIQUE, *BFT]))
def test_half_of_the_keys_or_fewer_and_any_number_of_ones_own_make_no_place(
    data: st.DataObject, count: int, consensus: Consensus
) -> None:
    known = keys(count)
    stolen = known[: data.draw(st.integers(0, count // 2), label="stolen")]
    own = STRANGERS[: data.draw(st.integers(0 if stolen else 1, 4), label="own")]
    listed = sorted({*stolen, *own, *data.draw(st.sets(st.sampled_from(known)), label="listed beside")}, key=address)
    chain = from_nothing(Rules(consensus, epoch=EPOCH), listed)
    free = [*stolen, *own]
    for _ in range(count + 1):
        if consensus is not Consensus.CLIQUE:
            chain.seal(*stolen, *own)
        elif free:  # as many blocks as the rules allow to those keys
            chain.seal(free.pop(data.draw(st.integers(0, len(free) - 1), label="signer")))
            busy = addresses(sealed_last(chain, len(listed) // 2, [*stolen, *own]))
            free = [key for key in [*stolen, *own] if address(key) not in busy]

    with pytest.raises(BadEvidence):
        over(chain, at_genesis(chain, addresses(known)))


@given(st.permutations(range(4)), st.integers(3, 4))
def test_each_signer_counts_once(order: list[int], more: int) -> None:
    known = keys(4)
    listed = sorted(known[:2] + STRANGERS[: more - 1], key=address)
    chain = from_nothing(Rules(Consensus.CLIQUE, epoch=EPOCH), listed)
    two = [known[order[0] % 2], known[(order[0] + 1) % 2]]
    others = STRANGERS[: more - 1]
    for at in range(9):  # two of four seal again and again, with others between, as the rules allow
        chain.seal((*two, *others)[at % (2 + len(others))])

    with pytest.raises(UnknownSealer, match="by 2 of the 4"):
        over(chain, at_genesis(chain, addresses(known)))


def test_keys_of_removed_validators_count_until_the_place_has_moved() -> None:
    known = keys(5)
    stayed = known[:3]
    forged = sealed(Consensus.CLIQUE, known[2:], EPOCH + 4)  # by two that were removed and one that stayed
    before, after = (at_genesis(forged, addresses(one)) for one in (known, stayed))

    assert over(forged, before).number == EPOCH  # said in the README: a place that lags trusts those removed since
    with pytest.raises(UnknownSealer, match="by 1 of the 3"):
        over(forged, after)


# --- What can never be right ---


def lie(chain: Consortium, why: str, place: Place | None = None) -> None:
    with pytest.raises(BadEvidence, match=why) as caught:
        over(chain, place)
    assert not isinstance(caught.value, UnknownSealer)


def test_a_jump_leads_to_a_later_epochs_block() -> None:
    chain = sealed(Consensus.QBFT, keys(4), EPOCH + 1)

    for headers, why in (([], "needs the header"), (chain.headers[11:], "is no epoch's block after block 0")):
        with pytest.raises(BadEvidence, match=why):
            jump(at_genesis(chain), headers, chain.rules)
    lie(chain, "is no epoch's block after block 10", Place(EPOCH, chain.hash_of(EPOCH), chain.validators))
    with pytest.raises(BadEvidence, match="nobody vouches"):
        jump(at_genesis(chain), chain.headers[EPOCH:], Rules(Consensus.UNSEALED, epoch=EPOCH))


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, *BFT])
def test_who_is_not_on_the_blocks_own_list_makes_it_a_lie(consensus: Consensus) -> None:
    chain = sealed(consensus, keys(4), EPOCH - 1)
    chain.seal(*STRANGERS)
    lie(chain, "say so themselves")


def test_a_clique_run_keeps_the_rules_of_those_it_lists() -> None:
    chain = sealed(Consensus.CLIQUE, keys(4))
    twice = next(key for key in chain.sealers if address(key) == chain.validators[EPOCH % 4])
    chain.seal(twice)
    lie(chain, "sealed block 10 just before")
    chain.headers.pop()
    chain.seal(STRANGERS[0])
    lie(chain, "say so themselves")
    chain.headers.pop()
    chain.seal(difficulty=1)
    lie(chain, "in turn")
    chain.headers.pop()
    chain.seal()
    chain.headers[-1] = replace(chain.headers[-1], parent_hash=bytes(32))
    lie(chain, "block 11 follows")


def test_a_vote_after_the_epochs_block_counts_in_its_run() -> None:
    known = keys(1)
    chain = sealed(Consensus.CLIQUE, known, EPOCH - 1)
    chain.sealers = sorted([known[0], STRANGERS[0]], key=address)
    chain.seal(STRANGERS[0])
    chain.seal(known[0], miner=address(STRANGERS[0]))
    assert over(chain, at_genesis(chain, addresses(known))).validators == chain.validators


@pytest.mark.parametrize("consensus", [Consensus.CLIQUE, *BFT])
def test_a_list_names_each_once_and_in_order(consensus: Consensus) -> None:
    good = addresses(keys(4))
    for listed in ((), good[::-1], (*good, good[-1])):
        chain = sealed(consensus, keys(4), EPOCH - 1)
        if consensus is Consensus.CLIQUE:
            chain.seal(extra_data=b"v" * 32 + b"".join(listed))
        else:
            chain.seal(validators=listed)
        if consensus is Consensus.CLIQUE and not listed:
            with pytest.raises(OtherRules, match=r"chain\.epoch, 10, is not this chain's"):
                over(chain)  # a known validator's own block: the node that tells it does not lie
        else:
            lie(chain, f"lists {len(listed)} validators, where some belong, each once")


@pytest.mark.parametrize("consensus", BFT)
def test_too_few_seals_are_too_few_whoever_is_listed(consensus: Consensus) -> None:
    chain = sealed(consensus, STRANGERS, EPOCH - 1)
    chain.seal(*STRANGERS[:2])
    lie(chain, "2 seals, where 3 to 4", at_genesis(chain, addresses(keys(4))))


def test_validators_that_a_contract_names_are_the_known_ones() -> None:
    chain = Consortium(Rules(Consensus.QBFT, epoch=1, named_by_contract=True), keys(4))
    chain.seal(validators=[])

    assert jump(at_genesis(chain), chain.headers[1:], chain.rules).validators == chain.validators
    with pytest.raises(UnknownSealer, match="proposed by"):
        jump(at_genesis(chain, addresses(STRANGERS)), chain.headers[1:], chain.rules)


@given(st.integers(1, 9), st.data())
def test_more_than_half_vouch(count: int, data: st.DataObject) -> None:
    known = addresses(keys(count))
    by = data.draw(st.sets(st.sampled_from(known)))

    assert vouched(known, [*by, *by, address(STRANGERS[0])]) is (2 * len(by) > count)


def test_a_checkpoint_that_votes_is_none() -> None:
    chain = sealed(Consensus.CLIQUE, keys(4), EPOCH - 1)
    chain.seal(nonce=FOR)
    lie(chain, "is a checkpoint, and votes")


def test_nobody_makes_up_that_known_validators_seal_with_strangers() -> None:
    chain = sealed(Consensus.CLIQUE, keys(4), 3)
    known = at_genesis(chain).validators
    one, two, three, _ = chain.sealers
    for key in (STRANGERS[0], one, two, STRANGERS[1], one):
        chain.seal(key)
    run = chain.headers[1:]

    assert not strangers_vouched_for(known, chain.headers[1:4], chain.rules)  # without a stranger, whoever sealed
    assert not strangers_vouched_for(known, run, chain.rules)  # half of the known ones
    chain.seal(three)
    assert strangers_vouched_for(known, chain.headers[1:], chain.rules)
    assert not strangers_vouched_for(known, [*run[:-1], chain.headers[-1]], chain.rules)  # it hangs on another


@pytest.mark.parametrize("consensus", BFT)
@pytest.mark.parametrize(("honest", "others", "real"), [(4, 0, False), (1, 3, False), (2, 2, True), (4, 1, True)])
def test_a_third_of_the_known_seals_and_some_more_are_nothing_made_up(
    consensus: Consensus, honest: int, others: int, *, real: bool
) -> None:
    chain = sealed(consensus, keys(4), 3)
    known = at_genesis(chain).validators
    by = [*keys(4)[:honest], *STRANGERS[:others]]
    chain.seal(*by, validators=addresses(by))

    assert strangers_vouched_for(known, chain.headers[-1:], chain.rules) is real
