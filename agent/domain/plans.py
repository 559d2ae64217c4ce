"""What a household is shown before anything is queued: a plan, and what it has."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.fees import Fee
from agent.domain.market import HouseholdState, Parameters, Settlement
from agent.domain.market_calls import MarketCall
from agent.domain.order_rules import Means, Pledged
from agent.domain.orders import Cost, Order
from agent.domain.outbox import Intent, Kind, State


@dataclass(frozen=True, slots=True)
class Plan:
    """One thing that the household may ask of the market, judged and priced. Nothing is queued by making one.

    Attributes:
        call: what is asked.
        intent: what goes into the outbox; its ``key`` makes queueing it twice the same as once.
        energy_wh: Wh offered, taken back, bought or redeemed.
        cost: what a purchase costs; None for what costs its fee only.
        fee_most_wei: the most that the transaction's gas costs at today's price; a fee that is raised later, since
            the transaction is stuck, stays below the household's limit for a unit of gas.
        means: what the household has, as the contract says.
        spoken: what of it the outbox had spoken for.
        newest_entry: the outbox's newest row when this was planned; 0 if none.
    """

    call: MarketCall
    intent: Intent
    energy_wh: int
    cost: Cost | None
    fee_most_wei: int
    means: Means
    spoken: Pledged
    newest_entry: int

    @property
    def kind(self) -> Kind:
        """Of the outbox entry."""
        return self.call.kind

    @property
    def cost_most_wei(self) -> int:
        """The most that it takes from the account, wei."""
        return self.intent.value + self.fee_most_wei

    @property
    def tokens_before_wh(self) -> int:
        """Energy tokens that the household can dispose of before, Wh."""
        return self.means.tokens_wh - self.spoken.tokens_wh

    @property
    def tokens_after_wh(self) -> int:
        """The same once this is mined, Wh."""
        gains = self.kind in {Kind.CANCEL, Kind.BUY}
        return self.tokens_before_wh + (self.energy_wh if gains else -self.energy_wh)

    @property
    def money_before_wei(self) -> int:
        """What the account can dispose of before, wei."""
        return self.means.money_wei - self.spoken.money_wei

    @property
    def money_after_wei(self) -> int:
        """What is left of it at least, wei."""
        return self.money_before_wei - self.cost_most_wei


@dataclass(frozen=True, slots=True)
class Wallet:
    """What a household has.

    Attributes:
        state: what the contract holds of it.
        parameters: the market's.
        settlement: what money is called.
        means: tokens, redeemable consumption and money at the newest block.
        escrow_wh: what its own orders hold, open or over, Wh.
        spoken: what of it the outbox has spoken for.
        fee: what is offered for a unit of gas now.
    """

    state: HouseholdState
    parameters: Parameters
    settlement: Settlement
    means: Means
    escrow_wh: int
    spoken: Pledged
    fee: Fee


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order of the household's own.

    Attributes:
        order: as the contract has it; as it was asked for while the contract does not have it yet.
        state: of the entry that is on its way (the offer's, or its cancellation's); None when nothing is.
        cancelling: whether it is being taken back.
    """

    order: Order
    state: State | None
    cancelling: bool
