"""Full nodes of several areas that seal one Clique chain, talk over TCP on loopback, and can be cut apart.

A node finds the others because it is told of them (`--nodiscover`): each connects, when it starts, to those that run.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from eth_account import Account as Wallet

from simulators.account import Account
from simulators.consortium import links
from simulators.consortium.clique import Identity, genesis
from simulators.consortium.geth import Node, find_geth
from simulators.consortium.waiting import happens, wait_until
from simulators.process import StartError

_LEAST: Final = 3
_ETHER: Final = 10**18
_FUNDS_WEI: Final = 10_000 * _ETHER
# Nodes that seal before they have found each other each begin a chain, and take ten seconds more to agree on one.
_NODE_START_S: Final = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to set up.

    Attributes:
        validators: How many nodes may seal at first, 3 or more: with fewer, one that fails stops the chain.
        standbys: How many more nodes there are that may not seal until they are voted in.
        block_s: Seconds between blocks, a whole number.
        epoch: Blocks between checkpoints.
        chain_id: The chain's number.
        node_options: More arguments for each node's program, such as a small mempool.
    """

    validators: int = 3
    standbys: int = 0
    block_s: int = 1
    epoch: int = 30_000
    chain_id: int = 83_115
    node_options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.validators < _LEAST or self.standbys < 0 or self.block_s < 1 or self.epoch < 1:
            raise ValueError(
                f"{self}: give {_LEAST} validators or more, standbys from 0, and whole seconds and epochs from 1"
            )

    def areas(self) -> tuple[str, ...]:
        """The names of the areas, one node each."""
        return tuple(f"tehran-{number}" for number in range(1, self.validators + self.standbys + 1))


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a household pins at enrolment, so that it need not trust a node.

    Attributes:
        chain_id: The chain's number.
        genesis_hash: Hash of block 0, as 0x hex.
        consensus: How blocks are sealed.
        epoch: Blocks between checkpoints.
        block_s: Seconds between blocks.
        validators: Who may seal block 1: addresses, ascending.
    """

    chain_id: int
    genesis_hash: str
    consensus: str
    epoch: int
    block_s: int
    validators: tuple[str, ...]


@dataclass(slots=True)
class Network:
    """A running consortium. Use it as a context manager.

    Args:
        directory: Where the nodes keep chains, keys and logs; must be empty or absent.
        plan: What to set up.

    Raises:
        StartError: go-ethereum is missing, or a node did not start; with its own words.

    Attributes:
        nodes: In the order of their areas; the validators come first.
        accounts: One account that holds money from the first block on.
    """

    directory: Path
    plan: Plan = field(default_factory=Plan)
    nodes: tuple[Node, ...] = field(init=False, default=())
    accounts: tuple[Account, ...] = field(init=False, default=())
    _apart: set[frozenset[int]] = field(init=False, default_factory=set)
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    @property
    def chain_id(self) -> int:
        """The chain's number."""
        return self.plan.chain_id

    @property
    def url(self) -> str:
        """JSON-RPC of the first node that runs."""
        return self._running()[0].url

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Each node's URL and area."""
        return tuple((node.url, node.area) for node in self.nodes)

    @property
    def pinned(self) -> Pinned:
        """What a household pins."""
        plan = self.plan
        founders = sorted(node.identity.address for node in self.nodes[: plan.validators])
        first = self._running()[0].block_hash(0)
        return Pinned(plan.chain_id, str(first), "clique", plan.epoch, plan.block_s, tuple(founders))

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # a start that fails halfway leaves nothing running
            self._set_up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # -- asking

    def rpc(self, method: str, *params: object) -> object:
        """Call a JSON-RPC method of the running node whose chain is the longest.

        Raises:
            RpcError: The node refused; with its own words.
            OSError: The node does not answer.
        """
        return max(self._running(), key=Node.block_number).rpc(method, *params)

    def block_number(self) -> int:
        """The highest head's number."""
        return max(node.block_number() for node in self._running())

    def signers(self, node: Node | None = None) -> set[str]:
        """Who may seal now, as a node says; the first that runs where none is named."""
        told: Any = (node or self._running()[0]).command("clique_getSigners")
        return {str(address).lower() for address in told}

    def await_block(self, number: int, *, within_s: float, nodes: Iterable[Node] | None = None) -> None:
        """Wait until nodes (all that run, where none is named) have a block of that number.

        Raises:
            TimeoutError: They have not.
        """
        asked = tuple(nodes) if nodes is not None else self._running()
        wait_until(lambda: all(node.block_number() >= number for node in asked), f"block {number}", within_s)

    def await_signers(self, count: int, *, within_s: float) -> int:
        """Wait until so many may seal; returns the number of a block at which it is so.

        Raises:
            TimeoutError: They are not so many.
        """
        wait_until(lambda: len(self.signers()) == count, f"{count} validators", within_s)
        return self.block_number()

    def await_agreement(self, *, within_s: float) -> int:
        """Wait until all that run have the same newest block but one; returns its number.

        Raises:
            TimeoutError: They have not.
        """
        agreed = 0

        def agree() -> bool:
            nonlocal agreed
            running = self._running()
            agreed = max(0, max(node.block_number() for node in running) - 1)
            hashes = {node.block_hash(agreed) for node in running}
            return len(hashes) == 1 and None not in hashes

        wait_until(agree, "the same chain at all nodes", within_s)
        return agreed

    def await_same_head(self, *, within_s: float) -> int:
        """Wait until all that run have just taken in the same block; returns its number.

        Who takes a validator away at another moment may leave the others with two blocks of one height, whose sealers
        then wait for each other until it is back: Clique's own deadlock.

        Raises:
            TimeoutError: They have not.
        """
        heads: set[str] = set()

        def same() -> bool:
            nonlocal heads
            before, heads = heads, {str(node.head()) for node in self._running()}
            return len(heads) == 1 and before not in (set(), heads)

        wait_until(same, "the same head at all nodes", within_s)
        return self.block_number()

    # -- faults

    def stop(self, *areas: int) -> None:
        """End nodes in good order, by number from 0."""
        for number in areas:
            self.nodes[number].stop()

    def kill(self, *areas: int) -> None:
        """End nodes as a power cut does, by number from 0."""
        for number in areas:
            self.nodes[number].kill()

    def start(self, *areas: int) -> None:
        """Start nodes (all, where none is named), one after the other, and wait until each has found those that run.

        Raises:
            StartError: One did not start, or found no peer.
        """
        for number in areas or range(len(self.nodes)):
            known = self._reachable(number)
            self.nodes[number].start([peer.enode for peer in known])
            for peer in known:
                if not happens(partial(links.connected, self.nodes[number], peer), links.REDIAL_S):
                    raise StartError(f"{self.nodes[number].area} does not reach {peer.area}: see {peer.log}")

    def partition(self, *groups: Sequence[int]) -> None:
        """Cut the network apart: nodes of different groups do not talk until `heal`.

        Args:
            groups: Numbers of nodes from 0; each node is in one of them.

        Raises:
            ValueError: A node is in none or in several, or the network is cut apart already.
            TimeoutError: A connection did not end, or the nodes never had the same head.
        """
        if sorted(itertools.chain(*groups)) != list(range(len(self.nodes))):
            raise ValueError(f"{groups}: each of the {len(self.nodes)} nodes must be in one group, by number from 0")
        if self._apart:
            raise ValueError("the network is cut apart already: heal it first")
        self.await_same_head(within_s=links.REDIAL_S)
        self._apart = {
            frozenset(pair)
            for one, other in itertools.combinations(groups, 2)
            for pair in itertools.product(one, other)
        }
        links.cut(self._pairs(self._apart))

    def heal(self) -> None:
        """End the partition, and wait until all that run are connected.

        Raises:
            TimeoutError: Two did not find each other.
        """
        apart, self._apart = self._apart, set()
        for one, other in self._pairs(apart):
            links.join(one, other)

    def vote(self, subject: str, *, add: bool = True, voters: Sequence[int] = ()) -> None:
        """Let validators vote an account in or out; more than half of them decide, each with a block that it seals.

        Args:
            subject: The account.
            add: In, or out.
            voters: Numbers of nodes from 0; all that may seal where none is named.
        """
        for number in voters or range(self.plan.validators):
            if self.nodes[number].running:
                self.nodes[number].command("clique_propose", subject, add)

    def end_votes(self, subject: str) -> None:
        """Let no node vote on an account any more, once it is decided."""
        for node in self._running():
            node.command("clique_discard", subject)

    # -- setting up

    def _set_up(self, stack: ExitStack) -> None:
        program = find_geth()
        if program is None:
            raise StartError("there is no go-ethereum here that seals Clique: run `.ci/setup consortium`")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geth-")))
        plan, areas = self.plan, self.plan.areas()
        identities = [Identity.make(self.directory / area) for area in areas]
        wallet = Wallet.create()
        self.accounts = (Account(wallet.address.lower(), "0x" + bytes(wallet.key).hex()),)
        file = self.directory / "genesis.json"
        told = genesis(
            plan.chain_id,
            block_s=plan.block_s,
            epoch=plan.epoch,
            signers=[identity.address for identity in identities[: plan.validators]],
            balances={self.accounts[0].address: _FUNDS_WEI},
            timestamp=int(time.time()) + _NODE_START_S * len(areas),
        )
        file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        self.nodes = tuple(
            Node(
                program=program,
                directory=self.directory / area,
                identity=identity,
                genesis=file,
                sockets=sockets,
                area=area,
                chain_id=plan.chain_id,
                options=plan.node_options,
            )
            for area, identity in zip(areas, identities, strict=True)
        )
        for node in self.nodes:
            stack.callback(node.kill)
        self.start()

    def _running(self) -> tuple[Node, ...]:
        running = tuple(node for node in self.nodes if node.running)
        if not running:
            raise StartError("no node of the consortium runs: start one first")
        return running

    def _pairs(self, numbers: Iterable[frozenset[int]]) -> list[links.Pair]:
        """The pairs of which both run."""
        pairs = [(self.nodes[min(pair)], self.nodes[max(pair)]) for pair in sorted(numbers, key=sorted)]
        return [(one, other) for one, other in pairs if one.running and other.running]

    def _reachable(self, number: int) -> list[Node]:
        return [
            node
            for other, node in enumerate(self.nodes)
            if node.running and other != number and frozenset({number, other}) not in self._apart
        ]
