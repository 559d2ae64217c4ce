"""Desk: what a household does by hand, and what its standing rule does for it.

Every method that plans looks at the chain and at the outbox, judges, rehearses, and gives back a ``Plan`` that a
person can be shown; it changes nothing. ``submit`` queues a plan's intent in one short transaction. It needs no key:
the daemon signs and sends, so a command or a page beside it needs no passphrase.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.domain import order_rules
from agent.domain.amounts import told_kwh, told_price
from agent.domain.errors import BadRequest, NotYet, Rejected
from agent.domain.fees import Fee, offer
from agent.domain.market import HouseholdState, Parameters, Settlement
from agent.domain.market_calls import MARKET_GAS, BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.order_numbers import candidates
from agent.domain.order_rules import Means, Pledged
from agent.domain.orders import PLACES, Cost, Order, cost_of
from agent.domain.outbox import Entry, Intent, Kind, State
from agent.domain.plans import OwnOrder, Plan, Wallet
from agent.domain.refusals import told_refusal
from agent.stages.desk_ports import Book, Codec, Nodes, Outbox
from agent.stages.ports import Clock, Together

__all__ = ["Book", "Desk"]

# A price is shown to a person, and signed while it still means what it meant then. And an offer or a cancellation is
# named by its number, so that the contract takes it once; a purchase or a redemption that waits in an old copy of the
# journal has no such name, and would be done again when that copy is put back later.
SIGNED_WITHIN_S = 600

# The journal that knew the number is lost, or an old copy of it: the next number is tried.
_NUMBER_TAKEN = frozenset({"NumberNotRising", "PlaceTaken"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a plan is judged by."""

    newest_entry: int
    fee: Fee
    spoken: Pledged
    state: HouseholdState
    parameters: Parameters
    means: Means


