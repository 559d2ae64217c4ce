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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

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
    known = sorted((event for event in events if event.place.block <= book.block), key=lambda event: event.place)
    tariffs = _Tariffs([event for event in known if isinstance(event, TariffSet)])
    points, steps = _walk(household, known)
    before, consumption = _consumption([step for step in steps if step.point.taken_at < period.last], tariffs, period)
    redeemed = [event for event in known if isinstance(event, Redeemed) and event.household == household]
    credited_before, redemptions = _redemptions(
        [event for event in redeemed if event.place.at < period.last], tariffs, period
    )
    trades = [event for event in known if isinstance(event, Traded) and period.holds(event.trade.at)]
    inside = [step for step in steps if period.holds(step.point.taken_at)]
    # Readings come in the order of their time, and a reading may be ahead of the chain's clock by a little.
    closed = any(min(point.taken_at, point.place.at) >= period.last for _, point in points)
    return Invoice(
        chain_id=book.chain_id,
        contract=book.contract,
        household=household,
        period=period,
        as_of=None if closed else book.block,
        registers=_registers(points, period),
        produced_wh=sum(step.produced_wh for step in inside),
        consumed_wh=sum(step.consumed_wh for step in inside),
        consumption=consumption,
        redemptions=redemptions,
        sold=tuple(TradeLine(event.place, event.trade) for event in trades if event.trade.seller == household),
        bought=tuple(TradeLine(event.place, event.trade) for event in trades if event.trade.buyer == household),
        carried=Carried(before, credited_before),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """Energy between two registers that the contract booked; ``point`` is the later one."""

    point: RegisterPoint
    produced_wh: int
    consumed_wh: int


class _Tariffs:
    """Which tariff was in force when."""

    def __init__(self, events: list[TariffSet]) -> None:
        # Block times never fall, so the chain's order is the order of time.
        self._events = events

    def at(self, moment: int, what: str) -> TariffSet:
        found = None
        for event in self._events:
            if event.place.at > moment:
                break
            found = event
        if found is None:
            first = f"the first one known is of {self._events[0].place.at}" if self._events else "none is known at all"
            raise BadRequest(
                f"no tariff is known for {what} at {moment} (UTC epoch seconds): {first};"
                " an invoice needs every tariff since the market was deployed"
            )
        return found


class _Amounts:
    """Money by the wei for energy by the Wh: what is rounded up now is taken off what comes next."""

    def __init__(self) -> None:
        self.carried = 0
        """thousandths of a wei that were paid ahead"""

    def add(self, energy_wh: int, price: int) -> int:
        exact = energy_wh * price - self.carried
        amount = -(-exact // WH_PER_KWH)
        self.carried = amount * WH_PER_KWH - exact
        return amount


def _walk(household: str, events: list[MarketEvent]) -> tuple[list[tuple[int, RegisterPoint]], list[_Step]]:
    """All registers booked, with their epochs, and what lies between them."""
    points: list[tuple[int, RegisterPoint]] = []
    steps: list[_Step] = []

    def come_to(epoch: int, point: RegisterPoint) -> None:
        steps.append(_step(household, points[-1], (epoch, point)))
        points.append((epoch, point))

    for event in events:
        match event:
            case Enrolled() if event.household == household:
                if points:
                    raise BadRequest(f"household {household} is enrolled twice, again in {event.place.tx_hash}")
                opening = RegisterPoint(event.taken_at, event.produced_wh, event.consumed_wh, event.place)
                points.append((1, opening))
            case ReadingBooked() if event.reading.household == household:
                _require_enrolment(household, points, event.place)
                reading = event.reading
                come_to(
                    reading.epoch,
                    RegisterPoint(reading.taken_at, reading.produced_wh, reading.consumed_wh, event.place),
                )
            case MeterReplaced() if event.household == household:
                _require_enrolment(household, points, event.place)
                epoch, last = points[-1]
                now = replace(last, taken_at=event.taken_at, place=event.place)
                if event.epoch != epoch + 1:
                    raise BadRequest(
                        f"epoch {event.epoch} of household {household} follows epoch {epoch} in {event.place.tx_hash};"
                        " a meter's replacement in between is missing"
                    )
                come_to(epoch, _with_register(now, event.meter, event.closing_wh))
                points.append((event.epoch, _with_register(now, event.meter, event.opening_wh)))
            case _:
                pass
    return points, steps


def _require_enrolment(household: str, points: list[tuple[int, RegisterPoint]], place: Place) -> None:
    if not points:
        raise BadRequest(
            f"the enrolment of household {household} is missing before {place.tx_hash};"
            " an invoice needs all its events since then"
        )


def _with_register(point: RegisterPoint, meter: MeterRole, register_wh: int) -> RegisterPoint:
    if meter is MeterRole.PRODUCTION:
        return replace(point, produced_wh=register_wh)
    return replace(point, consumed_wh=register_wh)


def _step(household: str, before: tuple[int, RegisterPoint], after: tuple[int, RegisterPoint]) -> _Step:
    (old_epoch, old), (epoch, point) = before, after
    produced, consumed = point.produced_wh - old.produced_wh, point.consumed_wh - old.consumed_wh
    if epoch != old_epoch or produced < 0 or consumed < 0 or point.taken_at < old.taken_at:
        raise BadRequest(
            f"household {household}: {_told(epoch, point)} cannot follow {_told(old_epoch, old)};"
            " an event between them is missing"
        )
    return _Step(point, produced, consumed)


def _told(epoch: int, point: RegisterPoint) -> str:
    registers = f"{point.produced_wh} and {point.consumed_wh} Wh"
    return f"{registers} at {point.taken_at} of epoch {epoch} (in {point.place.tx_hash})"


def _registers(points: list[tuple[int, RegisterPoint]], period: Period) -> tuple[EpochRegisters, ...]:
    before = [entry for entry in points if entry[1].taken_at < period.first]
    inside = [entry for entry in points if period.holds(entry[1].taken_at)]
    epochs = groupby([*before[-1:], *inside], key=lambda entry: entry[0])
    found = [(epoch, [point for _, point in entries]) for epoch, entries in epochs]
    return tuple(EpochRegisters(epoch, inner[0], inner[-1]) for epoch, inner in found)


def _consumption(steps: list[_Step], tariffs: _Tariffs, period: Period) -> tuple[int, tuple[ConsumptionLine, ...]]:
    """What earlier readings carried over, and the period's lines."""
    amounts, carried = _Amounts(), None
    priced: list[tuple[TariffSet, _Step, int]] = []
    for step in steps:
        tariff = tariffs.at(step.point.taken_at, f"what {step.point.place.tx_hash} books")
        inside = step.point.taken_at >= period.first
        if inside and carried is None:
            carried = amounts.carried
        amount = amounts.add(step.consumed_wh, tariff.retail)
        if inside:
            priced.append((tariff, step, amount))
    return amounts.carried if carried is None else carried, tuple(_lines(priced))


def _lines(priced: list[tuple[TariffSet, _Step, int]]) -> Iterator[ConsumptionLine]:
    for tariff, grouped in groupby(priced, key=lambda entry: entry[0]):
        group = list(grouped)
        yield ConsumptionLine(
            price=tariff.retail,
            tariff=tariff.place,
            energy_wh=sum(step.consumed_wh for _, step, _ in group),
            amount_wei=sum(amount for _, _, amount in group),
            readings=len(group),
            first=group[0][1].point,
            last=group[-1][1].point,
        )


def _redemptions(events: list[Redeemed], tariffs: _Tariffs, period: Period) -> tuple[int, tuple[RedemptionLine, ...]]:
    amounts, carried = _Amounts(), None
    lines: list[RedemptionLine] = []
    for event in events:
        tariff = tariffs.at(event.place.at, f"the redemption in {event.place.tx_hash}")
        if event.place.at >= period.first and carried is None:
            carried = amounts.carried
        amount = amounts.add(event.energy_wh, tariff.retail)
        if event.place.at >= period.first:
            lines.append(RedemptionLine(event.place, event.energy_wh, tariff.retail, tariff.place, amount))
    return amounts.carried if carried is None else carried, tuple(lines)
