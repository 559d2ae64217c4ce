"""Headers: every fork's form, and the hash that names a block under each consensus."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.errors import BadEvidence
from agent.light import bft, clique, rlp
from agent.light.hashing import shown
from agent.light.headers import Consensus, Header, block_hash, checked_hash
from agent.light.seals import Rules
from tests.fakes.consortium import Consortium, keys
from tests.unit.light_vectors import vectors

LATER: list[dict[str, Any]] = [
    {},
    {"base_fee": 7},
    {"withdrawals_root": bytes(32)},
    {"blob_gas_used": 0, "excess_blob_gas": 131_072, "parent_beacon_root": bytes(32)},
    {"requests_hash": keccak(b"")},
]
NAMES = {
    "parent_hash": "parentHash", "uncles_hash": "sha3Uncles", "miner": "miner", "state_root": "stateRoot",
    "transactions_root": "transactionsRoot", "receipts_root": "receiptsRoot", "logs_bloom": "logsBloom",
    "difficulty": "difficulty", "number": "number", "gas_limit": "gasLimit", "gas_used": "gasUsed",
    "timestamp": "timestamp", "extra_data": "extraData", "mix_hash": "mixHash", "nonce": "nonce",
    "base_fee": "baseFeePerGas", "withdrawals_root": "withdrawalsRoot", "blob_gas_used": "blobGasUsed",
    "excess_blob_gas": "excessBlobGas", "parent_beacon_root": "parentBeaconBlockRoot", "requests_hash": "requestsHash",
}  # fmt: skip


def of_fork(fork: int) -> Header:
    header = Consortium(Rules(Consensus.UNSEALED), keys(1)).bare(9, keccak(b"parent"), extra_data=b"odd")
    for later in LATER[: fork + 1]:
        header = replace(header, **later)
    return header


def told(header: Header) -> dict[str, Any]:
    found = {}
    for one in fields(header):
        value = getattr(header, one.name)
        if value is not None:
            found[NAMES[one.name]] = hex(value) if isinstance(value, int) else "0x" + value.hex()
    return found


def test_go_ethereums_clique_header_has_its_hash_and_its_signer() -> None:
    vector = vectors("clique/exp-clique.json")
    [raw, *_] = rlp.a_list(rlp.decode(bytes.fromhex(vector["rlp"][2:])), "block")
    header = Header.decode(rlp.encode(raw))

    assert "0x" + block_hash(header, Consensus.CLIQUE).hex() == vector["hash"]
    sealer = clique.sealer(header.fields())
    assert sealer is not None
    assert shown(sealer) == "0xa94f5374Fce5edBC8E2a8697C15331677e6EbF0B"


@pytest.mark.parametrize("fork", range(len(LATER)))
def test_every_forks_header_is_the_same_from_rlp_and_from_json(fork: int) -> None:
    header = of_fork(fork)

    assert Header.decode(header.encoded()) == header
    assert Header.of_fields({**told(header), "hash": "0x00", "size": "0x1", "uncles": []}) == header
    assert block_hash(header, Consensus.UNSEALED) == keccak(header.encoded())
    assert checked_hash(header, Consensus.UNSEALED, keccak(header.encoded())) == keccak(header.encoded())


@pytest.mark.parametrize("name", NAMES.values())
def test_no_field_can_be_left_out_or_malformed(name: str) -> None:
    good = told(of_fork(4))

    with pytest.raises(BadEvidence, match=name):
        Header.of_fields({**good, name: "0xzz"})
    with pytest.raises(BadEvidence, match=name):
        Header.of_fields({**good, name: 7})
    if name != "requestsHash":  # the newest may be missing: an older fork
        with pytest.raises(BadEvidence, match=name):
            Header.of_fields({key: value for key, value in good.items() if key != name})


def test_a_header_of_no_fork_is_refused() -> None:
    with pytest.raises(BadEvidence, match="has 18 fields"):
        Header.decode(rlp.encode([*of_fork(2).fields(), b""]))
    longer = of_fork(0).fields()
    longer[8] = b"\0" + longer[8]
    with pytest.raises(BadEvidence, match="header: number begins with a zero byte"):
        Header.decode(rlp.encode(longer))
    with pytest.raises(BadEvidence, match=r"withdrawalsRoot.*without baseFeePerGas"):
        Header.of_fields({key: value for key, value in told(of_fork(2)).items() if key != "baseFeePerGas"})
    with pytest.raises(BadEvidence, match="no fork has that form"):
        Header.of_fields({**told(of_fork(2)), "blobGasUsed": "0x0"})
    with pytest.raises(BadEvidence, match="at most 64 bits"):
        Header.of_fields({**told(of_fork(0)), "number": hex(1 << 64)})


@given(st.data())
def test_another_byte_is_another_hash(data: st.DataObject) -> None:
    header = of_fork(data.draw(st.integers(0, 4)))
    raw = bytearray(header.encoded())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(BadEvidence):
        checked_hash(Header.decode(bytes(raw)), Consensus.UNSEALED, block_hash(header, Consensus.UNSEALED))


@pytest.mark.parametrize("consensus", [Consensus.QBFT, Consensus.IBFT2])
def test_a_bft_blocks_hash_knows_neither_seals_nor_round(consensus: Consensus) -> None:
    first, second = (Consortium(Rules(consensus), keys(4)) for _ in range(2))
    one = first.seal()
    other = second.seal(*second.sealers[:3], round=7)
    third = Consortium(Rules(consensus), keys(4)).seal(state_root=keccak(b"another"))

    assert one.encoded() != other.encoded()
    assert block_hash(one, consensus) == block_hash(other, consensus) != block_hash(third, consensus)
    assert block_hash(first.headers[0], consensus) == keccak(first.headers[0].encoded())


def test_extra_data_in_besus_form_is_read_and_written() -> None:
    # Put together by hand, after the form that Besu's codec writes: a vote to add, round 0xfedcba, two seals.
    vanity, one, two = bytes(range(32)), bytes(19) + b"\1", bytes(19) + b"\2"
    seals = (bytes(31) + b"\1" + bytes(31) + b"\n\0", bytes(31) + b"\n" + bytes(31) + b"\1\0")
    raw = bytes.fromhex(
        "f8f0a0" + vanity.hex() + "ea94" + one.hex() + "94" + two.hex() + "d794" + one.hex() + "81ff"
        "83fedcba" + "f886b841" + seals[0].hex() + "b841" + seals[1].hex()
    )  # fmt: skip

    extra = bft.decode(raw, ibft2=False)

    assert extra == bft.Extra(vanity, (one, two), bft.Vote(one, add=True), 0xFEDCBA, seals)
    assert extra.encoded(ibft2=False) == raw
    assert bft.decode(extra.sealed_part(ibft2=False), ibft2=False) == replace(extra, seals=())
    assert bft.decode(extra.hashed_part(ibft2=False), ibft2=False) == replace(extra, seals=(), round=0)
    older = extra.encoded(ibft2=True)
    assert bft.decode(older, ibft2=True) == extra
    assert b"\x84\x00\xfe\xdc\xba" in older
    assert rlp.a_list(rlp.decode(extra.sealed_part(ibft2=True)), "extra data", 4)
    assert rlp.a_list(rlp.decode(extra.hashed_part(ibft2=True)), "extra data", 3)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (0, b"short", "vanity has 5 bytes"),
        (1, [b"short"], "a validator has 5 bytes"),
        (2, [bytes(20), b"\1"], "neither to add nor to remove"),
        (2, b"", "vote is a byte string"),
        (3, b"\0\1", "round begins with a zero"),
        (4, [b"seal"], "a commit seal has 4 bytes"),
    ],
)
def test_extra_data_of_another_form_is_refused(place: int, value: Any, why: str) -> None:  # noqa: ANN401 - wrong on purpose
    told_: list[Any] = [bytes(32), [], [], b"", []]
    told_[place] = value

    with pytest.raises(BadEvidence, match=why):
        bft.decode(rlp.encode(told_), ibft2=False)
    with pytest.raises(BadEvidence, match="round has 0 bytes, where 4"):
        bft.decode(rlp.encode([bytes(32), [], b"", b"", []]), ibft2=True)
