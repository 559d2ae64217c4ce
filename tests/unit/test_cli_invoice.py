"""``prosumer-agent invoice`` on a journal: the figures, the page, and the comparison with the operator's."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.adapters.calendars import month, time_zone
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.market_rows import MarketRows
from agent.cli.main import main
from agent.compose import invoicing
from agent.configuration import Configuration
from agent.domain.billing import invoice
from agent.domain.errors import NodeUnavailable
from agent.domain.invoice_document import canonical
from agent.domain.invoices import Book, Period
from agent.domain.market import Settlement
from tests.fakes import billing
from tests.fakes.billing import CONTRACT, HOUSE, OTHER, Life

TEHRAN = time_zone("Asia/Tehran")
ABAN = month("1405-08", TEHRAN)
NOW = float(ABAN.last + 86_400)
HASH = "0x" + "ab" * 32
CONFIGURATION = f"""
[household]
account = "{HOUSE}"
area = "north"
rated_power_w = 8000
[meters.production]
profile = "a"
line = "tcp://127.0.0.1:1"
[meters.consumption]
profile = "b"
line = "tcp://127.0.0.1:2"
[chain]
id = 1337
genesis = "{HASH}"
contract = "{CONTRACT}"
code_hash = "{HASH}"
unproven = true
[[chain.nodes]]
url = "http://127.0.0.1:1"
area = "north"
[invoice]
time_zone = "Asia/Tehran"
language = "fa"
"""


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    monkeypatch.setattr(billing, "BEGIN", ABAN.first)
    life = Life(retail=3 * 10**15)
    for _ in range(4):
        life.wait(900)
        life.reading(100, 1_250)
    life.redeem(200)
    life.trade(40, 10**16, sells=True)
    return life


class House:
    """A household's files, and its command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.configuration = folder / "agent.toml"
        self.configuration.write_text(f'{CONFIGURATION}\n[journal]\ndirectory = "{folder}"\n')
        journal = Journal(folder / FILE_NAME)
        journal.migrate()
        journal.close()

    def follow(self, life: Life) -> None:
        """The journal has all that has happened."""
        journal = Journal(self.folder / FILE_NAME)
        MarketRows(journal).add(life.events, life.book().block, HASH)
        journal.close()

    def run(self, *words: str) -> tuple[int, str, str]:
        code = main(["--config", str(self.configuration), "invoice", *words])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def issued(self, life: Life, period: Period = ABAN, household: str = HOUSE, **changed: object) -> str:
        """The operator's invoice, as a file's path."""
        facts = json.loads(canonical(invoice(household, life.events, period, life.book())))
        path = self.folder / "issued.json"
        path.write_text(json.dumps({**facts, **changed}))
        return str(path)


@pytest.fixture
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(invoicing, "settlement", lambda _: Settlement("Ether", "ETH", 18))
    monkeypatch.setattr("agent.cli.invoice.time", SimpleNamespace(time=lambda: NOW))
    return House(tmp_path, capsys)


