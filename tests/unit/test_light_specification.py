"""The worked example of ``agent/light/EVIDENCE.md``, each value worked out anew without the agent's code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import rlp
from eth_keys.datatypes import Signature
from eth_utils.crypto import keccak

from agent.cli.main import main
from agent.compose.pins import slot_layout
from tests.fakes.recorded import raw

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "fixtures" / "evidence"
PAGE = (ROOT / "agent" / "light" / "EVIDENCE.md").read_text(encoding="utf-8")
FILE: dict[str, Any] = json.loads((EXAMPLE / "qbft.json").read_text(encoding="ascii"))
HEADER: list[bytes] = rlp.decode(raw(FILE["headers"][0]))
_EXTRA, _STATE_ROOT, _TRANSACTIONS_ROOT = 12, 3, 4


def step(name: str) -> str:
    """What the table of the example says of a step."""
    found = re.search(rf"^\| {re.escape(name)} \| (.*) \|$", PAGE.partition("## A worked example")[2], re.MULTILINE)
    assert found is not None, name
    return found[1]


def shown(value: bytes | int) -> str:
    return f"`{value:#x}`" if isinstance(value, int) else f"`0x{value.hex()}`"


def last_value(proof: list[str]) -> bytes:
    """What the last node of a proof holds."""
    value = rlp.decode(raw(proof[-1]))[-1]
    assert isinstance(value, bytes)
    return value


def test_the_example_is_proven(capsys: Any) -> None:  # noqa: ANN401 - pytest's
    assert main(["evidence", "verify", str(EXAMPLE / "qbft.json"), "--pins", str(EXAMPLE / "qbft.toml")]) == 0
    assert "PROVEN" in capsys.readouterr().out


def test_its_header_hashes_and_is_sealed_as_the_page_says() -> None:
    vanity, validators, vote, number, seals = rlp.decode(HEADER[_EXTRA])
    hashed = rlp.encode([vanity, validators, vote, b"", []])
    digest = keccak(rlp.encode([*HEADER[:_EXTRA], hashed, *HEADER[_EXTRA + 1 :]]))

    assert shown(HEADER[0]) in step("number, parent hash")
    assert (number, vote, vanity) == (b"", [], b"\x76" * 32)
    assert hashed == bytes.fromhex("f87aa0") + vanity + b"\xf8\x54" + b"".join(
        b"\x94" + one for one in validators
    ) + bytes.fromhex("c080c0")
    assert step("block hash, and what the seals sign") == shown(digest)
    assert step("first seal") == shown(seals[0])
    signers = [Signature(seal).recover_public_key_from_msg_hash(digest).to_checksum_address() for seal in seals]
    assert signers[0] in step("made by")
    assert [raw(one) for one in signers] == validators


def test_its_pieces_lie_where_the_page_says() -> None:
    piece, state = FILE["transaction"], FILE["state"]
    household = raw(state["household"])
    slot = (1 << 160) + int.from_bytes(household, "big")
    _, _, storage_root, _ = rlp.decode(last_value(state["contractProof"]))
    word = int.from_bytes(rlp.decode(last_value(state["slotProof"])), "big")

    assert step("transactions root") == shown(HEADER[_TRANSACTIONS_ROOT]) == shown(keccak(raw(piece["proof"][0])))
    assert step("key of index 0") == shown(rlp.encode(piece["index"]))
    assert shown(keccak(last_value(piece["proof"]))) in step("Keccak of the value")
    assert keccak(raw(state["accountProof"][0])) == HEADER[_STATE_ROOT]
    assert step("key of the household's account") == shown(keccak(household))
    assert step("the market's storage root") == shown(storage_root) == shown(keccak(raw(state["slotProof"][0])))
    assert step("slot") == shown(slot)
    assert step("key of the slot") == shown(keccak(slot.to_bytes(32, "big")))
    assert step("its word") == shown(word)
    said = dict(re.findall(r"(\w+) (\d+)", step("in it")))
    for field, low, bits in slot_table():
        assert word >> low & (1 << bits) - 1 == int(said.get(field, 0)), field


def test_its_table_of_the_slot_is_the_compilers() -> None:
    fields = sorted(slot_layout().fields, key=lambda one: one.offset)

    assert [(low, bits) for _, low, bits in slot_table()] == [(one.offset, one.bits) for one in fields]
    assert [re.sub(r"_(\w)", lambda found: found[1].upper(), one.name) for one in fields] == [
        name for name, _, _ in slot_table()
    ]
    assert slot_layout().base == 1 << 160


def slot_table() -> list[tuple[str, int, int]]:
    """Name, lowest bit and number of bits of each field, as the page says."""
    rows = re.findall(r"^\| (\d+)\u2013(\d+) \| (\w+) \|", PAGE, re.MULTILINE)
    return [(name, int(low), int(high) - int(low) + 1) for low, high, name in rows]
