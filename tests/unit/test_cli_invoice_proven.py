"""``prosumer-agent invoice`` says of each line whether it is proven, on the screen, the page and for a program."""

from __future__ import annotations

import json

import pytest

from agent.adapters.attested_rows import AttestedRows
from agent.adapters.journal import FILE_NAME, Journal
from agent.domain.attested import ProvenBlock
from tests.fakes.billing import OTHER, Life
from tests.unit.test_cli_invoice import HASH, House, house, life

__all__ = ["house", "life"]  # the fixtures

PINS = f'consensus = "clique"\nepoch = 30000\nvalidators = ["{OTHER}"]'


@pytest.fixture
def proving(house: House, life: Life) -> House:
    """On a chain that validators seal; the journal has everything as full nodes tell it."""
    text = house.configuration.read_text().replace("unproven = true", PINS)
    second = '[[chain.nodes]]\nurl = "https://127.0.0.1:2"\narea = "south"\n'
    text = text.replace("http://127.0.0.1:1", "https://127.0.0.1:1").replace("[invoice]", f"{second}[invoice]")
    house.configuration.write_text(text)
    house.follow(life)
    return house


def prove(house: House, life: Life, *blocks: int, sales_to: int | None = None, wrong: str = "") -> None:
    journal = Journal(house.folder / FILE_NAME)
    rows = AttestedRows(journal)
    for block in blocks:
        rows.prove(ProvenBlock(block, HASH, tuple(event for event in life.events if event.place.block == block)))
    rows.set_sales(sales_to, wrong)
    journal.close()


def test_the_invoice_says_line_by_line_what_is_only_told(proving: House, life: Life) -> None:
    sold = life.events[-1].place
    prove(proving, life, *{event.place.block for event in life.events} - {sold.block})
    _, out, _ = proving.run("--month", "1405-08")
    assert "1 event(s) are only what full nodes say; that no sale is missing is not proven yet" in out
    assert out.count("(not proven)") == 1
    assert f"{sold.tx_hash} (not proven)" in out

    prove(proving, life, sold.block, sales_to=sold.block)
    _, out, _ = proving.run("--month", "1405-08")
    assert f"every event is proven; that no sale of your orders is missing is proven up to block {sold.block}" in out
    assert "(not proven)" not in out


def test_the_page_says_what_is_proven_and_marks_what_is_not(proving: House, life: Life) -> None:
    path = proving.folder / "aban.html"
    words = ("--month", "1405-08", "--html", str(path))
    sold = life.events[-1].place
    prove(proving, life, *{event.place.block for event in life.events} - {sold.block})
    assert proving.run(*words, "--language", "en")[0] == 0
    assert "1 event(s) of this invoice are not proven" in path.read_text()
    assert path.read_text().count("(not proven)") == 1
    assert "orders is missing is not proven yet" in path.read_text()

    prove(proving, life, sold.block, wrong="of order 1 the ledger leaves 5 Wh and the contract 4 Wh")
    assert proving.run(*words, "--language", "en")[0] == 0
    assert "does not agree with these sales: of order 1 the ledger leaves 5 Wh" in path.read_text()

    prove(proving, life, sales_to=7)
    assert proving.run(*words, "--language", "en")[0] == 0
    assert "(not proven)" not in path.read_text()
    assert "is proven up to block 7" in path.read_text()
    assert proving.run(*words)[0] == 0
    assert "اثبات شده است" in path.read_text()


def test_a_program_reads_what_is_proven_beside_the_text_that_both_sides_have(proving: House, life: Life) -> None:
    prove(proving, life, wrong="of order 1 the ledger leaves 5 Wh and the contract 4 Wh")
    code, out, says = proving.run("--json", "--month", "1405-08")
    assert (code, json.loads(out)["schema"]) == (0, 1)
    assert "proven" not in json.loads(out)
    assert says.startswith("NOT PROVEN: of order 1 the ledger leaves 5 Wh")
    told = json.loads(proving.run("--json", "--compare", proving.issued(life))[1])
    assert told["agrees"] is True
    assert told["proven"]["wrong"] == "of order 1 the ledger leaves 5 Wh and the contract 4 Wh"
    assert {one["block"] for one in told["proven"]["toldOnly"]} <= {event.place.block for event in life.events}

    prove(proving, life, *{event.place.block for event in life.events}, sales_to=9)
    code, out, says = proving.run("--json", "--month", "1405-08")
    assert (code, says) == (0, "")


def test_a_development_chain_proves_nothing_and_the_invoice_says_only_that(house: House, life: Life) -> None:
    house.follow(life)
    _, out, _ = house.run("--month", "1405-08")
    assert "proof" not in out
    assert "unproven: a development chain" in out
    told = json.loads(house.run("--json", "--compare", house.issued(life))[1])
    assert told["proven"] is None
