"""Which number an order gets.

The time in seconds, or one above the last number where that is not above it. So numbers rise although the journal that
knew the last one was lost or an old copy of it was restored: whatever was numbered then lies behind in time. A counter
alone would begin again where the copy stopped, and time alone could give one number to two orders of one second. The
contract has the last word: it takes no number that is not above the last one in its place, so that two intents which
came to one number by accident are one order and one refusal, never two orders that share a name.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.domain.orders import MOST_NUMBER, PLACES


def candidates(now: int, last: int) -> Iterator[int]:
    """Numbers for the next order, the first choice first; each is in another place than those before.

    Args:
        now: UTC epoch seconds.
        last: the highest number that the household is known to have used; 0 for none.
    """
    first = max(now, last + 1)
    yield from range(first, min(first + PLACES, MOST_NUMBER + 1))
