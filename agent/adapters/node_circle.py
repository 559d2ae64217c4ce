"""All full nodes of the configuration: who is asked, who is left alone, and who was caught lying.

Questions go to every usable node at once. One that is silent, slow, behind, on another chain or caught lying is passed
over, and never waited for longer than the deadline.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from agent.adapters import node_votes
from agent.adapters.full_node import FullNode
from agent.adapters.http_line import Log
from agent.adapters.node_asking import Asking
from agent.adapters.node_faults import Lied
from agent.adapters.node_standing import NodeStatus, Standing
from agent.domain.errors import JournalBusy, NodeUnavailable
from agent.domain.lies import Lie
from agent.domain.market import Head

# Heads older than this are asked for again before a question: it is also when lost nodes are tried again.
_REFRESH_S = 10.0
# Lies wait in memory while the journal takes none.
_MOST_LIES_WAITING = 20

T = TypeVar("T")


class NodeCircle:
    """The full nodes as they stand; what is asked of them is its heirs' business.

    Args:
        nodes: in the configuration's order.
        area: the household's; its nodes are preferred.
        clock: monotonic seconds.
        random: gives a number in [0, 1).
        log: told once when a node is lost or caught lying, and once when it is back.
        deadline_s: the longest that one question waits for a node, seconds.
        grace_s: how long an answer waits for the other nodes.
        now_s: UTC epoch seconds.
        keep_lie: keeps what a node said that cannot be true; raises JournalBusy while it cannot.
        lies: those kept before, newest first: who is in quarantine stays there.
    """

    def __init__(
        self,
        nodes: Sequence[FullNode],
        *,
        area: str,
        clock: Callable[[], float],
        random: Callable[[], float],
        log: Log,
        deadline_s: float,
        grace_s: float,
        now_s: Callable[[], int],
        keep_lie: Callable[[Lie], None] | None,
        lies: Sequence[Lie],
    ) -> None:
        # Sorting is stable: the own area's first, each in the order of the configuration.
        self._standings = [Standing(node, random, log) for node in sorted(nodes, key=lambda node: node.area != area)]
        for standing in self._standings:
            standing.remembered([lie for lie in lies if lie.node == standing.node.name], clock(), now_s())
        self._heads_are_checked = all(node.checks_heads for node in nodes)
        self._clock = clock
        self._now_s = now_s
        self._deadline_s = deadline_s
        self._grace_s = grace_s
        self._keep_lie = keep_lie
        self._unkept: deque[Lie] = deque(maxlen=_MOST_LIES_WAITING)
        self._lock = threading.Lock()
        self._asking = Asking(len(nodes), lock=self._lock, clock=clock, deadline_s=deadline_s, failed=self._failed)
        self._refreshing = threading.Lock()
        self._refreshed_at: float | None = None

    # Who there is.

    def head(self) -> Head:
        """The highest newest block of a usable node, asked now.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        self._refresh()
        with self._lock:
            heads = [standing.head for standing in self._standings if standing.problem is None and standing.head]
        if not heads:
            raise self._nobody()
        return max(heads, key=lambda head: head.number)

    def statuses(self, *, ask: bool = True) -> list[NodeStatus]:
        """How each node stands, the own area's first.

        Args:
            ask: ask every node now, also those that a back-off would leave alone.
        """
        if ask:
            self._refresh(everybody=True)
        with self._lock:
            return [standing.status() for standing in self._standings]

    def sources(self) -> Sequence[FullNode]:
        """Whom to ask for proofs now, the own area's first; nobody where none can be.

        Among them are nodes whose newest block is sealed by somebody unknown: they tell the headers that say who it is.
        """
        self._refresh_if_old()
        with self._lock:
            return [standing.node for standing in self._standings if standing.proves]

    @property
    def strangers(self) -> Sequence[str]:
        """Names of nodes whose newest block is sealed by somebody who is not known to be a validator, or not yet."""
        with self._lock:
            now = self._clock()
            return [standing.node.name for standing in self._standings if standing.may_be_known_soon(now)]

    def caught(self, name: str, why: str, told: object) -> None:
        """A node said what cannot be true: it is left alone, what it said is kept, and a person is told.

        Args:
            name: the node's.
            why: why it cannot be true, in words.
            told: what it said, as JSON has it.
        """
        self._failed(next(one for one in self._standings if one.node.name == name), Lied(why, told))
        self._keep_lies()

    def close(self) -> None:
        """Give up all connections; questions under way end by themselves."""
        self._asking.close()
        self._keep_lies()
        for standing in self._standings:
            standing.node.close()

    # How they are asked.

    def answers(self, work: Callable[[FullNode], T], witnesses: int = 1) -> list[T]:
        """What the usable nodes say, the own area's first; what it comes to together is the caller's to decide.

        Args:
            work: asks one node; runs in a thread.
            witnesses: how many nodes must answer; for more than one, all are waited for up to the deadline.

        Raises:
            NodeUnavailable: fewer nodes gave a usable answer.
        """
        self._refresh_if_old()
        grace_s = self._grace_s if witnesses == 1 else self._deadline_s
        answers = self._some(self._ask(self._usable(), work, grace_s=grace_s))
        if len(answers) < witnesses:
            raise NodeUnavailable(f"{len(answers)} full node answered, and this is believed when {witnesses} say it")
        return [answer for _, answer in answers]

    def _ask(
        self,
        among: Sequence[Standing],
        work: Callable[[FullNode], T],
        *,
        grace_s: float,
        enough: Callable[[T], bool] = lambda _answer: True,
        late: Callable[[Standing, T], None] = lambda _standing, _answer: None,
    ) -> list[tuple[Standing, T]]:
        """As ``Asking.ask``, without the answers of those that were caught lying meanwhile."""
        answers = self._asking.ask(among, work, grace_s=grace_s, enough=enough, late=late)
        with self._lock:
            now = self._clock()
            return [(standing, answer) for standing, answer in answers if not standing.in_quarantine(now)]

    def _usable(self) -> list[Standing]:
        with self._lock:
            return [standing for standing in self._standings if standing.usable]

    def _some(self, answers: list[tuple[Standing, T]]) -> list[tuple[Standing, T]]:
        if not answers:
            raise self._nobody()
        return answers

    def _nobody(self) -> NodeUnavailable:
        with self._lock:
            told = "; ".join(f"{standing.node.name}: {standing.problem or 'busy'}" for standing in self._standings)
        return NodeUnavailable(f"no full node gave a usable answer ({told})")

    def _failed(self, standing: Standing, error: NodeUnavailable) -> None:
        with self._lock:
            now = self._clock()
            if standing.in_quarantine(now):
                return
            if isinstance(error, Lied):
                self._unkept.append(standing.caught(str(error), error.told, now, self._now_s()))
            else:
                standing.failed(error, now)

    def _keep_lies(self) -> None:
        """Hand on what is to be kept, in the asker's own thread; what the journal does not take now waits."""
        while self._keep_lie is not None:
            with self._lock:
                if not self._unkept:
                    return
                lie = self._unkept.popleft()
            try:
                self._keep_lie(lie)
            except JournalBusy:  # the record stage says so
                with self._lock:
                    self._unkept.appendleft(lie)
                return

    def _refresh_if_old(self) -> None:
        with self._lock:
            asked = self._refreshed_at
            fresh = asked is not None and self._clock() - asked < _REFRESH_S
            if fresh and any(standing.usable for standing in self._standings):
                return
        self._refresh()

    def _refresh(self, *, everybody: bool = False) -> None:
        with self._refreshing:
            with self._lock:
                self._refreshed_at = now = self._clock()
                among = [
                    standing
                    for standing in self._standings
                    if not standing.in_quarantine(now) and (everybody or standing.may_be_tried(now))
                ]
            grace_s = self._deadline_s if everybody else self._grace_s
            answers = self._ask(among, FullNode.head, grace_s=grace_s, late=self._slow_head)
            self._put_in_line({standing.node.name: head for standing, head in answers})
        self._keep_lies()

    def _slow_head(self, standing: Standing, head: Head) -> None:
        """A slow node's head, come after the others had been served: it is used too, where its word is waited for."""
        with self._lock:
            known = {other.node.name: other.head for other in self._standings if other.problem is None and other.head}
        self._put_in_line({**known, standing.node.name: head})

    def _put_in_line(self, heads: dict[str, Head]) -> dict[str, str]:
        """Compare heads that were asked for together; returns the names of those that cannot be used, and why."""
        wrong = node_votes.out_of_line(heads, self._now_s() if self._heads_are_checked else None)
        now = self._clock()
        with self._lock:
            for standing in self._standings:
                name = standing.node.name
                if name not in heads or standing.in_quarantine(now):
                    continue
                standing.answered(heads[name])
                if name in wrong:
                    standing.out_of_line(wrong[name], now)
                else:
                    standing.in_line()
        return wrong
