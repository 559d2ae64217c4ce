"""The billing period that a person names: a month, or the first and the last day."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from agent.cli.misuse import Misuse
from agent.domain.errors import BadRequest
from agent.domain.invoices import Period


def add(command: argparse.ArgumentParser, without: str = "") -> None:
    """Add the options that name a period.

    Args:
        command: whose.
        without: what help says of a command without any of them.
    """
    command.add_argument("--month", type=_month, metavar="YEAR-MONTH", help=f"2026-11, or 1405-08 (Jalali){without}")
    command.add_argument("--from", dest="first", type=_day, metavar="DAY", help="instead of a month: the first day ...")
    command.add_argument("--to", dest="last", type=_day, metavar="DAY", help="... and the last, both included")


def named(asked: argparse.Namespace, zone: str) -> Period | None:
    """The period that was named; None if nothing was.

    Args:
        asked: ``month``, ``first`` and ``last``.
        zone: the time zone's name.

    Raises:
        Misuse: a month and days were named, one day alone, or the last before the first.
    """
    # Here, so that no command waits for the calendars that does not use them.
    from agent.compose import invoicing  # noqa: PLC0415

    try:
        return invoicing.period(asked.month, asked.first, asked.last, zone)
    except BadRequest as error:
        raise Misuse(str(error)) from None


def time_zone(text: str) -> str:
    """A time zone's name."""
    from agent.compose import invoicing  # noqa: PLC0415 - as above

    return _known(text, lambda: invoicing.time_zone(text))


def _month(text: str) -> str:
    from agent.compose import invoicing  # noqa: PLC0415 - as above

    return _known(text, lambda: invoicing.period(text, None, None, "UTC"))


def _day(text: str) -> str:
    from agent.compose import invoicing  # noqa: PLC0415 - as above

    return _known(text, lambda: invoicing.period(None, text, text, "UTC"))


def _known(text: str, read: Callable[[], object]) -> str:
    """What was typed, once it can be read; argparse names the option and gives the usage where it cannot."""
    try:
        read()
    except BadRequest as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
