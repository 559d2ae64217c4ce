"""Trade: after each interval the standing rule decides once, within the household's limits.

An interval is decided when the contract has booked its reading, since only then are its tokens there. The decision and
everything that it asks of the market are written in one commit: a crash before it decides anew, and one after it never.
An interval that could not be decided in time is left out and said to be, so that no backlog of acts ever builds up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from agent.domain.amounts import told_kwh
from agent.domain.decisions import (
    Act,
    Buy,
    Cancel,
    Decision,
    Offer,
    Redeem,
    Step,
    done_on_day,
    numbers_offered,
)
from agent.domain.errors import BadRequest, JournalBusy, NodeUnavailable, NotYet
from agent.domain.market_calls import MARKET_GAS, OfferCall
from agent.domain.order_rules import LONGEST_EXPIRY_S
from agent.domain.orders import Order
from agent.domain.outbox import Kind
from agent.domain.plans import OwnOrder, Plan, Wallet
from agent.domain.standing_rule import MOST_ACTS, Limits, Situation, decide
from agent.stages.ports import Clock, Events, Together

# An interval that ended longer ago than so many periods is not decided any more.
OLD_PERIODS = 2


class Desk(Protocol):
    """Where the household's wishes are judged, priced and queued.

    Every method may raise NodeUnavailable, JournalBusy and NotYet; those that plan also BadRequest.
    """

    def wallet(self) -> Wallet:
        """What the household has."""

    def open_orders(self) -> list[Order]:
        """Others' orders that can be bought from now."""

    def own_orders(self) -> list[OwnOrder]:
        """The household's orders that have something left, and those on their way."""

    def offer(self, energy_wh: int, price: int, expires_at: int, *, key: str | None = None) -> Plan:
        """Plan a sell order."""

    def cancellation(self, number: int, *, key: str | None = None) -> Plan:
        """Plan to take one's own order back."""

    def purchase(
        self, seller: str, number: int, energy_wh: int | None = None, *, shown_price: int | None, key: str | None
    ) -> Plan:
        """Plan to buy from an order at the price that it was seen at."""

    def redemption(self, energy_wh: int | None = None, *, key: str | None = None) -> Plan:
        """Plan to burn tokens against one's own consumption."""

    def submit(self, plan: Plan) -> bool:
        """Queue a plan's intent in a transaction, or as part of the caller's; judged again with what came meanwhile."""


class Readings(Protocol):
    """The journal's rows about readings."""

    def last_end(self) -> int | None:
        """UTC epoch seconds of the last closed boundary, or None."""

    def interval_of(self, epoch: int, sequence: int) -> tuple[int, int] | None:
        """End and length of the interval that a reading states, UTC epoch seconds and seconds; None if unknown here."""


class Decisions(Protocol):
    """The journal's rows about decisions."""

    def last(self) -> Decision | None:
        """The one of the latest interval, or None."""

    def since(self, at: int) -> list[Decision]:
        """Those made at or after ``at``, UTC epoch seconds, oldest first."""

    def add(self, decision: Decision) -> bool:
        """Keep a decision; an interval that has one keeps it. Returns whether it was new."""


class Outbox(Protocol):
    """The outbox's rows."""

    def halted(self) -> str | None:
        """Why submission is stopped, or None."""


