"""The [chain] section of a market that was deployed earlier."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.configuration import load_pins
from agent.domain.deployment import Deployed, Roles, Sealing
from agent.domain.errors import BadRequest
from agent.domain.market import ChainPin
from agent.operator import __main__ as program
from agent.operator.answer import Answer
from agent.operator.pins import pins
from tests.fakes.logs import ACCOUNTS, MARKET

PIN = ChainPin(31337, "0x" + "00" * 32, MARKET, "0x" + "11" * 32)
DEPLOYED = Deployed(PIN, 7, Roles(*ACCOUNTS[:3]), Sealing("clique", 60, tuple(ACCOUNTS[:3])))


@dataclass
class Chain:
    """The operator's node, of a chain that three seal."""

    genesis: str = PIN.genesis_hash
    sealed: bool = True

    def chain_id(self) -> int:
        return PIN.chain_id

    def genesis_hash(self) -> str:
        return self.genesis

    def code_hash(self, _address: str) -> str:
        return PIN.code_hash

    def sealing(self, epoch: int) -> Sealing | None:
        return Sealing("clique", epoch, tuple(ACCOUNTS[:3])) if self.sealed else None


@dataclass
class Files:
    """One deployment file."""

    deployed: Deployed

    def load(self, _chain_id: int) -> Deployed:
        return self.deployed


def asked(chain: Chain, deployed: Deployed = DEPLOYED, epoch: int | None = None) -> Answer:
    return pins(cast("Any", chain), cast("Any", Files(deployed)), epoch)


@pytest.mark.parametrize(
    ("deployed", "epoch", "told"),
    [(DEPLOYED, None, 60), (replace(DEPLOYED, sealing=None), None, 30_000), (replace(DEPLOYED, sealing=None), 60, 60)],
)
def test_a_household_can_pin_what_is_printed_also_of_an_older_file(
    tmp_path: Path, deployed: Deployed, epoch: int | None, told: int
) -> None:
    file = tmp_path / "pins.toml"
    file.write_text(str(asked(Chain(), deployed, epoch)))
    pinned = load_pins(file, {})

    assert (pinned.id, pinned.contract, pinned.deployed_at) == (PIN.chain_id, MARKET, 7)
    assert (pinned.consensus, pinned.epoch, pinned.validators) == ("clique", told, tuple(ACCOUNTS[:3]))


def test_a_chain_that_nobody_seals_is_said_to_be_unproven() -> None:
    assert "unproven = true" in str(asked(Chain(sealed=False)))


def test_another_chain_with_the_same_number_is_refused() -> None:
    with pytest.raises(BadRequest, match="another chain with the same number"):
        asked(Chain(genesis="0x" + "22" * 32))


def test_whoever_reads_no_further_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = SimpleNamespace(json=False, command="pins", run=lambda _: asked(Chain()))
    monkeypatch.setattr(program, "parser", lambda: SimpleNamespace(parse_args=lambda _: parsed))
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)

        assert program.main(["pins"]) == 0
