"""The standing rule, wired: its limits, and the desk through which it trades."""

from __future__ import annotations

from agent.adapters.clock import SystemClock
from agent.adapters.decision_rows import DecisionRows
from agent.adapters.event_log import EventLog
from agent.adapters.journal import Journal
from agent.adapters.node_events import NodeEvents
from agent.adapters.node_pool import NodePool
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.compose.trading import make_desk
from agent.configuration import Configuration, RuleSettings
from agent.domain.standing_rule import Limits
from agent.stages.follow import Follow
from agent.stages.trade import Trade


def limits(settings: RuleSettings) -> Limits:
    """The household's limits; what is not asked for has none, and is not done."""
    return Limits(
        enabled=settings.enabled,
        self_first=settings.self_first,
        keep_wh=settings.keep_wh,
        sell_at_least=settings.sell_at_least_wei_per_kwh if settings.sell else None,
        buy_at_most=settings.buy_at_most_wei_per_kwh if settings.buy else None,
        order_least_wh=settings.order_least_wh,
        order_most_wh=settings.order_most_wh,
        offer_day_most_wh=settings.offer_day_most_wh,
        buy_day_most_wh=settings.buy_day_most_wh,
        buy_day_most_wei=settings.buy_day_most_wei or 0,
        order_lifetime_s=settings.order_lifetime_s,
        reserve_wei=settings.reserve_wei or 0,
    )


def open_trade(
    configuration: Configuration,
    *,
    account: str,
    nodes: NodePool,
    book: NodeEvents,
    follow: Follow,
    journal: Journal,
    clock: SystemClock,
    events: EventLog,
) -> Trade:
    """The stage that trades by the rule; nothing runs yet.

    Args:
        configuration: what the household's file says.
        account: the household, checksummed.
        nodes: the full nodes.
        book: the orders of everybody.
        follow: says whether transactions may be queued.
        journal: the household's.
        clock: the system's.
        events: where it says what it did.
    """
    return Trade(
        account=account,
        limits=limits(configuration.rule),
        desk=make_desk(configuration, journal=journal, nodes=nodes, book=book, clock=clock),
        readings=ReadingRows(journal, account),
        decisions=DecisionRows(journal),
        outbox=OutboxRows(journal),
        journal=journal,
        may_submit=follow.may_submit,
        clock=clock,
        events=events,
    )
