"""A chain's block 0 says which consensus seals its blocks, and who may seal the first one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.compose.office import sealing as told_sealing
from agent.domain.deployment import Sealing
from agent.domain.errors import BadEvidence, NodeUnavailable
from agent.light.genesis import sealing
from agent.light.hashing import keccak, shown
from agent.light.headers import Consensus, Header
from agent.light.seals import Rules
from tests.fakes.consortium import BYZANTINE, VANITY, Consortium, keys

SEALED = [Consensus.QBFT, Consensus.IBFT2, Consensus.CLIQUE]


def genesis(consensus: Consensus, sealers: int = 4) -> Header:
    return Consortium(Rules(consensus), keys(sealers)).headers[0]


def told(header: Header) -> dict[str, object]:
    """As a node tells it."""
    fields: dict[str, bytes | int] = {
        "parentHash": header.parent_hash, "sha3Uncles": header.uncles_hash, "miner": header.miner,
        "stateRoot": header.state_root, "transactionsRoot": header.transactions_root,
        "receiptsRoot": header.receipts_root, "logsBloom": header.logs_bloom, "difficulty": header.difficulty,
        "number": header.number, "gasLimit": header.gas_limit, "gasUsed": header.gas_used,
        "timestamp": header.timestamp, "extraData": header.extra_data, "mixHash": header.mix_hash,
        "nonce": header.nonce, "hash": keccak(header.encoded()),
    }  # fmt: skip
    return {name: "0x" + value.hex() if isinstance(value, bytes) else hex(value) for name, value in fields.items()}


@pytest.mark.parametrize("consensus", SEALED)
@pytest.mark.parametrize("sealers", [1, 4, 22])
def test_consensus_and_validators_are_read_in_block_0(consensus: Consensus, sealers: int) -> None:
    chain = Consortium(Rules(consensus), keys(sealers))

    assert sealing(chain.headers[0].mix_hash, chain.headers[0].extra_data) == (consensus, chain.founders)


def test_a_development_chain_is_sealed_by_nobody() -> None:
    plain = replace(genesis(Consensus.CLIQUE), extra_data=b"")
    anvil = {**told(plain), "hash": "0x" + "11" * 32, "baseFeePerGas": "0x1", "blobGasUsed": "0x0"}

    assert told_sealing(anvil, 9) is None, "its genesis has not the form of a header"
    for header in (plain, replace(plain, extra_data=VANITY), replace(genesis(Consensus.CLIQUE), mix_hash=b"\1" * 32)):
        assert sealing(header.mix_hash, header.extra_data) == (Consensus.UNSEALED, ())
        assert told_sealing(told(header), 9) is None


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (genesis(Consensus.CLIQUE, 0), "names no validators"),
        (genesis(Consensus.QBFT, 0), "names no validators; those that a contract names cannot be pinned"),
        (replace(genesis(Consensus.CLIQUE), extra_data=bytes(32 + 20 + 20 + 65)), "names a validator twice"),
        (replace(genesis(Consensus.CLIQUE), extra_data=bytes(32 + 19 + 65)), "no vanity, addresses and seal"),
        (replace(genesis(Consensus.CLIQUE), mix_hash=BYZANTINE), "the extra data of neither"),
    ],
)
def test_a_genesis_that_makes_no_sense_is_refused(header: Header, why: str) -> None:
    with pytest.raises(BadEvidence, match=why):
        sealing(header.mix_hash, header.extra_data)
    with pytest.raises(NodeUnavailable, match=f"does not say who may seal blocks: .*{why}"):
        told_sealing(told(header), 9)


@pytest.mark.parametrize("consensus", SEALED)
def test_the_operator_takes_validators_only_from_the_block_that_has_the_hash(consensus: Consensus) -> None:
    chain = Consortium(Rules(consensus), keys(3))
    answer = told(chain.headers[0])
    expected = Sealing(consensus.value, 9, tuple(shown(one) for one in chain.founders))

    assert told_sealing(answer, 9) == expected
    with pytest.raises(NodeUnavailable, match="block 0 hashes to"):
        told_sealing({**answer, "gasLimit": "0x1"}, 9)
