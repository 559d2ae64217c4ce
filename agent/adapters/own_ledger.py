"""The household's events out of its journal, for looking only."""

from __future__ import annotations

from pathlib import Path

from agent.adapters.attested_rows import AttestedRows
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.market_rows import MarketRows
from agent.domain.attested import Attested
from agent.domain.errors import BadRequest
from agent.domain.market_events import MarketEvent

_EVER = (1 << 63) - 1


class OwnLedger:
    """A journal's events, beside a running agent.

    Args:
        directory: where the journal lives.

    Raises:
        BadRequest: there is no journal yet, or it is not in this release's form.
        JournalBusy: it cannot be opened just now.
        JournalDamaged: it is damaged.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / FILE_NAME
        if not path.exists():
            raise BadRequest(f"there is no journal at {path}; has the agent been started once?")
        self._journal = Journal(path, read_only=True)
        if not self._journal.current():
            self._journal.close()
            raise BadRequest(
                f"the journal {path} is another release's; start the agent of this one once, then ask again"
            )
        self._rows = MarketRows(self._journal)

    def read(self) -> tuple[int | None, list[MarketEvent]]:
        """Number of the block up to which everything is there, None before the first, and all events."""
        while True:
            mark = self._rows.mark()
            events = self._rows.events(0, _EVER)
            # The agent may have written meanwhile, or begun anew; that is once in some minutes.
            if self._rows.mark() == mark:
                return None if mark is None else mark[0], events

    def attested(self) -> Attested:
        """How far the events are proven."""
        return AttestedRows(self._journal).attested()

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()
