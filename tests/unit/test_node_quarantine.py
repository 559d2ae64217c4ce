"""Nodes that were caught lying: nothing is asked of them or sent to them, and what they said is kept."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.full_node import FullNode
from agent.adapters.journal import FILE_NAME, Journal, open_journal
from agent.adapters.lie_rows import MOST_ROWS, LieRows
from agent.adapters.node_standing import Standing
from agent.domain.errors import NodeUnavailable
from agent.domain.lies import MOST_AWAY_S, MOST_TOLD, Lie, words
from tests.unit.node_script import BEGAN_AT, ENTRY, RAW, Diary, House, ScriptedNode

HOUR_S = 3600
LIE = Lie(BEGAN_AT - 60, BEGAN_AT + HOUR_S, "n0", "area-0", "the proof leads nowhere", '{"proof":[]}')


def asked(house: House, node: int) -> int:
    return sum(house.rpcs[node].asked.values())


def test_nothing_is_asked_of_or_sent_to_a_node_in_quarantine() -> None:
    house = House(2)
    house.pool.balance()
    house.pool.caught("n0", "the proof leads nowhere", {"proof": []})
    before = asked(house, 0)
    for _ in range(50):
        house.pool.balance()
        assert house.pool.broadcast(RAW)
        assert house.pool.sight(ENTRY).agreeing == 1
        house.pool.statuses()
        assert [node.name for node in house.pool.sources()] == ["n1"]
        house.later(60)
    assert asked(house, 0) == before


def test_it_is_told_once_and_what_it_said_is_kept() -> None:
    house = House(2)
    house.pool.balance()
    for _ in range(3):
        house.pool.caught("n0", "the proof leads nowhere", {"proof": [], "a": 1})
    assert house.log.events() == ["node.lied n0"]
    facts = house.log.said[0][1]
    assert (facts["area"], facts["problem"]) == ("area-0", "the proof leads nowhere")
    assert "distribution company" in str(facts["advice"])
    assert "prosumer-agent status" in str(facts["advice"])
    assert house.kept == [
        Lie(BEGAN_AT, BEGAN_AT + HOUR_S, "n0", "area-0", "the proof leads nowhere", '{"a":1,"proof":[]}')
    ]


def test_its_status_says_why_and_until_when() -> None:
    house = House(2)
    house.pool.caught("n0", "the proof leads nowhere", None)
    _, status = house.pool.statuses()
    assert not status.ok
    assert status.problem == (
        "caught lying at 2027-01-15 08:00:00Z: the proof leads nowhere; not asked until 2027-01-15 09:00:00Z"
    )


def test_it_is_used_again_when_its_quarantine_is_over() -> None:
    house = House(2)
    house.pool.caught("n0", "the proof leads nowhere", None)
    house.later(HOUR_S - 1)
    house.pool.balance()
    assert [node.name for node in house.pool.sources()] == ["n1"]
    house.later(12)
    house.pool.balance()
    assert [node.name for node in house.pool.sources()] == ["n1", "n0"]
    assert house.log.events() == ["node.lied n0", "node.back n0"]


def test_each_further_lie_doubles_its_quarantine_up_to_a_day() -> None:
    house = House(2)
    away = []
    for _ in range(8):
        house.pool.balance()
        house.pool.caught("n0", "the proof leads nowhere", None)
        away.append(house.kept[-1].until - house.kept[-1].at)
        house.later(away[-1] + 11)
    assert away == [HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 8 * HOUR_S, 12 * HOUR_S, *[12 * HOUR_S] * 3]
    assert max(away) <= MOST_AWAY_S


def test_a_quarantine_outlives_a_restart() -> None:
    house = House(2, lies=[LIE])
    house.pool.balance()
    assert asked(house, 0) == 0
    house.later(HOUR_S + 11)
    house.pool.balance()
    assert asked(house, 0) > 0
    assert house.log.events() == ["node.back n0"]


def test_earlier_lies_count_after_a_restart() -> None:
    house = House(2, lies=[replace(LIE, until=BEGAN_AT - 1), replace(LIE, until=BEGAN_AT - 2)])
    house.pool.balance()
    assert asked(house, 0) > 0, "those quarantines are over"
    house.pool.caught("n0", "the proof leads nowhere", None)
    assert house.kept[-1].until - house.kept[-1].at == 4 * HOUR_S


def test_a_clock_that_is_years_behind_keeps_no_node_away_for_more_than_a_day() -> None:
    house = House(2, lies=[replace(LIE, at=BEGAN_AT + 10**8, until=BEGAN_AT + 10**8 + HOUR_S)])
    house.pool.balance()
    assert asked(house, 0) == 0
    house.later(MOST_AWAY_S + 11)
    house.pool.balance()
    assert asked(house, 0) > 0


def test_with_all_nodes_in_quarantine_nothing_is_believed_and_the_agent_says_so() -> None:
    house = House(2)
    house.pool.caught("n0", "the proof leads nowhere", None)
    house.pool.caught("n1", "its seal is nobody's", None)
    for question in (house.pool.balance, house.pool.head, lambda: house.pool.sight(ENTRY)):
        with pytest.raises(NodeUnavailable, match=r"n1: caught lying .* its seal is nobody's; not asked until"):
            question()
    with pytest.raises(NodeUnavailable, match="caught lying"):
        house.pool.broadcast(RAW)
    assert house.pool.sources() == []
    assert asked(house, 0) + asked(house, 1) == 0


def test_a_lie_waits_for_a_busy_journal() -> None:
    house = House(2)
    house.journal_busy = True
    house.pool.caught("n0", "the proof leads nowhere", None)
    house.pool.balance()
    assert house.kept == []
    house.journal_busy = False
    house.later(12)
    house.pool.balance()
    assert [lie.node for lie in house.kept] == ["n0"]


def test_an_answer_under_way_does_not_end_a_quarantine() -> None:
    house = House(2)
    house.pool.balance()

    def balance_and_lie(_params: list[object]) -> object:
        house.pool.caught("n0", "the proof leads nowhere", None)
        return "0xffffffffffffffffffffffffffffffffffffffff"

    house.rpcs[0].special["eth_getBalance"] = balance_and_lie
    house.rpcs[1].special["eth_getBalance"] = lambda _params: "0x10"
    assert house.pool.balance() == 0x10, "what it said meanwhile is not believed either"
    assert [node.name for node in house.pool.sources()] == ["n1"]


def test_the_newest_hundred_lies_are_kept(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    rows = LieRows(journal)
    for number in range(MOST_ROWS + 5):
        rows.keep(replace(LIE, at=number))
    assert [lie.at for lie in rows.newest()] == list(range(MOST_ROWS + 4, 4, -1))
    assert rows.newest(1) == [replace(LIE, at=MOST_ROWS + 4)]
    journal.close()
    assert (Journal(tmp_path / FILE_NAME, read_only=True)).current()


def test_another_release_or_other_pins_judge_anew(tmp_path: Path) -> None:
    """All nodes are liars by pins with a mistake; with that put right, nobody waits for hours."""
    journal, _ = open_journal(tmp_path)
    rows = LieRows(journal)
    assert rows.judge() is None
    rows.begin("release 1")
    rows.keep(LIE)
    rows.begin("release 1")
    assert rows.newest() == [LIE], "a restart frees nobody"
    rows.begin("release 2")
    assert rows.newest() == [replace(LIE, until=LIE.at)]
    house = House(2, lies=rows.newest())
    house.pool.balance()
    assert asked(house, 0) > 0
    journal.close()


def test_what_is_kept_of_a_lie_is_bounded_and_of_one_form() -> None:
    assert words({"b": [1, None], "a": "é"}) == '{"a":"\\u00e9","b":[1,null]}'
    assert len(words(["ab" * MOST_TOLD])) == MOST_TOLD
    assert json.loads(words(object)).startswith("<class")


def test_a_slow_head_that_comes_after_it_was_caught_does_not_bring_it_back() -> None:
    house = House(2, grace_s=0.05)
    house.rpcs[0].held = threading.Event()
    house.pool.balance()
    house.pool.caught("n0", "the proof leads nowhere", None)
    house.rpcs[0].held.set()
    for _ in range(100):
        if house.rpcs[0].asked["eth_getBlockByNumber"] >= 2:  # genesis and newest: the slow question is at its end
            break
        threading.Event().wait(0.02)
    threading.Event().wait(0.05)
    assert [node.name for node in house.pool.sources()] == ["n1"]
    assert house.log.events() == ["node.lied n0"]


# S30: after a fault that all households see at once, they do not come back at once.


def seconds_away(trouble: Callable[[Standing], object], household: int, step_s: float) -> float:
    """How long a household leaves a node alone after this."""
    node = FullNode(name="n", area="", rpc=ScriptedNode(), pin=None, monotonic=lambda: 0.0)
    standing = Standing(node, random.Random(household).random, Diary())  # noqa: S311 - no secret
    trouble(standing)
    steps = (step * step_s for step in range(MOST_AWAY_S))
    return next(at for at in steps if standing.may_be_tried(at) and not standing.in_quarantine(at))


@pytest.mark.parametrize("failures", [1, 3, 8])
def test_a_hundred_households_come_back_to_a_node_spread_over_half_of_their_delay(failures: int) -> None:
    def silent(standing: Standing) -> None:
        for _ in range(failures):
            standing.failed(NodeUnavailable("no answer in time"), 0.0)

    away = [seconds_away(silent, household, 0.05) for household in range(100)]
    longest = min(60.0, 2.0**failures)
    assert max(away) <= longest + 0.05
    assert max(away) - min(away) >= 0.9 * 0.5 * longest
    tenths = Counter(int(10 * one / longest) for one in away)
    assert max(tenths.values()) <= 40, "no crowd in any tenth"


def test_a_hundred_households_ask_a_node_that_lied_to_all_of_them_again_spread_over_an_hour() -> None:
    away = [seconds_away(lambda one: one.caught("a lie", None, 0.0, 0), household, 10) for household in range(100)]
    assert min(away) >= HOUR_S
    assert max(away) <= 2 * HOUR_S + 10
    assert max(away) - min(away) >= 0.9 * HOUR_S
