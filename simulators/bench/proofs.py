"""Proofs: how many bytes and how much processor it takes to prove an interval without trusting the node."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from simulators.bench.figures import Figure, Section
from simulators.bench.market import GasMarket, House
from simulators.bench.programs import proving
from simulators.chain import Anvil

NAME: Final = "proofs"
HOUSEHOLDS: Final = 5_000
QUICK_HOUSEHOLDS: Final = 200
BYTES_LIMIT: Final = 15_000
PROCESSOR_LIMIT: Final = 20.0
"""Milliseconds."""

_GENESIS: Final = 1_782_104_400
_REGISTERS: Final = (1_234_567, 2_345_678)
_SLOTS: Final = 1 << 160
_TOGETHER: Final = 100


def measure(households: int, say: Callable[[str], None]) -> Section:
    """Enrol households, let one report, and prove its interval.

    Args:
        households: How many the contract knows.
        say: Told how far it is.

    Raises:
        BenchError: A transaction reverted, or the proof was refused.
        StartError: Anvil is missing or did not start.
    """
    with Anvil(genesis_epoch=_GENESIS) as chain, tempfile.TemporaryDirectory(prefix="bench-") as directory:
        say(f"proofs: enrolling {households:,} households")
        # Each household has an account in the chain's state beside its slot: both tries are as deep as they will be.
        market = GasMarket(chain, _GENESIS + 60)
        house = market.house(0, *_REGISTERS)[0]
        for first in range(1, households, _TOGETHER):
            market.enrol_together(range(first, min(first + _TOGETHER, households)), *_REGISTERS)
        market.pass_time()
        market.report(house, [house.read(311)])
        answers = _answers(chain, market, house)
        file = Path(directory) / "answers.json"
        file.write_text(json.dumps({**answers, "chain": chain.chain_id, "contract": market.contract}), encoding="utf-8")
        say("proofs: proving")
        seen = proving(file)
    length = {name: len(json.dumps(answers[name], separators=(",", ":"))) for name in ("header", "account", "slot")}
    told = sum(length.values())
    what = f"{households:,} households in the contract"
    return Section(
        NAME,
        "header, own account, own slot in the market; answers from Anvil, the header sealed anew for QBFT",
        [
            Figure("bytes of the node's answers", told, "bytes", BYTES_LIMIT, f"header and two eth_getProof; {what}"),
            Figure(
                "the same of a Clique chain with 3 signers",
                told + length["header"],
                "bytes",
                BYTES_LIMIT,
                "one header more, which more than half have sealed then",
            ),
            Figure("the same as an evidence file", seen["file_bytes"], "bytes", remark="with 4 commit seals"),
            Figure(
                "processor to prove an interval",
                seen["qbft_ms"],
                "ms",
                PROCESSOR_LIMIT,
                "JSON read, header hashed, 4 commit seals, account, market's account, slot; mean of many",
            ),
            Figure("of that, without seals", seen["unsealed_ms"], "ms", remark="JSON read, hashes and proofs"),
            Figure("the same with 21 validators", seen["qbft_21_ms"], "ms", PROCESSOR_LIMIT, "21 commit seals"),
            Figure(
                "the same on a Clique chain with 3 signers", seen["clique_ms"], "ms", PROCESSOR_LIMIT, "two headers"
            ),
            Figure("building a trie of 100 receipts", seen["trie_ms"], "ms", remark="what an export rebuilds twice"),
        ],
    )


def _answers(chain: Anvil, market: GasMarket, house: House) -> dict[str, Any]:
    """What a full node says when it is asked for the newest block's header and proofs."""
    number = hex(chain.block_number())
    key = "0x" + (_SLOTS + int(house.address, 16)).to_bytes(32, "big").hex()
    return {
        "household": house.address,
        "produced": house.produced_wh,
        "header": chain.rpc("eth_getBlockByNumber", number, False),  # noqa: FBT003 - JSON-RPC's own
        "account": chain.rpc("eth_getProof", house.address, [], number),
        "slot": chain.rpc("eth_getProof", market.contract, [key], number),
    }
