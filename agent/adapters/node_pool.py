"""All full nodes of the configuration, asked together.

Each question goes to every usable node at once and is answered by what they say together (``node_votes``), so one that
is silent, slow, behind, on another chain or lying is passed over and never waited for longer than the deadline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from agent.adapters import node_answers, node_votes
from agent.adapters.full_node import Call, FullNode, RpcRefused
from agent.adapters.http_line import Log
from agent.adapters.market import Market
from agent.adapters.node_asking import Asking
from agent.adapters.node_standing import NodeStatus, Standing
from agent.domain.errors import NodeUnavailable, NotYet, Rejected
from agent.domain.fees import FeeQuote
from agent.domain.market import ChainPin, Head, HouseholdState, Parameters, Settlement
from agent.domain.orders import Order
from agent.domain.outbox import Entry, Sighting

# Heads older than this are asked for again before a question: it is also when lost nodes are tried again.
_REFRESH_S = 10.0
# One pass over the outbox asks head and nonce once a node, not once an entry.
_GLANCE_S = 1.0
# JSON-RPC's code for "execution reverted", for nodes that give no data with a bare revert.
_REVERTED = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Glance:
    """A node's head and the account's mined nonce on it, and when that was asked (monotonic seconds)."""

    head: Head
    mined_nonce: int
    at: float


class NodePool:
    """The full nodes together: ``Nodes`` of the submit stage, and what others ask of the chain.

    Args:
        nodes: in the configuration's order.
        pin: the chain and the contract.
        account: the household, checksummed.
        area: the household's; its nodes are preferred.
        market: the contract's codec.
        clock: monotonic seconds.
        random: gives a number in [0, 1).
        log: told once when a node is lost and once when it is back.
        deadline_s: the longest that one question waits for a node, seconds.
        grace_s: how long an answer, or an acceptance, waits for the other nodes: long enough for a healthy one far
            away, short beside the two seconds in which a reading should be with a node.
    """

    def __init__(
        self,
        nodes: Sequence[FullNode],
        *,
        pin: ChainPin,
        account: str,
        area: str,
        market: Market,
        clock: Callable[[], float],
        random: Callable[[], float],
        log: Log,
        deadline_s: float = 8.0,
        grace_s: float = 0.5,
    ) -> None:
        # Sorting is stable: the own area's first, each in the order of the configuration.
        self._standings = [Standing(node, random, log) for node in sorted(nodes, key=lambda node: node.area != area)]
        self._pin = pin
        self._account = account
        self._market = market
        self._clock = clock
        self._deadline_s = deadline_s
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._asking = Asking(len(nodes), lock=self._lock, clock=clock, deadline_s=deadline_s)
        self._refreshing = threading.Lock()
        self._refreshed_at: float | None = None
        self._glances: dict[str, _Glance] = {}
        self._agreed: Parameters | None = None

    # What the submit and confirm stages ask.

    def pending_nonce(self, witnesses: int = 1) -> int:
        """The account's next nonce, counting what waits in the mempools: the highest that a second node comes near.

        Asked before anything is signed, so each node's chain id is looked at again.

        Args:
            witnesses: how many nodes must answer.

        Raises:
            NodeUnavailable: fewer nodes gave a usable answer.
        """

        def ask(node: FullNode) -> int:
            node.confirm_chain()
            return node.nonce(self._account, pending=True)

        return node_votes.pending_nonce(self.answers(ask, witnesses))

    def fee_quote(self) -> FeeQuote:
        """What gas costs now.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        return node_votes.fee_quote(self.answers(FullNode.fee_quote))

    def balance(self, *, sure: bool = False) -> int:
        """The account's balance, wei: the highest that a usable node says, since the chain has the last word.

        Args:
            sure: the highest that two nodes say is there, where there are two: money is sent along, and a transaction
                that the account cannot pay is never mined and holds up all after it.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        told = sorted(self.answers(lambda node: node.balance(self._account)), reverse=True)
        return told[1] if sure and len(told) > 1 else told[0]

    def household(self, witnesses: int = 1) -> HouseholdState:
        """What the contract holds of the household, at the newest block.

        Args:
            witnesses: how many nodes must answer.

        Raises:
            NodeUnavailable: fewer nodes gave a usable answer.
        """
        return node_votes.household(
            self._told(self._market.read_household, "household", self._account, witnesses=witnesses)
        )

    def rehearse(self, to: str, data: bytes, value: int = 0, gas: int = 0) -> None:
        """Call it as the account would, without sending.

        Args:
            to: the address called.
            data: calldata.
            value: wei sent along.
            gas: the transaction's limit: what is paid may be a contract that uses it up; 0 for the node's own.

        Raises:
            Rejected: the contract would reject it for good.
            NotYet: it would be rejected now but may be taken later.
            NodeUnavailable: no node gave a usable answer, or as many would not run it as would.
        """
        call = Call(sender=self._account, to=to, data=data, value=value, gas=gas)
        answers = self.answers(lambda node: self._tried(node, call))
        told = [said for said in answers if not isinstance(said, RpcRefused)]
        if 2 * len(told) <= len(answers):
            # The account has not so much, perhaps; no fault of the nodes, and others' questions still go to them.
            raise NodeUnavailable(f"of {len(answers)} full nodes only {len(told)} would run the call")
        refused = node_votes.verdict(told)
        if refused is not None:
            raise refused

    def _tried(self, node: FullNode, call: Call) -> Rejected | NotYet | RpcRefused | None:
        try:
            node.eth_call(call)
        except RpcRefused as refusal:
            reverted = node_answers.revert_data(refusal.data)
            if reverted is None and refusal.code != _REVERTED:
                return refusal
            return self._market.judge(reverted or b"")
        return None

    def broadcast(self, raw: bytes) -> bool:
        """Send the same bytes to every node that can be reached, also to those that lag.

        Returns:
            Whether a node took it, or has it already (decided by looking up, never by an error's text).

        Raises:
            NodeUnavailable: no node could be asked.
        """

        def send(node: FullNode) -> bool:
            node.confirm_chain()
            return node.send_raw(raw)

        self._refresh_if_old()
        with self._lock:
            self._glances.clear()
            among = [standing for standing in self._standings if standing.may_be_sent_to]
        answers = self._asking.ask(among, send, grace_s=self._grace_s, enough=bool)
        return any(taken for _, taken in self._some(answers))

    def sight(self, entry: Entry) -> Sighting:
        """What the nodes say of one entry.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        self._refresh_if_old()
        # Waits for all, up to the deadline: whether something is final needs the second node's word.
        answers = self._some(self._asking.ask(self._usable(), partial(self._look, entry), grace_s=self._deadline_s))
        wrong = self._put_in_line({standing.node.name: look.head for standing, look in answers})
        looks = [look for standing, look in answers if standing.node.name not in wrong]
        return node_votes.sighting(entry, looks)

    def _look(self, entry: Entry, node: FullNode) -> node_votes.Look:
        glance = self._glance(node)
        hashes = [attempt.tx_hash for attempt in reversed(entry.attempts)]
        if entry.nonce is not None and glance.mined_nonce > entry.nonce:
            # One of its transactions, or a stranger's, took the nonce: only now is a receipt worth a request.
            found = next(filter(None, (node.receipt(tx_hash) for tx_hash in hashes)), None)
            return node_votes.Look(glance.head, glance.mined_nonce, found, pooled=False)
        pooled = any(node.knows(tx_hash) for tx_hash in hashes)
        return node_votes.Look(glance.head, glance.mined_nonce, None, pooled=pooled)

    def mined_nonce(self) -> int:
        """How many of the account's transactions are mined, the lowest that a usable node says.

        The lowest, since it only decides what is looked at again; what is then believed is for ``sight`` to say.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        return min(self.answers(lambda node: self._glance(node).mined_nonce))

    def _glance(self, node: FullNode) -> _Glance:
        now = self._clock()
        with self._lock:
            glance = self._glances.get(node.name)
        if glance is None or now - glance.at >= _GLANCE_S:
            glance = _Glance(node.head(), node.nonce(self._account, pending=False), now)
            with self._lock:
                self._glances[node.name] = glance
        return glance

    # What others ask.

    def parameters(self) -> Parameters:
        """The market's parameters, at the newest block.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        set_by_agent, paused = self._contract_call("parameters"), self._contract_call("paused")

        def ask(node: FullNode) -> Parameters:
            return self._market.read_parameters(node.eth_call(set_by_agent), node.eth_call(paused))

        self._agreed = node_votes.parameters(self.answers(ask), self._agreed)
        return self._agreed

    def order(self, seller: str, number: int) -> Order:
        """An order as the contract has it, at the newest block; with no energy left if there is none.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        told = self._told(self._market.read_order, "order", seller, number)
        return node_votes.least_of_most(told, lambda order: order.energy_wh)

    def redeemable(self) -> int:
        """Consumption of the household that no token was burned against yet, Wh.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        read = self._market.read
        told = self._told(lambda data: int(read("redeemable", data)["wh"]), "redeemable", self._account)
        return node_votes.least_of_most(told, lambda wh: wh)

    def settlement(self) -> Settlement:
        """What money is called on screens.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        return node_votes.least_of_most(
            self._told(self._market.read_settlement, "settlement"), lambda unit: (unit.decimals, unit.symbol, unit.name)
        )

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

    def close(self) -> None:
        """Give up all connections; questions under way end by themselves."""
        self._asking.close()
        for standing in self._standings:
            standing.node.close()

    # How they are asked.

    def _contract_call(self, function: str, *arguments: object) -> Call:
        return Call(sender=self._account, to=self._pin.contract, data=self._market.call(function, *arguments))

    def _told(self, read: Callable[[bytes], T], function: str, *arguments: object, witnesses: int = 1) -> list[T]:
        call = self._contract_call(function, *arguments)
        return self.answers(lambda node: read(node.eth_call(call)), witnesses)

    def _usable(self) -> list[Standing]:
        with self._lock:
            return [standing for standing in self._standings if standing.usable]

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
        answers = self._some(self._asking.ask(self._usable(), work, grace_s=grace_s))
        if len(answers) < witnesses:
            raise NodeUnavailable(f"{len(answers)} full node answered, and this is believed when {witnesses} say it")
        return [answer for _, answer in answers]

    def _some(self, answers: list[tuple[Standing, T]]) -> list[tuple[Standing, T]]:
        if not answers:
            raise self._nobody()
        return answers

    def _nobody(self) -> NodeUnavailable:
        with self._lock:
            told = "; ".join(f"{standing.node.name}: {standing.problem or 'busy'}" for standing in self._standings)
        return NodeUnavailable(f"no full node gave a usable answer ({told})")

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
                among = [standing for standing in self._standings if everybody or standing.may_be_tried(now)]
            grace_s = self._deadline_s if everybody else self._grace_s
            answers = self._asking.ask(among, FullNode.head, grace_s=grace_s, late=self._slow_head)
            self._put_in_line({standing.node.name: head for standing, head in answers})

    def _slow_head(self, standing: Standing, head: Head) -> None:
        """A slow node's head, come after the others had been served: it is used too, where its word is waited for."""
        with self._lock:
            known = {other.node.name: other.head for other in self._standings if other.problem is None and other.head}
        self._put_in_line({**known, standing.node.name: head})

    def _put_in_line(self, heads: dict[str, Head]) -> dict[str, str]:
        """Compare heads that were asked for together; returns the names of those that cannot be used, and why."""
        wrong = node_votes.out_of_line(heads)
        now = self._clock()
        with self._lock:
            for standing in self._standings:
                name = standing.node.name
                if name not in heads:
                    continue
                standing.answered(heads[name])
                if name in wrong:
                    standing.out_of_line(wrong[name], now)
                else:
                    standing.in_line()
        return wrong
