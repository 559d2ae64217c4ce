# ruff: noqa: RUF001 - Persian digits and separators are what is tested
"""The printed invoice: whole, of one piece, in two languages, and never anybody's markup."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from agent.adapters.calendars import days, month, time_zone
from agent.adapters.invoice_pages import Heading, page
from agent.adapters.invoice_words import LANGUAGES, Tongue, words
from agent.domain.billing import invoice
from agent.domain.invoices import Invoice, Period
from agent.domain.market import Settlement
from tests.fakes.billing import BEGIN, HOUSE, OTHER, Life

ALWAYS = Period(0, 1 << 31)
TEHRAN = time_zone("Asia/Tehran")
ETHER = Settlement("Ether", "ETH", 18)
HOSTILE = "</title><script>alert(1)</script><img src=x onerror='x'>\"&{{ 7 * 7 }}"


class Seen(HTMLParser):
    """Tags, attributes and text of a page; a tag that is not closed in order is an error."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag == "tr":
            self.cells.append([])
        elif tag in {"td", "th"}:
            self.cells[-1].append("")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & {*self._open}:
            self.cells[-1][-1] += data


def full() -> Life:
    life = Life(retail=12 * 10**15)
    life.wait(900)
    life.reading(100, 1_234_567)
    life.redeem(30)
    life.trade(40, 10**16, sells=True)
    life.trade(50, 10**16, sells=False)
    return life


def made(life: Life | None = None, period: Period = ALWAYS) -> Invoice:
    life = life or full()
    return invoice(HOUSE, life.events, period, life.book())


def shown(language: str, one: Invoice | None = None, heading: Heading | None = None) -> str:
    return page(one or made(), Tongue(language, TEHRAN, ETHER), heading or Heading())


def test_both_languages_have_the_same_words_with_the_same_gaps() -> None:
    gaps = re.compile(r"\{(\w+)\}")
    english, persian = (words(language) for language in LANGUAGES)

    assert list(english) == list(persian)
    for key, value in english.items():
        assert set(gaps.findall(str(value))) == set(gaps.findall(str(persian[key]))), key
    assert len(persian["months"]) == len(english["months"]) == 12  # type: ignore[arg-type]  # lists in TOML


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_of_one_piece(language: str) -> None:
    seen = Seen(shown(language))

    assert not seen.tags.keys() & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert [value for name, value in seen.attributes if name in {"src", "srcset", "action", "style"}] == []
    assert all(str(value).startswith("#e") for name, value in seen.attributes if name == "href")
    assert not re.search(r"url\(|@import|https?://", shown(language))
    # Each reference leads to a line of the list of evidence.
    goals = {value for name, value in seen.attributes if name == "href"}
    assert goals == {f"#{value}" for name, value in seen.attributes if name == "id"}


def test_english_is_for_accountants() -> None:
    text = shown("en")
    seen = Seen(text)

    assert '<html lang="en" dir="ltr">' in text
    assert seen.cells[:3] == [
        ["Electricity consumed", "14.814804 ETH"],
        ["Less: energy tokens redeemed", "-0.000360 ETH"],
        ["Amount due", "14.814444 ETH"],
    ]
    assert seen.cells[5][:2] == ["1", "Consumption"]
    assert seen.cells[5][4] == "1,234.567"
    assert [row for row in seen.cells if OTHER[:8] in "".join(row)][1][3:6] == [
        "0.050",
        "0.0005",
        "0.000000000000000001",
    ]


def test_persian_runs_from_right_to_left_with_its_own_digits_and_dates() -> None:
    period = month("1405-08", TEHRAN)
    life = full()
    text = shown("fa", invoice(HOUSE, life.events, period, life.book()))

    assert '<html lang="fa" dir="rtl">' in text
    assert "۱ آبان ۱۴۰۵ تا ۳۰ آبان ۱۴۰۵" in text
    whole_page = shown("fa")
    seen = Seen(whole_page)
    assert "۱٬۲۳۴٫۵۶۷" in seen.cells[5][4]
    assert "۱۳۴۸/۱۰/۲۲" in whole_page
    # Latin digits stand only in what is not a number: names of accounts, hashes, styles.
    assert not any(re.search(r"[0-9]", cell) for row in seen.cells for cell in row if "0x" not in cell)


def test_a_credit_is_called_one() -> None:
    life = Life(retail=10**18)
    life.reading(5_000, 0)
    life.redeem(2_000)
    seen = Seen(shown("en", made(life)))

    assert ["Credit to the household", "2.00 ETH"] in seen.cells


def test_what_may_change_says_so_and_what_may_not_does_not() -> None:
    life = full()
    open_ = shown("en", made(life))
    end = life.now + 1
    life.wait(900)
    life.reading(1, 1)
    closed = shown("en", made(life, Period(0, end)))

    assert "Provisional" in open_
    assert f"up to block {len(life.events) - 1}" in open_
    assert "Provisional" not in closed
    assert "Final" in closed


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_is_text_whatever_it_contains(language: str) -> None:
    plain = Seen(shown(language, heading=Heading(issuer="A", names={HOUSE: "B"})))
    unit = Settlement(HOSTILE, HOSTILE, 18)
    text = page(made(), Tongue(language, TEHRAN, unit), Heading(issuer=HOSTILE, names={HOUSE: HOSTILE}))
    hostile = Seen(text)

    assert hostile.tags == plain.tags
    assert hostile.attributes == plain.attributes
    assert "{{ 7 * 7 }}" in text


def test_before_enrolment_there_is_an_empty_page() -> None:
    text = shown("en", made(period=Period(0, BEGIN)))

    assert "was not enrolled yet" in text
    assert "None in this period." in text


def test_the_households_own_calculation_says_that_it_is_one() -> None:
    assert "the household&#39;s own calculation" in shown("en", heading=Heading(own=True))


def test_a_period_that_is_not_of_whole_days_has_its_moments() -> None:
    tongue = Tongue("en", TEHRAN, ETHER)

    assert tongue.span(days("2022-03-22", "2022-03-22", TEHRAN)) == "22 March 2022 to 22 March 2022"
    assert re.sub("[\u2066\u2069]", "", tongue.span(Period(0, 3600))) == "1970-01-01 03:30:00 to 1970-01-01 04:30:00"


@pytest.mark.parametrize(
    ("decimals", "column", "expected"),
    [
        (18, [10**18, 0], ["1.00", "0.00"]),
        (18, [1, -(10**18)], ["0.000000000000000001", "-1.000000000000000000"]),
        (0, [1_234_567, 5], ["1,234,567", "5"]),
        (1, [15, 20], ["1.5", "2.0"]),
        (3, [1_230, 1], ["1.230", "0.001"]),
        (18, [], []),
    ],
)
def test_amounts_of_a_column_have_the_same_decimals_and_lose_no_wei(
    decimals: int, column: list[int], expected: list[str]
) -> None:
    assert Tongue("en", TEHRAN, Settlement("Unit", "U", decimals)).money(*column) == expected
