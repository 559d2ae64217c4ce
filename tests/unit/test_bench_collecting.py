"""What the bench's households say is what an agent says: the collector takes it for what it is."""

from __future__ import annotations

from agent.adapters.keystore import recover_reading
from agent.domain.collecting import check_signer, parse_reading, parse_topic
from agent.domain.holding import Holding
from agent.domain.signing import SigningDomain
from simulators.bench import collecting

NOW = 1_800_000_000


def test_the_benchs_readings_are_taken_and_complete() -> None:
    market = SigningDomain(collecting._CHAIN, collecting._CONTRACT)
    signers = set()
    for said in collecting.readings(3, NOW):
        holding = Holding()
        for one in said:
            heard = parse_reading(parse_topic(one.topic), one.payload.encode(), market, NOW)
            signer = recover_reading(heard.signed, market)
            check_signer(heard, signer)
            holding.take(heard.mark, heard.follows, heard.delivered)
            signers.add(signer)
        assert holding.acknowledged == (1, len(said))
    assert len(signers) == 3
