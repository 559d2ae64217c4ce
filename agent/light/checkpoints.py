"""A jump to a later epoch's block: who may seal, kept up with votes without following every header.

At an epoch's block (its number a multiple of ``Rules.epoch``) open votes are void, so a place there knows all that the
rules need but Clique's last signers. What is needed to believe such a block that does not hang on the place:

- Clique: the block lists those who may seal after it. It and the headers linked after it must be sealed as the rules
  ask of those that it lists, and more than half of the validators known *at the place* must be among their signers,
  each counted once. An honest signer seals upon a block only after it checked all before it. So whoever holds half of
  the known keys or fewer lacks at least one honest signature, whatever it lists and however many keys of its own it
  adds. It could not follow header by header for longer either: there the rules let it seal as many blocks in a row as
  it holds keys.
- QBFT, IBFT 2: the block lists exactly the validators known at the place, and a quorum of them sealed it. Other
  validators are not taken: who changed them, and by which votes, shows only header by header.

Known keys count as they were at the place. A validator that was voted out since still counts, so a removed key that
was stolen is worth as much as any until the place has moved past the removal; and whoever holds more than half of the
keys of an old place can write another history from there, by jumping as by following. A jump does not show that a
chain hangs on the pinned block either: the validators' signatures do. So their keys seal one chain only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from agent.domain.errors import BadEvidence, UnknownSealer
from agent.light import bft, clique, seals
from agent.light.headers import Consensus, Header, block_hash
from agent.light.seals import Place, Rules


def jump(place: Place, run: Iterable[Header], rules: Rules) -> Place:
    """The place at an epoch's block that those known at an earlier place vouch for.

    Args:
        place: the earlier one.
        run: consecutive headers from the epoch's block on; no more are taken than are needed, and of a QBFT or IBFT 2
            chain that is one. ``len(place.validators) + 1`` are enough wherever a jump can be had.
        rules: the chain's.

    Raises:
        UnknownSealer: too few who are known vouch for it: validators may have changed, and following the headers from
            the place shows whether they did.
        BadEvidence: it can never be right, whoever the validators are.
    """
    headers = iter(run)
    first = next(headers, None)
    if first is None:
        raise BadEvidence("a jump needs the header of the block that it leads to")
    if first.number % rules.epoch or first.number <= place.number:
        raise BadEvidence(
            f"block {first.number} is no epoch's block after block {place.number}: each has {rules.epoch}"
        )
    if rules.consensus is Consensus.UNSEALED:
        raise BadEvidence("nobody seals the blocks of this chain, so nobody vouches for one")
    if rules.consensus is Consensus.CLIQUE:
        return _over_clique(place, first, headers, rules)
    return _over_bft(place, first, rules)


def vouched(known: tuple[bytes, ...], sealers: Iterable[bytes | None]) -> bool:
    """Whether more than half of the known validators are among those who sealed a Clique block or one after it."""
    return len({*sealers} & {*known}) > len(known) // 2


def settled(trusted: tuple[bytes, ...], run: Sequence[Place]) -> int:
    """Which of a Clique chain's consecutive places is the newest that more than half have built upon.

    Those count who are trusted before it, and not those whom a vote let in on the way: whoever they are, that vote
    itself must first be built upon. Else half of the keys, with one honest vote that was open, would make themselves
    most of what is left, and vouch for their own fork.

    Args:
        trusted: who might seal after the first place.
        run: from that place on, each followed from the one before it.
    """
    at = 0
    while True:
        sealers: set[bytes] = set()
        known = {*trusted}
        newer = len(run) - 1
        while newer > at:
            sealers |= known & {run[newer].recent[-1][1]}
            if vouched(trusted, sealers):
                break
            newer -= 1
        if newer == at or run[newer].validators == trusted:
            return newer
        at, trusted = newer, run[newer].validators


def strangers_vouched_for(known: tuple[bytes, ...], run: Sequence[Header], rules: Rules) -> bool:
    """Whether validators who are known seal together with others: then votes let those in, and nobody made them up.

    Clique: more than half of the known ones sealed a stranger's block or one after it. QBFT, IBFT 2: a third of them
    sealed the newest block, and others with them; fewer cannot hinder the rest from sealing what they like.

    Args:
        known: 20 bytes each.
        run: a node's newest headers; of a QBFT or IBFT 2 chain one is enough.
        rules: the chain's.

    Raises:
        BadEvidence: a header has not its form.
    """
    if rules.consensus is not Consensus.CLIQUE:
        sealers = seals.committers(run[-1], rules)
        return 3 * len(sealers & {*known}) >= len(known) and not sealers <= {*known}
    if any(after.parent_hash != block_hash(before, rules.consensus) for before, after in pairwise(run)):
        return False
    signers = [clique.sealer(header.fields()) for header in run]
    first = next((place for place, one in enumerate(signers) if one not in known), len(run))
    return vouched(known, signers[first:])


def _over_clique(place: Place, first: Header, after: Iterable[Header], rules: Rules) -> Place:
    what = f"block {first.number}"
    listed = seals.clique_signers(first.extra_data, what)
    if not listed:
        raise seals.out_of_epoch(first, place.validators, rules, f"{what} is a checkpoint, and lists no signers")
    _ascending(listed, what)
    reached = last = _by_its_own_list(first, listed, rules)
    sealers = [last.recent[-1][1]]
    headers = iter(after)
    while not vouched(place.validators, sealers):
        header = next(headers, None)
        if header is None:
            raise UnknownSealer(
                f"{what} and the {len(sealers) - 1} blocks after it are sealed by "
                f"{len({*sealers} & {*place.validators})} of the {len(place.validators)} validators that are known, "
                "and more than half are needed"
            )
        last = _contradicting_itself(last, header, rules)
        sealers.append(last.recent[-1][1])
    return reached


def _over_bft(place: Place, first: Header, rules: Rules) -> Place:
    if rules.named_by_contract:
        return seals.follow(seals.before(first, place.validators), first, rules)
    what = f"block {first.number}"
    extra = bft.decode(first.extra_data, ibft2=rules.consensus is Consensus.IBFT2)
    reached = _by_its_own_list(first, _ascending(extra.validators, what), rules)
    if reached.validators != place.validators:
        raise UnknownSealer(
            f"{what} names as validators {seals.told(reached.validators)}, which are not those that are known"
        )
    return reached


def _by_its_own_list(first: Header, listed: tuple[bytes, ...], rules: Rules) -> Place:
    return _contradicting_itself(seals.before(first, listed), first, rules)


def _contradicting_itself(place: Place, header: Header, rules: Rules) -> Place:
    """One block further from a list of signers that the headers themselves gave: who is not on it is never right."""
    try:
        return seals.follow(place, header, rules)
    except UnknownSealer as error:
        raise BadEvidence(f"{error}, and the headers that are shown with it say so themselves") from error


def _ascending(listed: tuple[bytes, ...], what: str) -> tuple[bytes, ...]:
    if not listed or any(one >= other for one, other in pairwise(listed)):
        raise BadEvidence(f"{what} lists {len(listed)} validators, where some belong, each once and in ascending order")
    return listed
