"""How each full node stands: whether it is used, since when it is not, and what was said about it in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.adapters.full_node import FullNode
from agent.adapters.http_line import Log
from agent.adapters.node_faults import SealedByStranger, WrongChain
from agent.domain.backoff import BackOff, Patience
from agent.domain.errors import NodeUnavailable
from agent.domain.lies import MOST_AWAY_S, QUARANTINE, Lie, words
from agent.domain.market import Head

# First again within seconds, since an answer is often lost once; then rarely, since a dead node costs each pass a
# timeout; never rarer than a minute, since then an interval would wait for a node that is back.
_BACKOFF = BackOff(first_s=2.0, most_s=60.0)
# A node that comes and goes is told of once in five minutes.
_QUIET_S = 300.0
# How long a stranger's seal makes the chain's headers be followed one by one; tens of thousands are read in that time.
# A node that invents strangers would else cost every household's line that much for ever.
_FOLLOWED_S = 3_600.0
# Who was voted in seals one block of several: his was the newest for a moment, and votes are followed twice a minute.
_REMEMBERED_S = 60.0
# Requests under way on one node. More means that it hangs, and further ones would only queue behind.
MOST_UNDER_WAY = 4

_ADVICE_LOST = "the other nodes are used; if it stays, check its address in [[chain.nodes]] and ask who runs it"
_ADVICE_CHAIN = "nothing is sent to it; remove it from [[chain.nodes]], or correct [chain] with the company's values"
_ADVICE_LIED = (
    "tell the distribution company that runs it: what it said is kept, see prosumer-agent status --json. It is asked"
    " nothing for hours; with no other node nothing is sent meanwhile, and readings are kept. If all"
    " of them are said to lie, compare [chain] with what the distribution company states"
)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One full node, for a person.

    Attributes:
        name: host and port.
        area: the distribution area that runs it.
        ok: whether it is used.
        head: its newest block when it was last asked; None if it never said.
        problem: why it is not used, in words; None if it is.
        strange: whether that is because its newest block is sealed by somebody unknown.
    """

    name: str
    area: str
    ok: bool
    head: Head | None
    problem: str | None
    strange: bool = False


