"""What the operator's commands need of the world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from agent.domain.block_statistics import BuiltBlock
from agent.domain.deployment import Deployed, Sealing
from agent.domain.fees import Fee, FeeQuote
from agent.domain.market import Head, HouseholdState, Parameters, Settlement
from agent.domain.market_events import MarketEvent, Wanted
from agent.domain.office_requests import KeptRequest, NewRequest, RequestState
from agent.domain.outbox import Inclusion
from agent.domain.personal_data import PersonalData


class Key(Protocol):
    """The operator's key, bound to one chain."""

    @property
    def address(self) -> str:
        """The account, checksummed."""

    def sign_transaction(  # noqa: PLR0917 - a transaction's fields in the order of every Ethereum library
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int
    ) -> tuple[str, bytes]:
        """Sign an EIP-1559 transaction; ``(hash as 0x hex, signed bytes)``. An empty ``to`` deploys."""


class Chain(Protocol):
    """The operator's own full node. Every method may raise NodeUnavailable."""

    def creation(self, *arguments: object) -> bytes:
        """The data of a transaction that deploys the market."""

    def calldata(self, function: str, *arguments: object) -> bytes:
        """The data of a call of the market."""

    def chain_id(self) -> int:
        """EIP-155 chain id."""

    def genesis_hash(self) -> str:
        """Hash of block 0."""

    def sealing(self, epoch: int) -> Sealing | None:
        """Who may seal blocks, as block 0 says; None where nobody does, as on a development chain."""

    def code_hash(self, address: str) -> str:
        """Keccak-256 of the code at an address."""

    def head(self) -> Head:
        """The newest block."""

    def nonce(self, account: str, *, pending: bool) -> int:
        """How many transactions of the account are mined, or with ``pending`` mined or waiting."""

    def balance(self, account: str) -> int:
        """Balance, wei."""

    def fee_quote(self) -> FeeQuote:
        """What gas costs now."""

    def receipt(self, tx_hash: str) -> Inclusion | None:
        """Where a transaction is mined; None if it is not."""

    def created_contract(self, tx_hash: str) -> str:
        """The contract that a mined transaction created."""

    def send_raw(self, raw: bytes) -> bool:
        """Send signed bytes; whether the node has them now."""

    def estimate_gas(self, sender: str, to: str, data: bytes, value: int) -> int:
        """Gas that a transaction would take; raises Rejected or NotYet where the contract would refuse it."""

    def parameters(self, contract: str) -> Parameters:
        """The market's parameters."""

    def settlement(self, contract: str) -> Settlement:
        """What the market's money is called on screens."""

    def events(self, contract: str, wanted: Wanted, first_block: int, last_block: int) -> Iterator[MarketEvent]:
        """What happened in the market in a range of blocks, in the chain's order."""

    def service_cost_receiver(self, contract: str) -> str:
        """The account that receives the service cost of each trade, checksummed."""

    def household(self, contract: str, account: str) -> HouseholdState:
        """What the contract holds of a household."""

    def personal_data_hash(self, contract: str, account: str) -> bytes:
        """What stands for a household's personal data in the contract, 32 bytes; zeros if it was never enrolled."""

    def headers(self, first_block: int, last_block: int) -> list[BuiltBlock]:
        """Who built the blocks of a range, by their headers, in the chain's order."""

    def meter_owner(self, contract: str, meter_id: bytes) -> str:
        """The account that a meter is bound to, checksummed; the zero address if none."""


class Deployments(Protocol):
    """Deployed markets, a file for each chain id."""

    def load(self, chain_id: int) -> Deployed:
        """The market on a chain.

        Raises:
            BadRequest: there is none, or its file is damaged.
        """

    def path(self, chain_id: int) -> Path:
        """Where a chain's file is, or would be."""

    def save(self, deployed: Deployed) -> None:
        """Write a market's file; an older one is replaced.

        Raises:
            BadRequest: it cannot be written.
        """


class Register(Protocol):
    """What the registration office keeps. Every method may raise DatabaseUnavailable and DatabaseInvalid."""

    def take_in(self, new: NewRequest, received_at: int) -> KeptRequest:
        """Keep a verified request; one that is there already stays as it is."""

    def request(self, number: int) -> KeptRequest:
        """One request; raises BadRequest where there is none of that number."""

    def requests(self, state: RequestState | None, household: str | None) -> list[KeptRequest]:
        """Requests in their order; None takes those of every state, or of every household."""

    def personal(self, number: int) -> PersonalData | None:
        """The personal data that came with a request; None once they are erased."""

    def document(self, number: int) -> bytes:
        """The request as the household signed it; raises BadRequest once its personal data are erased."""

    def profile(self, chain_id: int, contract: str, household: str) -> KeptRequest | None:
        """The approved request whose personal data are in force for a household; None if there are none."""

    def newest_approved_at(self, chain_id: int, contract: str, household: str) -> int | None:
        """When a household signed the newest of its approved requests, UTC epoch seconds; None if there is none."""

    def others_of(self, national_id: str, household: str) -> list[str]:
        """The other households whose personal data in force have a national ID."""

    def approved(self, number: int, by: str, at: int, transaction: str) -> None:
        """Mark a request as carried out; raises BadRequest where it was decided meanwhile."""

    def refused(self, number: int, by: str, at: int, why: str) -> None:
        """Mark a request as refused; raises BadRequest where it was decided meanwhile."""

    def erase(self, household: str, by: str, at: int) -> int:
        """Delete a household's personal data; gives how many requests had some."""
