"""The operator's invoices of all households, from one pass over everybody's events."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given

from agent.cli.misuse import Misuse
from agent.compose import invoicing
from agent.domain.billing import invoice
from agent.domain.errors import BadRequest
from agent.domain.invoice_document import canonical
from agent.domain.invoices import Period
from agent.domain.market import Head, Settlement
from agent.domain.market_events import Enrolled, MarketEvent, MeterReplaced, Wanted, concerned
from agent.domain.office_requests import KeptRequest, RequestKind, RequestState
from agent.domain.personal_data import PersonalData
from agent.domain.samples import MeterRole
from agent.operator import invoices
from agent.operator.arguments import parser
from agent.operator.ports import Register
from tests.fakes.billing import BEGIN, CONTRACT, HOUSE, OTHER, Life, lives

EVER = Period(0, 1 << 31)
ETHER = Settlement("Ether", "ETH", 18)


class Chain:
    """A node that gives what is asked for, and keeps what that was."""

    def __init__(self, events: list[MarketEvent]) -> None:
        self.asked: list[tuple[Wanted, int, int]] = []
        self._events = events

    def head(self) -> Head:
        return Head(len(self._events), "0x", 0)

    def settlement(self, contract: str) -> Settlement:
        assert contract == CONTRACT
        return ETHER

    def events(self, contract: str, wanted: Wanted, first_block: int, last_block: int) -> Iterator[MarketEvent]:
        assert contract == CONTRACT
        self.asked.append((wanted, first_block, last_block))
        for event in self._events:
            mine = wanted.account is None or not concerned(event) or wanted.account in concerned(event)
            if type(event) in wanted.kinds and first_block <= event.place.block <= last_block and mine:
                yield event


def neighbours() -> Life:
    """Two households that trade with one another."""
    life = Life(retail=10**15)
    life.events.append(Enrolled(life.place(), OTHER, life.now, 0, 0, 5_000))
    life.wait(900)
    life.reading(3_000, 2_000)
    life.trade(1_000, 10**14, sells=True)
    return life


def test_one_pass_makes_everybodys_invoices_each_as_the_household_makes_it() -> None:
    life = neighbours()
    chain = Chain(life.events)
    bills = invoices.work_out(chain, life.book(), 1, EVER, None, had=str)

    assert bills.refused == {}
    assert [one.household for one in bills.made] == [HOUSE, OTHER]
    for one in bills.made:
        assert canonical(one) == canonical(invoice(one.household, life.events, EVER, life.book()))
    assert bills.made[0].sold[0].trade == bills.made[1].bought[0].trade
    assert [first for _, first, _ in chain.asked] == [1, 1]


@given(lives())
def test_any_life_is_billed_alike_on_both_sides(life: Life) -> None:
    (made,) = invoices.work_out(Chain(life.events), life.book(), 1, EVER, HOUSE, had=str).made

    assert canonical(made) == canonical(invoice(HOUSE, life.events, EVER, life.book()))


def test_one_household_is_asked_for_alone() -> None:
    life = neighbours()
    chain = Chain(life.events)

    assert [one.household for one in invoices.work_out(chain, life.book(), 1, EVER, OTHER, had=str).made] == [OTHER]
    assert chain.asked[1][0].account == OTHER


def test_who_was_enrolled_later_gets_no_invoice_yet() -> None:
    life = Life()
    life.wait(900)
    life.events.append(Enrolled(life.place(), OTHER, life.now, 0, 0, 5_000))
    period = Period(0, life.now)
    chain = Chain(life.events)

    assert [one.household for one in invoices.work_out(chain, life.book(), 1, period, None, had=str).made] == [HOUSE]
    with pytest.raises(BadRequest, match=f"{OTHER} was not enrolled .* invoices can be had of {life.now}"):
        invoices.work_out(chain, life.book(), 1, period, OTHER, had=str)


def test_a_period_before_everybodys_enrolment_is_refused_with_what_can_be_had() -> None:
    life = neighbours()
    with pytest.raises(BadRequest, match=f"no household was enrolled .* invoices can be had of {BEGIN}$"):
        invoices.work_out(Chain(life.events), life.book(), 1, Period(0, BEGIN), None, had=str)
    with pytest.raises(BadRequest, match=r"before the period's end$"):
        invoices.work_out(Chain([]), life.book(), 1, EVER, None, had=str)


def test_one_households_gap_leaves_the_others_their_invoices() -> None:
    life = neighbours()
    life.events.append(MeterReplaced(life.place(), OTHER, MeterRole.CONSUMPTION, 0, 0, 5, life.now))
    bills = invoices.work_out(Chain(life.events), life.book(), 1, EVER, None, had=str)

    assert [one.household for one in bills.made] == [HOUSE]
    assert "epoch 5" in bills.refused[OTHER]


def test_files_are_private_named_by_day_and_account_and_written_again(tmp_path: Path) -> None:
    life = neighbours()
    made = invoices.work_out(Chain(life.events), life.book(), 1, Period(0, 86_400 * 31), HOUSE, had=str).made[0]
    printer = invoicing.Printer("fa", "UTC", ETHER, issuer="", names={HOUSE: "<Maryam>"})
    for _ in range(2):
        data, page = invoices.issue(made, tmp_path / "new" / "folder", printer)

    assert data.name == f"1970-01-01_1970-01-31_{HOUSE}.json"
    assert data.read_bytes() == canonical(made)
    assert b"&lt;Maryam&gt;" in page.read_bytes()
    assert b"Maryam" not in data.read_bytes()
    assert {path.stat().st_mode & 0o777 for path in (data, page)} == {0o600}
    assert data.parent.stat().st_mode & 0o777 == 0o700
    assert len(list(data.parent.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = invoices.work_out(Chain(Life().events), Life().book(), 1, EVER, HOUSE, had=str).made[0]

    with pytest.raises(BadRequest, match=r"folder .*/file cannot be made: File exists"):
        invoices.issue(made, tmp_path / "file", invoicing.Printer("en", "UTC", ETHER, issuer=""))


def test_names_are_those_in_force_and_an_erased_one_is_none() -> None:
    class Kept(Register):  # only what is asked; the protocol's own bodies are empty
        def profile(self, chain_id: int, contract: str, household: str) -> KeptRequest | None:
            number = 1 if household == HOUSE else 2
            return KeptRequest(
                number, RequestKind.ENROLMENT, chain_id, contract, household, 0, "0x", RequestState.APPROVED,
                0, 0, "office", "", "0x", None,
            )  # fmt: skip

        def personal(self, number: int) -> PersonalData | None:
            return PersonalData("Maryam", "Ahmadi", "0084575948") if number == 1 else None

    life = neighbours()
    made = invoices.work_out(Chain(life.events), life.book(), 1, EVER, None, had=str).made

    assert invoices.names_of(Kept(), life.book(), made) == {HOUSE: "Maryam Ahmadi"}


def test_the_table_sums_up(tmp_path: Path) -> None:
    life = neighbours()
    made = invoices.work_out(Chain(life.events), life.book(), 1, EVER, None, had=str).made
    text = invoices._table(made, invoicing.tongue("en", "UTC", ETHER), tmp_path)

    assert text.splitlines()[1].split() == [HOUSE, "provisional", "3.000", "2.000", "0.000", "0.002"]
    assert text.splitlines()[3].split() == ["all", "-", "3.000", "2.000", "0.000", "0.002"]


@pytest.mark.parametrize(
    ("since", "typed", "told"),
    [
        ("2026-09-22", "2026-01", "2026-09 to 2026-11, which is under way"),
        ("2026-11-02", "2026-01", "2026-11, which is under way"),
        ("2026-09-22", "1405-01", "1405-06 to 1405-09, which is under way"),
        ("2026-09-22", "1405-01-01", "1405-06 to 1405-09, which is under way"),
        ("2026-09-22", None, "1405-06 to 1405-09, which is under way"),
    ],
)
def test_the_months_that_can_be_had_are_named_as_they_are_typed(since: str, typed: str | None, told: str) -> None:
    begun, now = (int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) for day in (since, "2026-11-25"))

    assert invoicing.months(begun, now, "Asia/Tehran", "fa", None, typed) == told


def asked(*words: str) -> argparse.Namespace:
    return parser().parse_args(["invoices", "--node", "http://127.0.0.1:1", "--output", "x", *words])


def test_whose_invoices_must_be_said_once() -> None:
    assert asked("--all", "--month", "1405-08").month == "1405-08"
    for words in ([], ["--all", "--household", OTHER.lower()]):
        with pytest.raises(SystemExit):
            asked(*words)


@pytest.mark.parametrize("words", [["--month", "2026-13"], ["--from", "x"], ["--to", "1"], ["--time-zone", "Teheran"]])
def test_what_names_no_time_is_misuse(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        asked("--all", *words)
    assert ended.value.code == 2


def test_a_period_must_be_said() -> None:
    with pytest.raises(Misuse, match="--month"):
        invoices.run(asked("--all"))
    with pytest.raises(Misuse, match="belong together"):
        invoices.run(asked("--all", "--from", "2026-11-01"))
    with pytest.raises(Misuse, match="stands alone"):
        invoices.run(asked("--all", "--month", "2026-11", "--to", "2026-11-01"))
