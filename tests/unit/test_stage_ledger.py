"""Ledger: every final event of the household is in the journal once, whatever happens to nodes, chain and process."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.adapters.attested_rows import AttestedRows
from agent.adapters.event_log import EventLog
from agent.adapters.event_rows import EventRows
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.market_rows import MarketRows
from agent.domain.attested import ProvenBlock
from agent.domain.errors import NodesDisagree, NodeUnavailable
from agent.domain.market import Head
from agent.domain.market_events import MarketEvent, Redeemed, Stretch, TariffSet, Traded, Wanted, concerned
from agent.domain.orders import Trade
from agent.stages.ledger import Ledger, Start
from tests.fakes.home import BrittleJournal, Crash, Fuse
from tests.fakes.logs import ACCOUNTS, place
from tests.fakes.world import FakeClock, HeardEvents

US, OTHER = ACCOUNTS[:2]
DEPTH = 3


@dataclass
class Chain:
    """Blocks with events, as the nodes together tell it."""

    head: int = 0
    events: list[MarketEvent] = field(default_factory=list)
    branch: dict[int, str] = field(default_factory=dict)
    """From which block on the hashes are of which branch."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    fault: Exception | None = None
    clock: FakeClock | None = None

    def agreed_head(self) -> int:
        if isinstance(self.fault, NodeUnavailable) and not isinstance(self.fault, NodesDisagree):
            raise self.fault
        return self.head

    def hash(self, block: int) -> str:
        name = next((self.branch[since] for since in sorted(self.branch, reverse=True) if since <= block), "a")
        return f"0x{name}{block}"

    def stretch(self, wanted: Wanted, first_block: int, last_block: int) -> Stretch:
        assert last_block <= self.head
        self.asked.append((first_block, last_block))
        if self.clock is not None:
            self.clock.advance(4)
        if self.fault is not None:
            raise self.fault
        named = [event for event in self.events if not concerned(event) or wanted.account in concerned(event)]
        found = [event for event in named if first_block <= event.place.block <= last_block]
        before = "" if first_block == 0 else self.hash(first_block - 1)
        return Stretch(before, Head(last_block, self.hash(last_block), 1000 + last_block), tuple(found))

    def reorganise(self, since: int, events: Sequence[MarketEvent] = ()) -> None:
        self.branch[since] = f"b{len(self.branch)}"
        self.events = [event for event in self.events if event.place.block < since] + list(events)


def sold(block: int, number: int = 1, wh: int = 100) -> Traded:
    at = place(block)
    return Traded(at, Trade(block, US, OTHER, number, wh, 700, 10, at.at))


class Agent:
    """The stage over a journal file; it can be ended and started again."""

    def __init__(self, directory: Path, deployed_at: int = 0) -> None:
        self.directory, self.deployed_at = directory, deployed_at
        self.chain, self.clock, self.fuse, self.log = Chain(), FakeClock(), Fuse(), HeardEvents()
        self.start()

    def start(self) -> None:
        self.journal = BrittleJournal(self.directory / FILE_NAME, self.fuse)
        self.journal.migrate()
        self.rows, self.history = MarketRows(self.journal), EventRows(self.journal)
        self.said = EventLog(logger=self.log, rows=self.history, clock=self.clock)
        self.ledger = Ledger(
            nodes=self.chain,
            rows=self.rows,
            journal=self.journal,
            start=Start(US, self.deployed_at, DEPTH),
            clock=self.clock,
            events=self.said,
        )

    def restart(self) -> None:
        self.journal.close()
        self.start()

    def kept(self) -> list[MarketEvent]:
        return self.rows.events(0, 10**9)

    def told(self) -> list[object]:
        """The trades in the journal's events."""
        return [
            event.facts["trade"] for event in self.history.events_after(0, 10_000) if event.name == "trade.concluded"
        ]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    yield agent
    agent.journal.close()


def test_what_is_deep_enough_is_kept_once(agent: Agent) -> None:
    agent.chain.events = [TariffSet(place(1), 5, 9), Redeemed(place(4), OTHER, 7), Redeemed(place(5), US, 20)]
    agent.chain.head = 7
    assert not agent.ledger.run_once()
    assert agent.kept() == agent.chain.events[:1]
    agent.chain.head = 8
    agent.ledger.run_once()
    agent.ledger.run_once()
    assert agent.kept() == [agent.chain.events[0], agent.chain.events[2]]
    assert agent.chain.asked == [(0, 4), (5, 5)]


def test_it_begins_where_the_contract_was_made(tmp_path: Path) -> None:
    agent = Agent(tmp_path, deployed_at=100)
    agent.chain.head = 50
    agent.ledger.run_once()
    agent.chain.head = 120
    agent.ledger.run_once()
    assert agent.chain.asked == [(100, 117)]
    agent.journal.close()


