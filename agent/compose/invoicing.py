"""What both command lines need for invoices: periods, pages, files, and the household's own ledger."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import structlog

from agent.adapters import calendars
from agent.adapters.calendars import time_zone
from agent.adapters.invoice_pages import Heading, page
from agent.adapters.invoice_words import Tongue
from agent.adapters.own_ledger import OwnLedger
from agent.adapters.private_files import make_folder, read, write
from agent.configuration import Configuration
from agent.domain.attested import Attested
from agent.domain.errors import BadRequest
from agent.domain.invoices import Invoice, Period
from agent.domain.market import Settlement

__all__ = [
    "Printer",
    "months",
    "open_ledger",
    "period",
    "printed",
    "read",
    "running_month",
    "settlement",
    "time_zone",
    "tongue",
    "write",
]


def period(month: str | None, first: str | None, last: str | None, zone: str) -> Period | None:
    """The billing period that a person named.

    Args:
        month: ``2026-11`` or ``1405-08``.
        first: the first day, where no month is named.
        last: the last day.
        zone: the time zone's name.

    Returns:
        None if nothing was named.

    Raises:
        BadRequest: what was named is none, or only one of both days was.
    """
    if month is not None:
        if first is not None or last is not None:
            raise BadRequest("--month stands alone; or name the days with --from and --to")
        return calendars.month(month, calendars.time_zone(zone))
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise BadRequest("--from and --to belong together: the first day and the last, both included")
    return calendars.days(first, last, calendars.time_zone(zone))


def running_month(now: int, zone: str, language: str) -> Period:
    """The month that runs, Jalali where the language is Persian.

    Args:
        now: UTC epoch seconds.
        zone: the time zone's name.
        language: of the household.
    """
    return calendars.month_of(now, calendars.time_zone(zone), in_jalali=language == "fa")


def months(since: int, now: int, zone: str, language: str, *typed: str | None) -> str:
    """The months of which there are invoices, as a person types them, in words.

    Args:
        since: when the first of them has something to show, UTC epoch seconds.
        now: UTC epoch seconds.
        zone: the time zone's name.
        language: Jalali months where it is Persian and nothing was typed.
        typed: what was: months of the same calendar are named.
    """
    said = [text for text in typed if text is not None]
    in_jalali = calendars.is_jalali(said[0]) if said else language == "fa"
    first, last = (
        calendars.month_name(at, calendars.time_zone(zone), in_jalali=in_jalali) for at in (min(since, now), now)
    )
    return f"{last}, which is under way" if first == last else f"{first} to {last}, which is under way"


def file_stem(invoice: Invoice, zone: str) -> str:
    """The name of an invoice's files without its ending: first day, last day, account."""
    edges = (invoice.period.first, max(invoice.period.first, invoice.period.last - 1))
    first, last = (calendars.local(at, calendars.time_zone(zone)).date().isoformat() for at in edges)
    return f"{first}_{last}_{invoice.household}"


def tongue(language: str, zone: str, unit: Settlement) -> Tongue:
    """Words, dates and amounts.

    Args:
        language: ``en`` or ``fa``.
        zone: the time zone's name.
        unit: of money.
    """
    return Tongue(language, calendars.time_zone(zone), unit)


def printed(
    invoice: Invoice,
    speaking: Tongue,
    *,
    own: bool = False,
    attested: Attested | None = None,
    issuer: str = "",
    names: Mapping[str, str] | None = None,
) -> bytes:
    """The invoice as a page of HTML, UTF-8.

    Args:
        invoice: what to print.
        speaking: its language.
        own: whether it is the household's own calculation.
        attested: how far it is proven; None where nothing is said of that.
        issuer: who issues it; empty for nobody.
        names: of accounts.
    """
    return page(invoice, speaking, Heading(own=own, attested=attested, issuer=issuer, names=names or {})).encode()


class Printer:
    """Makes an operator's pages, and names and writes files.

    Args:
        language: ``en`` or ``fa``.
        zone: the time zone's name.
        unit: of money.
        issuer: who issues the invoices; empty for nobody.
        names: of accounts.
    """

    def __init__(
        self, language: str, zone: str, unit: Settlement, *, issuer: str, names: Mapping[str, str] | None = None
    ) -> None:
        self._speaking = tongue(language, zone, unit)
        self._zone = zone
        self._issuer = issuer
        self._names = names or {}

    def stem(self, invoice: Invoice) -> str:
        """The name of an invoice's files, without its ending: first day, last day, account."""
        return file_stem(invoice, self._zone)

    def page(self, invoice: Invoice) -> bytes:
        """The page to print."""
        return printed(invoice, self._speaking, issuer=self._issuer, names=self._names)

    def write(self, path: Path, content: bytes) -> None:
        """Write a private file, or replace it; its folder is made if it is missing.

        Raises:
            BadRequest: it cannot be written.
        """
        make_folder(path.parent)
        write(path, content)


def open_ledger(configuration: Configuration) -> OwnLedger:
    """The household's events as its journal has them, beside a running agent.

    Raises:
        BadRequest: there is no journal yet.
        JournalBusy: it cannot be opened just now.
    """
    return OwnLedger(configuration.journal.directory)


def settlement(configuration: Configuration) -> Settlement:
    """What the contract calls its unit of money, asked of the full nodes.

    Raises:
        NodeUnavailable: none of them answers.
    """
    # Here, since it loads the chain's library, which an invoice for a program can do without.
    from agent.compose.parts import open_nodes  # noqa: PLC0415

    nodes = open_nodes(configuration, structlog.wrap_logger(structlog.PrintLogger(sys.stderr)))
    try:
        return nodes.settlement()
    finally:
        nodes.close()
