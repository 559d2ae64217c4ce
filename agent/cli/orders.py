"""``orders``: open orders of others, read from a full node now and kept nowhere, and one's own."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from agent.cli import explain, table, trading
from agent.domain.amounts import told_price
from agent.domain.market import Parameters, Settlement
from agent.domain.orders import Order
from agent.domain.outbox import State
from agent.domain.plans import OwnOrder

_OTHERS = ("order", "kWh", "price", "with service cost", "until")
_OWN = ("number", "kWh", "price", "until", "state")


def command(asked: argparse.Namespace) -> int:
    """Carry out ``orders``."""
    if asked.explain:
        return explain.command(asked)
    room = trading.open_room(asked)
    try:
        desk = room.desk
        others = [] if asked.mine else desk.open_orders()
        own, parameters, unit = desk.own_orders(), desk.parameters(), desk.settlement()
    finally:
        room.close()
    now = int(time.time())
    if asked.json:
        seen = {"unproven": room.unproven, "settlement": unit, "parameters": parameters}
        mine = [{"order": one.order, "state": state(one, now)} for one in own]
        print(table.as_json(seen | ({} if asked.mine else {"others": others}) | {"own": mine}))
        return 0
    screens = [told_own(own, unit, now)]
    if not asked.mine:
        screens.insert(0, told_others(others, parameters, unit))
    print("\n\n".join(screens) + table.note(unproven=room.unproven))
    return 0


def told_others(orders: Sequence[Order], parameters: Parameters, unit: Settlement) -> str:
    """Others' orders for a person."""
    low, high = told_price(parameters.feed_in_tariff, unit), told_price(parameters.retail_tariff, unit)
    band = f"Prices lie between {low} (feed-in) and {high} (retail)."
    if not orders:
        return f"Nobody else sells energy now. {band}"
    rows = [
        (
            f"{order.seller}/{order.number}",
            table.kwh(order.energy_wh),
            told_price(order.price, unit),
            told_price(order.price + parameters.service_cost, unit),
            table.moment(order.expires_at),
        )
        for order in orders
    ]
    return f"{table.grid(_OTHERS, rows, right=(1, 2, 3))}\n{band} Buy with: prosumer-agent buy SELLER/NUMBER"


def told_own(orders: Sequence[OwnOrder], unit: Settlement, now: int) -> str:
    """One's own orders for a person."""
    if not orders:
        return "You have no order with anything left in it."
    rows = [
        (
            one.order.number,
            table.kwh(one.order.energy_wh),
            told_price(one.order.price, unit),
            table.moment(one.order.expires_at),
            state(one, now),
        )
        for one in orders
    ]
    return "Your own:\n" + table.grid(_OWN, rows, right=(1, 2))


def state(one: OwnOrder, now: int) -> str:
    """How far an own order has come, in a word or two.

    Args:
        one: the order.
        now: UTC epoch seconds.
    """
    if one.cancelling:
        return "being taken back"
    if one.state is not None:
        return "queued" if one.state is State.QUEUED else "on its way"
    return "open" if one.order.open_at(now) else "over: take it back"