def test_a_trade_is_told_once_when_it_is_final_and_never_again(agent: Agent) -> None:
    agent.chain.events = [sold(5)]
    agent.chain.head = 7
    agent.ledger.run_once()
    assert agent.told() == []
    agent.chain.head = 8
    agent.ledger.run_once()
    agent.restart()
    agent.chain.head = 20
    agent.ledger.run_once()
    assert agent.told() == [5]
    told = agent.log.last("trade.concluded")
    assert (told["side"], told["other"], told["energy_wh"], told["price_wei"]) == ("sold", OTHER, 100, 700)
    assert (told["service_cost_wei"], told["tx_hash"], told["order"]) == (10, place(5).tx_hash, 1)


def test_a_purchase_is_told_as_one(agent: Agent) -> None:
    trade = Trade(3, OTHER, US, 9, 100, 700, 10, 1005)
    agent.chain.events, agent.chain.head = [Traded(place(5), trade)], 8
    agent.ledger.run_once()
    assert agent.log.last("trade.concluded")["side"] == "bought"
    assert agent.log.last("trade.concluded")["other"] == OTHER


def test_a_mark_alone_is_no_commit_but_once_in_many_blocks(agent: Agent) -> None:
    commits = 0
    plain = agent.journal.transaction

    def counting():  # type: ignore[no-untyped-def] # noqa: ANN202 - wraps it
        nonlocal commits
        commits += not agent.journal._in_transaction()
        return plain()

    agent.journal.transaction = counting  # type: ignore[method-assign] # counted here only
    agent.chain.head = 3
    for _ in range(200):
        agent.chain.head += 100
        agent.ledger.run_once()
    assert agent.chain.head == 20_003
    assert (commits, agent.rows.mark()) == (1, (20_000, agent.chain.hash(20_000)))
    agent.chain.events, agent.chain.head = [Redeemed(place(20_010), US, 1)], 20_020
    agent.ledger.run_once()
    assert (commits, agent.rows.mark()) == (2, (20_017, agent.chain.hash(20_017)))


def test_a_long_absence_is_read_in_pieces_within_a_turns_time(agent: Agent) -> None:
    agent.chain.clock, agent.chain.head = agent.clock, 20_003
    agent.chain.events = [Redeemed(place(block), US, block) for block in range(0, 20_000, 1000)]
    assert agent.ledger.run_once()  # three of them took 12 s: there is more
    assert agent.chain.asked == [(0, 4999), (5000, 9999), (10_000, 14_999)]
    assert agent.rows.mark() == (14_999, agent.chain.hash(14_999))
    assert not agent.ledger.run_once()
    assert agent.kept() == agent.chain.events


def test_where_no_answer_comes_less_is_asked_for(agent: Agent) -> None:
    agent.chain.head = 30_003
    agent.chain.fault = NodeUnavailable("no answer within 8 s")
    for _ in range(12):
        agent.chain.agreed_head = lambda: 30_003  # type: ignore[method-assign] # the heads are told in time
        agent.ledger.run_once()
    widths = [last - first + 1 for first, last in agent.chain.asked]
    assert (widths[:4], widths[-1]) == ([5000, 2500, 1250, 625], 50)
    agent.chain.fault = None
    agent.chain.asked.clear()
    agent.ledger.run_once()
    widths = [last - first + 1 for first, last in agent.chain.asked]
    assert widths[:3] == [50, 100, 200]
    assert max(widths) == 5000


def test_nodes_that_contradict_each_other_stop_it_and_are_told_of_once(agent: Agent) -> None:
    agent.chain.events, agent.chain.head = [sold(5)], 9
    agent.chain.fault = NodesDisagree("of blocks 0 to 6 no 2 of 2 full nodes say the same")
    for _ in range(3):
        assert not agent.ledger.run_once()
    assert (agent.kept(), agent.log.names()) == ([], ["ledger.disputed"])
    agent.chain.fault = None
    agent.ledger.run_once()
    assert agent.log.names() == ["ledger.disputed", "ledger.agreed", "trade.concluded"]
    assert agent.kept() == [sold(5)]


def test_nodes_that_are_away_are_the_pools_to_tell(agent: Agent) -> None:
    agent.chain.fault = NodeUnavailable("no full node gave a usable answer")
    assert not agent.ledger.run_once()
    assert agent.log.names() == []


def test_a_journal_that_is_held_loses_nothing(agent: Agent) -> None:
    agent.chain.events, agent.chain.head = [sold(5)], 9
    agent.journal.busy = True
    assert not agent.ledger.run_once()
    agent.journal.busy = False
    agent.ledger.run_once()
    assert (agent.kept(), agent.told()) == ([sold(5)], [5])


