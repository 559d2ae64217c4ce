"""A reading that the agent's key signed is taken by the contract when somebody else carries it, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.adapters.keystore import Keystore
from agent.adapters.market import Market
from agent.domain.readings import Flags, Reading, SignedReading
from agent.domain.signing import SigningDomain
from contracts import load_artifact
from simulators.rig import Rig, Scene

pytestmark = pytest.mark.untimed


MARKET = Market(load_artifact().abi)


def _compact(signed: SignedReading) -> tuple[int, bytes, bytes]:
    """The signature as EIP-2098 has it: v goes into the highest bit of s."""
    r, s, v = signed.signature[:32], int.from_bytes(signed.signature[32:64]), signed.signature[64]
    return signed.reading.packed(), r, (s | (v - 27) << 255).to_bytes(32)


@pytest.mark.integration
def test_an_area_carries_a_signed_reading_and_a_replay_mints_nothing(tmp_path: Path) -> None:
    with Rig(Scene(directory=tmp_path / "rig", period_s=900)) as rig:
        opening = rig.ledger.standing(rig.household)
        passphrase = (rig.scene.directory / "household-passphrase").read_bytes().strip()
        key = Keystore.open(rig.scene.directory / "household-key.json", passphrase)
        reading = Reading(
            household=key.address,
            epoch=1,
            sequence=1,
            taken_at=int(time.time()),
            produced_wh=opening.produced_wh + 12,
            consumed_wh=opening.consumed_wh + 5,
            flags=Flags.LATE,
        )
        signed = key.sign_reading(reading, SigningDomain(rig.chain.chain_id, rig.contract))
        carrier = rig.chain.accounts[3].address
        call = {
            "from": carrier,
            "to": rig.contract,
            "data": "0x" + MARKET.call("reportSigned", [_compact(signed)]).hex(),
            "gas": hex(500_000),
        }
        time.sleep(2)  # a block after the enrolment's, so that time has passed on the chain

        outcomes = [_mined(rig, rig.chain.rpc("eth_sendTransaction", call)) for _ in range(2)]

        assert outcomes == ["0x1", "0x0"]
        standing = rig.ledger.standing(rig.household)
        assert (standing.sequence, standing.produced_wh, standing.consumed_wh) == (
            1,
            opening.produced_wh + 12,
            opening.consumed_wh + 5,
        )
        assert standing.tokens_wh == rig.ledger.minted_wh(rig.household) == 12
        assert len(rig.ledger.readings(rig.household)) == 1


def _mined(rig: Rig, tx_hash: object) -> object:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        receipt = rig.chain.rpc("eth_getTransactionReceipt", tx_hash)
        if isinstance(receipt, dict):
            return receipt["status"]
        time.sleep(0.2)
    raise AssertionError(f"{tx_hash} was not mined")
