"""The agent and the second verifier, asked the same of the same evidence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.compose.verifying import check
from agent.configuration import PinSettings
from agent.domain.errors import BadRequest
from agent.light import evidence_file
from agent.light.evidence import Evidence, Outcome, Pins, Verdict
from agent.light.hashing import shown

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "tests" / "second_verifier"


@dataclass(frozen=True, slots=True)
class Case:
    """Evidence, and the pins as both sides are told them.

    Attributes:
        evidence: what is to be verified.
        chain: the pins, for the agent.
        answer: the same for the other, as ``prosumer-operator deploy --json`` answers.
    """

    evidence: Evidence
    chain: PinSettings
    answer: dict[str, Any]

    @classmethod
    def of(cls, evidence: Evidence, pins: Pins) -> Case:
        answer = {
            "chainId": pins.chain.chain_id,
            "genesis": "0x" + pins.place.block_hash.hex(),
            "contract": shown(bytes.fromhex(pins.chain.contract[2:])),
            "codeHash": pins.chain.code_hash,
            "consensus": pins.rules.consensus.value,
            "epoch": pins.rules.epoch,
            "validators": [shown(one) for one in pins.place.validators],
        }
        chain = PinSettings(
            id=answer["chainId"],
            genesis=answer["genesis"],
            contract=answer["contract"],
            code_hash=answer["codeHash"],
            consensus=answer["consensus"],
            epoch=answer["epoch"],
            validators=tuple(answer["validators"]),
        )
        return cls(evidence, chain, answer)


def ours(path: Path, chain: PinSettings) -> Verdict:
    try:
        return check(path, chain).verdict
    except BadRequest as error:
        return Verdict(Outcome.REFUSED, (), (str(error),))


class Second:
    """The other verifier, started once for all files."""

    def __init__(self) -> None:
        node = shutil.which("node", path=f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}")
        if node is None or not (VERIFIER / "node_modules").is_dir():
            pytest.fail("no Node.js, or no packages of the second verifier: run .ci/setup verifier")
        self.words = [node, str(VERIFIER / "verify.mjs")]
        self._process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def judge(self, pins: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
        """What it says of each file."""
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.write(json.dumps([str(pins), *map(str, files)]) + "\n")
        into.flush()
        return [json.loads(out.readline()) for _ in files]

    def stop(self) -> None:
        self._process.communicate(timeout=20)
        assert self._process.returncode == 0


class Both:
    """Both verifiers, made sure that they agree."""

    def __init__(self, second: Second, folder: Path) -> None:
        self.second, self.folder = second, folder

    def __call__(self, case: Case, contents: Sequence[bytes]) -> list[Verdict]:
        """The agent's verdicts; the other's are the same."""
        pins = self.folder / "pins.json"
        pins.write_text(json.dumps(case.answer))
        files = []
        for place, one in enumerate(contents):
            files.append(self.folder / f"{place}.json")
            files[-1].write_bytes(one)
        verdicts = [ours(file, case.chain) for file in files]
        for file, verdict, other in zip(files, verdicts, self.second.judge(pins, files), strict=True):
            assert (other["outcome"], file) == (verdict.outcome.value, file), (verdict.lacks, other)
            if verdict.outcome is not Outcome.REFUSED:
                agree(verdict, other)
        return verdicts


def agree(verdict: Verdict, other: dict[str, Any]) -> None:
    """Not only that it is proven, but what."""
    assert other["blockHash"] == "0x" + verdict.block_hash.hex()
    assert (other["linked"], other["blocksAfter"]) == (verdict.linked, verdict.after)
    if verdict.transaction is not None and verdict.receipt is not None:
        assert other["transaction"] == {
            "sender": "0x" + verdict.transaction.sender.hex(),
            "nonce": verdict.transaction.nonce,
            "carriedOut": verdict.receipt.succeeded,
            "logs": len(verdict.receipt.logs),
        }
    if verdict.account is not None and verdict.slot is not None:
        assert other["state"]["nonce"] == verdict.account.nonce
        assert other["state"]["slot"] == {
            "consumedWh": verdict.slot.consumed_wh,
            "producedWh": verdict.slot.produced_wh,
            "takenAt": verdict.slot.taken_at,
            "sequence": verdict.slot.sequence,
            "epoch": verdict.slot.epoch,
            "productionHeldS": verdict.slot.production_held_s,
            "consumptionHeldS": verdict.slot.consumption_held_s,
            "ratedPowerW": verdict.slot.rated_power_w,
            "tokensWh": verdict.slot.tokens_wh,
        }


def outcomes(verdicts: Sequence[Verdict]) -> list[Outcome]:
    return [verdict.outcome for verdict in verdicts]


def content(evidence: Evidence) -> bytes:
    return evidence_file.written(evidence).encode("ascii")