def test_json_is_the_canonical_text_and_asks_nobody(house: House, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(configuration: Configuration) -> Settlement:
        raise AssertionError(configuration)

    monkeypatch.setattr(invoicing, "settlement", ask)
    house.follow(life)
    code, out, _ = house.run("--json", "--month", "1405-08")

    assert code == 0
    assert out.encode() == canonical(invoice(HOUSE, life.events, ABAN, Book(1337, CONTRACT, len(life.events))))


def test_a_person_reads_what_is_due_and_what_proves_it(house: House, life: Life) -> None:
    house.follow(life)
    code, out, _ = house.run("--month", "1405-08")

    assert code == 0
    assert "23 October 2026 to 21 November 2026" in out
    assert "due          0.0144 ETH" in out
    assert "provisional: known up to block" in out
    assert life.events[2].place.tx_hash in out
    assert "sold, settled" in out
    assert "bought" not in out


def test_the_page_is_in_the_households_language_and_private(house: House, life: Life) -> None:
    house.follow(life)
    path = house.folder / "aban.html"
    code, out, _ = house.run("--month", "1405-08", "--html", str(path))

    assert code == 0
    assert f"Written to {path}" in out
    assert 'lang="fa" dir="rtl"' in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert house.run("--month", "1405-08", "--html", str(path), "--language", "en")[0] == 0
    assert "the household&#39;s own calculation" in path.read_text()


def test_a_mistyped_folder_of_the_page_is_named_and_not_made(house: House, life: Life) -> None:
    house.follow(life)
    path = house.folder / "typo" / "aban.html"
    code, _, told = house.run("--month", "1405-08", "--html", str(path))

    assert code == 1
    assert f"{path} cannot be written: there is no folder {path.parent}; make it, or name another file" in told
    assert not path.parent.exists()


def test_the_operators_invoice_agrees(house: House, life: Life) -> None:
    house.follow(life)
    code, out, _ = house.run("--compare", house.issued(life))

    assert code == 0
    assert "agrees to the wei and the Wh" in out
    assert json.loads(house.run("--compare", house.issued(life), "--json")[1])["agrees"] is True


def test_an_open_invoice_is_compared_as_of_its_own_block(house: House, life: Life) -> None:
    path = house.issued(life)
    life.wait(900)
    life.reading(1, 999)
    house.follow(life)

    assert house.run("--compare", path)[0] == 0


def test_a_wei_too_much_is_told_line_by_line(house: House, life: Life) -> None:
    house.follow(life)
    facts = json.loads(Path(house.issued(life)).read_text())
    facts["totals"]["dueWei"] = str(int(facts["totals"]["dueWei"]) + 1)
    path = house.issued(life, totals=facts["totals"], sold=[])
    code, out, _ = house.run("--compare", path)

    assert code == 1
    assert "differs in 2 place(s)" in out
    assert 'totals.dueWei: own "14400000000000000", issued "14400000000000001"' in out
    assert "issued nothing" in out
    code, out, _ = house.run("--compare", path, "--json")
    told = json.loads(out)
    assert (code, told["agrees"], len(told["differences"])) == (1, False, 2)
    assert told["invoice"]["totals"]["dueWei"] == "14400000000000000"


def test_another_period_than_the_issued_one_is_a_difference(house: House, life: Life) -> None:
    house.follow(life)
    code, out, _ = house.run("--compare", house.issued(life), "--month", "2026-11")

    assert code == 1
    assert "period.first" in out


def test_what_the_journal_does_not_know_yet_is_no_difference(house: House, life: Life) -> None:
    assert "no events of the contract yet" in house.run("--month", "1405-08")[2]
    house.follow(life)
    life.wait(900)
    life.reading(1, 1)
    code, _, says = house.run("--compare", house.issued(life))
    assert code == 1
    assert f"up to block {len(life.events)}, the journal follows up to block {len(life.events) - 1}" in says
    code, _, says = house.run("--compare", house.issued(life, asOfBlock=None, closed=True))
    assert code == 1
    assert "is final, but up to block" in says


def test_a_journal_of_another_release_is_named(house: House) -> None:
    with sqlite3.connect(house.folder / FILE_NAME) as journal:
        journal.execute("PRAGMA user_version = 1")
    journal.close()
    code, _, says = house.run("--month", "1405-08")

    assert code == 1
    assert "is another release's; start the agent" in says


def test_another_households_invoice_is_refused(house: House, life: Life) -> None:
    house.follow(life)
    code, _, says = house.run("--compare", house.issued(life, household=OTHER))

    assert code == 1
    assert f"is household '{OTHER}'s" in says.replace("''s", "'s")


def test_without_a_node_money_is_in_wei_and_it_says_so(
    house: House, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(_: Configuration) -> Settlement:
        raise NodeUnavailable("nobody is there")

    monkeypatch.setattr(invoicing, "settlement", ask)
    house.follow(life)
    code, out, says = house.run("--month", "1405-08")

    assert code == 0
    assert "14,400,000,000,000,000 wei" in out
    assert "nobody is there" in says


def test_what_cannot_be_done_is_one_line(house: House) -> None:
    code, _, told = house.run("--compare", "/nowhere.json")

    assert code == 1
    assert "cannot be read" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--month", "2026-13"], "argument --month: '2026-13' is no month; 2026-11 (Gregorian) or 1405-08 (Jalali) is"),
        (["--from", "2026-02-30", "--to", "2026-03-01"], "argument --from: there is no day 2026-02-30"),
        (["--from", "1405-08-01"], "invoice: --from and --to belong together"),
        (["--month", "1405-08", "--to", "1405-08-01"], "invoice: --month stands alone"),
        (["--from", "1405-08-02", "--to", "1405-08-01"], "invoice: the last day, 1405-08-01, is before the first"),
    ],
)
def test_a_period_that_is_none_is_misuse(
    house: House, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        house.run(*words)

    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "usage: prosumer-agent" in told
    assert says in told


def test_a_time_zone_that_is_none_is_a_bad_configuration(house: House) -> None:
    house.configuration.write_text(house.configuration.read_text().replace("Asia/Tehran", "Asia/Teheran"))
    code, _, told = house.run("--month", "1405-08")

    assert code == 78
    assert "invoice.time_zone" in told
    assert "Asia/Tehran is right" in told


def test_without_a_period_it_is_the_month_that_runs(house: House, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.cli.invoice.time", SimpleNamespace(time=lambda: float(ABAN.first + 5)))
    house.follow(life)

    assert json.loads(house.run("--json")[1])["period"] == {"first": ABAN.first, "last": ABAN.last}
    assert "provisional: the period is under way, and known up to block" in house.run()[1]


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--month", "1405-07"],
            "was not enrolled before 2026-10-22 20:30:00Z; invoices can be had of 1405-08 to 1405-09",
        ),
        (
            ["--month", "2026-09"],
            "was not enrolled before 2026-10-22 20:30:00Z; invoices can be had of 2026-10 to 2026-11",
        ),
        (
            ["--month", "1405-10"],
            "this period has not begun; invoices can be had of 1405-08 to 1405-09, which is under way",
        ),
        (
            ["--from", "2026-12-01", "--to", "2026-12-02"],
            "not begun; invoices can be had of 2026-10 to 2026-11, which is",
        ),
    ],
)
def test_no_invoice_is_all_zeros_for_want_of_a_beginning(
    house: House, life: Life, words: list[str], says: str, form: list[str]
) -> None:
    house.follow(life)
    code, out, told = house.run(*words, *form)

    assert (code, out) == (1, "")
    assert says in told


def test_a_machine_whose_clock_is_behind_goes_by_what_it_has_read(
    house: House, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.cli.invoice.time", SimpleNamespace(time=lambda: 0.0))
    house.follow(life)
    code, out, _ = house.run("--month", "1405-08")

    assert code == 0
    assert "the period is under way" in out
