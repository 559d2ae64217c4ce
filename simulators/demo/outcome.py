"""What the demonstration ended with, and each claim about it with whether it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.ledger import Mined, Sale, Standing

# Readings that may be mined and not final yet when the agent is told to stop.
_YOUNG: Final = 2

Claim = tuple[bool, str]


@dataclass(frozen=True, slots=True)
class HomeOutcome:
    """What one household ended with.

    Attributes:
        name: What the demonstration calls it.
        household: Its account.
        opening: Both registers at enrolment, Wh.
        wire: Both registers on the wire at the end, Wh.
        standing: What the contract holds.
        mined: The readings in the chain's log.
        minted_wh: Tokens minted to it.
        burned_wh: Tokens that it redeemed.
        held: Readings that the collector holds, verified.
        forged: Readings whose signature is not the household's.
        contradictions: Readings that came again with another content.
        agent_code: The agent's exit code.
        faults: Warnings and errors in the agent's log.
        final: Readings that the agent calls final.
    """

    name: str
    household: str
    opening: tuple[int, int]
    wire: tuple[int, int]
    standing: Standing
    mined: list[Mined]
    minted_wh: int
    burned_wh: int
    held: int
    forged: int
    contradictions: int
    agent_code: int
    faults: dict[str, int]
    final: int

    def claims(self) -> Iterator[Claim]:
        """Each claim with whether it holds."""
        produced = self.standing.produced_wh - self.opening[0]
        sequences = [(reading.epoch, reading.sequence) for reading in self.mined]
        young = len(self.mined) - self.final
        yield (
            self.final > 0 and 0 <= young <= _YOUNG,
            f"{self.final} readings became final"
            + (f"; {young} more on the chain, not deep enough yet" if young else ""),
        )
        yield len(set(sequences)) == len(sequences), "each of them exactly once"
        yield (
            self.minted_wh == produced,
            f"energy tokens minted {self.minted_wh / 1000:.3f} = energy produced {produced / 1000:.3f} kWh, to the Wh",
        )
        on_chain = (self.standing.produced_wh, self.standing.consumed_wh)
        yield on_chain == self.wire, f"the contract's registers {on_chain} Wh = the meters' {self.wire} Wh"
        yield (
            self.held >= len(self.mined) and not self.forged and not self.contradictions,
            f"{self.held} signed readings received over MQTT, each verifies to the household's address",
        )
        yield self.agent_code == 0, f"the agent ended in good order (exit code {self.agent_code})"

    def remarks(self) -> Iterator[str]:
        """What else is worth a line."""
        if self.faults:
            told = ", ".join(f"{event} x{count}" for event, count in sorted(self.faults.items()))
            yield f"told while it ran: {told}"
        held = sum(bool(reading.flags & 3) for reading in self.mined)
        if held:
            yield f"{held} readings went on with one meter silent: its register was held, and said so in the flags"


@dataclass(frozen=True, slots=True)
class MarketOutcome:
    """What the market ended with.

    Attributes:
        homes: What each household ended with.
        sales: All trades.
        supply_wh: All tokens that there are.
        escrow_wh: Tokens in open orders.
        invoices_agree: For each household by name, whether its own invoice is the operator's.
    """

    homes: Sequence[HomeOutcome]
    sales: Sequence[Sale]
    supply_wh: int
    escrow_wh: int
    invoices_agree: dict[str, bool]

    def claims(self, *, trades_expected: bool) -> Iterator[Claim]:
        """Each claim with whether it holds.

        Args:
            trades_expected: Whether the demonstration ran long enough for the rules to trade.
        """
        traded = sum(sale.energy_wh for sale in self.sales)
        paid = sum(sale.price_wei for sale in self.sales)
        carried = sum(sale.service_cost_wei for sale in self.sales)
        told = f"{len(self.sales)} trades by rule: {traded / 1000:.3f} kWh for {paid / 1e18:.6f} settlement units"
        yield (
            bool(self.sales) or not trades_expected,
            f"{told}, and {carried / 1e18:.6f} to the distribution company",
        )
        minted = sum(home.minted_wh for home in self.homes)
        burned = sum(home.burned_wh for home in self.homes)
        held = sum(home.standing.tokens_wh for home in self.homes)
        told = f"tokens minted {minted / 1000:.3f} - redeemed {burned / 1000:.3f} = held {held / 1000:.3f}"
        yield (
            minted - burned == self.supply_wh == held + self.escrow_wh,
            f"{told} + in open orders {self.escrow_wh / 1000:.3f} kWh",
        )
        for name, agree in self.invoices_agree.items():
            yield agree, f"{name}: the invoice that it works out itself is the operator's, to the wei and the Wh"
