"""Events: one line a fault, never a flood, and the last word is the true one (I5)."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from agent.adapters.event_log import EventLog
from agent.domain.errors import DiskFailed, JournalBusy
from tests.fakes.world import FakeClock, HeardEvents


class Rows:
    """The journal's event rows in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, str, dict[str, object]]] = []
        self.trouble: Exception | None = None

    def add(self, events: Sequence[tuple[int, str, str, dict[str, object]]]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.rows.extend(events)


class Desk:
    def __init__(self) -> None:
        self.clock, self.logger, self.rows = FakeClock(), HeardEvents(), Rows()
        self.log = EventLog(logger=self.logger, rows=self.rows, clock=self.clock)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_each_level_goes_to_the_log_and_to_the_journal(desk: Desk) -> None:
    desk.log.info("a", x=1)
    desk.log.warning("b")
    desk.log.error("c", advice="look")
    assert desk.logger.heard == [("info", "a", {"x": 1}), ("warning", "b", {}), ("error", "c", {"advice": "look"})]
    assert desk.rows.rows == []
    assert desk.log.flush()
    assert not desk.log.flush()

    assert [(name, level) for _, name, level, _ in desk.rows.rows] == [("a", "info"), ("b", "warning"), ("c", "error")]
    assert desk.rows.rows[0][0] == desk.clock.now_s


def test_the_same_is_said_once_a_minute_and_counted(desk: Desk) -> None:
    for _ in range(130):
        desk.log.warning("flood")
        desk.log.flush()
        desk.clock.advance(1)

    assert [facts for _, _, facts in desk.logger.heard] == [{}, {"repeated": 59}, {"repeated": 59}]


def test_another_subject_is_another_fault(desk: Desk) -> None:
    desk.log.warning("meter.lost", meter="production")
    desk.log.warning("meter.lost", meter="consumption")
    desk.log.warning("meter.lost", meter="production")
    desk.log.error("meter.lost", meter="production")

    assert len(desk.logger.heard) == 3


def test_the_last_word_is_told_when_the_minute_is_over(desk: Desk) -> None:
    for event in ("meter.lost", "meter.back", "meter.lost"):
        desk.log.info(event, meter="production")
        desk.clock.advance(10)
    lost_again = desk.clock.now_s - 10
    assert desk.logger.names() == ["meter.lost", "meter.back"]
    desk.clock.advance(40)
    desk.log.flush()
    desk.log.flush()

    assert desk.logger.names() == ["meter.lost", "meter.back", "meter.lost"]
    assert desk.rows.rows[-1] == (lost_again, "meter.lost", "info", {"meter": "production", "repeated": 1})


def test_the_last_word_is_told_when_the_process_ends(desk: Desk) -> None:
    for state in ("lost", "back", "lost"):
        desk.log.info("node", node="a", state=state)
    desk.log.flush()
    assert [facts["state"] for _, _, facts in desk.logger.heard] == ["lost"]

    desk.log.flush(last=True)

    assert desk.logger.heard[-1] == ("info", "node", {"node": "a", "state": "lost", "repeated": 2})
    assert len(desk.rows.rows) == 2
    assert not desk.log.flush(last=True)


def test_each_change_of_validators_is_told(desk: Desk) -> None:
    desk.log.info("validators.changed", block=7, joined=["0xd"], left=[])
    desk.log.info("validators.changed", block=9, joined=[], left=["0xa"])

    assert [facts["block"] for _, _, facts in desk.logger.heard] == [7, 9]


def test_what_was_held_back_is_told_in_its_order(desk: Desk) -> None:
    for event in ("lost", "back", "lost", "back"):
        desk.log.info(event)
        desk.clock.advance(1)
    desk.clock.advance(60)
    desk.log.info("else")

    assert desk.logger.names() == ["lost", "back", "lost", "back", "else"]


def test_the_memory_of_subjects_is_bounded_in_time(desk: Desk) -> None:
    for number in range(500):
        desk.log.info("sent", tx_hash=str(number))
        desk.clock.advance(1)

    assert len(desk.log._said) <= 61


def test_a_busy_journal_keeps_events_waiting_bounded(desk: Desk) -> None:
    desk.rows.trouble = JournalBusy("locked")
    for number in range(1_200):
        desk.log.info("sent", entry=number)
    assert not desk.log.flush()
    desk.rows.trouble = None
    assert desk.log.flush()

    assert [facts["entry"] for _, _, _, facts in desk.rows.rows] == list(range(200, 1_200))


def test_a_log_that_cannot_be_written_ends_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(event: str, **_facts: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", event)

    monkeypatch.setattr(desk.logger, "info", fail)
    desk.log.info("a")
    assert desk.log.flush()

    assert [row[1] for row in desk.rows.rows] == ["a"]


def test_a_failed_disk_is_not_swallowed(desk: Desk) -> None:
    desk.rows.trouble = DiskFailed("gone")
    desk.log.info("a")
    with pytest.raises(DiskFailed):
        desk.log.flush()
    desk.rows.trouble = None
    assert desk.log.flush()
    assert len(desk.rows.rows) == 1


def test_what_is_kept_at_once_is_in_the_journal_before_the_log_and_is_never_held_back(desk: Desk) -> None:
    for number in (1, 2):
        desk.log.kept("trade.concluded", trade=number, tx_hash="0x12")
    assert [facts["trade"] for _, _, _, facts in desk.rows.rows] == [1, 2]
    assert desk.logger.names() == ["trade.concluded"] * 2
    assert not desk.log.flush()

    desk.rows.trouble = JournalBusy("held by another process")
    with pytest.raises(JournalBusy):
        desk.log.kept("trade.concluded", trade=3)
    assert desk.logger.names() == ["trade.concluded"] * 2
