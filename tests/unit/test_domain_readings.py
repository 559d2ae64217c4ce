"""Readings: the packed word that the contract unpacks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadReading
from agent.domain.readings import Flags, Reading

HOME = "0x" + "11" * 20
readings = st.builds(
    Reading,
    household=st.just(HOME),
    epoch=st.integers(0, 2**8 - 1),
    sequence=st.integers(0, 2**24 - 1),
    taken_at=st.integers(0, 2**32 - 1),
    produced_wh=st.integers(0, 2**40 - 1),
    consumed_wh=st.integers(0, 2**40 - 1),
    flags=st.integers(0, 7).map(Flags),
)


@given(readings)
def test_packed_round_trip(reading: Reading) -> None:
    assert Reading.from_packed(HOME, reading.packed()) == reading


def test_the_layout_is_the_contracts() -> None:
    """Each field has its own digit: flags, epoch, sequence, takenAt, producedWh, consumedWh from the top."""
    reading = Reading(HOME, 2, 3, 4, 5, 6, Flags.PRODUCTION_HELD)

    assert reading.packed() == 0x01_02_000003_00000004_0000000005_0000000006


@pytest.mark.parametrize(
    ("field", "value"),
    [("epoch", 256), ("sequence", 2**24), ("taken_at", 2**32), ("produced_wh", 2**40), ("consumed_wh", -1)],
)
def test_what_does_not_fit_names_the_field_and_its_room(field: str, value: int) -> None:
    fields = {"epoch": 1, "sequence": 1, "taken_at": 1, "produced_wh": 1, "consumed_wh": 1} | {field: value}

    with pytest.raises(BadReading, match=rf"{field} is {value}; a reading holds 0 to \d+"):
        Reading(HOME, **fields).packed()


@pytest.mark.parametrize("word", [1 << 152, 8 << 144, 128 << 144, -1])
def test_bits_outside_the_layout_are_no_reading(word: int) -> None:
    with pytest.raises(BadReading, match="bits outside the layout"):
        Reading.from_packed(HOME, word)
