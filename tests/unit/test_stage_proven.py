"""Where everything that ends is proven, no number of lying nodes makes anything final, and one honest one is enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.evidence_rows import EvidenceRows
from agent.domain.outbox import Entry, Inclusion, Kind, Sighting, State
from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import Home
from tests.fakes.stories import consistent, sealed, sent
from tests.fakes.world import FakeClock


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    clock = FakeClock()
    clock.advance(10)
    home = Home(tmp_path, Chain(clock), clock, proven=True)
    for _ in range(3):
        home.turns("poll", "follow")
        home.pass_time(1)
    yield home
    home.journal.close()


def test_two_of_three_nodes_that_lie_make_nothing_final(home: Home) -> None:
    sent(home)
    home.chain.evict()  # what they say is mined waits nowhere
    for node in home.chain.nodes[1:]:
        node.fault = "invents"
    for _ in range(5):
        home.pass_time(30)
        home.turns("confirm")
    assert home.entries()[-1].state is State.INCLUDED  # as the nodes tell it, and no further
    assert ReadingState.BUNDLED in home.states()

    for node in home.chain.nodes:
        node.fault = ""
    home.settle()

    assert set(home.states()) == {ReadingState.FINAL}
    consistent(home)


def test_one_node_is_enough_where_it_proves_what_it_says(home: Home) -> None:
    for node in home.chain.nodes[1:]:
        node.fault = "silent"
    sent(home)
    home.settle()

    assert set(home.states()) == {ReadingState.FINAL}


def test_the_proven_outcome_counts_and_not_the_told_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(home)
    sight = home.chain.sight

    def lying(entry: Entry) -> Sighting:
        seen = sight(entry)
        if seen.inclusion is None or entry.state.ended:
            return seen
        return replace(seen, inclusion=replace(seen.inclusion, succeeded=False))

    monkeypatch.setattr(home.chain, "sight", lying)
    home.settle()

    assert {entry.state for entry in home.entries()} == {State.FINAL}


def test_the_evidence_of_what_carries_no_readings_is_kept_with_it(home: Home) -> None:
    sent(home)
    home.settle()
    rows = EvidenceRows(home.journal)

    by_kind = {entry.kind: entry for entry in home.entries()}
    opening, report = by_kind[Kind.OPENING], by_kind[Kind.REPORT]
    kept = rows.of_transaction(opening.attempts[0].tx_hash)
    assert kept is not None
    assert isinstance(opening.inclusion, Inclusion)
    assert (kept.block, kept.file) == (opening.inclusion.block_number, "{}\n")
    assert rows.of_transaction(report.attempts[0].tx_hash) is None


def test_the_newest_proof_of_the_slot_takes_the_place_of_the_one_before(home: Home) -> None:
    rows = EvidenceRows(home.journal)
    assert rows.slot() is None

    rows.keep_slot(4, 100, "first\n")
    rows.keep_slot(9, 200, "second\n")

    kept = rows.slot()
    assert kept is not None
    assert (kept.block, kept.proven_at, kept.file) == (9, 200, "second\n")
    assert len(home.journal.query("SELECT 1 FROM evidence")) == 1


def test_slow_nodes_make_no_turn_that_hangs_and_every_entry_has_its_turn(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(home)
    for _ in range(5):
        sealed(home)
        home.turns("submit")
    waiting = {entry.id for entry in home.entries() if entry.state is State.SENT}
    sight, seen = home.chain.sight, set()

    def slow(entry: Entry) -> Sighting:
        home.clock.mono += 5
        seen.add(entry.id)
        return sight(entry)

    monkeypatch.setattr(home.chain, "sight", slow)
    for _ in range(4):
        began = home.clock.mono
        home.turns("confirm")
        assert home.clock.mono - began <= 20

    assert len(waiting) == 6
    assert waiting <= seen