class Standing:
    """One node's standing. Not locked: the pool holds its lock around every method.

    Args:
        node: the node.
        random: gives a number in [0, 1), for the back-off's jitter.
        log: told once when the node is lost and once when it is back.
    """

    def __init__(self, node: FullNode, random: Callable[[], float], log: Log) -> None:
        self.node = node
        self.head: Head | None = None
        self.problem: str | None = "not asked yet"
        self.reachable = False
        self.under_way = 0
        self._random = random
        self._patience = Patience(_BACKOFF, random)
        self._lies = 0
        self._away_until: float | None = None
        self._strange_since: float | None = None
        self._strange_at: float | None = None
        self._log = log
        self._told: str | None = None
        self._told_at: float | None = None

    @property
    def usable(self) -> bool:
        """Whether questions may go to it."""
        return self.problem is None and self.under_way < MOST_UNDER_WAY

    @property
    def may_be_sent_to(self) -> bool:
        """Whether transactions may go to it: a node that lags still passes them on."""
        return self.reachable and self.under_way < MOST_UNDER_WAY

    @property
    def proves(self) -> bool:
        """Whether it may be asked for proofs: also while others than are known seal its blocks."""
        return (self.problem is None or self._strange_since is not None) and self.under_way < MOST_UNDER_WAY

    def may_be_known_soon(self, now: float) -> bool:
        """Whether to follow the chain's votes to see who seals its blocks, or sealed one a moment ago."""
        if self._strange_since is not None:
            return now - self._strange_since < _FOLLOWED_S
        return self._strange_at is not None and now - self._strange_at < _REMEMBERED_S

    def may_be_tried(self, now: float) -> bool:
        """Whether its back-off is over."""
        return self._patience.ready(now) and self.under_way < MOST_UNDER_WAY

    def in_quarantine(self, now: float) -> bool:
        """Whether it lied, and nothing is to be asked of it or sent to it."""
        return self._away_until is not None and now < self._away_until

    def answered(self, head: Head) -> None:
        """It is on the right chain and told its newest block; whether it is in line is decided among all."""
        self.head = head
        self.reachable = True
        self._strange_since = None
        self._patience.succeeded()

    def in_line(self) -> None:
        """It is used from now on."""
        self.problem = None
        if self._told is not None:
            self._log.info("node.back", node=self.node.name, area=self.node.area)
            self._told = None

    def out_of_line(self, why: str, now: float) -> None:
        """Its newest block does not fit the others'."""
        self.problem = why
        self._tell("node.lost", why, now)

    def failed(self, error: NodeUnavailable, now: float) -> None:
        """It gave no usable answer."""
        self.problem = str(error)
        if isinstance(error, SealedByStranger):
            self._strange(self.problem, now)
            return
        self.reachable = False
        self._strange_since = self._strange_at = None
        self.node.distrust()
        self._patience.failed(now)
        self._tell("node.wrong_chain" if isinstance(error, WrongChain) else "node.lost", self.problem, now)

    def _strange(self, problem: str, now: float) -> None:
        """A validator was voted in, which is known in a moment, or somebody else seals its blocks, which lasts."""
        self.reachable = True
        self._patience.succeeded()
        self._strange_at = now
        if self._strange_since is None:
            self._strange_since = now
        if now - self._strange_since >= _QUIET_S:
            self._tell("node.lost", problem, now)

    def caught(self, why: str, told: object, now: float, now_s: int) -> Lie:
        """What it said cannot be true: it is left alone for an hour, twice as long after each further lie, up to a day.

        Args:
            why: why it cannot be true.
            told: what it said.
            now: monotonic seconds.
            now_s: UTC epoch seconds.

        Returns:
            What is to be kept of it.
        """
        self._lies += 1
        away_s = QUARANTINE.delay(self._lies, self._random)
        lie = Lie(now_s, now_s + int(away_s), self.node.name, self.node.area, why, words(told))
        self._put_away(lie, now + away_s)
        self._told_at = now
        self._log.error("node.lied", node=self.node.name, area=self.node.area, problem=why, advice=_ADVICE_LIED)
        return lie

    def remembered(self, lies: Sequence[Lie], now: float, now_s: int) -> None:
        """It lied before the agent started: its quarantine goes on, a day at most should the clock be wrong.

        Args:
            lies: its own, newest first.
            now: monotonic seconds.
            now_s: UTC epoch seconds.
        """
        self._lies = len(lies)
        if lies and lies[0].until > now_s:
            self._put_away(lies[0], now + min(lies[0].until - now_s, MOST_AWAY_S))

    def _put_away(self, lie: Lie, until: float) -> None:
        self.problem = lie.problem
        self.reachable = False
        self._strange_since = self._strange_at = None
        self._away_until = until
        self._told = "node.lied"
        self.node.distrust()

    def _tell(self, event: str, problem: str, now: float) -> None:
        if self._told == event:
            return
        # Another chain is worth a line even while the node is lost already; the same again within minutes is not.
        if self._told_at is not None and now - self._told_at < _QUIET_S and event != "node.wrong_chain":
            return
        self._told, self._told_at = event, now
        if event == "node.wrong_chain":
            self._log.error(event, node=self.node.name, area=self.node.area, problem=problem, advice=_ADVICE_CHAIN)
        else:
            self._log.warning(event, node=self.node.name, area=self.node.area, problem=problem, advice=_ADVICE_LOST)

    def status(self) -> NodeStatus:
        """For a person."""
        strange = self._strange_since is not None
        return NodeStatus(self.node.name, self.node.area, self.problem is None, self.head, self.problem, strange)
