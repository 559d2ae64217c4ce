"""A household's life on the chain as events, told step by step or drawn by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from agent.domain.invoices import Book
from agent.domain.market_events import (
    Enrolled,
    MarketEvent,
    MeterReplaced,
    Place,
    ReadingBooked,
    Redeemed,
    TariffSet,
    Traded,
)
from agent.domain.orders import Trade, money_for
from agent.domain.readings import Flags, Reading
from agent.domain.samples import MeterRole

HOUSE = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
OTHER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
CONTRACT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
BEGIN = 1_000_000


class Life:
    """Events in the chain's order; time and registers go on with each.

    Args:
        retail: the first tariff, wei for each kWh.
    """

    def __init__(self, retail: int = 3) -> None:
        self.now = BEGIN
        self.events: list[MarketEvent] = []
        self._epoch, self._sequence, self._trades = 1, 0, 0
        self.produced, self.consumed = 500, 700
        self.tariff(retail)
        self.events.append(
            Enrolled(self.place(), HOUSE, self.now, self.produced, self.consumed, 8_000, "0x" + "0" * 64)
        )

    def book(self) -> Book:
        """All that has happened."""
        return Book(1337, CONTRACT, len(self.events))

    def place(self) -> Place:
        """The next event's."""
        number = len(self.events) + 1
        return Place(number, number % 3, f"0x{number:064x}", self.now)

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    def tariff(self, retail: int) -> None:
        """A tariff comes into force."""
        self.events.append(TariffSet(self.place(), retail // 2, retail))

    def reading(self, produced: int, consumed: int, flags: Flags = Flags.NONE, late_s: int = 0) -> None:
        """A reading with so much more on its registers; booked ``late_s`` after it was taken."""
        self.produced, self.consumed, self._sequence = (
            self.produced + produced,
            self.consumed + consumed,
            self._sequence + 1,
        )
        taken = Reading(HOUSE, self._epoch, self._sequence, self.now, self.produced, self.consumed, flags)
        self.now += late_s
        self.events.append(ReadingBooked(self.place(), taken))

    def replace(self, meter: MeterRole, closing: int, opening: int) -> None:
        """A meter is replaced; the old one had counted ``closing`` more."""
        self._epoch, self._sequence = self._epoch + 1, 0
        last = self.produced if meter is MeterRole.PRODUCTION else self.consumed
        self.events.append(MeterReplaced(self.place(), HOUSE, meter, last + closing, opening, self._epoch, self.now))
        if meter is MeterRole.PRODUCTION:
            self.produced = opening
        else:
            self.consumed = opening

    def redeem(self, energy: int) -> None:
        """Tokens are burned."""
        self.events.append(Redeemed(self.place(), HOUSE, energy))

    def trade(self, energy: int, price: int, *, sells: bool) -> None:
        """A trade with another household."""
        self._trades += 1
        seller, buyer = (HOUSE, OTHER) if sells else (OTHER, HOUSE)
        cost = money_for(energy, price), money_for(energy, 1)
        self.events.append(Traded(self.place(), Trade(self._trades, seller, buyer, 1, energy, *cost, self.now)))


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Any life: readings, held ones, tariffs that change, replaced meters, redemptions, trades."""
    life = Life(draw(st.integers(0, 10**6)))
    energy = st.integers(0, 5_000)
    kinds = st.sampled_from(["reading", "reading", "reading", "held", "tariff", "replace", "redeem", "trade"])
    for kind in draw(st.lists(kinds, max_size=25)):
        life.wait(draw(st.integers(0, 900)))
        match kind:
            case "reading":
                life.reading(draw(energy), draw(energy), late_s=draw(st.integers(0, 50)))
            case "held":
                life.reading(draw(energy), 0, Flags.CONSUMPTION_HELD)
            case "tariff":
                life.tariff(draw(st.integers(0, 10**6)))
            case "replace":
                life.replace(draw(st.sampled_from(MeterRole)), draw(energy), draw(energy))
            case "redeem":
                life.redeem(draw(energy))
            case _:
                life.trade(draw(energy), draw(st.integers(0, 10**6)), sells=draw(st.booleans()))
    return life
