"""The journal's rows about meters: minute rows, register states, the epoch."""

from __future__ import annotations

from collections.abc import Iterable

from agent.adapters.journal import Journal
from agent.domain.registers import RegisterState
from agent.domain.samples import MeterRole, MinuteRow

_EPOCH = "epoch"
_UNEXPLAINED = "epoch_unexplained"


class MeterRows:
    """Minute rows, register states and the epoch they belong to."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add_minutes(self, rows: Iterable[MinuteRow]) -> None:
        """Keep minute rows; a minute that is there already (a restart within it) is added up."""
        with self._journal.transaction() as journal:
            for row in rows:
                journal.execute(
                    "INSERT INTO minute VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (minute, role) DO UPDATE SET"
                    " register_wh = coalesce(excluded.register_wh, register_wh),"
                    " power_min_w = min(coalesce(power_min_w, excluded.power_min_w),"
                    "                   coalesce(excluded.power_min_w, power_min_w)),"
                    " power_max_w = max(coalesce(power_max_w, excluded.power_max_w),"
                    "                   coalesce(excluded.power_max_w, power_max_w)),"
                    " power_mean_w = CASE WHEN excluded.power_mean_w IS NULL THEN power_mean_w"
                    "   WHEN power_mean_w IS NULL THEN excluded.power_mean_w"
                    "   ELSE (power_mean_w * (good + bad) + excluded.power_mean_w * (excluded.good + excluded.bad))"
                    "        / max(1, good + bad + excluded.good + excluded.bad) END,"
                    " good = good + excluded.good, bad = bad + excluded.bad",
                    (
                        row.minute,
                        row.role,
                        row.register_wh,
                        row.power_min_w,
                        row.power_mean_w,
                        row.power_max_w,
                        row.good,
                        row.bad,
                    ),
                )

    def save_register(self, role: MeterRole, state: RegisterState) -> None:
        """Keep what is known of a meter's register; a suspicion is not kept, it begins anew after a restart."""
        if state.raw_wh is None:
            return
        with self._journal.transaction() as journal:
            journal.execute(
                "INSERT INTO register VALUES (?, ?, ?, ?, ?) ON CONFLICT (role) DO UPDATE SET raw_wh = excluded.raw_wh,"
                " at_ms = excluded.at_ms, rollovers = excluded.rollovers, serial = excluded.serial",
                (role, state.raw_wh, state.at_ms, state.rollovers, state.serial),
            )

    def register(self, role: MeterRole) -> RegisterState:
        """What was last kept of a meter's register; empty if nothing was."""
        row = self._journal.one("SELECT * FROM register WHERE role = ?", (role,))
        if row is None:
            return RegisterState()
        return RegisterState(raw_wh=row["raw_wh"], at_ms=row["at_ms"], rollovers=row["rollovers"], serial=row["serial"])

    def epoch(self) -> int:
        """The epoch in force; 0 before the contract named the first."""
        return int(self._journal.fact(_EPOCH) or 0)

    def end_epochs(self, ended: int) -> int:
        """Count epochs that discontinuities ended; those that the contract opened beforehand count once.

        Returns:
            The epoch now in force.
        """
        with self._journal.transaction() as journal:
            if self.epoch() == 0:  # before enrolment there is no epoch to end
                return 0
            unexplained = int(journal.fact(_UNEXPLAINED) or 0)
            explained = min(unexplained, ended)
            epoch = self.epoch() + ended - explained
            journal.set_fact(_EPOCH, str(epoch))
            journal.set_fact(_UNEXPLAINED, str(unexplained - explained))
            return epoch

    def follow_epoch(self, contract_epoch: int, contract_sequence: int) -> bool:
        """Take over an epoch that the registration office opened.

        The office may replace a meter in the books before the agent sees the new one: that epoch is then explained by
        the next discontinuity, and once the contract has taken a reading in it there is nothing left to explain.

        Returns:
            Whether the epoch changed.
        """
        with self._journal.transaction() as journal:
            epoch = self.epoch()
            if contract_sequence > 0 and contract_epoch == epoch:
                journal.set_fact(_UNEXPLAINED, None)
            if contract_epoch <= epoch:
                return False
            if epoch > 0:
                # Both meters may be replaced in the books before the agent sees either.
                unexplained = int(journal.fact(_UNEXPLAINED) or 0)
                journal.set_fact(_UNEXPLAINED, str(unexplained + contract_epoch - epoch))
            journal.set_fact(_EPOCH, str(contract_epoch))
            return True

    def prune_minutes(self, before: int) -> int:
        """Delete minute rows older than ``before`` (UTC epoch seconds); returns how many."""
        with self._journal.transaction() as journal:
            return journal.execute("DELETE FROM minute WHERE minute < ?", (before,))

    def newest_minute(self) -> int | None:
        """UTC epoch seconds of the newest minute row, or None."""
        row = self._journal.one("SELECT max(minute) AS newest FROM minute")
        return None if row is None or row["newest"] is None else int(row["newest"])