def test_a_reorganisation_below_the_depth_is_never_recorded(agent: Agent) -> None:
    agent.chain.events, agent.chain.head = [sold(5, wh=100)], 7
    agent.ledger.run_once()
    agent.chain.reorganise(5, [sold(6, wh=60)])
    agent.chain.head = 9
    agent.ledger.run_once()
    assert agent.kept() == [sold(6, wh=60)]
    assert agent.log.names() == ["trade.concluded"]


def test_a_reorganisation_deeper_than_the_depth_is_said_and_everything_read_anew(agent: Agent) -> None:
    agent.chain.events, agent.chain.head = [Redeemed(place(2), US, 1), Redeemed(place(5), US, 2)], 9
    agent.ledger.run_once()
    agent.chain.reorganise(4, [Redeemed(place(6), US, 3)])
    agent.chain.head = 12
    assert agent.ledger.run_once()
    assert agent.log.names() == ["ledger.rewritten"]
    assert not agent.ledger.run_once()
    assert agent.kept() == [Redeemed(place(2), US, 1), Redeemed(place(6), US, 3)]


def test_a_trade_that_outlives_a_deep_reorganisation_is_told_once(agent: Agent) -> None:
    agent.chain.events, agent.chain.head = [sold(2), sold(5)], 9
    agent.ledger.run_once()
    agent.chain.reorganise(4, [sold(6)])
    agent.chain.head = 12
    agent.ledger.run_once()
    agent.ledger.run_once()
    assert agent.kept() == [sold(2), sold(6)]
    assert agent.told() == [2, 5, 6]


def test_a_mark_that_was_not_committed_is_read_again_after_a_restart(agent: Agent) -> None:
    agent.chain.events, agent.chain.head = [Redeemed(place(2), US, 1)], 9
    agent.ledger.run_once()
    agent.chain.head = 50
    agent.ledger.run_once()
    agent.restart()
    agent.chain.asked.clear()
    agent.chain.head = 60
    agent.ledger.run_once()
    assert agent.chain.asked == [(7, 57)]
    assert agent.kept() == agent.chain.events


def test_a_trade_that_was_found_by_proof_is_not_told_again_when_its_blocks_are_read_again(agent: Agent) -> None:
    agent.chain.head = 40
    agent.ledger.run_once()
    AttestedRows(agent.journal).prove(ProvenBlock(20, agent.chain.hash(20), (sold(20),)))  # which tells it
    agent.restart()
    agent.chain.events = [sold(20), sold(30)]
    agent.ledger.run_once()
    assert agent.kept() == agent.chain.events
    assert agent.told() == [30]


def test_where_it_is_read_anew_no_transaction_finds_it_read_and_nothing_there(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.chain.events = [sold(4)]
    agent.chain.head = 20
    agent.ledger.run_once()
    agent.chain.reorganise(10)
    agent.chain.head = 22
    found: list[tuple[int, str] | None] = []
    begin = agent.journal.transaction

    @contextmanager
    def watched() -> Iterator[Journal]:
        with begin() as journal:
            yield journal
        found.append(agent.ledger.reached())

    monkeypatch.setattr(agent.journal, "transaction", watched)
    agent.ledger.run_once()
    assert found[-1] is None


def test_where_the_journal_is_held_it_is_read_anew_later(agent: Agent) -> None:
    agent.chain.events = [sold(4)]
    agent.chain.head = 20
    agent.ledger.run_once()
    agent.chain.reorganise(10)
    agent.chain.head, agent.journal.busy = 22, True
    agent.ledger.run_once()
    assert agent.ledger.reached() == (17, "0xa17")
    agent.journal.busy = False
    assert agent.ledger.run_once()
    assert agent.kept() == []


@pytest.mark.parametrize("seed", range(40))
def test_whatever_crashes_each_event_is_there_once_and_each_trade_told_once(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a story, not a secret
    agent = Agent(tmp_path)
    for _ in range(60):
        block = agent.chain.head + 1
        if dice.random() < 0.5:
            event = sold(block) if dice.random() < 0.5 else Redeemed(place(block), US, block)
            agent.chain.events.append(event)
        agent.chain.head = block
        if dice.random() < 0.1:
            since = max(1, block - dice.randint(0, DEPTH - 1))
            moved = [
                replace(event, place=place(event.place.block, 1))
                for event in agent.chain.events
                if isinstance(event, Redeemed) and event.place.block >= since
            ]
            agent.chain.reorganise(since, moved)
        agent.fuse.left = dice.choice([None, None, 1, 2])
        agent.journal.busy = dice.random() < 0.1
        try:
            agent.ledger.run_once()
        except Crash:
            agent.restart()
    agent.fuse.left, agent.journal.busy = None, False
    agent.chain.head += DEPTH
    agent.ledger.run_once()
    assert agent.kept() == agent.chain.events
    assert agent.told() == [event.trade.id for event in agent.chain.events if isinstance(event, Traded)]
    assert "ledger.rewritten" not in agent.log.names()
    agent.journal.close()
