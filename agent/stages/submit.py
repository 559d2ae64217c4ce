"""Submit: signed readings and other intents go to the full nodes' mempool.

Sign, persist, then broadcast. A transaction's bytes, hash and nonce are committed before the first byte leaves, and
the same bytes are sent again after a crash; so it is mined at most once.
"""

from __future__ import annotations

from typing import Protocol

from agent.domain.fees import Fee, FeeQuote
from agent.domain.market import HouseholdState
from agent.domain.outbox import Attempt, Entry, Inclusion, Sighting


class Nodes(Protocol):
    """The full nodes, asked together: those that answer, are on the pinned chain and do not lag."""

    def pending_nonce(self) -> int:
        """The account's next nonce, counting what waits in the mempools (the highest that a usable node says).

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def fee_quote(self) -> FeeQuote:
        """What gas costs now.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def balance(self) -> int:
        """The account's balance, wei.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def household(self) -> HouseholdState:
        """What the contract holds of the household, at the newest block.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """

    def rehearse(self, to: str, data: bytes) -> None:
        """Call it as the account would, without sending (``eth_call``).

        Raises:
            Rejected: the contract would reject it for good.
            NotYet: it would be rejected now but may be taken later (paused, suspended, taken in the future).
            NodeUnavailable: no node gave a usable answer.
        """

    def broadcast(self, raw: bytes) -> bool:
        """Send the same bytes to every usable node.

        Returns:
            Whether a node took it, or has it already (decided by looking up, never by an error's text).

        Raises:
            NodeUnavailable: no node could be asked.
        """

    def sight(self, entry: Entry) -> Sighting:
        """What the nodes say of one entry.

        Raises:
            NodeUnavailable: no node gave a usable answer.
        """


class Signer(Protocol):
    """The household's key, as far as transactions go."""

    @property
    def address(self) -> str:
        """The account, checksummed."""

    def sign_transaction(self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int) -> tuple[str, bytes]:
        """Sign an EIP-1559 transaction for the pinned chain.

        Returns:
            ``(hash as 0x hex, signed bytes)``.
        """


__all__ = ["Attempt", "Inclusion", "Nodes", "Signer"]
