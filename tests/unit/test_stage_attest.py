"""Attest: of what full nodes tell together the ledger keeps in the end what is proven, and says what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.domain.attested import ProvenBlock, ProvenOrders, own_orders
from agent.domain.errors import JournalBusy, NodeUnavailable
from agent.domain.market_events import ORDERS, Cancelled, ReadingBooked, Stretch, Wanted
from agent.domain.orders import PLACES
from agent.domain.readings import Reading
from tests.fakes.attested_world import HEAD, TRUTH, US, World, liars, offered, sent, sold
from tests.fakes.logs import place


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.journal.close()


def test_what_is_told_rightly_is_proven_block_by_block_and_nothing_is_said(world: World) -> None:
    world.reads(TRUTH)
    assert len(world.rows.attested().told) == len(TRUTH)
    assert world.rows.attested().sales_to is None

    world.attest()

    found = world.rows.attested()
    assert (found.told, found.sales_to, found.wrong) == (frozenset(), HEAD, "")
    assert (world.kept(), world.log.names()) == (TRUTH, [])
    assert [one for one in world.asked if isinstance(one, int)] == [50, 40, 35, 30, 20, 5]
    assert world.lies == []


def test_an_order_of_which_nothing_is_left_is_looked_at_no_more(world: World) -> None:
    world.reads(TRUTH)
    world.attest()
    asked = [one for one in world.asked if isinstance(one, tuple)]
    assert asked == [(7, 8)]

    world.clock.advance(3_599)
    world.attest()
    assert world.asked[-1] == (7, 8)
    world.clock.advance(2)
    world.attest()
    assert [one for one in world.asked if isinstance(one, tuple)] == [(7, 8), (7,)]


def test_a_sale_is_looked_at_when_it_comes_and_not_an_hour_later(world: World) -> None:
    world.reads(TRUTH)
    world.attest()
    more = sold(65, 7, 100)
    world.truth.append(more)
    world.head = 70
    world.reads([more])
    world.attest()
    assert world.rows.attested().sales_to == 70
    assert world.asked[-1] == (7,)


def test_a_price_that_was_changed_is_put_right_and_its_tellers_are_put_aside(world: World) -> None:
    false = sold(30, 7, 600, price=1)
    liars(world, [false if event.place.block == 30 else event for event in TRUTH])

    world.attest()

    assert world.kept() == TRUTH
    assert sorted(world.lies) == ["liar-1", "liar-2"]
    said = world.log.last("ledger.disproved")
    assert (said["block"], said["told"], said["proven"]) == (30, [repr(false)], [repr(TRUTH[2])])
    assert world.levels("ledger.disproved") == ["error"]
    assert world.rows.attested().wrong == ""


def test_a_sale_that_was_made_up_goes(world: World) -> None:
    liars(world, [*TRUTH, sold(55, 7, 40)])
    world.attest()
    assert world.kept() == TRUTH
    assert sorted(world.lies) == ["liar-1", "liar-2"]
    assert world.log.last("ledger.disproved")["proven"] == []


def test_a_sale_that_was_left_out_of_a_block_with_another_is_put_in_and_told(world: World) -> None:
    liars(world, [event for event in TRUTH if event != TRUTH[5]])
    world.attest()
    assert world.kept() == TRUTH
    assert sorted(world.lies) == ["liar-1", "liar-2"]
    assert world.log.last("trade.concluded")["energy_wh"] == 150


def test_a_sale_that_was_left_out_is_seen_by_what_is_left_and_found_at_one_honest_node(world: World) -> None:
    liars(world, [event for event in TRUTH if event != TRUTH[2]])

    world.attest()

    assert world.kept() == TRUTH
    assert sorted(world.lies) == ["liar-1", "liar-2"]
    names = [name for name in world.log.names() if name.startswith("ledger.")]
    assert names == ["ledger.incomplete", "ledger.disproved", "ledger.complete"]
    said = world.log.last("ledger.incomplete")
    assert said["problem"] == "of order 7 the ledger leaves 850 Wh and the contract 250 Wh"
    assert world.rows.attested().sales_to == HEAD


def test_what_nobody_tells_stays_wrong_is_said_once_and_nothing_is_made_up(world: World) -> None:
    told = [event for event in TRUTH if event != TRUTH[2]]
    liars(world, told, honest=False)
    for _ in range(5):
        world.attest()
        world.clock.advance(3_600)

    assert world.kept() == told
    found = world.rows.attested()
    assert (found.sales_to, found.wrong) == (None, "of order 7 the ledger leaves 850 Wh and the contract 250 Wh")
    assert [name for name in world.log.names() if name.startswith("ledger.")] == ["ledger.incomplete"]
    assert world.levels("ledger.incomplete") == ["error"]

    world.nodes["honest"] = world.truth
    world.clock.advance(3_600)
    world.attest()
    assert (world.kept(), world.rows.attested().wrong) == (TRUTH, "")
    assert world.log.names()[-1] == "ledger.complete"


def test_sales_that_were_there_up_to_a_block_stay_so_when_a_later_one_is_left_out(world: World) -> None:
    world.reads(TRUTH)
    world.attest()
    world.truth.append(sold(65, 7, 100))
    world.head = 70
    liars(world, [], honest=False)
    world.nodes = {"liar-1": list(TRUTH), "liar-2": list(TRUTH)}
    world.clock.advance(3_601)
    world.attest()
    found = world.rows.attested()
    assert found.sales_to == HEAD
    assert found.wrong == "of order 7 the ledger leaves 250 Wh and the contract 150 Wh"


def test_who_names_a_sale_that_never_was_only_when_asked_alone_is_put_aside_too(world: World) -> None:
    told = [event for event in TRUTH if event != TRUTH[2]]
    liars(world, told)
    world.nodes["inventor"] = [*TRUTH, sold(58, 7, 1)]
    world.attest()
    assert world.kept() == TRUTH
    assert sorted(world.lies) == ["inventor", "liar-1", "liar-2"]


def test_who_makes_up_many_hides_none_that_another_names(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = [sold(block, 7, 1, index=9) for block in range(31, HEAD)]
    liars(world, [event for event in TRUTH if event != TRUTH[2]])
    honest = world.nodes.pop("honest")
    world.nodes |= {"inventor": [], "honest": honest}
    tell = world.said

    def never_twice(wanted: Wanted, first_block: int, last_block: int) -> list[tuple[str, Stretch]]:
        world.nodes["inventor"] = TRUTH if first_block == last_block else [*TRUTH[:2], *made_up]
        return tell(wanted, first_block, last_block)

    monkeypatch.setattr(world, "said", never_twice)
    world.attest()
    assert world.kept() == TRUTH


def test_slow_proofs_of_what_never_was_are_no_turn_that_hangs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    liars(world, [event for event in TRUTH if event != TRUTH[2]], honest=False)
    world.nodes["inventor"] = [*TRUTH[:2], *(sold(block, 7, 1, index=9) for block in range(31, HEAD))]
    prove = world.events

    def slow(block: int) -> ProvenBlock | None:
        world.clock.advance(38)
        return prove(block)

    monkeypatch.setattr(world, "events", slow)
    monkeypatch.setattr(world, "expose", lambda _wanted, _proven: None)
    for _ in range(8):
        began = world.clock.monotonic()
        world.stage.run_once()
        assert world.clock.monotonic() - began < 400


def test_a_block_that_nobody_may_be_asked_for_waits_no_longer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_block: int) -> ProvenBlock | None:
        raise NodeUnavailable("no full node may be asked for a proof just now")

    world.reads(TRUTH)
    with monkeypatch.context() as now:
        now.setattr(world, "events", nobody)
        assert not world.stage.run_once()
    assert world.rows.attested().sales_to == HEAD
    world.attest()
    assert world.rows.attested().told == frozenset()


def test_an_order_that_was_left_out_whole_is_missed_by_the_households_own_transaction(world: World) -> None:
    told = [event for event in TRUTH if event.place.block != 40]
    told.remove(TRUTH[6])
    sent(world, TRUTH[4])
    liars(world, told)
    world.attest()
    assert world.kept() == TRUTH
    assert world.rows.attested().sales_to == HEAD
    assert sorted(world.lies) == ["liar-1", "liar-2"]


def test_where_everything_is_hidden_the_households_own_transaction_is_missed_all_the_same(world: World) -> None:
    world.truth = [offered(40, 8, 500)]
    sent(world, world.truth[0])
    liars(world, [])
    world.attest()
    assert world.kept() == world.truth
    assert sorted(world.lies) == ["liar-1", "liar-2"]
    assert world.log.names() == ["ledger.disproved"]


def test_an_order_that_was_left_out_of_a_block_with_a_reading_is_missed_too(world: World) -> None:
    booked = ReadingBooked(place(40, 3), Reading(US, 1, 2, 1_030, 5, 6))
    world.truth = [TRUTH[4], booked]
    sent(world, TRUTH[4])
    liars(world, [booked])
    world.attest()
    assert world.kept() == world.truth
    assert sorted(world.lies) == ["liar-1", "liar-2"]


def test_own_transactions_that_a_reorganisation_moved_are_not_looked_for_without_a_pause(world: World) -> None:
    world.truth = []
    for block in range(41, 47):
        sent(world, offered(block, block, 500))
    liars(world, [])
    world.attest()
    asked = len(world.asked)
    world.attest()
    assert len(world.asked) == asked == 6


def test_an_own_transaction_above_what_the_ledger_has_read_is_not_missed_yet(world: World) -> None:
    world.truth = [offered(HEAD + 1, 8, 500)]
    sent(world, world.truth[0])
    liars(world, [])
    world.attest()
    assert (world.kept(), world.asked) == ([], [])


def test_a_sale_made_up_for_a_hidden_one_settles_no_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.truth = [offered(20, 7, 1_000), sold(30, 7, 1_000)]
    prove = world.events
    liars(world, [world.truth[0], sold(55, 7, 1_000)])
    with monkeypatch.context() as now:
        now.setattr(world, "events", lambda block: None if block > 50 else prove(block))
        world.attest()
    assert {one.block for one in world.rows.attested().told} == {55}

    world.clock.advance(61)
    world.attest()
    assert world.kept() == world.truth
    assert world.rows.attested().wrong == ""
    assert world.rows.order_events() == []


def test_the_place_of_an_order_that_is_over_is_taken_by_the_next(world: World) -> None:
    again = offered(52, 8 + PLACES, 300)
    world.truth.append(again)
    world.reads(world.truth)
    world.attest()
    assert world.rows.attested().wrong == ""
    assert world.rows.attested().sales_to == HEAD
    left = {number: one.left_wh for number, one in own_orders(world.rows.order_events(), US).items()}
    assert left == {7: 250, 8 + PLACES: 300}
    assert len(world.rows.order_events()) == 4, "what became of the others is not read"


def test_an_order_that_was_taken_back_is_settled(world: World) -> None:
    back = Cancelled(place(57), US, 7, 250)
    world.truth.append(back)
    world.reads(world.truth)
    world.attest()
    world.clock.advance(86_399)
    world.attest()
    assert world.rows.order_events() == []
    assert [one for one in world.asked if isinstance(one, tuple)] == [(7, 8)]


def test_what_nobody_proves_now_waits_longer_each_time_and_holds_up_nothing(world: World) -> None:
    world.unproven_before = 25
    world.reads(TRUTH)
    world.attest()
    assert {one.block for one in world.rows.attested().told} == {5, 20}
    asked = world.asked.count(5)
    world.attest()
    assert world.asked.count(5) == asked
    world.clock.advance(61)
    world.attest()
    assert world.asked.count(5) == asked + 1
    world.unproven_before = 0
    world.clock.advance(86_400)
    world.attest()
    assert world.rows.attested().told == frozenset()


def test_on_another_branch_than_the_proven_one_nothing_is_compared(world: World) -> None:
    world.other_branch = True
    world.reads([event for event in TRUTH if event != TRUTH[2]])
    world.attest()
    found = world.rows.attested()
    assert (found.sales_to, found.wrong, world.log.names()) == (None, "", [])


def test_a_ledger_that_is_read_anew_is_proven_anew(world: World) -> None:
    world.reads(TRUTH)
    world.attest()
    world.market.clear()
    world.read = False
    assert world.rows.attested().sales_to is None
    world.attest()
    assert world.kept() == []
    world.reads(TRUTH)
    world.attest()
    assert (world.rows.attested().told, world.rows.attested().sales_to) == (frozenset(), HEAD)


def test_a_ledger_that_is_read_anew_meanwhile_is_not_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prove = world.orders

    def meanwhile(numbers: Sequence[int], block: int) -> ProvenOrders | None:
        found, world.read = prove(numbers, block), False
        world.market.clear()
        return found

    world.reads(TRUTH)
    monkeypatch.setattr(world, "orders", meanwhile)
    world.attest()
    assert (world.rows.attested().sales_to, world.kept()) == (None, [])


def test_of_many_made_up_events_a_few_are_shown(world: World) -> None:
    liars(world, [*TRUTH, *(sold(55, 7, 1, index=index) for index in range(100))])
    world.attest()
    assert world.kept() == TRUTH
    assert len(world.log.last("ledger.disproved")["told"]) == 8


def test_readings_are_the_slots_to_prove_and_stay(world: World) -> None:
    booked = ReadingBooked(place(30, 3), Reading(US, 1, 2, 1_030, 5, 6))
    world.truth.append(booked)
    world.reads([*TRUTH, booked])
    assert booked.place not in world.rows.attested().told
    world.attest()
    assert booked in world.kept()
    assert world.log.names() == []


def test_a_made_up_reading_in_the_place_of_a_hidden_sale_goes_and_the_search_ends(world: World) -> None:
    made_up = ReadingBooked(TRUTH[2].place, Reading(US, 1, 2, 1_030, 5, 6))
    liars(world, [made_up if event == TRUTH[2] else event for event in TRUTH])
    world.attest()
    assert world.kept() == TRUTH
    assert sorted(world.lies) == ["liar-1", "liar-2"]
    assert world.log.names().count("ledger.disproved") == world.log.names().count("trade.concluded") == 1


def test_a_journal_that_is_held_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(_proven: ProvenBlock) -> None:
        raise JournalBusy("another process has it")

    world.reads(TRUTH)
    with monkeypatch.context() as now:
        now.setattr(world.rows, "prove", held)
        assert not world.stage.run_once()
    assert len(world.rows.attested().told) == len(TRUTH)
    world.attest()
    assert world.rows.attested().told == frozenset()


def test_a_new_start_knows_what_was_proven(world: World) -> None:
    world.reads(TRUTH)
    world.attest()
    world.asked.clear()
    world.stage = world.started()
    world.attest()
    assert world.asked == [(7,)]


def test_what_is_wanted_of_each_node_is_the_households_own_alone(world: World) -> None:
    liars(world, [event for event in TRUTH if event != TRUTH[2]])
    world.attest()
    assert {one.account for one in world.wanted} == {US}
    assert Wanted(ORDERS, US) in world.wanted
