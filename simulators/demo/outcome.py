"""What the demonstration ended with, and each claim about it with whether it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulators.ledger import Mined, Sale, Standing

# Readings that may be mined and not final yet when the agent is told to stop.
_YOUNG: Final = 2
# So many of what is wrong are named.
_NAMED: Final = 3

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
        """Each claim with whether it holds; one that does not says what is wrong, in figures."""
        yield self._final()
        yield self._once()
        produced = self.standing.produced_wh - self.opening[0]
        tokens, energy = f"energy tokens minted {_kwh(self.minted_wh)}", f"energy produced {_kwh(produced)} kWh"
        yield _claim(
            self.minted_wh == produced,
            f"{tokens} = {energy}, to the Wh",
            f"{tokens}, and {energy}: they lie {_kwh(abs(self.minted_wh - produced))} kWh apart",
        )
        yield self._registers()
        heard = f"{self.held} signed readings received over MQTT"
        yield _claim(
            self.held >= len(self.mined) and not self.forged and not self.contradictions,
            f"{heard}, each verifies to the household's address",
            f"{heard}, {len(self.mined)} are on the chain; {self.forged} more do not verify to the household's address,"
            f" and {self.contradictions} came again with another content",
        )
        yield _claim(
            self.agent_code == 0,
            "the agent ended in good order (exit code 0)",
            f"the agent ended with exit code {self.agent_code}, and 0 would be in good order",
        )

    def _final(self) -> Claim:
        young = len(self.mined) - self.final
        return _claim(
            self.final > 0 and 0 <= young <= _YOUNG,
            f"{self.final} readings became final"
            + (f"; {young} more on the chain, not deep enough yet" if young else ""),
            f"{self.final} readings became final, and {len(self.mined)} are on the chain; one or more should be, and at"
            f" most {_YOUNG} not deep enough yet",
        )

    def _once(self) -> Claim:
        counted = Counter((reading.epoch, reading.sequence) for reading in self.mined)
        twice = [f"{epoch}/{sequence} {count} times" for (epoch, sequence), count in counted.items() if count > 1]
        return _claim(
            not twice,
            "each of them exactly once",
            f"{len(twice)} readings are on the chain more than once (epoch/sequence): {_some(twice)}",
        )

    def _registers(self) -> Claim:
        on_chain = (self.standing.produced_wh, self.standing.consumed_wh)
        chain, meters = (f"produced {_kwh(one)}, consumed {_kwh(other)} kWh" for one, other in (on_chain, self.wire))
        produced, consumed = (meter - booked for meter, booked in zip(self.wire, on_chain, strict=True))
        return _claim(
            on_chain == self.wire,
            f"the contract's registers = the meters': {chain}",
            f"the contract's registers: {chain}; the meters': {meters}: {_kwh(produced)} and {_kwh(consumed)} kWh are"
            " not booked",
        )

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
        differences: For each household by name, where its own invoice differs from the operator's.
    """

    homes: Sequence[HomeOutcome]
    sales: Sequence[Sale]
    supply_wh: int
    escrow_wh: int
    differences: Mapping[str, Sequence[Mapping[str, str | None]]]

    def claims(self, *, trades_expected: bool) -> Iterator[Claim]:
        """Each claim with whether it holds; one that does not says what is wrong, in figures.

        Args:
            trades_expected: Whether the demonstration ran long enough for the rules to trade.
        """
        traded = sum(sale.energy_wh for sale in self.sales)
        paid = sum(sale.price_wei for sale in self.sales)
        carried = sum(sale.service_cost_wei for sale in self.sales)
        yield _claim(
            bool(self.sales) or not trades_expected,
            f"{len(self.sales)} trades by rule: {_kwh(traded)} kWh for {paid / 1e18:.6f} ETH, and {carried / 1e18:.6f}"
            " ETH to the distribution company",
            f"0 trades by rule, though it ran long enough for one; {_kwh(self.escrow_wh)} kWh are in open orders",
        )
        minted = sum(home.minted_wh for home in self.homes)
        burned = sum(home.burned_wh for home in self.homes)
        held = sum(home.standing.tokens_wh for home in self.homes)
        there, owned = (
            f"tokens minted {_kwh(minted)} - redeemed {_kwh(burned)}",
            f"held {_kwh(held)} + in open orders {_kwh(self.escrow_wh)}",
        )
        yield _claim(
            minted - burned == self.supply_wh == held + self.escrow_wh,
            f"{there} = {owned} kWh",
            f"{there} = {_kwh(minted - burned)} kWh, {owned} = {_kwh(held + self.escrow_wh)} kWh, and the contract"
            f" counts {_kwh(self.supply_wh)} kWh",
        )
        for name, found in self.differences.items():
            told = [
                f"{one['where']}: own {one['own'] or 'nothing'}, issued {one['theirs'] or 'nothing'}" for one in found
            ]
            yield _claim(
                not found,
                f"{name}: the invoice that it works out itself is the operator's, to the wei and the Wh",
                f"{name}: the invoice that it works out itself differs from the operator's in {len(found)} places:"
                f" {_some(told)}",
            )


def _claim(holds: bool, good: str, bad: str) -> Claim:  # noqa: FBT001 - it is what a claim is about
    return holds, good if holds else bad


def _kwh(wh: int) -> str:
    return f"{wh / 1000:,.3f}"


def _some(told: Sequence[str]) -> str:
    more = f", and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return ", ".join(told[:_NAMED]) + more
