"""Orders beside readings: readings go first, one that waits blocks nobody, and a refusal has words (I3, I5, I6)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.journal import FILE_NAME
from agent.domain.market_calls import OfferCall, RedeemCall
from agent.domain.outbox import Entry, Intent, Kind, State
from agent.domain.readings import ReadingState
from tests.fakes.chain import Chain
from tests.fakes.home import RULES, Home
from tests.fakes.stories import sealed
from tests.fakes.trading import NEIGHBOUR, encoded
from tests.fakes.world import MARKET, FakeClock

HOUR = 3_600


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    clock = FakeClock()
    clock.advance(10)
    home = Home(tmp_path, Chain(clock), clock)
    for _ in range(3):
        home.turns("poll", "follow")
        home.pass_time(1)
    home.interval()
    home.settle()
    home.chain.neighbour_offers(7, 5_000, 25, clock.now_s + HOUR)
    yield home
    home.journal.close()


def trades(home: Home) -> list[Entry]:
    return [entry for entry in home.entries() if entry.kind in {Kind.OFFER, Kind.BUY, Kind.CANCEL, Kind.REDEEM}]


def offers(home: Home, energy_wh: int = 100) -> None:
    assert home.desk.submit(home.desk.offer(energy_wh, 25, home.clock.now_s + HOUR))


def buys(home: Home, energy_wh: int = 100) -> None:
    assert home.desk.submit(home.desk.purchase(NEIGHBOUR, 7, energy_wh))


def test_a_purchase_is_sent_with_its_money(home: Home) -> None:
    buys(home)
    home.settle()

    assert [(entry.state, entry.value) for entry in trades(home)] == [(State.FINAL, 4)]
    assert home.chain.broadcasts[-1].value == 4
    assert home.chain.top.trading.paid_wei == 4


def test_readings_go_before_orders_that_were_asked_for_earlier(home: Home) -> None:
    sealed(home)
    offers(home)
    buys(home)
    home.turns("submit")

    nonces = {entry.kind: entry.nonce for entry in home.entries() if entry.state is State.SENT}
    assert nonces[Kind.REPORT] < nonces[Kind.OFFER] < nonces[Kind.BUY]


def test_a_purchase_that_has_to_wait_holds_up_neither_readings_nor_other_orders(home: Home) -> None:
    sealed(home)
    offers(home)
    buys(home)
    # The purchase's money is gone; the rest is paid for.
    (offer, bought) = trades(home)
    home.chain.funds = 2 * 2_100 * offer.gas + 2_100 * 92_000
    home.turns("submit", "submit")

    assert [entry.state for entry in trades(home)] == [State.SENT, State.QUEUED]
    assert home.states()[-1] is ReadingState.BUNDLED
    waiting = [facts for _, name, facts in home.events.heard if name == "order.waiting"]
    assert [facts["order"] for facts in waiting] == [f"{NEIGHBOUR}/7"]
    assert "send funds" in str(waiting[0]["problem"])
    # Until its time is over.
    home.pass_time(601)
    home.turns("submit")
    assert home.entries()[bought.id - 1].state is State.EXPIRED
    assert home.events.last("transaction.expired")["kind"] is Kind.BUY


def test_a_pause_is_waited_for_with_one_line(home: Home) -> None:
    offers(home)
    home.chain.market = replace(home.chain.market, paused=True)
    for _ in range(3):
        home.turns("submit")
    assert home.events.names().count("order.waiting") == 1
    assert trades(home)[0].state is State.QUEUED

    home.chain.market = replace(home.chain.market, paused=False)
    home.settle()
    assert trades(home)[0].state is State.FINAL


def test_an_order_expires_also_while_readings_wait(home: Home) -> None:
    buys(home)
    home.chain.market = replace(home.chain.market, paused=True)
    sealed(home)
    home.turns("submit")

    assert trades(home)[0].state is State.EXPIRED
    assert home.states()[-1] is ReadingState.SEALED


def test_a_refusal_before_signing_ends_in_words_and_costs_no_nonce(home: Home) -> None:
    buys(home, 5_000)
    home.chain.sold(NEIGHBOUR, 7, 1)
    before = home.chain.top.nonce
    home.settle()

    (bought,) = trades(home)
    assert (bought.state, bought.nonce, home.chain.top.nonce) == (State.REFUSED, None, before)
    assert "somebody was faster" in home.outbox.why(bought.id)
    told = home.events.last("transaction.refused")
    assert (told["kind"], told["order"], told["energy_wh"], told["price"]) == (Kind.BUY, f"{NEIGHBOUR}/7", 5_000, 25)
    assert "orders" in str(told["advice"])
    assert "readings" not in told


def test_a_revert_on_the_chain_ends_in_words_too(home: Home) -> None:
    buys(home, 5_000)
    home.turns("submit")
    home.chain.sold(NEIGHBOUR, 7, 1)
    home.settle()

    (bought,) = trades(home)
    assert bought.state is State.REFUSED
    assert bought.nonce is not None
    assert "somebody was faster" in home.outbox.why(bought.id)
    told = home.events.last("transaction.reverted")
    assert (told["kind"], told["order"]) == (Kind.BUY, f"{NEIGHBOUR}/7")
    assert home.chain.top.trading.paid_wei == 0


def test_a_refusal_behind_what_is_not_mined_is_asked_again(home: Home) -> None:
    """The energy comes back with the cancellation in flight: neither is lost."""
    all_of_it = home.chain.top.state.tokens_wh
    offers(home, all_of_it)
    home.settle()
    (own,) = home.desk.own_orders()
    assert home.desk.submit(home.desk.cancellation(own.order.number))
    call = OfferCall(own.order.number + 1, all_of_it, 26, home.clock.now_s + HOUR)
    home.outbox.queue(Intent("again", Kind.OFFER, MARKET, encoded(call), 150_000), home.clock.now_s)
    home.turns("submit", "submit")
    assert [entry.state for entry in trades(home)[1:]] == [State.SENT, State.QUEUED]

    home.settle()
    assert {entry.state for entry in trades(home)} == {State.FINAL}


def test_a_report_is_rehearsed_behind_an_order_and_not_behind_a_report(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    rehearse = home.chain.rehearse

    def counted(to: str, data: bytes, value: int = 0, gas: int = 0) -> None:
        asked.append(data)
        rehearse(to, data, value, gas)

    monkeypatch.setattr(home.chain, "rehearse", counted)
    offers(home)
    home.turns("submit")
    sealed(home)
    home.turns("submit")
    sealed(home)
    home.turns("submit")

    assert [data[:1] for data in asked] == [b"{", b"{", b"["]


def test_orders_leave_half_of_the_flight_to_readings(home: Home) -> None:
    for _ in range(20):
        offers(home, 1)
    home.turns("submit")
    assert sum(entry.state is State.SENT for entry in trades(home)) == 8
    for _ in range(3):
        sealed(home)
        home.turns("submit")

    assert set(home.states()[-3:]) == {ReadingState.BUNDLED}
    home.settle(30)
    assert {entry.state for entry in trades(home)} == {State.FINAL}


def test_what_is_in_flight_is_paid_before_the_next_is_signed(home: Home) -> None:
    offers(home)
    offers(home)
    one = 2_100 * trades(home)[0].gas
    home.chain.funds = one + one // 2
    home.turns("submit")

    assert [entry.state for entry in trades(home)] == [State.SENT, State.QUEUED]
    assert f"beside {one} for what is on its way" in str(home.events.last("order.waiting")["problem"])


def test_a_suspended_household_whose_readings_wait_may_take_an_order_back(home: Home) -> None:
    offers(home)
    home.settle()
    (own,) = home.desk.own_orders()
    home.chain.office(active=False)
    sealed(home)
    assert home.desk.submit(home.desk.cancellation(own.order.number))
    for _ in range(RULES.depth + 3):
        home.turns("submit", "confirm", "confirm")
        home.chain.mine()

    assert [entry.state for entry in trades(home)] == [State.FINAL, State.FINAL]
    assert home.states()[-1] is ReadingState.SEALED


def test_a_redemption_of_more_than_was_consumed_is_refused_in_words(home: Home) -> None:
    call = RedeemCall(home.chain.redeemable() + 1)
    home.outbox.queue(Intent("more", Kind.REDEEM, MARKET, encoded(call), 100_000), home.clock.now_s)
    home.settle()

    assert trades(home)[0].state is State.REFUSED
    assert "own consumption" in home.outbox.why(trades(home)[0].id)


@pytest.mark.parametrize("point", range(1, 9))
@pytest.mark.parametrize("what", ["offer", "buy", "redeem", "cancel"])
def test_a_kill_at_every_point_of_an_order_neither_loses_nor_doubles_it(home: Home, what: str, point: int) -> None:
    offers(home, 300)
    home.settle()
    before = len(home.chain.top.trading.done)
    (own,) = home.desk.own_orders()
    plan = {
        "offer": lambda: home.desk.offer(100, 25, home.clock.now_s + HOUR),
        "buy": lambda: home.desk.purchase(NEIGHBOUR, 7, 100),
        "redeem": lambda: home.desk.redemption(100),
        "cancel": lambda: home.desk.cancellation(own.order.number),
    }[what]()
    home.desk.submit(plan)
    home.fuse.left = point
    home.settle(20)

    assert home.chain.top.trading.done[before:] == (plan.call,)
    assert trades(home)[-1].state is State.FINAL
    assert all(len(intents) == 1 for intents in home.chain.intents().values())


@pytest.mark.parametrize("what", ["offer", "buy", "redeem", "cancel"])
def test_an_old_copy_of_the_journal_that_is_put_back_does_nothing_twice(home: Home, what: str) -> None:
    offers(home, 300)
    home.settle()
    (own,) = home.desk.own_orders()
    plan = {
        "offer": lambda: home.desk.offer(100, 25, home.clock.now_s + HOUR),
        "buy": lambda: home.desk.purchase(NEIGHBOUR, 7, 100),
        "redeem": lambda: home.desk.redemption(100),
        "cancel": lambda: home.desk.cancellation(own.order.number),
    }[what]()
    home.desk.submit(plan)
    home.journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(home.directory / FILE_NAME, home.directory / "copy")
    home.settle()
    done = home.chain.top.trading.done
    assert done[-1] == plan.call

    home.pass_time(600)
    home.kill()
    for suffix in ("-wal", "-shm"):
        (home.directory / (FILE_NAME + suffix)).unlink(missing_ok=True)
    shutil.copy(home.directory / "copy", home.directory / FILE_NAME)
    home.fresh = False
    home.start()
    home.turns("follow")
    home.settle(20)

    assert home.chain.top.trading.done == done
    assert trades(home)[-1].state in {State.REFUSED, State.EXPIRED}
    # The next order has a number that was never used.
    offers(home, 1)
    home.settle()
    numbers = [call.number for call in home.chain.top.trading.done if isinstance(call, OfferCall)]
    assert numbers == sorted(set(numbers))
    assert trades(home)[-1].state is State.FINAL
