"""FAULTS 12, 28, 29, 42, 43 and a dead meter: what happens in the house and on the way to the broker."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Final

import pytest

from simulators.meters import CONSUMPTION, PRODUCTION
from simulators.rig import Rig, Scene, stop_agent
from simulators.stream_proxy import StreamMode, StreamProxy
from tests.system.house import House, lived_in

PERIOD_S: Final = 2
STANDSTILL_S: Final = 40.0

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_HELD = {PRODUCTION: 1, CONSUMPTION: 2}


@pytest.fixture(scope="module")
def gateway() -> Iterator[list[StreamProxy]]:
    """What stands between the agent and its production meter; made with the house."""
    proxies: list[StreamProxy] = []
    yield proxies
    for proxy in proxies:
        proxy.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, gateway: list[StreamProxy]) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house") / "rig"

    def between(rig: Rig) -> None:
        place = rig.meters.addresses()[PRODUCTION]
        gateway.append(StreamProxy((str(place["host"]), int(str(place["port"])))))
        told = rig.configuration.read_text(encoding="utf-8")
        rig.configuration.write_text(
            told.replace(f"tcp://{place['host']}:{place['port']}", "tcp://{}:{}".format(*gateway[0].address)),
            encoding="utf-8",
        )

    with lived_in(Scene(directory=directory, period_s=PERIOD_S, speed=60.0), between) as one:
        yield one


def test_fault_28_an_adapter_that_comes_back_is_opened_by_its_link(house: House) -> None:
    house.skip()
    began = time.monotonic()
    house.rig.meters.unplug(CONSUMPTION)
    assert house.wait_for("meter.lost")["meter"] == CONSUMPTION
    _booked_alone(house, PRODUCTION)
    house.polled_since(began, names=[PRODUCTION])
    back = time.monotonic()
    house.rig.meters.replug(CONSUMPTION)
    house.wait_until(lambda: house.longest_silence_s(CONSUMPTION, time.monotonic() - 3) < 2, "its next read")
    assert time.monotonic() - back < 30
    house.goes_on()
    house.agrees()


def test_fault_29_a_half_open_gateway_is_left_and_comes_back(house: House, gateway: list[StreamProxy]) -> None:
    house.skip()
    began = time.monotonic()
    gateway[0].set_mode(StreamMode.HALF_OPEN)
    assert house.wait_for("meter.lost")["meter"] == PRODUCTION
    _booked_alone(house, CONSUMPTION)
    house.polled_since(began, names=[CONSUMPTION])
    gateway[0].set_mode(StreamMode.PASS)
    house.wait_until(lambda: house.longest_silence_s(PRODUCTION, time.monotonic() - 3) < 2, "its next read")
    house.goes_on()
    house.agrees()


def test_fault_12_a_process_that_stands_still_makes_one_gap_and_no_burst(house: House) -> None:
    before = len(house.rig.ledger.readings(house.rig.household))
    house.skip()
    house.agent.send_signal(signal.SIGSTOP)
    time.sleep(STANDSTILL_S)
    house.agent.send_signal(signal.SIGCONT)
    house.wait_for("interval.closed")
    house.goes_on()
    house.agrees()
    gaps = [line["gap_s"] for line in house.log() if line["event"] == "interval.closed" and line["gap_s"]]
    assert len([gap for gap in gaps if int(str(gap)) > STANDSTILL_S / 2]) == 1
    # No burst: what was missed is one gap, not a reading for each interval.
    assert len(house.rig.ledger.readings(house.rig.household)) - before < STANDSTILL_S / PERIOD_S
    assert house.agent.poll() is None


def test_fault_42_a_broker_that_is_away(house: House) -> None:
    house.skip()
    began = time.monotonic()
    house.rig.broker.stop()
    house.wait_for("broker.lost")
    time.sleep(10)
    house.polled_since(began)
    house.goes_on()
    house.rig.broker.start()
    house.agrees(within_s=120)


def test_fault_43_a_broker_that_is_killed_forgets_and_is_told_again(house: House) -> None:
    house.goes_on()
    house.rig.broker.kill()
    house.rig.broker.start()
    house.goes_on()
    house.agrees(within_s=120)


def test_a_clean_stop(house: House) -> None:
    assert stop_agent(house.agent) == 0
    assert not [
        line for line in house.log() if line["event"] in {"loop.failed", "loop.stalled", "transaction.reverted"}
    ]


def _booked_alone(house: House, living: str) -> None:
    """One meter's energy reaches the chain while the other is held (I6)."""
    dead = _HELD[PRODUCTION if living == CONSUMPTION else CONSUMPTION]
    now = int(time.time())

    def booked() -> bool:
        mined = [one for one in house.rig.ledger.readings(house.rig.household) if one.taken_at > now]
        return len([one for one in mined if one.flags & dead]) >= 3

    house.wait_until(booked, f"readings with only {living}")
