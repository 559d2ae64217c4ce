"""The journal's rows of what full nodes said that cannot be true."""

from __future__ import annotations

from agent.adapters.journal import Journal
from agent.domain.lies import Lie

# A node in quarantine tells at most a lie an hour: with two nodes these reach back days, and take 6 MB at the worst.
MOST_ROWS = 100


class LieRows:
    """Lies, the newest hundred."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def keep(self, lie: Lie) -> None:
        """Keep one; the oldest make room.

        Raises:
            JournalBusy: the journal takes nothing now.
        """
        with self._journal.transaction() as journal:
            journal.execute(
                "INSERT INTO lie (at, until, node, area, why, told) VALUES (?, ?, ?, ?, ?, ?)",
                (lie.at, lie.until, lie.node, lie.area, lie.why, lie.told),
            )
            journal.execute(
                "DELETE FROM lie WHERE id NOT IN (SELECT id FROM lie ORDER BY id DESC LIMIT ?)", (MOST_ROWS,)
            )

    def newest(self, limit: int = MOST_ROWS) -> list[Lie]:
        """The newest, newest first."""
        rows = self._journal.query("SELECT * FROM lie ORDER BY id DESC LIMIT ?", (limit,))
        return [Lie(row["at"], row["until"], row["node"], row["area"], row["why"], row["told"]) for row in rows]
