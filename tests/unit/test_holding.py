"""What a collector holds: nothing is acknowledged that is not stored, whatever the line does to the messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.holding import Holding, Hole, Why
from agent.domain.replay import NOTHING, Mark, Replay
from agent.domain.standing import ranges_left_out


def test_in_order() -> None:
    holding = Holding()
    for sequence in range(1, 5):
        assert holding.take((1, sequence), (1, sequence - 1) if sequence > 1 else NOTHING, NOTHING) == []
    assert (holding.mark, holding.acknowledged, holding.incomplete) == ((1, 4), (1, 4), False)


def test_a_gap_holds_the_acknowledgement_back_until_it_closes() -> None:
    holding = Holding()
    holding.take((1, 1), NOTHING, NOTHING)
    holding.take((1, 4), (1, 3), NOTHING)
    assert (holding.acknowledged, holding.incomplete, holding.missing()) == ((1, 1), True, [((1, 1), (1, 3))])
    holding.take((1, 3), (1, 2), NOTHING)
    assert holding.missing() == [((1, 1), (1, 2))]
    holding.take((1, 2), (1, 1), NOTHING)
    assert (holding.acknowledged, holding.incomplete) == ((1, 4), False)


def test_a_leap_is_no_gap() -> None:
    holding = Holding()
    holding.take((1, 1), NOTHING, NOTHING)
    assert holding.take((1, 1_002), (1, 1), NOTHING) == [Hole(1, 2, 1_001, Why.NEVER_WAS)]
    assert holding.acknowledged == (1, 1_002)


def test_the_end_of_an_epoch_is_known_by_what_follows_it() -> None:
    holding = Holding()
    holding.take((1, 1), NOTHING, NOTHING)
    assert holding.take((2, 1), (1, 3), NOTHING) == []
    assert holding.acknowledged == (1, 1), "two of epoch 1 are still to come"
    holding.take((1, 2), (1, 1), NOTHING)
    assert holding.take((1, 3), (1, 2), NOTHING) == []
    assert holding.acknowledged == (2, 1)


def test_what_another_collector_acknowledged_will_not_come() -> None:
    holding = Holding()
    assert holding.take((1, 501), (1, 500), (1, 500)) == [Hole(1, 1, 500, Why.DELIVERED)]
    assert holding.acknowledged == (1, 501)


def test_what_will_not_come_is_told_over_epochs() -> None:
    holding = Holding()
    holding.take((1, 1), NOTHING, NOTHING)
    found = holding.take((2, 4), (2, 3), (2, 3))
    assert found == [Hole(1, 2, None, Why.DELIVERED), Hole(2, 1, 3, Why.DELIVERED)]


def test_a_place_without_a_reading_is_never_acknowledged() -> None:
    holding = Holding()
    holding.take((1, 1), NOTHING, NOTHING)
    holding.take((1, 9), (1, 8), (1, 5))
    assert (holding.mark, holding.acknowledged) == ((1, 5), (1, 1))


def test_a_restored_journal_reaches_beyond_what_it_does_not_know() -> None:
    holding = Holding()
    holding.take((1, 1), NOTHING, NOTHING)
    holding.take((1, 3), (1, 2), NOTHING)  # 2 was lost on the way, and then the journal with it
    holding.take((1, 1_004), (1, 1), NOTHING)
    assert (holding.acknowledged, holding.incomplete) == ((1, 1_004), False)


def test_memory_is_bounded_whatever_a_household_says() -> None:
    holding = Holding()
    for sequence in range(10, 5_000, 2):
        holding.take((1, sequence), (1, sequence - 1), NOTHING)
    assert len(holding.ahead) == 1_000
    assert min(holding.ahead) == (1, 10)


@pytest.mark.parametrize(
    ("held", "left"),
    [
        ([], [(1, 5)]),
        ([1, 2, 3, 4, 5], []),
        ([2, 4], [(1, 1), (3, 3), (5, 5)]),
        ([1, 5], [(2, 4)]),
    ],
)
def test_ranges_left_out(held: list[int], left: list[tuple[int, int]]) -> None:
    assert ranges_left_out(1, 5, held) == left


@dataclass(eq=False)
class Line:
    """A household's replay, a line that loses, doubles and reorders, and a collector that may be killed."""

    journal: list[Mark]
    replay: Replay = field(default_factory=lambda: Replay(4, 1.0, acknowledged=True))
    under_way: list[tuple[Mark, Mark, Mark]] = field(default_factory=list)
    holding: Holding = field(default_factory=Holding)
    store: set[Mark] = field(default_factory=set)
    known: int = 0  # how much of the journal exists by now
    token: int = 0

    def send(self) -> None:
        for mark in [mark for mark in self.journal[: self.known] if mark > self.replay.after][: self.replay.room]:
            self.under_way.append((mark, self.replay.after, self.replay.held))
            self.token += 1
            self.replay.sent(mark, self.token, 0.0)

    def seal(self) -> None:
        self.known = min(len(self.journal), self.known + 1)

    def lose(self, at: int) -> None:
        self.under_way.pop(at)

    def double(self, at: int) -> None:
        self.under_way.append(self.under_way[at])

    def receive(self, at: int) -> None:
        mark, follows, delivered = self.under_way.pop(at)
        self.store.add(mark)
        self.holding.take(mark, follows, delivered)
        self.check()

    def check(self) -> None:
        expected = {mark for mark in self.journal if mark <= self.holding.acknowledged}
        assert expected <= self.store, "acknowledged and not stored"
        assert self.holding.acknowledged == NOTHING or self.holding.acknowledged in self.store

    def acknowledge(self) -> None:
        if self.holding.acknowledged != NOTHING:
            self.replay.hold(self.holding.acknowledged, 0.0)

    def crash(self) -> None:
        """What is in the collector's memory alone is gone."""
        self.holding = Holding(self.holding.mark, self.holding.acknowledged)


@st.composite
def journals(draw: st.DrawFn) -> list[Mark]:
    """Epochs of readings whose numbers leap now and then."""
    marks: list[Mark] = []
    epoch = 0
    for length in draw(st.lists(st.integers(0, 6), min_size=1, max_size=3)):
        epoch += draw(st.integers(1, 2))
        sequence = 0
        for _ in range(length):
            sequence += draw(st.sampled_from([1, 1, 1, 5]))
            marks.append((epoch, sequence))
    return marks


@settings(max_examples=300)
@given(journals(), st.data())
def test_every_interleaving_ends_with_the_whole_journal(journal: list[Mark], data: st.DataObject) -> None:
    """I4: any order, loss and doubling, a killed collector, a killed broker; and acknowledged means stored."""
    line = Line(journal)
    steps: list[Callable[..., None]] = [
        *(line.seal, line.send, line.acknowledge, line.replay.go_back, line.crash, line.under_way.clear),
        *(line.receive, line.lose, line.double),
    ]
    for _ in range(data.draw(st.integers(0, 40), label="steps")):
        step = data.draw(st.sampled_from([*steps, line.receive]))
        if step in {line.receive, line.lose, line.double}:
            if line.under_way:
                step(data.draw(st.integers(0, len(line.under_way) - 1), label="which"))
        else:
            step()

    line.known = len(journal)
    for _ in range(4 * len(journal) + 2):
        line.replay.go_back()
        line.send()
        while line.under_way:
            line.receive(0)
        line.acknowledge()

    assert line.store == set(journal)
    assert line.holding.acknowledged == (journal[-1] if journal else NOTHING)
    assert not line.holding.incomplete
