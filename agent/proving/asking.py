"""Asking one full node for what proves something: a lie is told twice, and then whoever told it is put aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from agent.domain.errors import BadEvidence, Doubtful, NodeUnavailable, OtherRules, UnknownSealer
from agent.light.evidence import Pins
from agent.proving.questions import Heard, Source, Told

_BY_NUMBER = frozenset({"eth_getHeaderByNumber", "eth_getBlockByNumber"})
_BLOCKS = _BY_NUMBER | {"eth_getBlockByHash"}

T = TypeVar("T")


class Nodes(Protocol):
    """The full nodes, one by one."""

    def sources(self) -> Sequence[Source]:
        """Those that may be asked for proofs now, the own area's first."""

    def caught(self, name: str, why: str, told: object) -> None:
        """One of them lied: ask it nothing more, and keep what it told."""


class Following(Protocol):
    """Who may seal blocks, as far as headers were followed."""

    def pins(self, block: int | None = None) -> Pins:
        """What is pinned, with the validators of a block; those known now where it is not said or not known."""

    def knows(self, blocks: Iterable[int]) -> bool:
        """Whether it is known that the same validators might seal all of these blocks."""

    def catch_up(self, source: Source) -> None:
        """Follow the chain's votes as this source tells it.

        Raises:
            NodeUnavailable: there is more to be followed, or the source does not tell it; one that lied is put aside.
        """


class Asking:
    """Asks one source for what proves something.

    Args:
        nodes: told of those that lied.
        following: who may seal.
        monotonic: seconds that never step.
    """

    def __init__(self, nodes: Nodes, following: Following, monotonic: Callable[[], float]) -> None:
        self._nodes = nodes
        self._following = following
        self._monotonic = monotonic

    def of(self, source: Source, work: Callable[[Heard], T], until: float) -> T:
        """What comes of asking a source.

        Args:
            source: who is asked.
            work: asks, and checks what it is told; done once more where that cannot be true.
            until: when nothing more is asked, monotonic seconds.

        Raises:
            NodeUnavailable: it proves nothing just now; if it lied, it was put aside.
        """
        first = Heard(source, self._monotonic, until)
        try:
            return work(first)
        except BadEvidence as error:
            # A reorganisation between two requests looks like a lie; nobody can tell the same lie twice by accident.
            return self._once_more(first, work, error)

    def _once_more(self, first: Heard, work: Callable[[Heard], T], error: BadEvidence) -> T:
        if isinstance(error, Doubtful):
            self._following.catch_up(first.source)
        second = Heard(first.source, first.clock, first.until)
        try:
            return work(second)
        except BadEvidence as again:
            if not _repeats(first.answers, second.answers):
                raise NodeUnavailable(
                    f"its chain is being reorganised, or it tells things at random: {again}"
                ) from error
            if isinstance(again, OtherRules):
                raise NodeUnavailable(str(again)) from error
            if isinstance(again, UnknownSealer) and not self._known(second):
                raise NodeUnavailable(f"{again}; who may seal is being followed") from error
            self._nodes.caught(first.name, str(again), second.answers)
            raise NodeUnavailable(f"it lied: {again}") from error

    def _known(self, heard: Heard) -> bool:
        """Whether it is known who might seal what was told, so that a stranger's seal is a lie."""
        told = [one["result"] for one in heard.answers if one["method"] in _BLOCKS]
        return self._following.knows(int(str(one["number"]), 16) for one in told if isinstance(one, dict))


def _repeats(first: Sequence[Told], second: Sequence[Told]) -> bool:
    """Whether a source told the same blocks twice: the same hash for each number that was asked for both times."""
    before, after = _hashes(first), _hashes(second)
    both = before.keys() & after.keys()
    # Where its newest block went so far on in between that no number was asked for twice, nothing says that it repeats.
    return all(before[number] == after[number] for number in both) and (bool(both) or not (before and after))


def _hashes(answers: Sequence[Told]) -> dict[str, object]:
    told = {}
    for one in answers:
        asked, result = one["params"], one["result"]
        if one["method"] in _BY_NUMBER and isinstance(asked, list) and isinstance(result, dict):
            told[str(asked[0])] = result.get("hash")
    return told
