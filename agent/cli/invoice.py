"""``invoice``: what the household owes for a period by its own account, and whether the operator says the same."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from agent.cli import periods, table
from agent.cli.attested_screen import lacks, proven_facts, told_proven
from agent.cli.invoice_screen import Speaking, told, told_differences
from agent.cli.settlement import settlement
from agent.configuration import Configuration, load
from agent.domain import invoice_document
from agent.domain.attested import Attested
from agent.domain.billing import invoice
from agent.domain.errors import BadRequest, NotYet
from agent.domain.invoice_document import Difference, Issued
from agent.domain.invoices import Book, Invoice, Period
from agent.domain.market import WEI
from agent.domain.market_events import Enrolled, MarketEvent

DONE, DIFFERENT = 0, 1


def command(asked: argparse.Namespace) -> int:
    """Carry out ``invoice``.

    Raises:
        Misuse: the period cannot be one.
        BadRequest: the file or the journal's events are wrong, or the period has not begun or is before the enrolment.
        NotYet: the journal does not know the events yet.
    """
    configuration = load(asked.config, os.environ)
    # Here, so that a bad configuration is told without loading the journal's library.
    from agent.compose import invoicing  # noqa: PLC0415

    shown = configuration.invoice
    issued = None if asked.compare is None else invoice_document.read(invoicing.read(asked.compare))
    period = periods.named(asked, shown.time_zone)
    if period is None:
        running = invoicing.running_month(int(time.time()), shown.time_zone, shown.language)
        period = running if issued is None else issued.period
    ledger = invoicing.open_ledger(configuration)
    try:
        followed, events = ledger.read()
        attested = None if configuration.chain.unproven else ledger.attested()
    finally:
        ledger.close()
    # A machine without a clock of its own is not behind what it has read.
    now = max([int(time.time()), *(event.place.at for event in events)])
    if issued is None:
        _check_had(asked, configuration, events, period, now)
    made = own(configuration, events, period, followed, issued)
    shown_by = None if attested is None else attested.of(made)
    differences = None if issued is None else invoice_document.differences(made, issued)
    language = asked.language or shown.language
    unit = WEI if asked.json and asked.html is None else settlement(configuration)
    if asked.html is not None:
        page = invoicing.printed(made, invoicing.tongue(language, shown.time_zone, unit), own=True, attested=shown_by)
        invoicing.write(asked.html, page)
    if asked.json:
        _print_json(made, differences, shown_by)
    else:
        _print_text(made, differences, shown_by, invoicing.tongue("en", shown.time_zone, unit), now)
        if asked.html is not None:
            print(f"\nWritten to {asked.html}.")
        if configuration.chain.unproven:
            print(table.note(unproven=True).removeprefix("\n"))
    return DIFFERENT if differences else DONE


def _check_had(
    asked: argparse.Namespace, configuration: Configuration, events: Sequence[MarketEvent], period: Period, now: int
) -> None:
    """Whether there can be anything on the invoice: nobody is to take zeros for a month that cost nothing.

    Raises:
        BadRequest: the period has not begun, or was over before the household was enrolled.
    """
    from agent.compose import invoicing  # noqa: PLC0415 - as above

    account, shown = configuration.household.account, configuration.invoice
    enrolled = [event.taken_at for event in events if isinstance(event, Enrolled) and event.household == account]
    if not enrolled:
        return
    had = invoicing.months(enrolled[0], now, shown.time_zone, shown.language, asked.month, asked.first)
    if period.first > now:
        raise BadRequest(f"this period has not begun; invoices can be had of {had}")
    if period.last <= enrolled[0]:
        since = table.moment(enrolled[0])
        raise BadRequest(f"household {account} was not enrolled before {since}; invoices can be had of {had}")


def own(
    configuration: Configuration,
    events: Sequence[MarketEvent],
    period: Period,
    followed: int | None,
    issued: Issued | None,
) -> Invoice:
    """The household's own invoice, of the same knowledge as the issued one if there is one.

    Args:
        configuration: whose invoice, and which market's.
        events: all that the journal has.
        period: the billing period.
        followed: number of the block up to which the journal has everything; None before the first.
        issued: the operator's invoice.

    Raises:
        BadRequest: the issued invoice is another household's, or the events do not suffice.
        NotYet: the journal does not know yet what the invoice is made of.
    """
    account = configuration.household.account
    if issued is not None and issued.household != account:
        raise BadRequest(f"the issued invoice is household {issued.household!r:.50}'s; this household is {account}")
    if followed is None:
        raise NotYet("the journal holds no events of the contract yet; they come while the agent runs, so try later")
    block = followed if issued is None or issued.as_of is None else issued.as_of
    if block > followed:
        raise NotYet(
            f"the issued invoice knows events up to block {block}, the journal follows up to block {followed} so far;"
            " compare again when the agent has read on"
        )
    made = invoice(account, events, period, Book(configuration.chain.id, configuration.chain.contract, block))
    if issued is not None and issued.as_of is None and not made.closed and issued.period == period:
        raise NotYet(
            f"the issued invoice is final, but up to block {followed} the journal knows no reading taken after the"
            " period; compare again when the agent has read on"
        )
    return made


def _print_json(made: Invoice, differences: list[Difference] | None, attested: Attested | None) -> None:
    if differences is None:
        # The text is the one that the operator has too; what only this side knows stands beside it.
        sys.stdout.write(invoice_document.canonical(made).decode("ascii"))
        if attested is not None and lacks(attested):
            print(told_proven(attested), file=sys.stderr)
        return
    facts: dict[str, object] = {
        "invoice": invoice_document.document(made),
        "agrees": not differences,
        "differences": differences,
        "proven": None if attested is None else proven_facts(attested),
    }
    print(table.as_json(facts))


def _print_text(
    made: Invoice, differences: list[Difference] | None, attested: Attested | None, speaking: Speaking, now: int
) -> None:
    print(told(made, speaking, attested, under_way=made.period.holds(now)))
    if differences is not None:
        print(f"\n{told_differences(differences)}")
