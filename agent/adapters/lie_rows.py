"""The journal's rows of what full nodes said that cannot be true."""

from __future__ import annotations

from agent.adapters.journal import Journal
from agent.domain.lies import Lie

# A node in quarantine tells at most a lie an hour: with two nodes these reach back days, and take 6 MB at the worst.
MOST_ROWS = 100
_JUDGE = "lies_judged_by"


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

    def judge(self) -> str | None:
        """By which release and pins the newest were called lies; None before ``begin``."""
        return self._journal.fact(_JUDGE)

    def begin(self, judge: str) -> None:
        """From now on this judges. What others called lies stays, and keeps no node away any more.

        A form of blocks that an old release did not know, and pins with a mistake, make liars of every node. With that
        put right, nobody is to wait for hours.

        Args:
            judge: release and pins, in one word.

        Raises:
            JournalBusy: the journal takes nothing now.
        """
        if self.judge() == judge:
            return
        with self._journal.transaction() as journal:
            journal.execute("UPDATE lie SET until = at WHERE until > at")
            journal.set_fact(_JUDGE, judge)

    def newest(self, limit: int = MOST_ROWS) -> list[Lie]:
        """The newest, newest first."""
        rows = self._journal.query("SELECT * FROM lie ORDER BY id DESC LIMIT ?", (limit,))
        return [Lie(row["at"], row["until"], row["node"], row["area"], row["why"], row["told"]) for row in rows]
