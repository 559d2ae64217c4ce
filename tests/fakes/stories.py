"""Beginnings and the end that the spine's stories share."""

from __future__ import annotations

from collections import Counter

from tests.fakes.home import Home


def sealed(home: Home, count: int = 1) -> None:
    """``count`` intervals closed and sealed, and nothing sent."""
    for _ in range(count):
        home.pass_time(900)
        home.turns("poll", "poll", "record", "seal")


def sent(home: Home, count: int = 1) -> None:
    """The opening is final, and ``count`` readings are in the pools in one transaction."""
    sealed(home)
    home.settle()
    assert home.chain.top.nonce == 2
    sealed(home, count)
    home.turns("submit")


def consistent(home: Home) -> None:
    """What holds at the end of every story: each reading booked once, the chain and the journal agree (I2, I3)."""
    booked = home.chain.booked()
    assert max(Counter((one.epoch, one.sequence) for one in booked).values(), default=0) <= 1
    final = home.journal.query("SELECT epoch, sequence, produced_wh FROM reading WHERE state = 'final'")
    known = {(one.epoch, one.sequence): one.produced_wh for one in booked}
    assert all(known[row["epoch"], row["sequence"]] == row["produced_wh"] for row in final)
    assert all(len(intents) == 1 for intents in home.chain.intents().values())
    assert home.chain.top.state.tokens_wh == home.chain.top.state.produced_wh
