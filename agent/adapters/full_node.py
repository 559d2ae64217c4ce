"""One full node of a distribution area, asked over JSON-RPC.

The only importer of web3. ``HttpRpc`` carries single requests (one attempt each: retrying lives in the pool and in the
stages' loops), bounds what it reads in bytes and in seconds, and turns everything that can go wrong into the domain's
errors. ``FullNode`` gives each request its meaning, checks each answer, and uses no node whose identity it has not
seen to be the pinned chain's.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import requests
import urllib3
from eth_utils.crypto import keccak
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint, RPCResponse

from agent.adapters import node_answers
from agent.adapters.http_line import Log, checked_place, open_session
from agent.adapters.node_faults import Lied, RpcRefused, SealedByStranger, WrongChain
from agent.adapters.recursion import bound_recursion
from agent.domain.errors import BadEvidence, Doubtful, NodeUnavailable
from agent.domain.fees import FeeQuote
from agent.domain.market import ChainPin, Head
from agent.domain.outbox import Inclusion

bound_recursion()

_CONNECT_S = 3.0
# A node may be pointed at another chain or restarted on one while we look away; five minutes costs three requests.
_IDENTITY_S = 300.0
_NOT_OURS = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, Web3Exception)
# ValueError: not JSON, not UTF-8, a number of a hundred thousand digits. RecursionError: called from deep already.
_NOT_JSON = (ValueError, RecursionError)

CheckHead = Callable[[Mapping[str, object]], None]
"""Looks at a node's newest block as it came; raises BadEvidence, or Doubtful where that is no lie yet."""


class Rpc(Protocol):
    """Carries one JSON-RPC request."""

    def call(self, method: str, params: list[object]) -> object:
        """The ``result`` of one request.

        Raises:
            RpcRefused: the node answered with an error.
            NodeUnavailable: it gave no usable answer.
        """

    def close(self) -> None:
        """Give up the connections."""


class _CarefulProvider(HTTPProvider):
    """web3's provider, which decodes no JSON that would overflow the stack."""

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """The answer as web3 decodes it.

        Raises:
            NodeUnavailable: it is nested too deep.
        """
        if node_answers.too_deep(raw_response):
            raise NodeUnavailable("its answer is nested deeper than any answer of the protocol")
        return HTTPProvider.decode_rpc_response(raw_response)


class HttpRpc:
    """JSON-RPC over HTTP with kept-alive connections.

    Args:
        url: ``https://`` or, on loopback or by ``allow_plain``, ``http://``.
        timeout_s: for the first byte of an answer, and again for its end, seconds.
        allow_plain: take ``http://`` off loopback too.
        ca_file: PEM file of the distribution company's own authority; None for the system's.
        log: told when the connection is plain.

    Raises:
        ConfigurationInvalid: the URL is none, or plain without leave.
    """

    def __init__(
        self, url: str, *, timeout_s: float, log: Log, allow_plain: bool = False, ca_file: str | None = None
    ) -> None:
        self.name = checked_place(url, log, allow_plain=allow_plain)
        self._session = open_session(timeout_s)
        self._provider = _CarefulProvider(
            url,
            request_kwargs={
                "timeout": (min(_CONNECT_S, timeout_s), timeout_s),
                "verify": ca_file or True,
                "allow_redirects": False,
                # Said out loud, since web3 would else leave it to requests to ask for compression.
                "headers": {"Content-Type": "application/json", "Accept-Encoding": "identity"},
            },
            session=self._session,
            exception_retry_configuration=None,  # web3 would re-send by itself and show the second answer only
        )

    def call(self, method: str, params: list[object]) -> object:
        """The ``result`` of one request.

        Raises:
            RpcRefused: the node answered with an error.
            NodeUnavailable: it gave no usable answer.
        """
        try:
            answer = cast("object", self._provider.make_request(RPCEndpoint(method), params))
        except requests.Timeout as error:
            raise NodeUnavailable("no answer in time") from error
        except requests.exceptions.SSLError as error:
            raise NodeUnavailable("its TLS certificate does not verify: check its name, its end and ca_file") from error
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "unknown"
            raise NodeUnavailable(f"HTTP status {status} in place of an answer") from error
        except requests.exceptions.JSONDecodeError as error:
            raise NodeUnavailable("its answer is not JSON: is this address a full node's JSON-RPC?") from error
        except (*_NOT_OURS, OSError) as error:
            raise NodeUnavailable(f"cannot be reached ({type(error).__name__})") from error
        except _NOT_JSON as error:
            raise NodeUnavailable("its answer is not JSON: is this address a full node's JSON-RPC?") from error
        return _result(answer, method)

    def close(self) -> None:
        """Give up the connections."""
        self._session.close()


