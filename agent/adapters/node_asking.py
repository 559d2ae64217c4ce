"""Asking several nodes at once, each in a thread, and not waiting for those that hang."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

from agent.adapters.full_node import FullNode
from agent.adapters.node_standing import MOST_UNDER_WAY, Standing
from agent.domain.errors import NodeUnavailable

T = TypeVar("T")


class Asking:
    """Threads in which nodes are asked; they are made when they are first needed.

    Args:
        nodes: how many there are.
        lock: held around every change of a standing.
        clock: monotonic seconds.
        deadline_s: the longest that one question waits, seconds.
        failed: told of each node that gives no usable answer; the lock is not held.
    """

    def __init__(
        self,
        nodes: int,
        *,
        lock: threading.Lock,
        clock: Callable[[], float],
        deadline_s: float,
        failed: Callable[[Standing, NodeUnavailable], None],
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._deadline_s = deadline_s
        self._failed = failed
        self._threads = ThreadPoolExecutor(max_workers=MOST_UNDER_WAY * nodes, thread_name_prefix="node")

    def close(self) -> None:
        """Ask nothing more; questions under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def ask(
        self,
        among: Sequence[Standing],
        work: Callable[[FullNode], T],
        *,
        grace_s: float,
        enough: Callable[[T], bool] = lambda _answer: True,
        late: Callable[[Standing, T], None] = lambda _standing, _answer: None,
    ) -> list[tuple[Standing, T]]:
        """Ask nodes at once; a node that fails or is too late is put aside with its back-off.

        Args:
            among: whom.
            work: what; runs in a thread, after the node's identity was made sure of.
            grace_s: how long to wait for the others after an answer that is ``enough``.
            enough: whether an answer starts the grace.
            late: what becomes of an answer that comes after the grace.

        Returns:
            The answers, in the order of ``among``.
        """
        asked: dict[Future[T], Standing] = {}
        for standing in among:
            with self._lock:
                standing.under_way += 1
            future = self._threads.submit(_asked, standing.node, work)
            future.add_done_callback(partial(self._one_less, standing))
            asked[future] = standing
        answers: dict[Standing, T] = {}
        waiting = set(asked)
        began = self._clock()
        limit = began + self._deadline_s
        while waiting:
            done, waiting = wait(waiting, timeout=max(0.0, limit - self._clock()), return_when=FIRST_COMPLETED)
            if not done:
                break
            for future in done:
                try:
                    answers[asked[future]] = answer = future.result()
                except NodeUnavailable as error:
                    self._failed(asked[future], error)
                    continue
                if enough(answer):
                    limit = min(limit, self._clock() + grace_s)
        too_late = limit >= began + self._deadline_s  # the grace had not begun
        for future in waiting:
            if too_late:
                self._failed(asked[future], NodeUnavailable(f"no answer within {self._deadline_s:g} s"))
            else:
                future.add_done_callback(partial(self._later, asked[future], late))
        return [(standing, answers[standing]) for standing in among if standing in answers]

    def _later(self, standing: Standing, late: Callable[[Standing, T], None], future: Future[T]) -> None:
        """What a node says, or fails to say, after the others' answers were taken."""
        if future.cancelled():
            return
        try:
            answer = future.result()
        except NodeUnavailable as error:
            self._failed(standing, error)
        else:
            late(standing, answer)

    def _one_less(self, standing: Standing, _future: Future[T]) -> None:
        with self._lock:
            standing.under_way -= 1


def _asked(node: FullNode, work: Callable[[FullNode], T]) -> T:
    node.identify()
    return work(node)
