"""The invoice for programs, and where two of them differ."""

from __future__ import annotations

import json

import pytest

from agent.domain.billing import invoice
from agent.domain.errors import BadRequest
from agent.domain.invoice_document import MOST_BYTES, canonical, differences, read
from agent.domain.invoices import Invoice, Period
from tests.fakes.billing import HOUSE, Life


def one(life: Life | None = None) -> Invoice:
    life = life or full()
    return invoice(HOUSE, life.events, Period(0, 1 << 32), life.book())


def full() -> Life:
    life = Life(retail=10**18)
    life.wait(900)
    life.reading(100, 2_000)
    life.wait(900)
    life.tariff(10**18 + 1)
    life.reading(0, 10)
    life.redeem(30)
    life.trade(40, 10**18, sells=True)
    life.trade(50, 10**18, sells=False)
    return life


def test_the_text_is_canonical_and_wei_are_strings() -> None:
    text = canonical(one())
    facts = json.loads(text)

    assert text == json.dumps(facts, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert facts["totals"]["consumptionWei"] == str(one().consumption_wei)
    assert facts["sold"][0]["id"] == "1"


def test_two_that_agree_differ_nowhere_however_the_file_is_laid_out() -> None:
    pretty = json.dumps(json.loads(canonical(one())), indent=4).encode()

    assert differences(one(), read(canonical(one()))) == []
    assert differences(one(), read(pretty)) == []
    assert read(pretty).period == Period(0, 1 << 32)
    assert read(pretty).as_of == one().as_of


def test_a_wei_too_much_is_named_with_both_figures() -> None:
    facts = json.loads(canonical(one()))
    line = facts["consumption"][0]
    line["amountWei"] = str(int(line["amountWei"]) + 1)
    found = differences(one(), read(json.dumps(facts).encode()))

    line_of = one().consumption[0].tariff.tx_hash
    figures = f'own "{2 * 10**18}", issued "{2 * 10**18 + 1}"'
    assert [str(item) for item in found] == [f"consumption[tariff {line_of}#1].amountWei: {figures}"]


def test_a_line_that_only_one_side_has_does_not_shift_the_others() -> None:
    facts = json.loads(canonical(one()))
    dropped = facts["consumption"].pop(0)
    facts["bought"].append({"made": "up"})
    found = differences(one(), read(json.dumps(facts).encode()))

    assert [(item.where, item.own is None, item.theirs is None) for item in found] == [
        (f"consumption[tariff {dropped['tariff']['txHash']}#1]", False, True),
        ("bought[1]", True, False),
    ]
    assert str(found[1]) == 'bought[1]: own nothing, issued {"made": "up"}'


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"closed": 0}, "closed"),
        ({"producedWh": 100.0}, "producedWh"),
        ({"consumption": "none"}, "consumption"),
        ({"more": 1}, "more"),
        ({"household": HOUSE.lower()}, "household"),
    ],
)
def test_what_looks_alike_is_a_difference(change: dict[str, object], where: str) -> None:
    facts = {**json.loads(canonical(one())), **change}

    assert [item.where for item in differences(one(), read(json.dumps(facts).encode()))] == [where]


def test_what_another_wrote_reaches_the_terminal_escaped_and_short() -> None:
    facts = {**json.loads(canonical(one())), "contract": "\x1b[2J" + "x" * 1_000, "\x1b" * 300: 1}
    told = [str(item) for item in differences(one(), read(json.dumps(facts).encode()))]

    assert len(told) == 2
    assert "\x1b" not in "".join(told)
    assert all(len(item) < 400 for item in told)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no invoice of schema 1"),
        (b'{"schema":1,"schema":1}', "stands twice"),
        (b'{"schema":2}', "no invoice of schema 1"),
        (b'{"schema":1}', "names no household"),
        (b'{"schema":1,"household":"0x"}', "first is null"),
        (b'{"schema":1,"household":"0x","period":{"first":true,"last":2}}', "first is true"),
        (b'{"schema":1,"household":"0x","period":{"first":3,"last":2}}', "begins before it ends"),
        (b'{"schema":1,"household":"0x","period":{"first":1,"last":2},"asOfBlock":-1}', "asOfBlock is -1"),
        (b" " * (MOST_BYTES + 1), "more than"),
    ],
)
def test_what_is_no_invoice_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read(content)
