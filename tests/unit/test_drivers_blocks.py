"""Which registers are asked for together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.blocks import PROTOCOL_LIMIT, Block, hole_limit, plan
from drivers.settings import RtuSettings

spans = st.lists(
    st.builds(
        Block,
        function=st.sampled_from([3, 4]),
        address=st.integers(0, 400),
        count=st.integers(1, 4),
        names=st.text("abcdef", min_size=6, max_size=6).map(lambda name: (name,)),
        optional=st.booleans(),
    ),
    max_size=30,
)


@given(spans=spans, max_registers=st.integers(4, PROTOCOL_LIMIT), holes=st.integers(0, 60))
def test_every_span_lies_whole_in_one_block(spans: list[Block], max_registers: int, holes: int) -> None:
    blocks = plan(spans, max_registers=max_registers, holes=holes)

    for span in spans:
        homes = [block for block in blocks if span.names[0] in block.names and block.function == span.function]
        assert any(home.address <= span.address and span.end <= home.end for home in homes)
    assert all(block.count <= max_registers for block in blocks)
    assert sum(len(block.names) for block in blocks) == len(spans)


@given(spans=spans, holes=st.integers(0, 60))
def test_no_block_has_a_hole_longer_than_is_worth_it(spans: list[Block], holes: int) -> None:
    for block in plan(spans, max_registers=PROTOCOL_LIMIT, holes=holes):
        wanted = sorted(
            (span.address, span.end)
            for span in spans
            if set(span.names) <= set(block.names)
            and span.function == block.function
            and block.address <= span.address
            and span.end <= block.end
        )
        reached = block.address
        for start, end in wanted:
            assert start - reached <= holes
            reached = max(reached, end)
        assert reached == block.end


@given(spans=spans)
def test_optional_spans_stand_alone_so_that_a_refusal_says_which(spans: list[Block]) -> None:
    blocks = plan(spans, max_registers=PROTOCOL_LIMIT, holes=60)

    assert all(len(block.names) == 1 for block in blocks if block.optional)


@pytest.mark.parametrize(("baud", "latency_s", "registers"), [(2400, 0.040, 14), (9600, 0.040, 29)])
def test_holes_follow_the_baud_rate_and_the_measured_latency(baud: int, latency_s: float, registers: int) -> None:
    settings = RtuSettings("/dev/ttyUSB0", baud=baud)

    # at 2400 baud the formula gives 14.8
    assert hole_limit(settings.character_s, settings.frame_gap_s, latency_s) == registers


def test_a_network_reads_through_any_hole() -> None:
    assert hole_limit(0.0, 0.0, 0.01) == PROTOCOL_LIMIT


@pytest.mark.parametrize(
    ("settings", "character_ms", "gap_ms"),
    [
        (RtuSettings("d", baud=9600), 1.0417, 3.646),
        (RtuSettings("d", baud=9600, parity="E"), 1.1458, 4.010),
        (RtuSettings("d", baud=115200), 0.0868, 1.75),
    ],
)
def test_the_silence_between_frames(settings: RtuSettings, character_ms: float, gap_ms: float) -> None:
    assert settings.character_s * 1000 == pytest.approx(character_ms, abs=0.001)
    assert settings.frame_gap_s * 1000 == pytest.approx(gap_ms, abs=0.001)