def _result(answer: object, method: str) -> object:
    told = node_answers.fields(answer, f"{method}: the answer")
    if (error := told.get("error")) is not None:
        said = node_answers.fields(error, f"{method}: its error")
        code = said.get("code")
        code = code if isinstance(code, int) and not isinstance(code, bool) else None
        raise RpcRefused(
            f"refused {method} with code {code}: {node_answers.shown(said.get('message'))}", code, said.get("data")
        )
    if "result" not in told:
        raise NodeUnavailable(f"{method}: the answer has neither result nor error")
    return told["result"]


@dataclass(frozen=True, slots=True)
class Call:
    """What would be a transaction, run without sending it.

    Attributes:
        sender: as which account.
        to: the account or contract called; empty to create one.
        data: calldata.
        value: wei sent with it.
        gas: the most that it may use; 0 for the node's own limit.
    """

    sender: str
    to: str
    data: bytes
    value: int = 0
    gas: int = 0

    def told(self) -> dict[str, object]:
        """As JSON-RPC has it."""
        told: dict[str, object] = {"from": self.sender, "data": "0x" + self.data.hex(), "value": hex(self.value)}
        if self.gas:
            told["gas"] = hex(self.gas)
        return {**told, "to": self.to} if self.to else told


class FullNode:
    """One full node.

    Args:
        name: in logs and tables.
        area: the distribution area that runs it.
        rpc: carries the requests.
        pin: the chain and contract that it must serve; None only for the operator, who makes the pin.
        monotonic: seconds that never step.
        check_head: given its newest block as it told it; raises BadEvidence where that cannot be true, Doubtful
            where it may be. None where nothing is proven.
    """

    def __init__(
        self,
        *,
        name: str,
        area: str,
        rpc: Rpc,
        pin: ChainPin | None,
        monotonic: Callable[[], float],
        check_head: CheckHead | None = None,
    ) -> None:
        self.name = name
        self.area = area
        self._rpc = rpc
        self._pin = pin
        self._monotonic = monotonic
        self._check_head = check_head
        self.checks_heads = check_head is not None
        self._identified_at: float | None = None
        self._closed = False

    def call(self, method: str, params: list[object]) -> object:
        """Any request, for those who check the answer themselves (proofs).

        Raises:
            RpcRefused: the node answered with an error.
            NodeUnavailable: it gave no usable answer; its identity is checked again before it is used.
        """
        if self._closed:
            # A question of several requests ends with the one under way, so that the process can stop in time.
            raise NodeUnavailable("it is not asked any more: the agent stops")
        try:
            return self._rpc.call(method, params)
        except RpcRefused:
            raise
        except NodeUnavailable:
            self._identified_at = None
            raise

    def distrust(self) -> None:
        """Check its identity again before the next use."""
        self._identified_at = None

    def identify(self) -> None:
        """Make sure that it is on the pinned chain, if that was not seen in the last minutes.

        Raises:
            WrongChain: it is on another one, or the contract is not the pinned one.
            NodeUnavailable: it gave no usable answer.
        """
        if self._pin is None:
            return
        now = self._monotonic()
        if self._identified_at is not None and now - self._identified_at < _IDENTITY_S:
            return
        self.confirm_chain()
        genesis = self.genesis_hash()
        if genesis != self._pin.genesis_hash.lower():
            raise self._wrong_chain(f"its genesis block is {genesis}, the pinned one is {self._pin.genesis_hash}")
        code = self.code_hash(self._pin.contract)
        if code != self._pin.code_hash.lower():
            raise self._wrong_chain(
                f"the contract's code at {self._pin.contract} hashes to {code}, the pinned one to {self._pin.code_hash}"
            )
        self._identified_at = now

    def moved(self) -> WrongChain | None:
        """How it is on another chain by now, asked anew: what it says is then no lie about the pinned one."""
        self.distrust()
        try:
            self.identify()
        except WrongChain as error:
            return error
        except NodeUnavailable:  # whoever says nothing more has still said what it said
            return None
        return None

    def confirm_chain(self) -> None:
        """Ask for the chain id now, before anything is signed for this chain or sent to it.

        Raises:
            WrongChain: it is another one.
            NodeUnavailable: it gave no usable answer.
        """
        if self._pin is not None and (found := self.chain_id()) != self._pin.chain_id:
            raise self._wrong_chain(f"its chain id is {found}, the pinned one is {self._pin.chain_id}")

    def _wrong_chain(self, why: str) -> WrongChain:
        self._identified_at = None
        return WrongChain(why)

    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return node_answers.quantity(self.call("eth_chainId", []), "chain id")

    def genesis_hash(self) -> str:
        """Hash of block 0, ``0x`` hex."""
        found = self._block("0x0")
        if found is None or found.head.number != 0:
            raise NodeUnavailable("it has no block 0")
        return found.head.block_hash

    def code_hash(self, address: str) -> str:
        """Keccak-256 of the code at an address, ``0x`` hex."""
        code = node_answers.octets(self.call("eth_getCode", [address, "latest"]), "code")
        return "0x" + keccak(code).hex()

    def _block(self, which: str) -> node_answers.Block | None:
        return node_answers.block(self.call("eth_getBlockByNumber", [which, False]), "block")

    def _latest(self) -> node_answers.Block:
        told = self.call("eth_getBlockByNumber", ["latest", False])
        found = node_answers.block(told, "block")
        if found is None:
            raise NodeUnavailable("it has no newest block")
        if self._check_head is not None:
            try:
                self._check_head(node_answers.fields(told, "block"))
            except Doubtful as error:
                raise SealedByStranger(str(error)) from error
            except BadEvidence as error:
                raise self.moved() or Lied(str(error), told) from error
        return found

    def head(self) -> Head:
        """Its newest block.

        Raises:
            Lied: it cannot be one.
            SealedByStranger: nobody known sealed it.
            NodeUnavailable: it gave no usable answer.
        """
        return self._latest().head

    def nonce(self, account: str, *, pending: bool) -> int:
        """How many transactions of the account are mined or, with ``pending``, mined or waiting in order."""
        counted = self.call("eth_getTransactionCount", [account, "pending" if pending else "latest"])
        return node_answers.quantity(counted, "nonce")

    def balance(self, account: str) -> int:
        """The account's balance, wei."""
        return node_answers.wei(self.call("eth_getBalance", [account, "latest"]), "balance")

    def fee_quote(self) -> FeeQuote:
        """What gas costs now; a node without a priority fee of its own is asked for its gas price."""
        base = self._latest().base_fee or 0
        try:
            priority = node_answers.wei(self.call("eth_maxPriorityFeePerGas", []), "priority fee")
        except RpcRefused:
            price = node_answers.wei(self.call("eth_gasPrice", []), "gas price")
            priority = max(0, price - base)
        return FeeQuote(base_fee=base, priority_fee=priority)

    def eth_call(self, call: Call) -> bytes:
        """What the contract returns at the newest block.

        Raises:
            RpcRefused: it reverted, or the node would not run it.
            NodeUnavailable: it gave no usable answer.
        """
        return node_answers.octets(self.call("eth_call", [call.told(), "latest"]), "the call's result")

    def estimate_gas(self, call: Call) -> int:
        """How much gas a call would take as a transaction.

        Raises:
            RpcRefused: it reverted, or the node would not run it.
            NodeUnavailable: it gave no usable answer.
        """
        return node_answers.quantity(self.call("eth_estimateGas", [call.told()]), "gas")

    def receipt(self, tx_hash: str) -> Inclusion | None:
        """Where a transaction was mined, if its block is part of this node's chain now; None if it is not mined."""
        found = node_answers.inclusion(self.call("eth_getTransactionReceipt", [tx_hash]), tx_hash)
        if found is None:
            return None
        # A node that follows another branch may keep the receipt of a block that it has left.
        canonical = self._block(hex(found.block_number))
        return found if canonical is not None and canonical.head.block_hash == found.block_hash else None

    def created_contract(self, tx_hash: str) -> str:
        """The address of the contract that a mined transaction created, ``0x`` hex."""
        return node_answers.created_contract(self.call("eth_getTransactionReceipt", [tx_hash]))

    def knows(self, tx_hash: str) -> bool:
        """Whether it holds the transaction, waiting or mined."""
        return node_answers.known_transaction(self.call("eth_getTransactionByHash", [tx_hash]), tx_hash)

    def send_raw(self, raw: bytes) -> bool:
        """Send signed bytes; whatever is answered, the transaction's hash is looked up unless it is returned.

        Returns:
            Whether the node has it now.

        Raises:
            NodeUnavailable: it gave no usable answer, neither to the sending nor to the looking up.
        """
        tx_hash = "0x" + keccak(raw).hex()
        try:
            if self.call("eth_sendRawTransaction", ["0x" + raw.hex()]) == tx_hash:
                return True
        except NodeUnavailable:
            # "Already known", "nonce too low" and an answer lost on the way all mean: look whether it has it.
            return self.knows(tx_hash)
        return self.knows(tx_hash)

    def close(self) -> None:
        """Give up the connections; nothing is asked from now on."""
        self._closed = True
        self._rpc.close()
