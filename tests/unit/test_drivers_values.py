"""Words to values, and values to Wh: exact or unknown."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.profile import Point
from drivers.values import FORMATS, NOT_AVAILABLE, TEXTS, Kind, WordOrder, float_step, number, text, whole

NUMERIC = sorted(set(Kind) - TEXTS - {Kind.SF})


def swapped(raw: bytes) -> bytes:
    return b"".join(raw[at : at + 2] for at in range(len(raw) - 2, -1, -2))


def energy(kind: Kind, **more: object) -> Point:
    settings: dict[str, object] = {"unit": "kWh", **more}
    return Point("import_energy", 0, kind, struct.calcsize(FORMATS[kind]) // 2, 4, **settings)  # type: ignore[arg-type] # built from a table


@given(kind=st.sampled_from(NUMERIC), data=st.data())
def test_any_words_decode_to_what_they_hold_or_to_unknown(kind: Kind, data: st.DataObject) -> None:
    size = struct.calcsize(FORMATS[kind])
    raw = data.draw(st.binary(min_size=size, max_size=size))

    found = number(raw, kind, WordOrder.HIGH_FIRST)

    (held,) = struct.unpack(FORMATS[kind], raw)
    if int.from_bytes(raw, "big") in NOT_AVAILABLE[kind] or not math.isfinite(held):
        assert found is None
    else:
        assert Fraction(found) == Fraction(held)
    assert number(swapped(raw), kind, WordOrder.LOW_FIRST) == found


@pytest.mark.parametrize("pattern", ["7FC00000", "FFFFFFFF", "80000000", "7F800000", "FF800000"])
def test_what_makers_send_for_not_available_is_unknown(pattern: str) -> None:
    assert number(bytes.fromhex(pattern), Kind.F32, WordOrder.HIGH_FIRST) is None


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [(Kind.U16, "FFFF"), (Kind.I16, "8000"), (Kind.I32, "80000000"), (Kind.U32, "FFFFFFFF"), (Kind.U64, "F" * 16)],
)
def test_all_ones_and_the_most_negative_are_unknown(kind: Kind, pattern: str) -> None:
    assert number(bytes.fromhex(pattern), kind, WordOrder.HIGH_FIRST) is None


def test_a_profiles_own_pattern_is_unknown() -> None:
    point = energy(Kind.I32, invalid=frozenset({0x7FFF_FFFF}))

    assert point.value(bytes.fromhex("7FFFFFFF")) is None
    assert point.value(bytes.fromhex("7FFFFFFE")) == 0x7FFF_FFFE


@given(st.floats(width=32, min_value=0, exclude_min=True, max_value=2.0**24))
def test_a_float_counter_in_kwh_is_rounded_to_the_nearest_wh(kwh: float) -> None:
    value = energy(Kind.F32).value(struct.pack(">f", kwh))

    assert value is not None
    assert abs(Fraction(whole(value * 1000)) - Fraction(kwh) * 1000) <= Fraction(1, 2)


@given(st.integers(0, 2**32 - 2))
def test_an_integer_counter_loses_nothing(raw: int) -> None:
    value = energy(Kind.U32, scale=Decimal("0.1")).value(raw.to_bytes(4, "big"))

    assert value is not None
    assert whole(value * 1000) == raw * 100


def test_a_negative_counter_is_unknown() -> None:
    assert energy(Kind.F32).value(struct.pack(">f", -0.5)) is None
    assert energy(Kind.I32).value((-1).to_bytes(4, "big", signed=True)) is None


def test_a_negative_power_is_a_power() -> None:
    power = Point("active_power", 0, Kind.F32, 2, 4, unit="W")

    assert power.value(struct.pack(">f", -1500.0)) == -1500


def test_a_value_outside_its_limits_is_unknown() -> None:
    voltage = Point("voltage_l1", 0, Kind.U16, 1, 3, unit="V", limits=(Decimal(0), Decimal(1000)))

    assert voltage.value(b"\x03\xe8") == 1000
    assert voltage.value(b"\x03\xe9") is None


@pytest.mark.parametrize(("kwh", "step_kwh"), [(8192.0, 2.0**-10), (65536.0, 2.0**-7), (1.0, 2.0**-23)])
def test_a_float_counters_step_grows(kwh: float, step_kwh: float) -> None:
    assert float_step(kwh, Kind.F32) == step_kwh
    assert struct.unpack(">f", struct.pack(">f", kwh + step_kwh))[0] == kwh + step_kwh


def test_texts_lose_padding_and_nothing_else() -> None:
    assert text(b"AB12 3\0\0\0", Kind.STR) == "AB12 3"
    assert text(b"\0\0\0\0", Kind.STR) is None
    assert text(b"\xff\xff", Kind.STR) is None
    assert text(b"\x01A", Kind.STR) is None
    assert text(b"\x00\x2a\x01\x02", Kind.HEX) == "002a0102"
    assert text(bytes(4), Kind.HEX) is None


@pytest.mark.parametrize(("raw", "shown"), [(2141.0, "2141"), (0.5, "0.5"), (100.0, "100")])
def test_a_setting_is_shown_without_an_idle_fraction(raw: float, shown: str) -> None:
    assert Point("x", 0, Kind.F32, 2, 3).words(struct.pack(">f", raw)) == shown


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(__file__).parents[2] / "drivers" / "py.typed").exists()
