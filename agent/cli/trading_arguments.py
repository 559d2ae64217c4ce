"""What can be said on the command line about orders and the wallet."""

from __future__ import annotations

import argparse
from typing import Protocol

from agent.cli import typed

_HOW = """\
Energy is typed in kWh with at most three decimals, a price in the market's own unit for each kWh, as 'orders' shows it.
Cost, fee and balances are shown, and you are asked, before anything is queued; --dry-run only shows them.

The command queues the {what}; the running agent signs it with the household's key and sends it. Without a running agent
it waits in the journal until there is one{until}.
exit codes: 0 queued (with --wait: final); 1 refused, expired or not wanted, and said why; 2 misuse
"""


class Maker(Protocol):
    """Makes one command of the command line."""

    def __call__(
        self, name: str, about: str, *, module: str, parent: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        """The command's parser."""


def add(command: Maker, listing: argparse.ArgumentParser) -> None:
    """Add ``sell``, ``buy``, ``redeem``, ``orders`` and ``wallet``.

    Args:
        command: makes a command.
        listing: what every command with an answer takes.
    """
    doing = argparse.ArgumentParser(add_help=False, parents=[listing])
    doing.add_argument("--dry-run", action="store_true", help="show cost, fee and balances, and queue nothing")
    doing.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    doing.add_argument("--wait", action="store_true", help="follow it until it is final, refused or expired")

    def asking(name: str, about: str, what: str, until: str = "") -> argparse.ArgumentParser:
        made = command(name, about, module=name, parent=doing)
        made.formatter_class = argparse.RawDescriptionHelpFormatter
        made.epilog = _HOW.format(what=what, until=until)
        return made

    _sell(asking("sell", "Offer energy, or take an order back.", "order", ", but not beyond its own end"))
    _buy(
        asking(
            "buy",
            "Buy all or part of another household's order.",
            "purchase",
            ", for ten minutes: then it is dropped, so that an old price is never paid",
        )
    )
    _redeem(
        asking(
            "redeem", "Use energy tokens up against your own consumption.", "redemption", ", for ten minutes at most"
        )
    )
    orders = command("orders", "Open orders of others, cheapest first, and your own.", module="orders", parent=listing)
    what = orders.add_mutually_exclusive_group()
    what.add_argument("--mine", action="store_true", help="your own alone")
    what.add_argument(
        "--explain", action="store_true", help="what the standing rule decided after the last intervals, and why"
    )
    orders.add_argument(
        "--limit", type=typed.rows, default=8, metavar="ROWS", help="of how many intervals (default: %(default)s)"
    )
    command("wallet", "What the household holds: energy, energy in escrow, money.", module="wallet", parent=listing)


def _sell(sell: argparse.ArgumentParser) -> None:
    what = sell.add_mutually_exclusive_group(required=True)
    what.add_argument("--energy", type=typed.energy, metavar="KWH", help="how much; goes into escrow")
    what.add_argument("--cancel", type=typed.number, metavar="NUMBER", help="take back what is left of your order")
    sell.add_argument(
        "--price", type=typed.price, metavar="UNITS", help="for each kWh, within the tariff band that 'orders' shows"
    )
    sell.add_argument(
        "--expires-in", type=typed.span, default="24h", metavar="SPAN", help="90min, 24h, 7d; 30d at most (%(default)s)"
    )


def _buy(buy: argparse.ArgumentParser) -> None:
    what = buy.add_mutually_exclusive_group(required=True)
    what.add_argument("order", nargs="?", type=typed.order, metavar="SELLER/NUMBER", help="as 'orders' shows it")
    what.add_argument("--cheapest", action="store_true", help="from the cheapest order, and no other; needs --energy")
    buy.add_argument("--energy", type=typed.energy, metavar="KWH", help="how much; all that is left by default")
    buy.add_argument(
        "--most-price",
        type=typed.price,
        metavar="UNITS",
        help="refuse when a kWh costs more, service cost not included",
    )


def _redeem(redeem: argparse.ArgumentParser) -> None:
    what = redeem.add_mutually_exclusive_group(required=True)
    what.add_argument("--energy", type=typed.energy, metavar="KWH", help="how much")
    what.add_argument("--all", action="store_true", help="as much as tokens and consumption allow")
