"""The market's facts as the contract states them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the distribution agent sets and every agent follows.

    Attributes:
        reporting_period_s: length of an interval, seconds (the paper's consensus time).
        service_cost: wei for each kWh traded.
        feed_in_tariff: wei for each kWh that the distribution company takes.
        retail_tariff: wei for each kWh that the distribution company delivers.
        paused: whether the market moves nothing at present.
    """

    reporting_period_s: int
    service_cost: int
    feed_in_tariff: int
    retail_tariff: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """What money is called on screens; everywhere else it is wei of this unit.

    Attributes:
        name: the settlement unit's name, such as Ether.
        symbol: its symbol, such as ETH.
        decimals: how many decimal digits a wei lies below the unit.
    """

    name: str
    symbol: str
    decimals: int


WEI = Settlement(name="wei", symbol="wei", decimals=0)
"""The figures as the chain has them, where nobody can say what its money is called."""


@dataclass(frozen=True, slots=True)
class HouseholdState:
    """What the contract holds of one household.

    Attributes:
        enrolled: whether the registration office has enrolled it.
        active: whether it may report now; an enrolled household that is suspended is not active.
        epoch: the epoch that the contract takes readings of; 0 before enrolment.
        sequence: the last sequence it took in that epoch; 0 if none.
        taken_at: UTC epoch seconds of the last reading; 0 if none.
        produced_wh: last production register, Wh.
        consumed_wh: last consumption register, Wh.
        tokens_wh: energy tokens held, base units of 1 Wh.
        rated_power_w: the connection's rating, W.
    """

    enrolled: bool
    active: bool
    epoch: int
    sequence: int
    taken_at: int
    produced_wh: int
    consumed_wh: int
    tokens_wh: int
    rated_power_w: int


@dataclass(frozen=True, slots=True)
class Head:
    """A full node's newest block.

    Attributes:
        number: block number.
        block_hash: ``0x`` hex.
        timestamp: UTC epoch seconds, as the block says.
    """

    number: int
    block_hash: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class ChainPin:
    """What was agreed at enrolment about the chain; a node that differs is on another chain.

    Attributes:
        chain_id: EIP-155 chain id.
        genesis_hash: ``0x`` hex of block 0's hash.
        contract: the market's address, checksummed.
        code_hash: keccak-256 of the contract's runtime code, ``0x`` hex.
    """

    chain_id: int
    genesis_hash: str
    contract: str
    code_hash: str
