"""A restored older copy of the journal decides no interval again that the lost one had decided (I3)."""

from __future__ import annotations

import shutil
from pathlib import Path

from agent.adapters.journal import FILE_NAME
from agent.domain.decisions import Offer, Redeem
from agent.domain.market_calls import OfferCall, RedeemCall
from tests.fakes.chain import Chain
from tests.fakes.ruled import Ruled
from tests.fakes.world import FakeClock


def test_what_the_lost_journal_decided_is_not_decided_again(tmp_path: Path) -> None:
    clock = FakeClock()
    clock.advance(10)
    home = Ruled(tmp_path, Chain(clock), clock)
    home.interval()
    home.each_interval(produced_wh=1_000, consumed_wh=200)
    home.closed()
    copy = tmp_path / "copy"
    home.journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / FILE_NAME, copy)
    for _ in range(3):
        home.turns("follow", "submit")
        home.chain.mine()
        home.pass_time(5)
        home.turns("confirm")
    home.turns("trade", "submit")
    assert [type(act) for act in home.acts()] == [Redeem, Redeem, Offer]

    home.kill()
    for leftover in tmp_path.glob(f"{FILE_NAME}*"):
        leftover.unlink()
    shutil.copy(copy, tmp_path / FILE_NAME)
    home.start()
    # The copy has the interval's reading and not its decision, whose transactions wait in the pools.
    home.turns("follow", "trade", "trade")
    assert [type(act) for act in home.acts()] == [Redeem]
    home.settled(12)
    assert [type(call) for call in home.chain.top.trading.done] == [RedeemCall, RedeemCall, OfferCall]
    home.interval()

    assert [type(act) for act in home.acts()[-2:]] == [Redeem, Offer], "the next interval is its own to decide"
    assert [type(call) for call in home.chain.top.trading.done[3:]] == [RedeemCall, OfferCall]
    home.journal.close()
