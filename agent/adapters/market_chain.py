"""One full node and the market's codec together, as the operator's commands use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eth_utils.address import to_checksum_address

from agent.adapters import node_answers
from agent.adapters.full_node import Call, FullNode
from agent.adapters.market import Market
from agent.adapters.market_logs import MarketLogs
from agent.adapters.node_events import EventReader, pieces
from agent.adapters.node_faults import RpcRefused
from agent.adapters.node_headers import Seals, read_headers
from agent.domain.block_statistics import BuiltBlock
from agent.domain.deployment import Sealing
from agent.domain.errors import NodeUnavailable, NotYet, Rejected
from agent.domain.fees import FeeQuote
from agent.domain.market import Head, HouseholdState, Parameters, Settlement
from agent.domain.market_events import MarketEvent, Wanted
from agent.domain.outbox import Inclusion

Genesis = Callable[[Mapping[str, object], int], Sealing | None]
"""Who may seal a chain's blocks, by its block 0 as a node tells it and the chain's epoch."""


class MarketChain:
    """The chain as the operator sees it: through the full node that the distribution company runs itself.

    Args:
        node: that node.
        market: the contract's codec.
        bytecode: what deploys the contract.
        logs: the events of the contract at an address.
        seals: what reads the seal of a header.
        sealing: what reads a chain's validators in its block 0.
    """

    def __init__(
        self,
        node: FullNode,
        market: Market,
        bytecode: bytes,
        *,
        logs: Callable[[str], MarketLogs],
        seals: Seals,
        sealing: Genesis,
    ) -> None:
        self._node = node
        self._market = market
        self._bytecode = bytecode
        self._logs = logs
        self._seals = seals
        self._sealing = sealing

    # What the contract is told, in bytes.

    def creation(self, *arguments: object) -> bytes:
        """The data of a transaction that deploys the contract.

        Raises:
            BadRequest: an argument does not fit.
        """
        return self._market.creation(self._bytecode, *arguments)

    def calldata(self, function: str, *arguments: object) -> bytes:
        """The data of a call.

        Raises:
            BadRequest: an argument does not fit.
        """
        return self._market.call(function, *arguments)

    # What the chain says. Every method may raise NodeUnavailable.

    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return self._node.chain_id()

    def genesis_hash(self) -> str:
        """Hash of block 0, ``0x`` hex."""
        return self._node.genesis_hash()

    def sealing(self, epoch: int) -> Sealing | None:
        """Who may seal blocks, as block 0 says; None where nobody does.

        Args:
            epoch: blocks from one checkpoint to the next, which the block does not say.

        Raises:
            NodeUnavailable: the node gave no block 0 that makes sense.
        """
        told = node_answers.fields(self._node.call("eth_getBlockByNumber", ["0x0", False]), "block 0")
        return self._sealing(told, epoch)

    def code_hash(self, address: str) -> str:
        """Keccak-256 of the code at an address, ``0x`` hex."""
        return self._node.code_hash(address)

    def head(self) -> Head:
        """The newest block."""
        return self._node.head()

    def nonce(self, account: str, *, pending: bool) -> int:
        """How many of the account's transactions are mined, or with ``pending`` mined or waiting."""
        return self._node.nonce(account, pending=pending)

    def balance(self, account: str) -> int:
        """The account's balance, wei."""
        return self._node.balance(account)

    def fee_quote(self) -> FeeQuote:
        """What gas costs now."""
        return self._node.fee_quote()

    def receipt(self, tx_hash: str) -> Inclusion | None:
        """Where a transaction is mined; None if it is not."""
        return self._node.receipt(tx_hash)

    def created_contract(self, tx_hash: str) -> str:
        """The address of the contract that a mined transaction created."""
        return self._node.created_contract(tx_hash)

    def send_raw(self, raw: bytes) -> bool:
        """Send signed bytes; whether the node has them now."""
        return self._node.send_raw(raw)

    def estimate_gas(self, sender: str, to: str, data: bytes, value: int) -> int:
        """How much gas a transaction would take.

        Raises:
            Rejected: the contract would reject it.
            NotYet: the contract would reject it now.
            NodeUnavailable: the node would not say, for example since the account cannot pay.
        """
        try:
            return self._node.estimate_gas(Call(sender, to, data, value))
        except RpcRefused as refusal:
            raise self._meant(refusal) from refusal

    def parameters(self, contract: str) -> Parameters:
        """The market's parameters."""
        return self._market.read_parameters(self._asked(contract, "parameters"), self._asked(contract, "paused"))

    def settlement(self, contract: str) -> Settlement:
        """What the market's money is called on screens."""
        return self._market.read_settlement(self._asked(contract, "settlement"))

    def events(self, contract: str, wanted: Wanted, first_block: int, last_block: int) -> Iterator[MarketEvent]:
        """What happened in the market in a range of blocks of any length, in the chain's order; read as it is taken.

        Raises:
            NodeUnavailable: no usable answer, or the chain was rewritten meanwhile.
        """
        # The company's own node is believed, so a block's time need not be proven by its header.
        reader = EventReader(self._logs(contract), headers=False)
        before = None
        for first, last in pieces(first_block, last_block):
            part = reader.read(self._node, wanted, first, last)
            if part is None:
                raise NodeUnavailable(f"it no longer has block {last}; run the command again")
            if before not in {None, part.before}:
                raise NodeUnavailable(f"the chain was rewritten around block {first} meanwhile; run the command again")
            before = part.last.block_hash
            yield from part.events

    def headers(self, first_block: int, last_block: int) -> list[BuiltBlock]:
        """Who built the blocks of a range, by their headers, in the chain's order.

        Raises:
            NodeUnavailable: the node gave no usable answer, or too slowly.
        """
        return read_headers(self._node, first_block, last_block, self._seals)

    def service_cost_receiver(self, contract: str) -> str:
        """The account that receives the service cost of each trade, checksummed."""
        return str(to_checksum_address(self.constant(contract, "serviceCostReceiver")))

    def personal_data_hash(self, contract: str, account: str) -> bytes:
        """What stands for a household's personal data in the contract, 32 bytes; zeros if it was never enrolled."""
        return self._market.read_personal_data_hash(self._asked(contract, "household", account))

    def household(self, contract: str, account: str) -> HouseholdState:
        """What the contract holds of a household."""
        return self._market.read_household(self._asked(contract, "household", account))

    def meter_owner(self, contract: str, meter_id: bytes) -> str:
        """The account that a meter is bound to, checksummed; the zero address if none."""
        (owner,) = self._market.read("meterOwner", self._asked(contract, "meterOwner", meter_id)).values()
        return str(to_checksum_address(owner))

    def constant(self, contract: str, function: str) -> Any:  # noqa: ANN401 - the type is the contract's
        """What a function without arguments returns."""
        (value,) = self._market.read(function, self._asked(contract, function)).values()
        return value

    def _asked(self, contract: str, function: str, *arguments: object) -> bytes:
        try:
            return self._node.eth_call(Call(contract, contract, self._market.call(function, *arguments)))
        except RpcRefused as refusal:
            raise self._meant(refusal) from refusal

    def _meant(self, refusal: RpcRefused) -> Rejected | NotYet | NodeUnavailable:
        reverted = node_answers.revert_data(refusal.data)
        return refusal if reverted is None else self._market.judge(reverted)

    def close(self) -> None:
        """Give up the connections."""
        self._node.close()
