"""What a consumer still has to be sent, and from where to send again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

# Waiting for a collector that says nothing doubles up to 2^5 times, so that a dead one costs little mobile data.
_MOST_DOUBLINGS = 5

Mark = tuple[int, int]
"""A place in the order of things to be delivered: ``(epoch, sequence)`` of a reading, ``(0, id)`` of an event."""

NOTHING: Mark = (0, 0)


@dataclass(slots=True)
class _Sent:
    mark: Mark
    token: int
    taken: bool = False


@dataclass(slots=True)
class Replay:
    """What was sent and is not held yet, and from where to send again.

    *Taken* means that the broker has it (a PUBACK), *held* that it need never be sent again. Without a collector that
    acknowledges, taken is as good as held; with one, a broker may lose what it took.

    Attributes:
        window: how many may be sent and not held.
        replay_after_s: after how long without progress everything not held is sent again, seconds.
        acknowledged: whether a collector acknowledges.
        held: everything up to here is held.
        highest: the last that was ever sent by this process.
    """

    window: int
    replay_after_s: float
    acknowledged: bool
    held: Mark = NOTHING
    highest: Mark = NOTHING
    _sent: deque[_Sent] = field(default_factory=deque)
    _since: float = 0.0
    _fruitless: int = 0

    def __post_init__(self) -> None:
        self.highest = max(self.highest, self.held)

    @property
    def after(self) -> Mark:
        """What comes after this is to be sent next."""
        return self._sent[-1].mark if self._sent else self.held

    @property
    def room(self) -> int:
        """How many more may be sent now."""
        return max(0, self.window - len(self._sent))

    @property
    def untaken(self) -> bool:
        """Whether the broker still owes a PUBACK."""
        return any(not sent.taken for sent in self._sent)

    def sent(self, mark: Mark, token: int, now: float) -> None:
        """Note that ``mark`` was handed to the broker as ``token`` at monotonic time ``now``."""
        if not self._sent:
            self._since = now
        self._sent.append(_Sent(mark, token))
        self.highest = max(self.highest, mark)

    def taken(self, token: int, now: float) -> bool:
        """Note a PUBACK; returns whether it was one of these."""
        for sent in self._sent:
            if sent.token == token:
                sent.taken = True
                break
        else:
            return False
        if not self.acknowledged:
            while self._sent and self._sent[0].taken:
                self._hold(self._sent.popleft().mark, now)
        return True

    def refused(self, token: int) -> bool:
        """Note that the broker refused it: it and what follows is to be sent again, in order."""
        if not any(sent.token == token for sent in self._sent):
            return False
        while self._sent.pop().token != token:
            continue
        return True

    def hold(self, mark: Mark, now: float) -> bool:
        """Note that everything up to ``mark`` is held; returns whether that is news."""
        if mark <= self.held:
            return False
        while self._sent and self._sent[0].mark <= mark:
            self._sent.popleft()
        self._hold(mark, now)
        return True

    def _hold(self, mark: Mark, now: float) -> None:
        self.held = mark
        self.highest = max(self.highest, mark)
        self._since = now
        self._fruitless = 0

    def overdue(self, now: float) -> bool:
        """Whether something has waited too long; the time doubles with each replay that bears no fruit."""
        wait = self.replay_after_s * 2.0 ** min(self._fruitless, _MOST_DOUBLINGS)
        return bool(self._sent) and now - self._since >= wait

    def go_back(self, *, fruitless: bool = False) -> None:
        """Send everything that is not held again.

        Args:
            fruitless: whether nobody answered the last time; a new connection is a new chance instead.
        """
        self._sent.clear()
        self._fruitless = self._fruitless + 1 if fruitless else 0
