"""A meter that dies in the middle of an interval: the other one's energy reaches the chain meanwhile (I2, I6)."""

from __future__ import annotations

from pathlib import Path

from agent.domain.readings import Flags, ReadingState
from agent.domain.samples import MeterRole
from tests.fakes.chain import Chain
from tests.fakes.home import Home
from tests.fakes.world import FakeClock


def test_readings_with_a_held_register_are_taken_by_the_contract(tmp_path: Path) -> None:
    clock = FakeClock()
    clock.advance(10)
    home = Home(tmp_path, Chain(clock), clock)
    for _ in range(3):
        home.turns("poll", "follow")
        home.pass_time(1)
    home.interval()
    home.pass_time(300)
    home.turns("poll", "poll")  # its register moves on before it dies
    home.meters[MeterRole.PRODUCTION].fault = "silent"
    for _ in range(3):
        home.interval()
    held = home.chain.booked()[-1]
    home.meters[MeterRole.PRODUCTION].fault = ""
    home.interval()
    home.interval()
    home.settle()
    booked, states = home.chain.booked(), set(home.states())
    home.journal.close()

    assert Flags.PRODUCTION_HELD in held.flags
    assert states == {ReadingState.FINAL}
    assert len({reading.produced_wh for reading in booked if Flags.PRODUCTION_HELD in reading.flags}) == 1
    assert booked[-1].flags & Flags.PRODUCTION_HELD == Flags.NONE
    assert booked[-1].produced_wh > held.produced_wh
    assert not {"transaction.reverted", "transaction.refused"} & set(home.events.names())
