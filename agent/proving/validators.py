"""Who may seal, kept up with the chain: by jumps over epochs from the pinned block, header by header where one fails.

A place is kept only where nothing is reorganised any more: QBFT's and IBFT 2's blocks at once, a Clique block when more
than half of the validators known before have sealed it or blocks after it (``agent.light.checkpoints`` says why).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

from agent.domain.errors import BadEvidence, NodeUnavailable, UnknownSealer
from agent.light import checkpoints, seals
from agent.light.evidence import Pins
from agent.light.headers import Consensus, Header, block_hash
from agent.light.seals import Place
from agent.proving import places
from agent.proving.places import Followed, Span
from agent.proving.questions import Questions, Source

STEP = 200
"""Headers that are followed at a time, and written down once: 0.3 MB, and some seconds of a small board."""


_EARLIER = 8
"""Former sets of validators that are remembered: they sealed blocks that are yet to be proven."""

_MOST_REFUSED = 256


class PlaceRows(Protocol):
    """Where the place outlives a restart."""

    def place(self) -> str | None:
        """The text that was kept last."""

    def set_place(self, text: str) -> None:
        """Keep it."""


class Validators:
    """The validators that are known, as far as the chain was followed.

    One thread catches up; any may read.

    Attributes:
        begun_anew: why a place that was kept is not used, and the pinned one is; empty where it is.
    """

    def __init__(self, pins: Pins, rows: PlaceRows) -> None:
        self._pins = replace(pins, place=replace(pins.place, validators=tuple(sorted({*pins.place.validators}))))
        self._rows = rows
        self._clique = pins.rules.consensus is Consensus.CLIQUE
        self._refused: set[tuple[str, int]] = set()
        self._whole_blocks: set[str] = set()
        self.begun_anew = ""
        self._followed = self._kept()

    @property
    def place(self) -> Place:
        """The last block that was followed, and who may seal the next one."""
        return self._followed.place

    def pins(self) -> Pins:
        """The pins, with the place as it has come."""
        return replace(self._pins, place=self.place)

    def known(self) -> tuple[bytes, ...]:
        """Who may seal, 20 bytes each, ascending."""
        return self.place.validators

    def known_at(self, number: int) -> tuple[bytes, ...] | None:
        """Who might seal a block; None where that is not known: it lies further on, or was jumped over, or long ago."""
        return self._followed.validators_at(number)

    def catch_up(self, source: Source, head: int, *, wanted: bool) -> bool:
        """One step towards the head: a jump to an epoch's block, or some two hundred headers.

        Args:
            source: whom to ask.
            head: number of its newest block.
            wanted: to follow within the epoch too, since something is sealed by somebody unknown.

        Returns:
            Whether another step would lead further.

        Raises:
            BadEvidence: the source said what cannot be true.
            UnknownSealer: validators changed in a way that cannot be followed: a contract names them, or the pinned
                place lies within an epoch, whose votes are not known.
            NodeUnavailable: it gave no usable answer, or its chain was reorganised in between.
        """
        began, epoch = self.place.number, self._pins.rules.epoch
        settled = head - self._behind()
        newest = settled // epoch * epoch
        following = (began // epoch + 1) * epoch
        refused = False
        for number in sorted({newest, following}, reverse=True):
            if not began < number <= newest:
                continue
            if self._jump(source, number, head):
                return self.place.number < newest or (wanted and self.place.number < settled)
            refused = True
        if began >= settled or not (wanted or refused):
            return False
        last = began + max(STEP, 2 * len(self.known()))
        if refused:  # and what comes after this epoch is jumped to again
            last = min(last, following + (len(self.known()) if self._clique else 0))
        self._follow(source, min(head, last))
        return self.place.number > began and (self.place.number < newest or (wanted and self.place.number < settled))

    def _kept(self) -> Followed:
        text = self._rows.place()
        if text is not None:
            try:
                return places.read(text, self._pins)
            except BadEvidence as error:
                self.begun_anew = str(error)
        return places.begun(self._pins)

    def _behind(self) -> int:
        """How many blocks must follow one before a place may be put on it, at least."""
        return len(self.known()) // 2 if self._clique else 0

    def _keep(self, followed: Followed) -> None:
        if followed.place.validators != self.known():
            self._refused.clear()
        if followed != self._followed:
            followed = replace(followed, earlier=followed.earlier[-_EARLIER:])
            self._rows.set_place(places.written(followed, self._pins))
            self._followed = followed

    # --- Over epochs ---

    def _jump(self, source: Source, number: int, head: int) -> bool:
        """Whether the known validators vouch for an epoch's block; then the place is there."""
        if (source.name, number) in self._refused:
            return False
        last = min(head, number + len(self.known())) if self._clique else number
        try:
            place = checkpoints.jump(self.place, self._headers(source, number, last), self._pins.rules)
        except UnknownSealer:
            if self._pins.rules.named_by_contract:
                raise
            if not self._clique or last < head:  # otherwise more signers may come
                if len(self._refused) >= _MOST_REFUSED:
                    self._refused.clear()  # a node can invent any number of epochs
                self._refused.add((source.name, number))
            return False
        self._keep(self._jumped(place))
        return True

    def _jumped(self, place: Place) -> Followed:
        """What is known after a jump: nobody saw who might seal what lies between."""
        was, earlier = self._followed, self._followed.earlier
        if place.validators != was.place.validators:
            earlier = (*earlier, Span(was.since + 1, was.place.number + 1, was.place.validators))
        return Followed(place, place.number - 1, earlier)

    # --- Header by header ---

    def _follow(self, source: Source, last: int) -> None:
        """Follow up to a block, and keep the newest place of those that cannot be reorganised."""
        run = [self.place]
        try:
            for header in self._headers(source, self.place.number + 1, last):
                if header.parent_hash != run[-1].block_hash:
                    raise self._apart(source, header)
                run.append(self._next(run[-1], header))
        finally:  # what was followed is true, whatever comes after it
            self._keep(self._walked(run[: self._settled(run) + 1]))

    def _walked(self, run: Sequence[Place]) -> Followed:
        """What is known after consecutive blocks: each change of validators, and its block."""
        since, earlier = self._followed.since, self._followed.earlier
        for before, after in pairwise(run):
            if after.validators != before.validators:
                earlier = (*earlier, Span(since + 1, after.number, before.validators))
                since = after.number
        return Followed(run[-1], since, earlier)

    def _next(self, place: Place, header: Header) -> Place:
        try:
            return seals.follow(place, header, self._pins.rules)
        except UnknownSealer as error:
            if self._pins.rules.named_by_contract or not self._knows_votes(place):
                raise
            raise BadEvidence(f"{error}, though every vote since block {self._pins.place.number} is known") from error

    def _knows_votes(self, place: Place) -> bool:
        """Whether no vote that counts can be unknown: those before a pinned place are, until its epoch is over."""
        pinned, epoch = self._pins.place.number, self._pins.rules.epoch
        return pinned % epoch == 0 or place.number // epoch > pinned // epoch

    def _settled(self, run: Sequence[Place]) -> int:
        """Which one is the newest of consecutive places that nothing can reorganise any more; the first one is."""
        if not self._clique:
            return len(run) - 1
        return checkpoints.settled(self.known(), run)

    def _apart(self, source: Source, header: Header) -> Exception:
        """What to make of a header that does not hang on the place: sealed as it should be, it is of another fork."""
        what = f"block {header.number} follows 0x{header.parent_hash.hex()}, not the place's 0x" + (
            self.place.block_hash.hex()
        )
        if not self._clique:
            return BadEvidence(f"{what}, which is final")
        parent = self._header(source, self.place.number)
        again = self._header(source, header.number)
        if again.parent_hash == self.place.block_hash or again.parent_hash != self._hash(parent):
            return NodeUnavailable(f"{what}: its chain was reorganised in between")
        seals.follow(seals.before(header, self.known()), header, self._pins.rules)
        return NodeUnavailable(f"{what}: a known validator sealed another fork; the next epoch's block decides")

    # --- What a source tells ---

    def _headers(self, source: Source, first: int, last: int) -> Iterator[Header]:
        """Consecutive headers, one request each, as far as they are taken; each hangs on the one before it."""
        before: Header | None = None
        for number in range(first, last + 1):
            header = self._header(source, number)
            if before is not None and header.parent_hash != self._hash(before):
                raise self._torn(source, before, header)
            yield header
            before = header

    def _torn(self, source: Source, before: Header, header: Header) -> Exception:
        """What to make of two headers that do not hang together: a reorganisation between two requests is no lie."""
        again = [self._header(source, one.number) for one in (before, header)]
        if [self._hash(one) for one in again] != [self._hash(one) for one in (before, header)]:
            return NodeUnavailable(f"the chain was reorganised at block {before.number} while it was read")
        return BadEvidence(
            f"block {header.number} follows 0x{header.parent_hash.hex()}, and the same node's block {before.number} "
            f"is 0x{self._hash(before).hex()}"
        )

    def _header(self, source: Source, number: int) -> Header:
        return Questions(source, self._pins.rules.consensus, self._whole_blocks).header(number)

    def _hash(self, header: Header) -> bytes:
        return block_hash(header, self._pins.rules.consensus)
