"""Whether a node's newest block is one: it hashes to what it is called, and those who are known sealed it.

A header costs no further request, and nobody can invent one: a node can only show an old block as its newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agent.domain.errors import UnknownSealer
from agent.light import gathering, seals
from agent.light.seals import Rules

_WHAT = "its newest block"


_FOLLOWED = "the chain's votes are being followed"


def head_check(
    validators: Callable[[], Sequence[bytes]], rules: Rules, unknown: str = _FOLLOWED
) -> Callable[[Mapping[str, object]], None]:
    """What looks at a node's newest block.

    It raises ``BadEvidence`` where the block cannot be one, ``UnknownSealer`` where others than are known sealed it, or
    are named in it as those who may: until the votes are followed that is no lie; and ``OtherRules`` where a known one
    sealed what the pinned epoch does not allow. Nobody seals block 0; by the
    pinned genesis it is seen whose it is.

    Args:
        validators: who may seal, 20 bytes each, as far as the headers were followed; asked each time.
        rules: how blocks are sealed; a chain's that nobody seals are only hashed.
        unknown: what becomes of it where others than are known sealed it, in words.
    """

    def check(told: Mapping[str, object]) -> None:
        header = gathering.header(told, rules.consensus, _WHAT)
        if header.number == 0:
            return
        try:
            seals.check_seal(header, validators(), rules, f"{_WHAT} {header.number}")
        except UnknownSealer as error:
            raise UnknownSealer(f"{error}; {unknown}") from error

    return check
