"""``prosumer-operator invoices``: the invoices of one household or of all, as pages to print and for programs.

With ``--database`` the page for print names the household. The file for programs never does: it is compared with the
household's own, byte by byte.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.cli import periods, table
from agent.cli.misuse import Misuse
from agent.domain import invoice_document
from agent.domain.billing import Billing
from agent.domain.errors import BadRequest, Refuse
from agent.domain.invoices import Book, Invoice, Period
from agent.domain.market import Head, Settlement
from agent.domain.market_events import OWN, Enrolled, MarketEvent, TariffSet, Wanted, concerned
from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here
from agent.operator.options import Commands, Shared, account, add_command, opened, register, whole
from agent.operator.ports import Register
from agent.privacy import close_process

# The same as a household's default for what counts as final.
_DEPTH = 12


class Chain(Protocol):
    """The company's own full node. Every method may raise NodeUnavailable."""

    def head(self) -> Head:
        """The newest block."""

    def settlement(self, contract: str) -> Settlement:
        """What the market's money is called on screens."""

    def events(self, contract: str, wanted: Wanted, first_block: int, last_block: int) -> Iterator[MarketEvent]:
        """What happened in a range of blocks, in the chain's order."""


class Printer(Protocol):
    """Makes pages, and names and writes files."""

    def stem(self, invoice: Invoice) -> str:
        """The name of an invoice's files, without its ending."""

    def page(self, invoice: Invoice) -> bytes:
        """The page to print."""

    def write(self, path: Path, content: bytes) -> None:
        """Write a private file, or replace it, in a folder that is made; raises BadRequest where it cannot."""


class Speaking(Protocol):
    """Amounts in words."""

    symbol: str

    def money(self, *column: int) -> list[str]:
        """Amounts of one column in the unit of money."""


