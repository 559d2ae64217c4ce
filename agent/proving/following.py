"""Following who may seal: one loop of the daemon, and the prover when it meets a seal that it does not know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import BadEvidence, Doubtful, JournalBusy, NodeUnavailable
from agent.light.checkpoints import strangers_vouched_for
from agent.light.evidence import Pins
from agent.light.hashing import shown
from agent.proving.building import most_headers
from agent.proving.questions import Heard, Questions, Source
from agent.proving.validators import Validators

# What was followed until then is kept, so a slow node only takes more turns, and no turn looks like one that hangs.
_STEP_S = 10.0
# Who showed a stranger of whom nothing came is asked again within an hour: some ten headers each time.
_DOUBT = BackOff(first_s=60.0, most_s=3_600.0)
# So long after a change a node may still be said to show the stranger whom that change let in.
_KNOWN_S = 60.0
# Of several slow ones, the rest have their turn next time.
_TURN_S = 15.0


class Nodes(Protocol):
    """The full nodes, one by one."""

    @property
    def strangers(self) -> Sequence[str]:
        """Names of those whose newest block is sealed by somebody who is not known."""

    def sources(self) -> Sequence[Source]:
        """Those that may be asked for proofs now, the own area's first."""

    def caught(self, name: str, why: str, told: object) -> None:
        """One of them lied: ask it nothing more, and keep what it told."""


class Events(Protocol):
    """Where it is told that validators changed."""

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""


class Following:
    """Keeps who may seal up to date; a lock makes one thread at a time follow.

    Args:
        validators: those that are known, and what follows them.
        pins: what was pinned.
        nodes: who is asked.
        events: told of each change.
        monotonic: seconds that never step.
        random: gives a number in [0, 1).
    """

    def __init__(
        self,
        *,
        validators: Validators,
        pins: Pins,
        nodes: Nodes,
        events: Events,
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._validators = validators
        self._pins = pins
        self._nodes = nodes
        self._events = events
        self._monotonic = monotonic
        self._random = random
        self._doubts: dict[str, Patience] = {}
        self._seen: dict[str, int] = {}
        self._changed_at = -_KNOWN_S
        self._lock = threading.Lock()
        self._stuck = False
        self._turned = 0

    def pins(self, block: int | None = None) -> Pins:
        """What is pinned, with the validators that might seal a block; those of now where it is not said or not known.

        Those of now may vouch for a Clique block that was jumped over: ``agent/light/README.md`` says why.

        The place itself stays the pinned one: evidence that began right behind a newer place would be held against a
        block that a reorganisation may still replace.
        """
        known = None if block is None else self._validators.known_at(block)
        return replace(self._pins, place=replace(self._pins.place, validators=known or self._validators.known()))

    def knows(self, blocks: Iterable[int]) -> bool:
        """Whether it is known that the same validators might seal all of these blocks, so a stranger's seal is a lie.

        Blocks before a change were sealed by others than now, and who tells of them does not lie.
        """
        sets = {self._validators.known_at(block) for block in blocks}
        return len(sets) == 1 and None not in sets

    def followed_to(self) -> int:
        """Number of the block up to which every vote is known."""
        return self._validators.place.number

    def run_once(self) -> bool:
        """One step towards the newest block; returns whether another would lead further.

        A node whose newest block somebody unknown sealed is asked for every header. Whoever leads no further makes room
        for the next: a node that stands still, or shows an old block as its newest, holds up nothing.
        """
        with self._lock:
            stuck, until = False, self._monotonic() + _TURN_S
            for source in self._in_turn():
                if self._monotonic() >= until:
                    self._turned += 1  # so that slow ones do not keep the others from being asked
                    break
                began = self._validators.place
                try:
                    more = self._step(source, wanted=source.name in self._nodes.strangers)
                except (NodeUnavailable, JournalBusy):  # others, and the next turn, are asked
                    continue
                except Doubtful as error:
                    stuck = True
                    self._tell_stuck(str(error))
                    continue
                if more or self._validators.place != began or not self._nodes.strangers:
                    self._stuck = False
                    return more
            self._stuck = stuck
            return False

    def _in_turn(self) -> Sequence[Source]:
        sources = self._nodes.sources()
        first = self._turned % max(1, len(sources))
        return [*sources[first:], *sources[:first]]

    def catch_up(self, source: Source) -> None:
        """Follow the chain's votes as this source tells it, one step.

        Raises:
            NodeUnavailable: there is more to be followed, or it does not tell it.
            JournalBusy: the journal takes nothing now.
        """
        if not self._lock.acquire(blocking=False):
            raise NodeUnavailable(f"who may seal is being followed; block {self.followed_to()} is reached")
        try:
            more = self._step(source, wanted=True)
        except Doubtful as error:
            self._tell_stuck(str(error))
            raise NodeUnavailable(str(error)) from error
        finally:
            self._lock.release()
        if more:
            raise NodeUnavailable(f"who may seal is being followed; block {self.followed_to()} is reached")

    def _step(self, source: Source, *, wanted: bool) -> bool:
        before, head = self._validators.known(), None
        heard = Heard(source, self._monotonic, self._monotonic() + _STEP_S)
        try:
            head = Questions(heard, self._pins.rules.consensus).newest()
            wanted = wanted and self._worth_following(heard, head)
            more = self._validators.catch_up(heard, head, wanted=wanted)
        except Doubtful:
            raise
        except BadEvidence as error:
            self._nodes.caught(source.name, str(error), heard.answers)
            raise NodeUnavailable(f"it lied: {error}") from error
        finally:
            self._tell_change(before)
            if wanted and head is not None:
                self._weigh(source.name, head)
        return more

    def _weigh(self, name: str, head: int) -> None:
        """Doubt a node whose votes are known up to where a stranger sealed, and none of them let anybody in."""
        now = self._monotonic()
        if now - self._changed_at < _KNOWN_S:
            return
        seen = self._seen.setdefault(name, head)
        if self.followed_to() >= seen:
            del self._seen[name]
            self._doubts.setdefault(name, Patience(_DOUBT, self._random)).failed(now)

    def _worth_following(self, source: Source, head: int) -> bool:
        """Whether to follow a node's headers one by one for a stranger that it showed.

        At first it is. Where nothing came of it the node may show one again and again, and every header is a kilobyte:
        then some of those who are known must vouch for the next one, which it cannot make up.
        """
        doubt = self._doubts.get(source.name)
        if doubt is None:
            return True
        if not doubt.ready(self._monotonic()):
            return False
        pins = self.pins()
        count = min(head, most_headers(pins))
        run = Questions(source, pins.rules.consensus).run(head - count + 1, count)
        if count and strangers_vouched_for(pins.place.validators, run, pins.rules):
            return True
        doubt.failed(self._monotonic())
        return False

    def _tell_change(self, before: tuple[bytes, ...]) -> None:
        after = self._validators.known()
        if after != before:
            self._doubts.clear()
            self._seen.clear()
            self._changed_at = self._monotonic()
            self._events.info(
                "validators.changed",
                block=self.followed_to(),
                joined=[shown(one) for one in after if one not in before],
                left=[shown(one) for one in before if one not in after],
            )

    def _tell_stuck(self, problem: str) -> None:
        if not self._stuck:
            self._stuck = True
            self._events.warning(
                "validators.unknown",
                problem=problem,
                advice="ask the distribution company for the validators of now, and pin them with a checkpoint",
            )
