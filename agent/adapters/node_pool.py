"""What is asked of all full nodes together.

Each question goes to every usable node at once (``node_circle``) and is answered by what they say together
(``node_votes``), so one that is silent, slow, behind, on another chain or lying is passed over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from agent.adapters import node_answers, node_votes
from agent.adapters.full_node import Call, FullNode
from agent.adapters.http_line import Log
from agent.adapters.market import Market
from agent.adapters.node_circle import NodeCircle
from agent.adapters.node_faults import RpcRefused
from agent.domain.errors import NodeUnavailable, NotYet, Rejected
from agent.domain.fees import FeeQuote
from agent.domain.lies import Lie
from agent.domain.market import ChainPin, Head, HouseholdState, Parameters, Settlement
from agent.domain.orders import Order
from agent.domain.outbox import Entry, Sighting

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


class NodePool(NodeCircle):
    """The full nodes together: ``Nodes`` of the submit stage, and what others ask of the chain.

    Args:
        nodes: in the configuration's order.
        pin: the chain and the contract.
        account: the household, checksummed.
        area: the household's; its nodes are preferred.
        market: the contract's codec.
        clock: monotonic seconds.
        random: gives a number in [0, 1).
        log: told once when a node is lost or caught lying, and once when it is back.
        deadline_s: the longest that one question waits for a node, seconds.
        grace_s: how long an answer, or an acceptance, waits for the other nodes: long enough for a healthy one far
            away, short beside the two seconds in which a reading should be with a node.
        now_s: UTC epoch seconds.
        keep_lie: keeps what a node said that cannot be true; raises JournalBusy while it cannot.
        lies: those kept before, newest first: who is in quarantine stays there.
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
        now_s: Callable[[], int] = lambda: int(time.time()),
        keep_lie: Callable[[Lie], None] | None = None,
        lies: Sequence[Lie] = (),
    ) -> None:
        super().__init__(
            nodes,
            area=area,
            clock=clock,
            random=random,
            log=log,
            deadline_s=deadline_s,
            grace_s=grace_s,
            now_s=now_s,
            keep_lie=keep_lie,
            lies=lies,
        )
        self._pin = pin
        self._account = account
        self._market = market
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
        answers = self._ask(among, send, grace_s=self._grace_s, enough=bool)
        return any(taken for _, taken in self._some(answers))

    def sight(self, entry: Entry) -> Sighting:
        """What the nodes say of one entry.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """
        self._refresh_if_old()
        # Waits for all, up to the deadline: whether something is final needs the second node's word.
        answers = self._some(self._ask(self._usable(), partial(self._look, entry), grace_s=self._deadline_s))
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

    # How they are asked.

    def _contract_call(self, function: str, *arguments: object) -> Call:
        return Call(sender=self._account, to=self._pin.contract, data=self._market.call(function, *arguments))

    def _told(self, read: Callable[[bytes], T], function: str, *arguments: object, witnesses: int = 1) -> list[T]:
        call = self._contract_call(function, *arguments)
        return self.answers(lambda node: read(node.eth_call(call)), witnesses)