@dataclass(frozen=True, slots=True)
class Bills:
    """The invoices of a period.

    Attributes:
        made: in the order of enrolment.
        refused: households whose invoice cannot be worked out, and why.
    """

    made: list[Invoice]
    refused: dict[str, str]


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "invoices",
        "Work out households' invoices, to print and for programs.",
        [shared.chain, shared.database, shared.state, shared.output],
    )
    whose = command.add_mutually_exclusive_group(required=True)
    whose.add_argument("--household", type=account, metavar="ADDRESS", help="this household's")
    whose.add_argument("--all", action="store_true", help="those of all households")
    periods.add(command)
    command.add_argument(
        "--time-zone",
        type=periods.time_zone,
        default="UTC",
        metavar="NAME",
        help="where days begin (default: %(default)s)",
    )
    command.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder of the files (mode 0600), made if it is missing",
    )
    command.add_argument("--language", choices=("en", "fa"), default="en", help="of the pages (default: %(default)s)")
    command.add_argument("--issuer", default="", metavar="NAME", help="the company's name on the pages")
    command.add_argument(
        "--depth",
        type=whole,
        default=_DEPTH,
        metavar="BLOCKS",
        help="blocks on top of the last one that counts (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked.

    Raises:
        Misuse: no period is named, or none that can be.
        BadRequest: a folder is wrong, or some invoice cannot be worked out.
    """
    from agent.compose import invoicing  # noqa: PLC0415 - else --help waits for the libraries

    period = periods.named(asked, asked.time_zone)
    if period is None:
        raise Misuse("--month, or --from and --to, are needed")
    with opened(asked) as wiring:
        deployed = deployed_here(wiring.chain, wiring.deployments)
        contract = deployed.pin.contract
        head = wiring.chain.head()
        last = head.number - asked.depth
        if last < deployed.block:
            raise BadRequest(
                f"the market was deployed in block {deployed.block}, and with {asked.depth} blocks on top the last that"
                f" counts is {last}; wait, or say --depth"
            )
        book = Book(deployed.pin.chain_id, contract, last)

        def had(since: int) -> str:
            return invoicing.months(since, head.timestamp, asked.time_zone, asked.language, asked.month, asked.first)

        if period.first > head.timestamp:
            raise BadRequest(f"this period has not begun; the last that can be had is {had(head.timestamp)}")
        bills = work_out(wiring.chain, book, deployed.block, period, asked.household, had=had)
        unit = wiring.chain.settlement(contract)
    names = _names(asked, book, bills.made)
    printer = invoicing.Printer(asked.language, asked.time_zone, unit, issuer=asked.issuer, names=names)
    files = {invoice.household: issue(invoice, asked.output, printer) for invoice in bills.made}
    if bills.refused:
        listed = "; ".join(f"{household}: {why}" for household, why in bills.refused.items())
        raise BadRequest(f"{len(files)} invoice(s) are written, {len(bills.refused)} could not be worked out: {listed}")
    speaking = invoicing.tongue("en", asked.time_zone, unit)
    facts: Told = {
        "contract": contract,
        "block": last,
        "period": {"first": period.first, "last": period.last},
        "invoices": [_facts(invoice, files[invoice.household]) for invoice in bills.made],
    }
    shown = _table(bills.made, speaking, asked.output)
    if period.holds(head.timestamp):
        shown += "\nThe period is under way, so what is due may still change."
    return Answer(facts, shown)


def work_out(
    chain: Chain, book: Book, first_block: int, period: Period, household: str | None, *, had: Callable[[int], str]
) -> Bills:
    """The invoices of one household, or of all that were enrolled before the period's end.

    Args:
        chain: the company's node.
        book: the market, and the last block that counts.
        first_block: the one that holds the market's creation.
        period: the billing period.
        household: whose; None for everybody's.
        had: the months that can be had since an enrolment, UTC epoch seconds, in words.

    Raises:
        BadRequest: the household, or of all none, was enrolled before the period's end.
    """
    blocks = (first_block, book.block)
    tariffs = [
        event
        for event in chain.events(book.contract, Wanted(frozenset({TariffSet})), *blocks)
        if isinstance(event, TariffSet)
    ]
    refused: dict[str, str] = {}
    billings: dict[str, Billing] = {}
    since: list[int] = []
    for event in chain.events(book.contract, Wanted(OWN, household), *blocks):
        for name in concerned(event):
            if name in refused or household not in {None, name}:
                continue
            if isinstance(event, Enrolled):
                billings.setdefault(name, Billing(name, tariffs, period, book))
                since.append(event.taken_at)
            # Anyone may have been sent tokens before he was enrolled, but then nothing happened that is billed.
            if name in billings:
                _take(billings[name], event, name, refused)
    made = [billing.invoice() for name, billing in billings.items() if name not in refused]
    enrolled = [invoice for invoice in made if invoice.registers]
    if not enrolled and not refused:
        who = "no household was" if household is None else f"household {household} was not"
        can = f"; invoices can be had of {had(min(since))}" if since else ""
        raise BadRequest(f"{who} enrolled in the market {book.contract} before the period's end{can}")
    return Bills(enrolled, refused)


def names_of(kept: Register, book: Book, made: Sequence[Invoice]) -> dict[str, str]:
    """The names of the households of invoices, as far as the office has them in force.

    Args:
        kept: what the office keeps.
        book: the market.
        made: the invoices.
    """
    names = {}
    for invoice in made:
        profile = kept.profile(book.chain_id, book.contract, invoice.household)
        personal = None if profile is None else kept.personal(profile.number)
        if personal is not None:
            names[invoice.household] = f"{personal.first_name} {personal.family_name}"
    return names


def issue(invoice: Invoice, folder: Path, printer: Printer) -> tuple[Path, Path]:
    """Write an invoice's two files.

    Args:
        invoice: what to write.
        folder: where.
        printer: makes pages and writes files.

    Returns:
        The file for programs, and the page.

    Raises:
        BadRequest: one cannot be written.
    """
    stem = printer.stem(invoice)
    data, page = folder / f"{stem}.json", folder / f"{stem}.html"
    printer.write(data, invoice_document.canonical(invoice))
    printer.write(page, printer.page(invoice))
    return data, page


def _names(asked: argparse.Namespace, book: Book, made: Sequence[Invoice]) -> dict[str, str]:
    # Only where the database is named: who bills need not be who registers.
    if asked.database is None:
        return {}
    close_process()
    with register(asked) as kept:
        return names_of(kept, book, made)


def _take(billing: Billing, event: MarketEvent, name: str, refused: dict[str, str]) -> None:
    # One household's gap is no reason to leave the others without an invoice.
    try:
        billing.take(event)
    except Refuse as error:
        refused[name] = str(error)


def _facts(invoice: Invoice, files: tuple[Path, Path]) -> Mapping[str, object]:
    return {
        "household": invoice.household,
        "closed": invoice.closed,
        "producedWh": invoice.produced_wh,
        "consumedWh": invoice.consumed_wh,
        "redeemedWh": invoice.redeemed_wh,
        "dueWei": str(invoice.due_wei),
        "soldWei": str(invoice.sold_wei),
        "boughtWei": str(invoice.bought_wei),
        "serviceCostWei": str(invoice.service_cost_wei),
        "json": str(files[0]),
        "html": str(files[1]),
    }


def _table(made: Sequence[Invoice], speaking: Speaking, folder: Path) -> str:
    dues = [invoice.due_wei for invoice in made]
    *amounts, total = speaking.money(*dues, sum(dues))
    rows: list[Sequence[object]] = [
        (
            invoice.household,
            "final" if invoice.closed else "provisional",
            table.kwh(invoice.produced_wh),
            table.kwh(invoice.consumed_wh),
            table.kwh(invoice.redeemed_wh),
            amount,
        )
        for invoice, amount in zip(made, amounts, strict=True)
    ]
    sums = [
        sum(column)
        for column in zip(*((one.produced_wh, one.consumed_wh, one.redeemed_wh) for one in made), strict=True)
    ]
    rows.append(("all", None, *(table.kwh(wh) for wh in sums), total))
    heads = ("household", "state", "produced kWh", "consumed kWh", "redeemed kWh", f"due {speaking.symbol}")
    return f"{table.grid(heads, rows, (2, 3, 4, 5))}\n\nWritten to {folder}: for each a .json and an .html file."
