"""The journal for looking at, and for the one thing that a person changes in it."""

from __future__ import annotations

from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.journal_view import JournalView
from agent.adapters.outbox_rows import OutboxRows
from agent.configuration import Configuration
from agent.domain.errors import BadRequest


def open_journal_view(configuration: Configuration) -> JournalView:
    """The journal for looking only, beside a running agent.

    Raises:
        BadRequest: there is none yet.
    """
    return JournalView(configuration.journal.directory, configuration.household.account)


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
