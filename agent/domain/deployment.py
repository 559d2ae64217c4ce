"""Where a market is deployed, and who may do what in it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.market import ChainPin


@dataclass(frozen=True, slots=True)
class Roles:
    """Who may do what in the market; checksummed addresses."""

    admin: str
    registration_office: str
    distribution_agent: str


@dataclass(frozen=True, slots=True)
class Sealing:
    """Who may seal the chain's blocks, beginning with the one after the genesis.

    Attributes:
        consensus: ``qbft``, ``ibft2`` or ``clique``.
        epoch: blocks from one checkpoint to the next.
        validators: checksummed addresses in ascending order.
    """

    consensus: str
    epoch: int
    validators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed market.

    Attributes:
        pin: the chain and the contract.
        block: the number of the block that holds its creation.
        roles: as it was deployed with.
        sealing: as the chain's genesis says; None where nobody seals, so that nothing can be proven.
    """

    pin: ChainPin
    block: int
    roles: Roles
    sealing: Sealing | None
