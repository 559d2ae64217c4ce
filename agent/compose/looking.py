"""The journal for looking at, and for the one thing that a person changes in it."""

from __future__ import annotations

from contextlib import closing

from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.journal_view import JournalView
from agent.adapters.lie_rows import MOST_ROWS
from agent.adapters.outbox_rows import OutboxRows
from agent.compose.pins import judge
from agent.configuration import Configuration
from agent.domain.errors import BadRequest, Retry, Stop
from agent.domain.lies import Lie


def open_journal_view(configuration: Configuration) -> JournalView:
    """The journal for looking only, beside a running agent.

    Raises:
        BadRequest: there is none yet.
    """
    return JournalView(configuration.journal.directory, configuration.household.account)


def known_lies(configuration: Configuration) -> list[Lie]:
    """What the agent caught full nodes at, newest first; nothing where its journal cannot be looked at.

    Nor where it judged by another release or other pins: the next start asks those nodes again.
    """
    try:
        with closing(open_journal_view(configuration)) as view:
            return view.lies(MOST_ROWS) if view.lies_judge() == judge(configuration.chain) else []
    except (BadRequest, Retry, Stop):  # other findings, and ``status``, tell what is wrong with the journal
        return []


def known_place(configuration: Configuration) -> str | None:
    """How far the agent has followed who may seal, as text; None where its journal cannot be looked at."""
    try:
        with closing(open_journal_view(configuration)) as view:
            return view.place()
    except (BadRequest, Retry, Stop):  # as above
        return None


def resume_submission(configuration: Configuration) -> str | None:
    """Clear the halt that a foreign use of the key caused; the next start goes on from what the chain says.

    Returns:
        The reason of the halt, or None if there was none.

    Raises:
        BadRequest: there is no journal yet.
        JournalBusy: the running agent holds it; try again.
    """
    path = configuration.journal.directory / FILE_NAME
    if not path.exists():
        raise BadRequest(f"there is no journal at {path}; has the agent been started once?")
    journal = Journal(path)
    try:
        outbox = OutboxRows(journal)
        why = outbox.halted()
        if why is not None:
            outbox.resume()
        return why
    finally:
        journal.close()
