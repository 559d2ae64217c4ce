"""Invoices from events: every Wh and every wei in exactly one period, and each line's evidence."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.billing import invoice
from agent.domain.errors import BadRequest
from agent.domain.invoice_document import canonical, document
from agent.domain.invoices import Invoice, Period
from agent.domain.market_events import MeterReplaced, ReadingBooked, TariffSet
from agent.domain.readings import Flags
from agent.domain.samples import MeterRole
from tests.fakes.billing import BEGIN, HOUSE, OTHER, Life, lives

ALWAYS = Period(0, 1 << 32)
SCHEMA = json.loads((Path(__file__).parents[2] / "agent" / "schemas" / "invoice.json").read_text())


def whole(life: Life) -> Invoice:
    return invoice(HOUSE, life.events, ALWAYS, life.book())


def test_consumption_costs_the_tariff_in_force_when_the_reading_was_taken() -> None:
    life = Life(retail=2_000)
    life.wait(900)
    life.reading(10, 500)
    life.wait(900)
    life.tariff(3_000)
    life.reading(0, 1_000)
    made = whole(life)

    assert [(line.price, line.energy_wh, line.amount_wei) for line in made.consumption] == [
        (2_000, 500, 1_000),
        (3_000, 1_000, 3_000),
    ]
    assert (made.due_wei, made.consumed_wh, made.produced_wh) == (4_000, 1_500, 10)
    assert made.consumption[1].tariff == life.events[-2].place
    assert made.consumption[1].first.place == made.consumption[1].last.place == life.events[-1].place


def test_a_reading_that_was_taken_before_the_tariff_and_booked_after_it_has_the_old_price() -> None:
    life = Life(retail=2_000)
    life.wait(900)
    taken = life.now
    life.wait(10)
    life.tariff(9_000)
    life.now = taken
    life.reading(0, 1_000, late_s=20)

    assert whole(life).due_wei == 2_000


def test_a_tariff_of_a_later_block_is_unknown_as_of_an_earlier_one() -> None:
    # The household's clock was ahead of the chain's, and the tariff came between the two times.
    life = Life(retail=2_000)
    life.wait(900)
    life.reading(0, 1_000, late_s=-50)
    then = life.book()
    life.wait(5)
    life.tariff(9_000)

    assert invoice(HOUSE, life.events, ALWAYS, then).due_wei == 2_000
    assert whole(life).due_wei == 9_000


def test_redeemed_tokens_are_credited_at_the_tariff_of_their_own_time() -> None:
    life = Life(retail=2_000)
    life.reading(5_000, 1_000)
    life.wait(1)
    life.tariff(5_000)
    life.redeem(1_000)
    made = whole(life)

    assert (made.consumption_wei, made.redeemed_wei, made.due_wei) == (2_000, 5_000, -3_000)
    assert made.redemptions[0].place == life.events[-1].place


def test_trades_are_settled_and_stand_apart_from_what_is_due() -> None:
    life = Life(retail=2_000)
    life.trade(1_500, 100, sells=True)
    life.trade(2_000, 50, sells=False)
    made = whole(life)

    assert made.due_wei == 0
    assert (made.sold_wh, made.sold_wei) == (1_500, 150)
    assert (made.bought_wh, made.bought_wei, made.service_cost_wei) == (2_000, 100, 2)
    assert [line.trade.id for line in (*made.sold, *made.bought)] == [1, 2]


def test_a_held_reading_adds_nothing_and_the_next_one_catches_up() -> None:
    life = Life(retail=1_000)
    life.wait(900)
    life.reading(3, 0, Flags.CONSUMPTION_HELD)
    middle = life.now + 1
    life.wait(900)
    life.reading(0, 700)
    first = invoice(HOUSE, life.events, Period(0, middle), life.book())
    second = invoice(HOUSE, life.events, Period(middle, life.now + 1), life.book())

    assert (first.consumed_wh, first.due_wei) == (0, 0)
    assert (second.consumed_wh, second.due_wei) == (700, 700)


def test_a_replaced_meter_closes_its_epoch_and_the_new_one_counts_from_its_opening() -> None:
    life = Life(retail=1_000)
    life.wait(900)
    life.reading(0, 300)
    life.wait(900)
    life.replace(MeterRole.CONSUMPTION, closing=50, opening=7)
    life.wait(900)
    life.reading(0, 20)
    made = whole(life)

    assert made.consumed_wh == 370
    assert [
        (entry.epoch, entry.opening.consumed_wh, entry.closing.consumed_wh, entry.closing.produced_wh)
        for entry in made.registers
    ] == [(1, 700, 1_050, 500), (2, 7, 27, 500)]
    assert made.registers[0].closing.place == made.registers[1].opening.place == life.events[-2].place


def test_a_production_meters_closing_register_is_production() -> None:
    life = Life()
    life.replace(MeterRole.PRODUCTION, closing=50, opening=7)

    assert (whole(life).produced_wh, whole(life).consumed_wh) == (50, 0)


def test_a_period_without_a_reading_shows_the_registers_it_found() -> None:
    life = Life()
    life.wait(900)
    life.reading(1, 2)
    made = invoice(HOUSE, life.events, Period(life.now + 10, life.now + 20), life.book())

    assert [(entry.opening, entry.closing) for entry in made.registers] == [
        (made.registers[0].opening, made.registers[0].opening)
    ]
    assert made.registers[0].opening.consumed_wh == 702
    assert (made.consumed_wh, made.consumption) == (0, ())


def test_before_enrolment_there_is_nothing() -> None:
    life = Life()
    made = invoice(HOUSE, life.events, Period(0, BEGIN), life.book())

    assert (made.registers, made.due_wei) == ((), 0)


def test_an_invoice_is_closed_by_a_reading_of_a_later_time_alone() -> None:
    life = Life()
    life.wait(900)
    life.reading(1, 1)
    end = life.now + 1
    life.wait(900)
    open_ = invoice(HOUSE, life.events, Period(0, end), life.book())
    life.reading(1, 1)
    closed = invoice(HOUSE, life.events, Period(0, end), life.book())

    assert (open_.closed, open_.as_of) == (False, len(life.events) - 1)
    assert (closed.closed, closed.as_of) == (True, None)


def test_a_reading_ahead_of_the_chains_clock_closes_nothing_yet() -> None:
    life = Life()
    life.wait(900)
    life.reading(1, 1)
    reading = life.events.pop()
    assert isinstance(reading, ReadingBooked)
    life.events.append(ReadingBooked(replace(reading.place, at=life.now - 30), reading.reading))
    period = Period(0, life.now)

    assert not invoice(HOUSE, life.events, period, life.book()).closed
    life.wait(900)
    life.reading(1, 1)
    assert invoice(HOUSE, life.events, period, life.book()).closed


def test_what_is_booked_after_a_closed_period_changes_not_a_byte_of_it() -> None:
    life = Life(retail=7)
    life.wait(900)
    life.reading(1, 333)
    end = life.now + 1
    life.wait(900)
    life.reading(1, 1)
    before = canonical(invoice(HOUSE, life.events, Period(0, end), life.book()))
    life.wait(900)
    life.tariff(900)
    life.redeem(3)
    life.reading(5, 5)

    assert canonical(invoice(HOUSE, life.events, Period(0, end), life.book())) == before


def test_an_earlier_block_gives_the_invoice_of_then() -> None:
    life = Life()
    life.wait(900)
    life.reading(1, 1)
    then, made = life.book(), canonical(whole(life))
    life.reading(5, 500)

    assert canonical(invoice(HOUSE, life.events, ALWAYS, then)) == made


def test_without_a_tariff_there_is_no_price_and_it_says_so() -> None:
    life = Life()
    life.reading(1, 1)
    events = [event for event in life.events if not isinstance(event, TariffSet)]

    with pytest.raises(BadRequest, match=r"no tariff is known for what 0x0.*none is known at all"):
        invoice(HOUSE, events, ALWAYS, life.book())


def test_a_tariff_that_came_later_prices_nothing_earlier() -> None:
    life = Life()
    life.redeem(1)
    life.wait(10)
    life.tariff(5)

    with pytest.raises(BadRequest, match=f"no tariff is known for the redemption.*known is of {BEGIN + 10}"):
        invoice(HOUSE, life.events[1:], ALWAYS, life.book())


def test_an_event_that_is_missing_is_noticed() -> None:
    life = Life()
    life.reading(1, 1)
    life.replace(MeterRole.CONSUMPTION, 0, 0)
    life.reading(1, 1)
    without_replacement = [event for event in life.events if not isinstance(event, MeterReplaced)]

    with pytest.raises(BadRequest, match="an event between them is missing"):
        invoice(HOUSE, without_replacement, ALWAYS, life.book())
    with pytest.raises(BadRequest, match="the enrolment of household 0xd8"):
        invoice(HOUSE, life.events[2:], ALWAYS, life.book())
    life.replace(MeterRole.CONSUMPTION, 0, 0)
    first, second = (index for index, event in enumerate(life.events) if isinstance(event, MeterReplaced))
    with pytest.raises(BadRequest, match=r"epoch 3 .* follows epoch 1"):
        invoice(HOUSE, life.events[:first] + life.events[second:], ALWAYS, life.book())
    with pytest.raises(BadRequest, match="enrolled twice"):
        invoice(HOUSE, [*life.events, life.events[1]], ALWAYS, life.book())


def test_other_households_events_are_passed_over() -> None:
    life = Life()
    life.reading(1, 10)
    mine = whole(life)
    theirs = Life()
    theirs.reading(9, 9)
    foreign = [
        ReadingBooked(life.place(), type(event.reading)(OTHER, 1, 1, life.now, 1, 1))
        for event in theirs.events
        if isinstance(event, ReadingBooked)
    ]

    assert invoice(HOUSE, [*life.events, *foreign], ALWAYS, life.book()) == mine


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(BadRequest, match="begins before it ends"):
        Period(2, 1)


# --- Properties ---


@given(lives(), st.lists(st.integers(-10, 30_000), max_size=4))
def test_consecutive_periods_sum_to_the_whole_wherever_it_is_cut(life: Life, cuts: list[int]) -> None:
    edges = [0, *sorted(max(0, BEGIN + cut) for cut in cuts), 1 << 32]
    parts = [invoice(HOUSE, life.events, Period(first, last), life.book()) for first, last in itertools.pairwise(edges)]
    full = whole(life)

    def added(name: str) -> int:
        return sum(getattr(part, name) for part in parts)

    for figure in (
        "consumption_wei", "redeemed_wei", "due_wei", "sold_wei", "bought_wei", "service_cost_wei",
        "produced_wh", "consumed_wh", "redeemed_wh", "sold_wh", "bought_wh",
    ):  # fmt: skip
        assert added(figure) == getattr(full, figure), figure
    for lines in ("redemptions", "sold", "bought"):
        assert tuple(line for part in parts for line in getattr(part, lines)) == getattr(full, lines)
    by_tariff: dict[object, tuple[int, int, int]] = {}
    for part in parts:
        for line in part.consumption:
            energy, amount, readings = by_tariff.get(line.tariff, (0, 0, 0))
            by_tariff[line.tariff] = (energy + line.energy_wh, amount + line.amount_wei, readings + line.readings)
    assert by_tariff == {line.tariff: (line.energy_wh, line.amount_wei, line.readings) for line in full.consumption}


@given(lives(), st.integers(0, 30_000), st.integers(0, 30_000))
def test_no_sum_is_off_by_a_wei_and_what_was_carried_explains_it(life: Life, one: int, other: int) -> None:
    made = invoice(HOUSE, life.events, Period(BEGIN + min(one, other), BEGIN + max(one, other)), life.book())
    for lines, carried in (
        (made.consumption, made.carried.consumption),
        (made.redemptions, made.carried.redemption),
    ):
        exact = Fraction(sum(line.energy_wh * line.price for line in lines), 1_000)
        amount = sum(line.amount_wei for line in lines)
        assert amount == -((-exact + Fraction(carried, 1_000)) // 1)
        assert abs(amount - exact) < 1
    for line in made.consumption:
        assert abs(line.amount_wei - Fraction(line.energy_wh * line.price, 1_000)) < 1
        assert line.amount_wei >= 0


@given(lives(), st.lists(st.integers(0, 30_000), max_size=4))
def test_each_period_opens_where_the_one_before_it_closed(life: Life, cuts: list[int]) -> None:
    edges = [BEGIN, *sorted(BEGIN + cut for cut in cuts), 1 << 32]
    parts = [
        invoice(HOUSE, life.events, Period(first, last), life.book())
        for first, last in itertools.pairwise(edges)
        if first < last
    ]

    assert parts[0].registers[0].opening.place == life.events[1].place
    for before, after in itertools.pairwise(parts):
        assert (before.registers[-1].epoch, before.registers[-1].closing) == (
            after.registers[0].epoch,
            after.registers[0].opening,
        )


@given(lives())
def test_energy_is_the_difference_of_the_registers(life: Life) -> None:
    made = whole(life)

    assert made.consumed_wh == sum(line.energy_wh for line in made.consumption)
    for what in ("consumed_wh", "produced_wh"):
        between = sum(getattr(entry.closing, what) - getattr(entry.opening, what) for entry in made.registers)
        assert between == getattr(made, what)


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=20), st.integers(0, 10**6), st.data())
def test_who_redeems_all_that_he_consumed_owes_nothing(energies: list[int], retail: int, data: st.DataObject) -> None:
    life = Life(retail)
    for energy in energies:
        life.wait(900)
        life.reading(energy, energy)
    left = sum(energies)
    while left:
        part = data.draw(st.integers(1, left))
        life.redeem(part)
        left -= part

    assert whole(life).due_wei == 0


@given(lives(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_are_handed_over_does_not_matter(life: Life, chance: object) -> None:
    shuffled = list(life.events)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's Random

    assert canonical(invoice(HOUSE, shuffled, ALWAYS, life.book())) == canonical(whole(life))


@given(lives(), st.integers(0, 30_000))
def test_every_invoice_fits_its_schema(life: Life, cut: int) -> None:
    made = invoice(HOUSE, life.events, Period(BEGIN, BEGIN + cut), life.book())

    jsonschema.Draft202012Validator(SCHEMA).validate(document(made))
