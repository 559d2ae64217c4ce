"""``prosumer-operator trades``: the open orders, and the history of every trade that was concluded."""

from __future__ import annotations

import argparse

from eth_utils.crypto import keccak

from agent.cli.arguments import moment
from agent.cli.misuse import Misuse
from agent.cli.table import grid
from agent.cli.table import moment as shown_time
from agent.domain.amounts import told_kwh, told_money, told_price
from agent.domain.market import Settlement
from agent.domain.market_events import ORDERS, Enrolled, Traded, Wanted
from agent.domain.orders import Order
from agent.domain.trade_history import Selection, Supervision, supervise
from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here
from agent.operator.options import Commands, Shared, account, add_command, opened
from agent.operator.ports import Chain, Deployments


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "trades",
        "Show the open orders and every trade that was concluded.",
        [shared.chain, shared.output],
    )
    command.add_argument(
        "--household", type=account, metavar="ADDRESS", help="only what this household offers, sold or bought"
    )
    command.add_argument("--area", metavar="NAME", help="only what a household of this area offers, sold or bought")
    command.add_argument(
        "--since", type=moment, default=0, metavar="TIME", help="trades from a date, a time or UTC epoch seconds on"
    )
    command.add_argument("--until", type=moment, metavar="TIME", help="trades up to then")
    command.add_argument("--open", action="store_true", help="open orders alone, no history")
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    if asked.until is not None and asked.until < asked.since:
        raise Misuse("--until is before --since, so no trade can lie between them")
    selection = Selection(
        household=asked.household,
        first_at=asked.since,
        last_at=asked.until,
        area=None if asked.area is None else "0x" + keccak(text=asked.area).hex(),
    )
    with opened(asked) as wiring:
        return trades(wiring.chain, wiring.deployments, selection, only_open=asked.open)


def trades(chain: Chain, deployments: Deployments, selection: Selection, *, only_open: bool) -> Answer:
    """Open orders at the newest block, and the history up to it.

    Args:
        chain: the operator's node.
        deployments: the files.
        selection: which orders and trades.
        only_open: leave the history out.

    Raises:
        BadRequest: there is no market on this chain.
        NodeUnavailable: the node gave no usable answer.
    """
    deployed = deployed_here(chain, deployments)
    contract = deployed.pin.contract
    head = chain.head()
    kinds = ORDERS | {Enrolled} if selection.area is not None else ORDERS
    events = list(chain.events(contract, Wanted(kinds), deployed.block, head.number))
    found = supervise(events, selection, head.timestamp)
    unit = chain.settlement(contract)
    told: Told = {
        "contract": contract,
        "block": head.number,
        "at": head.timestamp,
        "orders": [_order(order) for order in found.orders],
    }
    if not only_open:
        told["trades"] = [_trade(event) for event in found.trades]
    return Answer(told, _text(found, unit, only_open=only_open))


def _order(order: Order) -> Told:
    return {
        "seller": order.seller,
        "order": order.number,
        "energyWh": order.energy_wh,
        "priceWeiPerKWh": order.price,
        "expiresAt": order.expires_at,
    }


def _trade(event: Traded) -> Told:
    """The paper's Table 8, and where the trade stands in the chain."""
    trade = event.trade
    return {
        "contractId": trade.id,
        "seller": trade.seller,
        "buyer": trade.buyer,
        "order": trade.number,
        "energyWh": trade.energy_wh,
        "priceWei": trade.price_wei,
        "serviceCostWei": trade.service_cost_wei,
        "time": trade.at,
        "block": event.place.block,
        "transaction": event.place.tx_hash,
    }


def _text(found: Supervision, unit: Settlement, *, only_open: bool) -> str:
    orders = grid(
        ["seller", "order", "left", "price", "expires"],
        [
            (
                order.seller,
                order.number,
                told_kwh(order.energy_wh),
                told_price(order.price, unit),
                shown_time(order.expires_at),
            )
            for order in found.orders
        ],
        right=(1, 2, 3),
    )
    parts = [f"Open orders: {len(found.orders)}"] + [orders] * bool(found.orders)
    if not only_open:
        history = grid(
            ["contract", "time", "seller", "buyer", "order", "energy", "price", "service cost"],
            [
                (
                    event.trade.id,
                    shown_time(event.trade.at),
                    event.trade.seller,
                    event.trade.buyer,
                    event.trade.number,
                    told_kwh(event.trade.energy_wh),
                    told_money(event.trade.price_wei, unit),
                    told_money(event.trade.service_cost_wei, unit),
                )
                for event in found.trades
            ],
            right=(0, 4, 5, 6, 7),
        )
        parts += [f"\nTrades: {len(found.trades)}"] + [history] * bool(found.trades)
    return "\n".join(parts)