class Desk:
    """Plans and queues what a household asks of the market.

    Args:
        account: the household, checksummed.
        contract: the market's address.
        most_fee: the most that the household pays for a unit of gas, wei.
    """

    def __init__(
        self,
        *,
        account: str,
        contract: str,
        most_fee: int,
        outbox: Outbox,
        journal: Together,
        nodes: Nodes,
        book: Book,
        codec: Codec,
        clock: Clock,
    ) -> None:
        self._account = account
        self._contract = contract
        self._most_fee = most_fee
        self._outbox = outbox
        self._journal = journal
        self._nodes = nodes
        self._book = book
        self._codec = codec
        self._clock = clock
        self._settlement: Settlement | None = None

    # What there is to see. Every method raises NodeUnavailable when no full node answers, JournalBusy when the journal
    # is held.

    def settlement(self) -> Settlement:
        """What money is called on screens; asked once."""
        if self._settlement is None:
            self._settlement = self._nodes.settlement()
        return self._settlement

    def parameters(self) -> Parameters:
        """The market's parameters."""
        return self._nodes.parameters()

    def wallet(self) -> Wallet:
        """What the household has."""
        seen = self._seen()
        own = [order for order in self._book.standing_orders() if order.seller == self._account]
        return Wallet(
            state=seen.state,
            parameters=seen.parameters,
            settlement=self.settlement(),
            means=seen.means,
            escrow_wh=sum(order.energy_wh for order in own),
            spoken=seen.spoken,
            fee=seen.fee,
        )

    def open_orders(self) -> list[Order]:
        """Others' orders that can be bought from now, cheapest first; of one price the one that ends first."""
        now = self._now()
        orders = [order for order in self._book.standing_orders() if order.open_at(now)]
        others = [order for order in orders if order.seller != self._account]
        return sorted(others, key=lambda order: (order.price, order.expires_at, order.seller, order.number))

    def own_orders(self) -> list[OwnOrder]:
        """The household's orders that have something left, and those on their way, highest number first."""
        found = {
            order.number: OwnOrder(order, None, cancelling=False)
            for order in self._book.standing_orders()
            if order.seller == self._account
        }
        for entry, call in self._calls(self._unmined()):
            if isinstance(call, OfferCall):
                order = Order(self._account, call.number, call.energy_wh, call.price, call.expires_at)
                found[call.number] = OwnOrder(order, entry.state, cancelling=False)
            elif isinstance(call, CancelCall) and call.number in found:
                found[call.number] = OwnOrder(found[call.number].order, entry.state, cancelling=True)
        return [found[number] for number in sorted(found, reverse=True)]

    def asked(self, key: str) -> Entry | None:
        """The entry that a plan's key has in the outbox, or None if it was never queued."""
        return self._outbox.by_key(key)

    # What there is to plan. Every method also raises BadRequest or NotYet, with what to do.

    def offer(self, energy_wh: int, price: int, expires_at: int, *, key: str | None = None) -> Plan:
        """Plan a sell order.

        Args:
            energy_wh: Wh.
            price: wei for each kWh.
            expires_at: UTC epoch seconds.
            key: idempotency key; by default the order's number makes one.
        """
        order_rules.check_amount(energy_wh)
        order_rules.check_expiry(expires_at, self._now())
        seen = self._look()
        order_rules.check_price(price, seen.parameters, self.settlement())
        for number in self._numbers(seen.spoken):
            call = OfferCall(number, energy_wh, price, expires_at)
            # Signed so late that nobody could buy any more, it would only cost its fee.
            until = expires_at - order_rules.SHORTEST_EXPIRY_S // 2
            plan = self._priced(call, self._intent(call, key or f"offer:{number}", until), energy_wh, None, seen)
            if (refused := self._refusal(plan)) is None:
                return plan
            if refused.error not in _NUMBER_TAKEN:
                raise self._told(plan, refused)
        raise BadRequest(f"you have {PLACES} open orders, which is the most; take one back first")

    def cancellation(self, number: int, *, key: str | None = None) -> Plan:
        """Plan to take one's own order back, or what is left of one that is over.

        Args:
            number: the order's.
            key: idempotency key; by default this moment makes one.
        """
        seen = self._look()
        order = self._nodes.order(self._account, number)
        if order.energy_wh == 0:
            waits = seen.spoken.offers(number)
            raise BadRequest(
                f"your order {number} is not on the chain yet; take it back when it is"
                if waits
                else f"you have no order {number} with anything left in it; see: prosumer-agent orders --mine"
            )
        call = CancelCall(number)
        intent = self._intent(call, key or f"cancel:{number}:{self._clock.now_ms()}")
        return self._taken(call, intent, order.energy_wh, None, seen)

    def purchase(
        self,
        seller: str,
        number: int,
        energy_wh: int | None = None,
        *,
        most_price: int | None = None,
        shown_price: int | None = None,
        key: str | None = None,
        within_s: int = SIGNED_WITHIN_S,
    ) -> Plan:
        """Plan to buy from an order, which is verified on the chain.

        Args:
            seller: checksummed.
            number: the seller's.
            energy_wh: Wh; None for all that is left.
            most_price: the most to pay, wei for each kWh; None for any.
            shown_price: what the order cost when it was chosen, wei for each kWh; None where it was not shown.
            key: idempotency key; by default this moment makes one.
            within_s: seconds after which it is not signed any more.
        """
        seen = self._look()
        order = self._nodes.order(seller, number)
        bought_wh = seen.spoken.bought_wh(seller, number)
        wanted_wh = max(0, order.energy_wh - bought_wh) if energy_wh is None else energy_wh
        order_rules.check_order(order, self._account, wanted_wh, self._now(), bought_wh)
        order_rules.check_amount(wanted_wh)
        order_rules.check_same_price(order, shown_price, most_price, self.settlement())
        cost = cost_of(wanted_wh, order.price, seen.parameters.service_cost)
        call = BuyCall(seller, number, wanted_wh, order.price)
        intent = self._intent(
            call,
            key or f"buy:{seller}:{number}:{self._clock.now_ms()}",
            self._now() + within_s,
            cost.total_wei,
        )
        return self._taken(call, intent, wanted_wh, cost, seen)

    def cheapest(self, energy_wh: int, most_price: int | None = None, *, key: str | None = None) -> Plan:
        """Plan to buy from the cheapest order that has so much, or the most of those that have less.

        Args:
            energy_wh: the most to buy, Wh; the plan may be for less, from one order.
            most_price: the most to pay, wei for each kWh; None for any.
            key: as in ``purchase``.
        """
        order_rules.check_amount(energy_wh)
        spoken = self._pledged(self._fee())
        left = [
            (order, order.energy_wh - spoken.bought_wh(order.seller, order.number))
            for order in self.open_orders()
            if most_price is None or order.price <= most_price
        ]
        left = [(order, wh) for order, wh in left if wh > 0]
        if not left:
            limit = "" if most_price is None else f" at {told_price(most_price, self.settlement())} or less"
            raise BadRequest(f"nobody else sells energy now{limit}; see: prosumer-agent orders")
        order, wh = left[0]
        return self.purchase(
            order.seller,
            order.number,
            min(wh, energy_wh),
            most_price=most_price,
            shown_price=order.price,
            key=key,
        )

    def redemption(self, energy_wh: int | None = None, *, key: str | None = None) -> Plan:
        """Plan to burn tokens against one's own consumption.

        Args:
            energy_wh: Wh; None for all that can be redeemed.
            key: idempotency key; by default this moment makes one.
        """
        seen = self._look()
        if energy_wh is None:
            tokens_wh = max(0, seen.means.tokens_wh - seen.spoken.tokens_wh)
            consumed_wh = max(0, seen.means.redeemable_wh - seen.spoken.redeemed_wh)
            energy_wh = min(tokens_wh, consumed_wh)
            if energy_wh == 0:
                raise BadRequest(
                    f"there is nothing to redeem now: the household can use {told_kwh(tokens_wh)} of tokens, against"
                    f" {told_kwh(consumed_wh)} of consumption"
                )
        order_rules.check_amount(energy_wh)
        call = RedeemCall(energy_wh)
        intent = self._intent(call, key or f"redeem:{self._clock.now_ms()}", self._now() + SIGNED_WITHIN_S)
        return self._taken(call, intent, energy_wh, None, seen)

    def submit(self, plan: Plan) -> bool:
        """Queue a plan's intent; the daemon signs and sends it.

        Other commands, the rule or a page may have queued something since it was planned, so it is judged again with
        that, in the transaction that queues it.

        Returns:
            Whether it was new; the same plan, or another with the same key, is queued once.

        Raises:
            BadRequest: with what was queued since, the household has not enough any more.
            JournalBusy: nothing was queued.
        """
        until = plan.intent.expires_at
        if until is not None and self._now() >= until:
            raise BadRequest("that was planned too long ago and may not hold any more; look again and ask again")
        unit = self.settlement()
        with self._journal.transaction():
            if self._outbox.by_key(plan.intent.key) is not None:
                return False
            max_fee = plan.fee_most_wei // plan.intent.gas
            since = order_rules.pledged(self._calls(self._outbox.live_after(plan.newest_entry)), max_fee)
            if isinstance(plan.call, OfferCall) and plan.call.number <= since.last_number:
                raise BadRequest(f"another order took number {since.last_number} meanwhile; ask again")
            order_rules.check_means(plan.call, plan.cost_most_wei, plan.means, plan.spoken + since, unit)
            if isinstance(plan.call, BuyCall) and since.bought_wh(plan.call.seller, plan.call.number):
                raise BadRequest("another purchase from the same order was queued meanwhile; look at it and ask again")
            return self._outbox.queue(plan.intent, self._now())

    # How it is done.

    def _look(self) -> _Seen:
        """What a plan is judged by, where anything can be planned at all."""
        if not self._clock.trusted():
            raise NotYet("this machine's clock is not set, so nothing can be said of times; 'check' says what to do")
        if (why := self._outbox.halted()) is not None:
            raise NotYet(f"nothing is sent at present: {why}. When that is settled: prosumer-agent keys resume")
        return self._seen()

    def _seen(self) -> _Seen:
        """The outbox first: what is mined between the two is then counted twice, and not left out."""
        newest, fee = self._outbox.newest_id(), self._fee()
        spoken, state = self._pledged(fee), self._nodes.household()
        means = Means(state.tokens_wh, self._nodes.redeemable(), self._nodes.balance(sure=True))
        return _Seen(newest, fee, spoken, state, self._nodes.parameters(), means)

    def _priced(self, call: MarketCall, intent: Intent, energy_wh: int, cost: Cost | None, seen: _Seen) -> Plan:
        """A plan, once the household has what it takes."""
        fee_wei = intent.gas * seen.fee.max_fee
        plan = Plan(call, intent, energy_wh, cost, fee_wei, seen.means, seen.spoken, seen.newest_entry)
        order_rules.check_household(call, seen.state, seen.parameters)
        order_rules.check_means(call, plan.cost_most_wei, seen.means, seen.spoken, self.settlement())
        return plan

    def _taken(self, call: MarketCall, intent: Intent, energy_wh: int, cost: Cost | None, seen: _Seen) -> Plan:
        """A plan, once the household has what it takes and the contract would take it."""
        plan = self._priced(call, intent, energy_wh, cost, seen)
        if (refused := self._refusal(plan)) is not None:
            raise self._told(plan, refused)
        return plan

    def _refusal(self, plan: Plan) -> Rejected | None:
        try:
            self._nodes.rehearse(plan.intent.to, plan.intent.data, plan.intent.value, plan.intent.gas)
        except Rejected as rejected:
            return rejected
        return None

    @staticmethod
    def _told(plan: Plan, rejected: Rejected) -> BadRequest:
        return BadRequest(told_refusal(plan.kind, rejected.error, rejected.facts))

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    def _fee(self) -> Fee:
        return offer(self._nodes.fee_quote(), self._most_fee)

    def _unmined(self) -> list[Entry]:
        """What the contract does not know of yet."""
        return [entry for entry in self._outbox.open_entries() if entry.state is not State.INCLUDED]

    def _calls(self, entries: Sequence[Entry]) -> list[tuple[Entry, MarketCall | None]]:
        return [(entry, self._codec.understood(entry.data) if entry.kind in MARKET_GAS else None) for entry in entries]

    def _pledged(self, fee: Fee) -> Pledged:
        return order_rules.pledged(self._calls(self._unmined()), fee.max_fee)

    def _intent(self, call: MarketCall, key: str, expires_at: int | None = None, value: int = 0) -> Intent:
        data = self._codec.encoded(call)
        return Intent(key, call.kind, self._contract, data, MARKET_GAS[call.kind], expires_at, value)

    def _numbers(self, spoken: Pledged) -> Iterator[int]:
        """Numbers above all that the journal knows, whose places hold no order of ours that it knows of."""
        offers = self._calls(self._outbox.newest(Kind.OFFER, PLACES))
        ours = sorted(call.number for _, call in offers if isinstance(call, OfferCall))
        places = {number % PLACES: number for number in ours}
        for number in candidates(self._now(), max(ours, default=0)):
            before = places.get(number % PLACES)
            if before is None or (
                not spoken.offers(before) and self._nodes.order(self._account, before).energy_wh == 0
            ):
                yield number
