"""What Anvil said of a market, as evidence; ``python -m simulators.recording tests/fixtures/chain`` records it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.compose.pins import slot_layout
from agent.domain.market import ChainPin
from agent.light import gathering
from agent.light.evidence import Evidence, Pins
from agent.light.headers import Consensus, Header
from agent.light.seals import Place, Rules
from tests.fakes.consortium import Consortium, keys

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "chain"
HARDFORKS = ("london", "shanghai", "cancun", "prague")
LAYOUT = slot_layout()
MIXED, EMPTY, LAST = range(3)
"""Blocks of a recording: of every kind of transaction, of none, of one report."""


def recording(hardfork: str = "shanghai") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"anvil-{hardfork}.json").read_text(encoding="utf-8"))
    return found


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def header_of(told: dict[str, Any], block: int) -> Header:
    return gathering.header(told["blocks"][block]["block"], Consensus.UNSEALED)


def evidence_of(told: dict[str, Any], block: int = LAST, index: int = 0, *, state: bool = True) -> Evidence:
    """A transaction of a block and, of the last one, the household's state."""
    header, lies = header_of(told, block), told["blocks"][block]
    every = lies["block"]["transactions"]
    mined = gathering.mined(header, every, raw(every[index]["hash"]))
    assert mined is not None
    return Evidence(
        chain_id=told["chainId"],
        contract=raw(told["contract"]),
        block=header.number,
        headers=(header.encoded(),),
        transaction=gathering.transaction_piece(header, mined, lies["receipts"]),
        state=gathering.state_piece(raw(told["household"]), told["state"]["account"], told["state"]["contract"])
        if state and block == LAST
        else None,
    )


def pins_of(told: dict[str, Any], rules: Rules, place: Place, depth: int = 0) -> Pins:
    code_hash = told["state"]["contract"]["codeHash"]
    return Pins(ChainPin(told["chainId"], told["genesis"], told["contract"], code_hash), rules, place, LAYOUT, depth)


def sealed(
    told: dict[str, Any],
    consensus: Consensus,
    *,
    before: int = 1,
    after: int = 3,
    sealers: int = 4,
    epoch: int = 30_000,
) -> tuple[Consortium, Evidence, Pins]:
    """A consortium's chain in which one block has the recorded block's roots; its evidence; pins at its genesis."""
    chain = Consortium(Rules(consensus, epoch), keys(sealers))
    for _ in range(before):
        chain.seal()
    recorded = header_of(told, LAST)
    chain.seal(
        state_root=recorded.state_root,
        transactions_root=recorded.transactions_root,
        receipts_root=recorded.receipts_root,
        logs_bloom=recorded.logs_bloom,
    )
    for _ in range(after):
        chain.seal()
    headers = tuple(header.encoded() for header in chain.headers[1:])
    evidence = replace(evidence_of(told), block=before + 1, headers=headers)
    return chain, evidence, pins_of(told, chain.rules, Place(0, chain.hash_of(0), chain.founders))
