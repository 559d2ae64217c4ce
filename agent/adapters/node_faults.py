"""What one full node does wrong, as errors: all mean that its answer cannot be used."""

from __future__ import annotations

from agent.domain.errors import NodeUnavailable


class RpcRefused(NodeUnavailable):
    """The node answered with a JSON-RPC error: what it means is looked up, never read from its text.

    Attributes:
        code: JSON-RPC error code; None if it gave none.
        data: the error's data as it came.
    """

    def __init__(self, message: str, code: int | None, data: object) -> None:
        self.code = code
        self.data = data
        super().__init__(message)


class WrongChain(NodeUnavailable):
    """The node is on another chain than the pinned one, or has another contract at the pinned address."""


class Lied(NodeUnavailable):
    """What the node said cannot be true.

    Attributes:
        told: what it said, as it came.
    """

    def __init__(self, message: str, told: object) -> None:
        self.told = told
        super().__init__(message)


class SealedByStranger(NodeUnavailable):
    """The node's newest block is sealed by somebody who is not known to be a validator, or not yet."""
