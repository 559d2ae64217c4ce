"""Short answers that would take much memory, time or room on a screen: what is told of them stays short."""

from __future__ import annotations

import tracemalloc

import pytest

from agent.cli import table
from agent.domain.errors import BadEvidence, UnknownSealer
from agent.light import gathering
from agent.light.headers import MOST_BYTES, Consensus
from agent.light.quantities import octets_of
from agent.light.seals import Rules
from agent.proving.heads import head_check
from tests.fakes.consortium import Consortium, keys
from tests.fakes.telling import told_header


def test_long_octets_take_little_more_than_themselves() -> None:
    text = "0x" + "ab" * 100_000
    tracemalloc.start()
    try:
        octets_of(text, "octets")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 8 * len(text)
    with pytest.raises(BadEvidence, match="bytes in 0x hex"):
        octets_of(text + "a", "octets")


@pytest.mark.parametrize("consensus", [Consensus.QBFT, Consensus.IBFT2])
def test_a_head_that_names_thousands_of_validators_is_told_of_in_a_sentence(consensus: Consensus) -> None:
    chain = Consortium(Rules(consensus), keys(4))
    invented = [number.to_bytes(20, "big") for number in range(1, 3_001)]
    chain.seal(validators=invented)
    check = head_check(lambda: chain.founders, chain.rules)

    with pytest.raises(UnknownSealer, match="and 2970 more") as caught:
        check(told_header(chain.headers[1], chain.hash_of(1)))
    assert len(str(caught.value)) < 2_000


def test_a_header_longer_than_any_is_refused() -> None:
    chain = Consortium(Rules(Consensus.UNSEALED), keys(4))
    chain.headers.append(chain.bare(1, chain.hash_of(0), extra_data=bytes(MOST_BYTES + 1)))

    with pytest.raises(BadEvidence, match="at most 65536 are read"):
        gathering.header(told_header(chain.headers[1], chain.hash_of(1)), Consensus.UNSEALED)


@pytest.mark.parametrize("epoch_s", [(1 << 64) - 1, 253_402_300_800, -(1 << 60)])
def test_a_time_beyond_the_calendar_is_told_as_a_number(epoch_s: int) -> None:
    assert table.moment(epoch_s) == f"{epoch_s} s"
    assert table.moment(253_402_300_799) == "9999-12-31 23:59:59Z"
