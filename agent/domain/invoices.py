"""Invoices: what a household owes for one billing period, each line with the events of the chain that prove it.

``agent.domain.billing`` works one out; the operator and the household do so each for itself, from the same events.
Energy is in Wh, money in wei, time in UTC epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.errors import BadRequest
from agent.domain.market_events import Place
from agent.domain.orders import Trade


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period ``[first, last)``.

    Attributes:
        first: its first second, UTC epoch seconds.
        last: the first second after it.

    Raises:
        BadRequest: it ends before it begins.
    """

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise BadRequest(f"a billing period from {self.first} to {self.last} is none; it begins before it ends")

    def holds(self, at: int) -> bool:
        """Whether a moment lies in it."""
        return self.first <= at < self.last


@dataclass(frozen=True, slots=True)
class Book:
    """Which market's events an invoice is made of, and up to where they were known.

    Attributes:
        chain_id: EIP-155 chain id.
        contract: the market's address, checksummed.
        block: number of the newest block whose events were known.
    """

    chain_id: int
    contract: str
    block: int


@dataclass(frozen=True, slots=True)
class RegisterPoint:
    """Both registers at one moment, as the contract booked them.

    Attributes:
        taken_at: UTC epoch seconds of the reading, the enrolment's registers, or the meter's replacement.
        produced_wh: production register, Wh.
        consumed_wh: consumption register, Wh.
        place: the event that says so.
    """

    taken_at: int
    produced_wh: int
    consumed_wh: int
    place: Place


@dataclass(frozen=True, slots=True)
class EpochRegisters:
    """The registers of one epoch within a period.

    Attributes:
        epoch: counts meter swaps and register resets.
        opening: where the period found them: the last ones booked before it, or the epoch's first.
        closing: where the period left them.
    """

    epoch: int
    opening: RegisterPoint
    closing: RegisterPoint


@dataclass(frozen=True, slots=True)
class ConsumptionLine:
    """What was consumed while one tariff was in force.

    Attributes:
        price: wei for each kWh.
        tariff: the event that set the price.
        energy_wh: Wh.
        amount_wei: wei.
        readings: how many booked it, closing registers of replaced meters included.
        first: the first of them.
        last: the last of them.
    """

    price: int
    tariff: Place
    energy_wh: int
    amount_wei: int
    readings: int
    first: RegisterPoint
    last: RegisterPoint


@dataclass(frozen=True, slots=True)
class RedemptionLine:
    """Tokens burned against consumption.

    Attributes:
        place: the redemption.
        energy_wh: Wh.
        price: wei for each kWh.
        tariff: the event that set the price.
        amount_wei: wei credited.
    """

    place: Place
    energy_wh: int
    price: int
    tariff: Place
    amount_wei: int


@dataclass(frozen=True, slots=True)
class TradeLine:
    """A trade; it was paid on the chain when it was concluded.

    Attributes:
        place: the trade's event.
        trade: its figures.
    """

    place: Place
    trade: Trade


@dataclass(frozen=True, slots=True)
class Carried:
    """What earlier lines were rounded up by, thousandths of a wei, 0 to 999; the next line is lower by it.

    Attributes:
        consumption: of consumption lines.
        redemption: of redemptions.
    """

    consumption: int = 0
    redemption: int = 0


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a household owes for a period.

    Attributes:
        chain_id: EIP-155 chain id.
        contract: the market's address, checksummed.
        household: the account, checksummed.
        period: the billing period.
        as_of: number of the block up to which events were known; None once nothing can change any more.
        registers: an entry for each epoch of which the period holds anything; empty before enrolment.
        produced_wh: Wh that became energy tokens; no money line.
        consumed_wh: Wh.
        consumption: consumption by tariff, in the order of time.
        redemptions: in the chain's order.
        sold: trades as seller, settled.
        bought: trades as buyer, settled.
        carried: roundings that the period found.
    """

    chain_id: int
    contract: str
    household: str
    period: Period
    as_of: int | None
    registers: tuple[EpochRegisters, ...]
    produced_wh: int
    consumed_wh: int
    consumption: tuple[ConsumptionLine, ...]
    redemptions: tuple[RedemptionLine, ...]
    sold: tuple[TradeLine, ...]
    bought: tuple[TradeLine, ...]
    carried: Carried

    @property
    def closed(self) -> bool:
        """Whether nothing can change any more: after the period a reading is booked that was taken after it, too."""
        return self.as_of is None

    @property
    def consumption_wei(self) -> int:
        """What the consumption costs, wei."""
        return sum(line.amount_wei for line in self.consumption)

    @property
    def redeemed_wei(self) -> int:
        """What is credited for redeemed tokens, wei."""
        return sum(line.amount_wei for line in self.redemptions)

    @property
    def redeemed_wh(self) -> int:
        """Wh redeemed."""
        return sum(line.energy_wh for line in self.redemptions)

    @property
    def due_wei(self) -> int:
        """What is to be paid, wei; negative is a credit. Trades are not in it: they are paid already."""
        return self.consumption_wei - self.redeemed_wei

    @property
    def sold_wh(self) -> int:
        """Wh sold in trades."""
        return sum(line.trade.energy_wh for line in self.sold)

    @property
    def sold_wei(self) -> int:
        """What buyers paid the household, wei."""
        return sum(line.trade.price_wei for line in self.sold)

    @property
    def bought_wh(self) -> int:
        """Wh bought in trades."""
        return sum(line.trade.energy_wh for line in self.bought)

    @property
    def bought_wei(self) -> int:
        """What the household paid sellers, wei."""
        return sum(line.trade.price_wei for line in self.bought)

    @property
    def service_cost_wei(self) -> int:
        """What the household paid for carrying what it bought, wei."""
        return sum(line.trade.service_cost_wei for line in self.bought)
