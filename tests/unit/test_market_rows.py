"""The journal's rows of the contract's events: all of it comes back, each once, in the chain's order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.market_rows import MarketRows
from agent.domain.market_events import MarketEvent, ReadingBooked, Redeemed, Traded
from agent.domain.orders import Trade
from agent.domain.readings import Reading
from tests.fakes.logs import ACCOUNTS, events, place


@contextmanager
def opened(folder: Path) -> Iterator[MarketRows]:
    journal = Journal(folder / FILE_NAME)
    journal.migrate()
    yield MarketRows(journal)
    journal.close()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[MarketRows]:
    with opened(tmp_path) as rows:
        yield rows


@given(st.lists(events(), max_size=8, unique_by=lambda event: (event.place.block, event.place.log_index)))
def test_every_event_comes_back_as_it_went_in_the_chains_order(told: list[MarketEvent]) -> None:
    with TemporaryDirectory() as folder, opened(Path(folder)) as kept:
        kept.add(told, 10_000, "0x12")
        assert kept.events(0, 20_000) == sorted(told, key=lambda event: event.place)
        assert kept.mark() == (10_000, "0x12")


def test_an_event_that_is_there_stays_and_none_comes_twice(kept: MarketRows) -> None:
    first, again = Redeemed(place(7, 3), ACCOUNTS[0], 5), Redeemed(place(7, 3), ACCOUNTS[0], 6)
    kept.add([first], 7, "0x7")
    kept.add([again], 8, "0x8")
    assert kept.events(0, 20_000) == [first]


def test_a_time_is_a_range_of_blocks_times_with_both_ends(kept: MarketRows) -> None:
    told = [Redeemed(place(block), ACCOUNTS[0], block) for block in (5, 6, 7, 8)]
    kept.add(told, 8, "0x8")
    assert kept.events(1006, 1007) == told[1:3]


def test_clearing_forgets_the_mark_too(kept: MarketRows) -> None:
    assert kept.mark() is None
    kept.add([Redeemed(place(5), ACCOUNTS[0], 5)], 8, "0x8")
    kept.clear()
    assert (kept.mark(), kept.events(0, 20_000)) == (None, [])


def test_old_readings_go_but_the_newest_of_them_and_everything_else_stay(kept: MarketRows) -> None:
    told: list[MarketEvent] = [
        ReadingBooked(place(block, index), Reading(ACCOUNTS[0], 1, block, block, block, block))
        for block, index in ((5, 0), (6, 0), (7, 0), (7, 1), (8, 0))
    ]
    trade = Traded(place(4), Trade(1, *ACCOUNTS[:2], 1, 1, 1, 0, 1004))
    kept.add([trade, *told], 8, "0x8")
    assert kept.prune(1008) == 2
    assert kept.events(0, 20_000) == [trade, *told[2:]]
    assert kept.prune(1008) == 0
    assert kept.prune(1005) == 0
