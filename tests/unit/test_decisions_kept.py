"""What the standing rule decided: kept once an interval, read back as it was, deleted in time, and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.adapters.decision_rows import DecisionRows
from agent.adapters.event_rows import EventRows
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.journal_view import JournalView
from agent.adapters.market_rows import MarketRows
from agent.adapters.meter_rows import MeterRows
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.cli import explain, orders
from agent.cli.arguments import parser
from agent.domain.decisions import Buy, Cancel, Decision, Offer, Redeem, Step
from agent.domain.market import WEI, Settlement
from agent.stages.retain import Retain
from tests.fakes.world import HOUSEHOLD, MIDNIGHT_S, FakeClock

THEM = "0x" + "33" * 20
TOMAN = Settlement(name="Toman", symbol="Toman", decimals=18)
EVERYTHING = Decision(
    MIDNIGHT_S,
    MIDNIGHT_S + 7,
    (
        Step(Redeem(700), "own consumption first", {"tokens_wh": 3_000, "redeemable_wh": 700}),
        Step(Cancel(5, 400), "it has expired, and its energy returns", {"price": 2 * 10**18, "expires_at": MIDNIGHT_S}),
        Step(Offer(2_300, 15 * 10**17, MIDNIGHT_S + 3_600, 9), "a surplus", {"floor": 10**18}),
        Step(Buy(THEM, 1, 500, 10**18, 6 * 10**17), "from the cheapest order", {"purse_wei": 2**70}),
        Step(None, "nothing is bought: consumption is covered"),
    ),
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / FILE_NAME)
    journal.migrate()
    yield journal
    journal.close()


def at(interval_end: int) -> Decision:
    return Decision(interval_end, interval_end + 5, (Step(None, "nothing"),))


def test_a_decision_is_read_back_as_it_was(journal: Journal) -> None:
    rows = DecisionRows(journal)

    assert rows.last() is None
    assert rows.add(EVERYTHING)
    assert rows.last() == EVERYTHING


def test_an_interval_keeps_its_first_decision(journal: Journal) -> None:
    rows = DecisionRows(journal)
    rows.add(EVERYTHING)

    assert not rows.add(at(MIDNIGHT_S))
    assert rows.newest(9) == [EVERYTHING]


def test_decisions_are_found_by_time_and_by_number(journal: Journal) -> None:
    rows = DecisionRows(journal)
    kept = [at(MIDNIGHT_S + number * 900) for number in range(4)]
    for decision in reversed(kept):
        rows.add(decision)

    assert rows.since(MIDNIGHT_S + 905) == kept[1:]
    assert rows.newest(2) == [kept[3], kept[2]]
    assert rows.last() == kept[3]


def test_old_decisions_leave_the_journal_and_the_last_stays(journal: Journal) -> None:
    rows, clock = DecisionRows(journal), FakeClock()
    retain = Retain(
        meters=MeterRows(journal),
        readings=ReadingRows(journal, HOUSEHOLD),
        outbox=OutboxRows(journal),
        events=EventRows(journal),
        decisions=rows,
        market=MarketRows(journal),
        clock=clock,
        minute_rows_days=1,
        readings_years=1,
    )
    old, young = at(MIDNIGHT_S - 32 * 86_400), at(MIDNIGHT_S - 30 * 86_400)
    rows.add(old)
    assert not retain.run_once(), "the last decision says which interval is the next"
    rows.add(young)

    assert retain.run_once()
    assert rows.newest(9) == [young], "an order that the rule made may live for 30 days"


def test_a_journal_that_is_looked_at_shows_them(journal: Journal, tmp_path: Path) -> None:
    DecisionRows(journal).add(EVERYTHING)
    view = JournalView(tmp_path, HOUSEHOLD)

    assert view.decisions(9) == [EVERYTHING]
    view.close()


def test_a_person_reads_what_was_done_and_why() -> None:
    assert explain.told([EVERYTHING], TOMAN).splitlines() == [
        "interval to 2026-11-22 00:00:00Z, decided 2026-11-22 00:00:07Z",
        "  * redeem 0.700 kWh: own consumption first",
        "      tokens 3.000 kWh, consumption to be redeemed 0.700 kWh",
        "  * take order 5 back, 0.400 kWh: it has expired, and its energy returns",
        "      price 2 Toman/kWh, until 2026-11-22 00:00:00Z",
        "  * offer 2.300 kWh at 1.5 Toman/kWh until 2026-11-22 01:00:00Z, order 9: a surplus",
        "      floor 1 Toman/kWh",
        f"  * buy 0.500 kWh of order {THEM}/1 at 1 Toman/kWh, 0.6 Toman with the service cost: from the cheapest order",
        "      to spend 1,180.591620717411303424 Toman",
        "  - nothing is bought: consumption is covered",
    ]


def test_without_a_node_money_is_told_in_wei() -> None:
    assert "at 1,500,000,000,000,000,000 wei/kWh until" in explain.told([EVERYTHING], WEI)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    asked_for: list[object] = []

    def unit(of: object) -> Settlement:
        asked_for.append(of)
        return TOMAN

    household = SimpleNamespace(account=HOUSEHOLD)
    chain = SimpleNamespace(unproven=False)
    place = SimpleNamespace(journal=SimpleNamespace(directory=tmp_path), household=household, chain=chain)
    monkeypatch.setattr(explain, "load", lambda *_: place)
    monkeypatch.setattr(explain, "settlement", unit)
    return asked_for


def explained(*words: str) -> int:
    return orders.command(parser().parse_args(["orders", "--explain", *words]))


def test_the_command_explains_the_last_intervals(
    journal: Journal, configured: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = DecisionRows(journal)
    for decision in (at(MIDNIGHT_S - 900), EVERYTHING):
        rows.add(decision)

    assert explained("--limit", "1") == 0
    assert capsys.readouterr().out == explain.told([EVERYTHING], TOMAN) + "\n"
    assert explained() == 0
    assert capsys.readouterr().out.count("interval to") == 2
    assert explained("--json") == 0
    assert len(json.loads(capsys.readouterr().out)["decisions"]) == 2
    assert len(configured) == 2, "a program needs no unit, and no node is asked for one"


def test_without_decisions_no_node_is_asked(
    journal: Journal, configured: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert DecisionRows(journal).last() is None
    assert explained() == 0
    assert "decided nothing yet" in capsys.readouterr().out
    assert configured == []


@pytest.mark.parametrize("words", [("--mine",), ("--limit", "0"), ("--limit", "many")])
def test_misuse_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        explained(*words)
    assert ended.value.code == 2


def test_a_program_reads_the_same() -> None:
    decision = json.loads(explain.as_json([EVERYTHING]))["decisions"][0]

    assert (decision["intervalEnd"], decision["decidedAt"]) == (MIDNIGHT_S, MIDNIGHT_S + 7)
    assert [step["act"] and step["act"]["kind"] for step in decision["steps"]] == [
        "redeem",
        "cancel",
        "offer",
        "buy",
        None,
    ]
    assert decision["steps"][2] == {
        "act": {"kind": "offer", "energyWh": 2_300, "price": 15 * 10**17, "expiresAt": MIDNIGHT_S + 3_600, "number": 9},
        "why": "a surplus",
        "facts": {"floor": 10**18},
    }


def test_a_rule_that_is_off_says_so() -> None:
    assert "rule.enabled" in explain.told([], TOMAN)
