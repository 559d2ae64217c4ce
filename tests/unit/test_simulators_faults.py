"""Faults and scripted steps as pure functions."""

from __future__ import annotations

import random
import struct

import pytest

from simulators import slave
from simulators.faults import Fault, Mix, Timing, bad_line, spoil
from simulators.frames import Framing, Request, crc16, rtu_frame

READ = struct.pack(">BHH", 4, 0x48, 2)
REPLY = b"\x04\x04\x44\x9a\x52\x25"
RTU = Request(Framing.RTU, 1, READ)
TCP = Request(Framing.TCP, 1, READ, 500)
GOOD = rtu_frame(1, REPLY)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable on purpose


def seen(fault: Fault, request: Request = RTU, seed: int = 1) -> bytes:
    emissions = spoil(fault, request, REPLY, seeded(seed), Timing(late_s=0.9, drip_s=0.03, babbles=3))
    return b"".join(each.data for each in emissions)


def valid(frame: bytes) -> bool:
    return crc16(frame[:-2]) == frame[-2:]


def test_a_good_line_passes_the_reply() -> None:
    assert seen(Fault.NONE) == GOOD
    assert seen(Fault.NONE, TCP) == TCP.frame(REPLY)


def test_a_late_reply_is_the_right_one_later() -> None:
    (late,) = spoil(Fault.LATE, RTU, REPLY, seeded(1), Timing(late_s=0.9))
    assert (late.data, late.after_s) == (GOOD, 0.9)


@pytest.mark.parametrize("seed", range(50))
def test_spoiled_replies_are_spoiled(seed: int) -> None:
    short = seen(Fault.SHORT, seed=seed)
    assert GOOD.startswith(short)
    assert 0 < len(short) < len(GOOD)
    assert not valid(seen(Fault.CORRUPT, seed=seed))
    assert seen(Fault.CORRUPT, TCP, seed)[:4] != TCP.frame(REPLY)[:4]
    wrong_unit, wrong_function = seen(Fault.WRONG_UNIT, seed=seed), seen(Fault.WRONG_FUNCTION, seed=seed)
    assert valid(wrong_unit)
    assert wrong_unit[0] != 1
    assert valid(wrong_function)
    assert wrong_function[1] == 3


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("request_", [RTU, TCP], ids=["rtu", "tcp"])
def test_a_foreign_reply_is_whole_and_not_ours(request_: Request, seed: int) -> None:
    foreign, both = seen(Fault.INSTEAD, request_, seed), seen(Fault.FOREIGN, request_, seed)
    assert both == foreign + request_.frame(REPLY)
    if request_.framing is Framing.RTU:
        assert valid(foreign)
        assert foreign[0] != 1 or foreign[2] != 4  # another unit, or another length
    else:
        assert foreign[:2] != struct.pack(">H", 500)


def test_silence_dripping_and_babble() -> None:
    assert seen(Fault.SILENT) == b""
    drops = spoil(Fault.DRIP, RTU, REPLY, seeded(1), Timing(drip_s=0.03))
    assert b"".join(drop.data for drop in drops) == GOOD
    assert [drop.after_s for drop in drops[:3]] == [0, 0.03, 0.06]
    assert seen(Fault.BABBLE) == b" Busy " * 3


def test_a_broken_connection_ends_in_the_middle() -> None:
    (broken,) = spoil(Fault.HANG_UP, TCP, REPLY, seeded(1))
    assert broken.hang_up
    assert TCP.frame(REPLY).startswith(broken.data)


def test_the_same_seed_gives_the_same_faults() -> None:
    first, second = seeded(5), seeded(5)
    mix = bad_line(0.6)
    drawn = [mix.draw(first) for _ in range(300)]
    assert drawn == [mix.draw(second) for _ in range(300)]
    assert set(drawn) == set(Fault)
    assert drawn.count(Fault.NONE) == pytest.approx(120, abs=30)


@pytest.mark.parametrize("weights", [{}, {Fault.LATE: -1.0}, {Fault.LATE: 0.0}])
def test_a_mix_needs_something_to_draw(weights: dict[Fault, float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Mix(weights)


def said(step: slave.Step, request: Request = RTU) -> bytes:
    return b"".join(each.data for each in step(request))


def test_steps_say_what_their_names_say() -> None:
    assert said(slave.words(0x449A, 0x5225)) == GOOD
    assert said(slave.floats(1.0, swapped=True)) == rtu_frame(1, bytes.fromhex("040400003f80"))
    assert said(slave.words(*slave.NAN_WORDS)) == rtu_frame(1, bytes.fromhex("04047fc00000"))
    assert said(slave.table({0x48: 7, 0x49: 8, 0x4A: 9})) == rtu_frame(1, bytes.fromhex("040400070008"))
    assert said(slave.exception(6)) == rtu_frame(1, b"\x84\x06")
    assert said(slave.silent()) == b""
    assert said(slave.raw(b"abc")) == b"abc"
    assert said(slave.short(slave.words(0x449A, 0x5225), 4)) == GOOD[:4]
    assert said(slave.wrong_function(slave.words(1), 3)) == rtu_frame(1, bytes.fromhex("03020001"))
    assert said(slave.wrong_unit(slave.words(1), 9)) == rtu_frame(9, bytes.fromhex("04020001"))
    assert said(slave.wrong_transaction(slave.words(1)), TCP)[:2] == struct.pack(">H", 501)


def test_a_late_step_waits() -> None:
    (late,) = slave.late(slave.words(1), 0.7)(RTU)
    assert late.after_s == 0.7
    (ended,) = slave.hang_up()(TCP)
    assert ended.hang_up
