"""From a household's events to its invoice: one pure function, which the operator and the household both run.

What belongs where:

- A reading belongs to the period in which it was taken, and with it the energy since the reading before. So each Wh is
  in exactly one period. A reading that is held repeats its register and adds nothing; the next one catches up.
- A replaced meter's closing register ends its interval like a reading, at the time that the contract gives it. The next
  epoch counts from the new meter's opening register.
- Consumption has the retail tariff in force when the reading was taken; a redemption, the one in force when it was
  made. A tariff is in force from the time of the block that set it.
- A trade belongs to the period in which it was concluded. It is paid on the chain and stands for itself.

Rounding: a Wh may cost a fraction of a wei. What a household owes in all, from its enrolment on, is rounded up to the
wei, and a reading's amount is by how much that sum rises. So no line is off by a wei or more, the invoices of
consecutive periods sum to that of the whole, and all roundings ever made come to less than a wei. Redemptions are
rounded by the same rule apart from consumption: who redeems all that he consumed, at one tariff, owes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.domain.amounts import told_kwh
from agent.domain.errors import BadRequest
from agent.domain.invoices import (
    Book,
    Carried,
    ConsumptionLine,
    EpochRegisters,
    Invoice,
    Period,
    RedemptionLine,
    RegisterPoint,
    TradeLine,
)
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
from agent.domain.orders import WH_PER_KWH
from agent.domain.samples import MeterRole


def invoice(household: str, events: Iterable[MarketEvent], period: Period, book: Book) -> Invoice:
    """Work out a household's invoice.

    Args:
        household: the account, checksummed.
        events: all of the household's since its enrolment, and all ``TariffSet``; events of others are passed over, and
            so are those of blocks after ``book.block``. Any order.
        period: the billing period.
        book: the market, and up to where its events are known.

    Raises:
        BadRequest: no tariff was set yet when something had to be priced, or the events do not follow one another: one
            is missing.
    """
    known = sorted(events, key=lambda event: event.place)
    billing = Billing(household, [event for event in known if isinstance(event, TariffSet)], period, book)
    for event in known:
        billing.take(event)
    return billing.invoice()


class Billing:
    """One household's invoice in the making: events go through it one by one, and only what the invoice shows is kept.

    Args:
        household: the account, checksummed.
        tariffs: all that were set, in the chain's order; those of blocks after ``book.block`` do not count.
        period: the billing period.
        book: the market, and up to where its events are known.
    """

    def __init__(self, household: str, tariffs: Sequence[TariffSet], period: Period, book: Book) -> None:
        self._household = household
        self._tariffs = _Tariffs([event for event in tariffs if event.place.block <= book.block])
        self._period = period
        self._book = book
        # The last registers so far, and the last ones before the period.
        self._last: tuple[int, RegisterPoint] | None = None
        self._found: tuple[int, RegisterPoint] | None = None
        self._closed = False
        self._registers: list[EpochRegisters] = []
        self._produced_wh = 0
        self._consumption = _Consumption()
        self._redeemed = _Amounts()
        self._redemptions: list[RedemptionLine] = []
        self._sold: list[TradeLine] = []
        self._bought: list[TradeLine] = []

    def take(self, event: MarketEvent) -> None:
        """The household's next event in the chain's order; others' are passed over.

        Raises:
            BadRequest: no tariff was set yet when it had to be priced, or an event before it is missing.
        """
        if event.place.block > self._book.block:
            return
        match event:
            case Enrolled() if event.household == self._household:
                if self._last is not None:
                    raise BadRequest(f"household {self._household} is enrolled twice, again in {event.place.tx_hash}")
                self._open(1, RegisterPoint(event.taken_at, event.produced_wh, event.consumed_wh, event.place))
            case ReadingBooked() if event.reading.household == self._household:
                self._come_to(event.reading.epoch, _read(event))
            case MeterReplaced() if event.household == self._household:
                self._replace(event)
            case Redeemed() if event.household == self._household:
                self._redeem(event)
            case Traded() if self._period.holds(event.trade.at):
                line = TradeLine(event.place, event.trade)
                if event.trade.seller == self._household:
                    self._sold.append(line)
                if event.trade.buyer == self._household:
                    self._bought.append(line)
            case _:
                pass

    def invoice(self) -> Invoice:
        """The invoice of all that was taken."""
        registers = self._registers
        if not registers and self._found is not None:
            epoch, point = self._found
            registers = [EpochRegisters(epoch, point, point)]
        lines = self._consumption.lines()
        return Invoice(
            chain_id=self._book.chain_id,
            contract=self._book.contract,
            household=self._household,
            period=self._period,
            as_of=None if self._closed else self._book.block,
            registers=tuple(registers),
            produced_wh=self._produced_wh,
            consumed_wh=sum(line.energy_wh for line in lines),
            consumption=lines,
            redemptions=tuple(self._redemptions),
            sold=tuple(self._sold),
            bought=tuple(self._bought),
            carried=Carried(self._consumption.amounts.before, self._redeemed.before),
        )

    def _open(self, epoch: int, point: RegisterPoint) -> None:
        """An epoch begins at these registers."""
        if self._period.holds(point.taken_at):
            self._registers.append(EpochRegisters(epoch, point, point))
        self._pass(epoch, point)

    def _come_to(self, epoch: int, point: RegisterPoint) -> None:
        """Energy up to these registers, of the same epoch."""
        old_epoch, old = self._enrolled(point.place)
        produced, consumed = point.produced_wh - old.produced_wh, point.consumed_wh - old.consumed_wh
        if epoch != old_epoch or produced < 0 or consumed < 0 or point.taken_at < old.taken_at:
            raise BadRequest(
                f"household {self._household}: {_told(epoch, point)} cannot follow {_told(old_epoch, old)};"
                " an event between them is missing"
            )
        self._pass(epoch, point)
        # Readings come in the order of their time, and a reading may be ahead of the chain's clock by a little.
        self._closed = self._closed or min(point.taken_at, point.place.at) >= self._period.last
        if point.taken_at >= self._period.last:
            return
        tariff = self._tariffs.at(point.taken_at, f"what {point.place.tx_hash} books")
        inside = self._period.holds(point.taken_at)
        self._consumption.take(tariff, point, consumed, inside=inside)
        if not inside:
            return
        self._produced_wh += produced
        opened = self._registers.pop() if self._registers and self._registers[-1].epoch == epoch else None
        self._registers.append(EpochRegisters(epoch, old if opened is None else opened.opening, point))

    def _pass(self, epoch: int, point: RegisterPoint) -> None:
        self._last = (epoch, point)
        if point.taken_at < self._period.first:
            self._found = self._last

    def _replace(self, event: MeterReplaced) -> None:
        epoch, last = self._enrolled(event.place)
        if event.epoch != epoch + 1:
            raise BadRequest(
                f"epoch {event.epoch} of household {self._household} follows epoch {epoch} in {event.place.tx_hash};"
                " a meter's replacement in between is missing"
            )
        now = replace(last, taken_at=event.taken_at, place=event.place)
        self._come_to(epoch, _with_register(now, event.meter, event.closing_wh))
        self._open(event.epoch, _with_register(now, event.meter, event.opening_wh))

    def _redeem(self, event: Redeemed) -> None:
        if event.place.at >= self._period.last:
            return
        tariff = self._tariffs.at(event.place.at, f"the redemption in {event.place.tx_hash}")
        inside = self._period.holds(event.place.at)
        amount = self._redeemed.add(event.energy_wh, tariff.retail, inside=inside)
        if inside:
            self._redemptions.append(RedemptionLine(event.place, event.energy_wh, tariff.retail, tariff.place, amount))

    def _enrolled(self, place: Place) -> tuple[int, RegisterPoint]:
        if self._last is None:
            raise BadRequest(
                f"the enrolment of household {self._household} is missing before {place.tx_hash};"
                " an invoice needs all its events since then"
            )
        return self._last


class _Tariffs:
    """Which tariff was in force when."""

    def __init__(self, events: list[TariffSet]) -> None:
        # Block times never fall, so the chain's order is the order of time.
        self._events = events
        self._times = [event.place.at for event in events]

    def at(self, moment: int, what: str) -> TariffSet:
        index = bisect_right(self._times, moment)
        if index == 0:
            first = f"the first one known is of {self._times[0]}" if self._times else "none is known at all"
            raise BadRequest(
                f"no tariff is known for {what} at {moment} (UTC epoch seconds): {first};"
                " an invoice needs every tariff since the market was deployed"
            )
        return self._events[index - 1]


class _Amounts:
    """Money by the wei for energy by the Wh: what is rounded up now is taken off what comes next."""

    def __init__(self) -> None:
        self._carried = 0
        self.before = 0
        """thousandths of a wei that were paid ahead before the period"""

    def add(self, energy_wh: int, price: int, *, inside: bool) -> int:
        exact = energy_wh * price - self._carried
        amount = -(-exact // WH_PER_KWH)
        self._carried = amount * WH_PER_KWH - exact
        if not inside:
            self.before = self._carried
        return amount


class _Consumption:
    """Lines of consumption; readings come in the order of time, so each tariff has its readings together."""

    def __init__(self) -> None:
        self.amounts = _Amounts()
        self._lines: list[ConsumptionLine] = []

    def take(self, tariff: TariffSet, point: RegisterPoint, energy_wh: int, *, inside: bool) -> None:
        amount = self.amounts.add(energy_wh, tariff.retail, inside=inside)
        if not inside:
            return
        if not self._lines or self._lines[-1].tariff != tariff.place:
            self._lines.append(ConsumptionLine(tariff.retail, tariff.place, 0, 0, 0, point, point))
        line = self._lines[-1]
        self._lines[-1] = replace(
            line,
            energy_wh=line.energy_wh + energy_wh,
            amount_wei=line.amount_wei + amount,
            readings=line.readings + 1,
            last=point,
        )

    def lines(self) -> tuple[ConsumptionLine, ...]:
        return tuple(self._lines)


def _read(event: ReadingBooked) -> RegisterPoint:
    reading = event.reading
    return RegisterPoint(reading.taken_at, reading.produced_wh, reading.consumed_wh, event.place)


def _with_register(point: RegisterPoint, meter: MeterRole, register_wh: int) -> RegisterPoint:
    if meter is MeterRole.PRODUCTION:
        return replace(point, produced_wh=register_wh)
    return replace(point, consumed_wh=register_wh)


def _told(epoch: int, point: RegisterPoint) -> str:
    registers = f"{told_kwh(point.produced_wh)} and {told_kwh(point.consumed_wh)}"
    return f"{registers} at {point.taken_at} of epoch {epoch} (in {point.place.tx_hash})"