class Trade:
    """Decides for the household after each interval.

    Args:
        may_submit: whether the journal has been compared with the chain since the process began.
    """

    def __init__(
        self,
        *,
        account: str,
        limits: Limits,
        desk: Desk,
        readings: Readings,
        decisions: Decisions,
        outbox: Outbox,
        journal: Together,
        may_submit: Callable[[], bool],
        clock: Clock,
        events: Events,
    ) -> None:
        self._account = account
        self._limits = limits
        self._desk = desk
        self._readings = readings
        self._decisions = decisions
        self._outbox = outbox
        self._journal = journal
        self._may_submit = may_submit
        self._clock = clock
        self._events = events
        self._said: tuple[str, ...] | None = None
        self._waited_for = ""

    def run_once(self) -> bool:
        """Decide for the newest booked interval, if it has not been; returns whether anything was queued."""
        try:
            if not self._limits.enabled or self._outbox.halted() is not None:
                return False
            if not self._may_submit() or not self._clock.trusted():
                return False
            return self._turn()
        except NotYet as wait:
            self._waited_for = str(wait)
            return False
        except NodeUnavailable:  # the pool says so
            self._waited_for = "the full nodes did not say all that it takes"
            return False
        except JournalBusy:  # the record stage says so
            return False

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    def _turn(self) -> bool:
        last, closed = self._decisions.last(), self._readings.last_end()
        if closed is None or (last is not None and closed <= last.interval_end):
            return False
        wallet = self._desk.wallet()
        interval = self._readings.interval_of(wallet.state.epoch, wallet.state.sequence)
        if interval is None or (last is not None and interval[0] <= last.interval_end):
            return False
        end, period_s = interval
        if self._now() - end > OLD_PERIODS * period_s:
            return self._skip(end, period_s, last)
        if wallet.parameters.paused:
            raise NotYet("the distribution agent has paused the market")
        if not wallet.state.active:
            raise NotYet("the registration office has suspended this household")
        if wallet.spoken.calls:
            raise NotYet("what was asked of the market before is still on its way")
        return self._carry_out(end, self._planned(end, self._situation(wallet)), last)

    def _situation(self, wallet: Wallet) -> Situation:
        own = tuple(mine.order for mine in self._desk.own_orders())
        # No order lives longer, so the rule has made none of those that stand before that.
        made = self._decisions.since(self._now() - LONGEST_EXPIRY_S)
        return Situation(
            household=self._account,
            parameters=wallet.parameters,
            tokens_wh=wallet.means.tokens_wh - wallet.spoken.tokens_wh,
            redeemable_wh=wallet.means.redeemable_wh - wallet.spoken.redeemed_wh,
            money_wei=wallet.means.money_wei - wallet.spoken.money_wei,
            fee_wei=max(MARKET_GAS.values()) * wallet.fee.max_fee,
            own=own,
            made=numbers_offered(made),
            book=tuple(self._desk.open_orders()),
            today=done_on_day(made, self._now()),
        )

    def _planned(self, end: int, seen: Situation) -> list[tuple[Step, Plan | None]]:
        """Each step with its plan; what the desk will not have is left, with its reason.

        An order that cannot be bought or taken back is left, and it is decided anew without it: else the cheapest one,
        whose seller is suspended or takes no money, would keep the household from all others for as long as it stands.
        """
        spoiled: list[tuple[Step, Plan | None]] = []
        for _ in range(MOST_ACTS):
            found, refused = self._tried(end, decide(self._limits, seen, self._now()))
            if refused is None:
                break
            step, act = refused
            spoiled.append((step, None))
            if isinstance(act, Buy):
                seen = replace(seen, book=tuple(order for order in seen.book or () if order.seller != act.seller))
            else:
                seen = replace(seen, own=tuple(order for order in seen.own or () if order.number != act.number))
        else:
            return spoiled
        return [*spoiled, *found]

    def _tried(
        self, end: int, steps: Sequence[Step]
    ) -> tuple[list[tuple[Step, Plan | None]], tuple[Step, Buy | Cancel] | None]:
        """Each step with its plan, up to a purchase or a cancellation that the desk refuses, which is given too."""
        found: list[tuple[Step, Plan | None]] = []
        for step in steps:
            if step.act is None:
                found.append((step, None))
                continue
            number = sum(plan is not None for _, plan in found)
            try:
                plan = self._plan(step.act, f"rule:{end}:{number}")
            except BadRequest as refused:
                if isinstance(step.act, Buy | Cancel):
                    return found, (_left(step, refused), step.act)
                found.append((_left(step, refused), None))
            else:
                found.append((Step(_as_planned(step.act, plan), step.why, step.facts), plan))
        return found, None

    def _plan(self, act: Act, key: str) -> Plan:
        match act:
            case Redeem():
                return self._desk.redemption(act.energy_wh, key=key)
            case Cancel():
                return self._desk.cancellation(act.number, key=key)
            case Offer():
                return self._desk.offer(act.energy_wh, act.price, act.expires_at, key=key)
            case Buy():
                plan = self._desk.purchase(act.seller, act.number, act.energy_wh, shown_price=act.price, key=key)
                if plan.cost is None or plan.cost.total_wei > act.cost_wei:
                    raise BadRequest("the service cost rose while it was planned")
                return plan

    def _carry_out(self, end: int, planned: Sequence[tuple[Step, Plan | None]], last: Decision | None) -> bool:
        steps: list[Step] = []
        with self._journal.transaction():
            kept = self._decisions.last()
            if kept is not None and end <= kept.interval_end:  # another process had the same thought
                return False
            for step, plan in planned:
                try:
                    if plan is not None:
                        self._desk.submit(plan)
                except BadRequest as refused:  # a person has queued something since it was planned
                    steps.append(_left(step, refused))
                else:
                    steps.append(step)
            decision = Decision(end, self._now(), tuple(steps))
            self._decisions.add(decision)
        self._tell(decision, last)
        return bool(decision.acts)

    def _skip(self, end: int, period_s: int, last: Decision | None) -> bool:
        why = "the interval was too old when it could be decided" + (
            f": {self._waited_for}" if self._waited_for else ""
        )
        decision = Decision(end, self._now(), (Step(None, why, {"age_s": self._now() - end, "period_s": period_s}),))
        self._decisions.add(decision)
        if decision.reasons != self._reasons_said(last):
            self._events.warning(
                "rule.skipped",
                interval_end=end,
                problem=why,
                advice="nothing is lost: what was not traded has its turn after the next interval",
            )
        self._said, self._waited_for = decision.reasons, ""
        return False

    def _tell(self, decision: Decision, last: Decision | None) -> None:
        """One line for what is done; for what is left only when its reason has changed."""
        if decision.acts or decision.reasons != self._reasons_said(last):
            self._events.info(
                "rule.decided",
                interval_end=decision.interval_end,
                acts=[_told(act) for act in decision.acts],
                why=list(decision.reasons),
            )
        self._said, self._waited_for = decision.reasons, ""

    def _reasons_said(self, last: Decision | None) -> tuple[str, ...]:
        if self._said is None:
            return () if last is None else last.reasons
        return self._said


def _left(step: Step, refused: BadRequest) -> Step:
    return Step(None, f"left, since the desk refused it: {refused}", step.facts)


def _as_planned(act: Act, plan: Plan) -> Act:
    """The act with what only planning could say: an order's number."""
    if isinstance(act, Offer) and isinstance(plan.call, OfferCall):
        return Offer(act.energy_wh, act.price, act.expires_at, plan.call.number)
    return act


def _told(act: Act) -> str:
    match act:
        case Redeem():
            return f"{Kind.REDEEM} {told_kwh(act.energy_wh)}"
        case Offer():
            return f"{Kind.OFFER} {told_kwh(act.energy_wh)} as order {act.number}"
        case Cancel():
            return f"{Kind.CANCEL} order {act.number}"
        case Buy():
            return f"{Kind.BUY} {told_kwh(act.energy_wh)} of order {act.seller}/{act.number}"
