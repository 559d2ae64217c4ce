"""The trading commands: what a person is shown, asked and told, and what a program gets."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.cli import buy, orders, redeem, sell, trading, wallet
from agent.cli.arguments import parser
from agent.cli.main import main
from agent.cli.misuse import Misuse
from agent.domain.amounts import told_kwh, told_money, typed_kwh, typed_money
from agent.domain.attested import Attested
from agent.domain.errors import BadRequest, JournalBusy
from agent.domain.market import Settlement
from agent.domain.market_calls import BuyCall, OfferCall
from agent.domain.outbox import Entry, State
from agent.stages.desk import Desk
from tests.fakes.chain import ENROLLED, Chain
from tests.fakes.home import Home
from tests.fakes.trading import NEIGHBOUR, UNIT
from tests.fakes.world import FakeClock

HOUR = 3_600


@dataclass
class Room:
    """A room over a home in memory, whose agent has a turn whenever somebody waits."""

    home: Home
    unproven: bool = False
    runs: bool = True
    busy: int = 0
    closed: bool = False

    @property
    def desk(self) -> Desk:
        return self.home.desk

    def agent_runs(self) -> bool:
        return self.runs

    def seen(self, key: str) -> tuple[Entry, str] | None:
        if self.busy:
            self.busy -= 1
            raise JournalBusy("held")
        entry = self.home.outbox.by_key(key)
        return None if entry is None else (entry, self.home.outbox.why(entry.id))

    def attested(self) -> Attested | None:
        return None if self.unproven else Attested(frozenset(), 60, "")

    def close(self) -> None:
        self.closed = True

    def pause(self, _: float) -> None:
        self.home.turns("follow", "submit", "confirm", "confirm")
        self.home.chain.mine()
        self.home.pass_time(1)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    clock = FakeClock()
    state = replace(ENROLLED, produced_wh=10_000, consumed_wh=4_000, tokens_wh=10_000)
    home = Home(tmp_path, Chain(clock, state=state), clock)
    home.chain.neighbour_offers(7, 5_000, 25, clock.now_s + HOUR)
    made = Room(home)
    monkeypatch.setattr(trading, "open_room", lambda _: made)
    monkeypatch.setattr(trading.time, "time", lambda: clock.now_s)
    yield made
    home.journal.close()


def asked(*words: str) -> argparse.Namespace:
    return parser().parse_args(words)


def bought(room: Room, *words: str) -> int:
    order = f"{NEIGHBOUR}/7"
    made = asked("buy", order, *words)
    return trading.deal(made, room, buy.planned(made, room.desk), room.pause)


def test_a_dry_run_shows_cost_fee_and_balance_and_queues_nothing(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    room.unproven = True

    assert bought(room, "--energy", "2.5", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "2.500 kWh of" in shown
    assert "0.0063 TOM" in shown
    assert "0.0025 TOM" in shown
    assert "52,500 TOM at most" in shown
    assert "52,500.0088 TOM at most" in shown
    assert "10.000 kWh -> 12.500 kWh" in shown
    assert "nothing was queued" in shown
    assert "unproven" in shown
    assert room.home.entries() == []


def test_nothing_is_queued_without_a_yes(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadRequest, match="--yes"):
        bought(room)
    monkeypatch.setattr(trading, "confirmed", lambda _, yes: yes)
    assert bought(room) == 1
    assert capsys.readouterr().err == "prosumer-agent: nothing was queued\n"
    assert room.home.entries() == []


def test_who_stops_following_is_told_that_the_order_goes_on(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    def press(_: float) -> None:
        raise KeyboardInterrupt

    made = asked("buy", f"{NEIGHBOUR}/7", "--yes", "--wait")

    assert trading.deal(made, room, buy.planned(made, room.desk), press) == 1
    assert "still queued" in capsys.readouterr().err
    assert len(room.home.entries()) == 1


def test_the_cheapest_order_that_has_less_than_is_asked_for_says_so(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    assert buy.planned(asked("buy", "--cheapest", "--energy", "5"), room.desk).energy_wh == 5_000
    assert capsys.readouterr().err == ""
    assert buy.planned(asked("buy", "--cheapest", "--energy", "500"), room.desk).energy_wh == 5_000
    assert "gives 5.000 kWh of the 500.000 kWh" in capsys.readouterr().err


def test_a_queued_order_is_followed_until_it_is_final(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room.busy = 2

    assert bought(room, "--yes", "--wait") == 0
    told = capsys.readouterr()
    assert [line.split(",")[0].split(" in ")[0] for line in told.out.splitlines()[-3:]] == [
        "sent",
        "included",
        "final",
    ]
    assert told.err == ""
    assert room.home.chain.top.state.tokens_wh == 15_000


def test_what_the_contract_refuses_ends_the_wait_with_words(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    made = asked("buy", f"{NEIGHBOUR}/7", "--yes", "--wait", "--json")
    plan = buy.planned(made, room.desk)
    room.home.chain.sold(NEIGHBOUR, 7, 1)

    assert trading.deal(made, room, plan, room.pause) == 1
    facts = json.loads(capsys.readouterr().out)
    assert (facts["queued"], facts["state"], facts["txHash"]) == (True, "refused", None)
    assert "somebody was faster" in facts["why"]


def test_a_purchase_that_nobody_signed_in_time_is_over(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room.runs = False
    made = asked("buy", f"{NEIGHBOUR}/7", "--yes", "--wait")

    assert trading.deal(made, room, buy.planned(made, room.desk), room.home.pass_time) == 1
    told = capsys.readouterr().err
    assert "the agent does not run" in told
    assert "its time passed" in told


def test_an_expired_purchase_is_told_by_the_agent_too(room: Room) -> None:
    made = asked("buy", f"{NEIGHBOUR}/7", "--yes")
    trading.deal(made, room, buy.planned(made, room.desk), room.pause)
    room.home.pass_time(600)
    room.home.turns("follow", "submit")

    (entry,) = room.home.entries()
    assert (entry.state, entry.nonce) == (State.EXPIRED, None)
    assert room.home.events.last("transaction.expired")["order"] == f"{NEIGHBOUR}/7"


def test_a_journal_that_was_replaced_is_told(room: Room) -> None:
    with pytest.raises(BadRequest, match="no longer in the journal"):
        trading.follow(room, "unknown", room.pause, say=None)


def test_selling_and_taking_back(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    now = room.home.clock.now_s
    made = asked("sell", "--energy", "1.5", "--price", "0.0025", "--expires-in", "90min", "--yes", "--json")
    plan = sell.planned(made, room.desk, now)
    assert plan.call == OfferCall(now, 1_500, 25, now + 5_400)
    assert trading.deal(made, room, plan, room.pause) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["plan"]["call"]["energyWh"], facts["plan"]["tokensAfterWh"]) == (1_500, 8_500)
    for _ in range(6):
        room.pause(1)
    back = asked("sell", "--cancel", str(now))
    assert sell.planned(back, room.desk, now).energy_wh == 1_500
    assert "1.500 kWh come back" in trading.told(sell.planned(back, room.desk, now), UNIT, unproven=False)


def test_the_cheapest_and_a_price_limit(room: Room) -> None:
    made = asked("buy", "--cheapest", "--energy", "1", "--most-price", "0.0025")
    assert buy.planned(made, room.desk).call == BuyCall(NEIGHBOUR, 7, 1_000, 25)
    with pytest.raises(BadRequest, match="nobody else sells"):
        buy.planned(asked("buy", "--cheapest", "--energy", "1", "--most-price", "0.0024"), room.desk)
    with pytest.raises(Misuse, match="is finer than an amount of TOM can be"):
        buy.planned(asked("buy", "--cheapest", "--energy", "1", "--most-price", "0." + "1" * 30), room.desk)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sell", "--energy", "1"), "--energy needs --price"),
        (("sell", "--cancel", "5", "--price", "1"), "--cancel takes no --price"),
        (("buy", "--cheapest"), "--cheapest needs --energy"),
    ],
)
def test_misuse_is_exit_code_2(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    says = capsys.readouterr().err
    assert "usage: prosumer-agent" in says
    assert f"error: {words[0]}: " in says
    assert told in says


@pytest.mark.parametrize(
    "words",
    [
        ("sell",),
        ("sell", "--energy", "1.2345", "--price", "1"),
        ("sell", "--energy", "0", "--price", "1"),
        ("sell", "--energy", "1,5", "--price", "1"),
        ("sell", "--energy", "1099511627.776", "--price", "1"),
        ("sell", "--energy", "1", "--price=-1"),
        ("sell", "--energy", "1", "--price", "cheap"),
        ("sell", "--energy", "1", "--price", "1", "--expires-in", "soon"),
        ("sell", "--energy", "1", "--price", "1", "--expires-in", "0h"),
        ("sell", "--energy", "1", "--price", "1", "--expires-in", "1min"),
        ("sell", "--energy", "1", "--price", "1", "--expires-in", "31d"),
        ("buy", f"{NEIGHBOUR}/7", "--most-price", "-1"),
        ("sell", "--cancel", "0"),
        ("buy",),
        ("buy", "7"),
        ("buy", "0x33/7"),
        ("buy", f"{NEIGHBOUR}/"),
        ("redeem",),
        ("redeem", "--all", "--energy", "1"),
    ],
)
def test_what_cannot_be_meant_is_misuse(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        asked(*words)
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ["sell", "buy", "redeem", "orders", "wallet"])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        asked(name, "--help")
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_orders_are_shown_cheapest_first_with_ones_own(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    now = room.home.clock.now_s
    room.home.chain.neighbour_offers(8, 900, 22, now + HOUR)
    room.desk.submit(room.desk.offer(1_000, 25, now + HOUR))

    assert orders.command(asked("orders")) == 0
    shown = capsys.readouterr().out
    assert shown.index(f"{NEIGHBOUR}/8") < shown.index(f"{NEIGHBOUR}/7")
    assert "0.0032 TOM/kWh" in shown
    assert "queued" in shown
    assert orders.command(asked("orders", "--mine", "--json")) == 0
    facts = json.loads(capsys.readouterr().out)
    assert "others" not in facts
    assert [(one["order"]["number"], one["state"]) for one in facts["own"]] == [(now, "queued")]
    assert room.closed


def test_an_empty_market_is_told(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room.home.chain.sold(NEIGHBOUR, 7, 5_000)

    assert orders.command(asked("orders")) == 0
    shown = capsys.readouterr().out
    assert "Nobody else sells energy now. Prices lie between 0.002 TOM/kWh" in shown
    assert "You have no order" in shown


def test_states_of_ones_own_orders(room: Room) -> None:
    now = room.home.clock.now_s
    room.desk.submit(room.desk.offer(1_000, 25, now + HOUR))
    for _ in range(6):
        room.pause(1)
    (one,) = room.desk.own_orders()
    assert orders.state(one, now) == "open"
    assert orders.state(one, now + HOUR) == "over: take it back"
    assert orders.state(replace(one, state=State.SENT), now) == "on its way"
    assert orders.state(replace(one, cancelling=True), now) == "being taken back"


def test_the_wallet_shows_what_is_held_and_what_is_on_its_way(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    room.desk.submit(room.desk.redemption(1_000))
    room.home.chain.market = replace(room.home.chain.market, paused=True)
    room.home.chain.office(active=False)

    assert wallet.command(asked("wallet")) == 0
    shown = capsys.readouterr().out
    assert "10.000 kWh, 1.000 kWh of it on its way" in shown
    assert "100,000,000,000,000 TOM" in shown
    assert "NOT ACTIVE" in shown
    assert "PAUSED" in shown
    assert wallet.command(asked("wallet", "--json")) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["tokensWh"], facts["redeemableWh"], facts["spokenFor"]["tokensWh"]) == (10_000, 4_000, 1_000)
    assert facts["feeMostWei"]["buy"] == 250_000 * 2_100
    assert "no sale of your orders is missing is proven up to block 60" in shown
    assert facts["attested"] == {"toldOnly": [], "salesTo": 60, "wrong": None}
    room.unproven = True
    assert wallet.command(asked("wallet")) == 0
    assert "own trades" not in capsys.readouterr().out


def test_a_command_carries_out_what_it_planned(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    assert redeem.command(asked("redeem", "--all", "--yes")) == 0
    assert "4.000 kWh" in capsys.readouterr().out
    assert sell.command(asked("sell", "--energy", "1", "--price", "0.0021", "--yes")) == 0
    assert buy.command(asked("buy", f"{NEIGHBOUR}/7", "--energy", "1", "--yes")) == 0
    assert [entry.kind.value for entry in room.home.entries()] == ["redeem", "offer", "buy"]
    assert room.closed


ETHER = Settlement("Ether", "ETH", 18)


@pytest.mark.parametrize(
    ("wei", "unit", "told"),
    [
        (0, ETHER, "0 ETH"),
        (1, ETHER, "0.000000000000000001 ETH"),
        (-15 * 10**17, ETHER, "-1.5 ETH"),
        (1_234_567_8900, UNIT, "1,234,567.89 TOM"),
        (1_234, Settlement("Rial", "IRR", 0), "1,234 IRR"),
    ],
)
def test_money_for_a_person(wei: int, unit: Settlement, told: str) -> None:
    assert told_money(wei, unit) == told
    if wei >= 0:
        assert typed_money(told.split(maxsplit=1)[0].replace(",", ""), unit) == wei


@pytest.mark.parametrize("read", [lambda text: typed_money(text, UNIT), typed_kwh])
@pytest.mark.parametrize("text", ["", "-1", "1e3", "1.", ".5", "1,5", "\u0661", "1.00001", "9" * 31, "nan", " 1"])
def test_what_is_no_amount_is_refused(read: Callable[[str], int], text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|is finer"):
        read(text)


def test_energy_for_a_person() -> None:
    assert [told_kwh(wh) for wh in (0, 1, -1_500, 1_234_567)] == [
        "0.000 kWh",
        "0.001 kWh",
        "-1.500 kWh",
        "1,234.567 kWh",
    ]
    assert typed_kwh("12.3") == 12_300
