"""What a consortium begins with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.consortium.clique import Identity, extra_data, genesis
from simulators.consortium.network import Plan

RECORDING: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "consortium" / "clique.json").read_text(encoding="utf-8")
)


def test_the_genesis_names_the_validators_as_a_node_tells_it() -> None:
    founders = RECORDING["pinned"]["validators"]
    assert extra_data(reversed(founders)) == RECORDING["blocks"][0]["block"]["extraData"]


def test_the_genesis_has_no_rules_later_than_clique_knows() -> None:
    told = genesis(7, block_s=2, epoch=9, signers=["0x" + "11" * 20], balances={"0x" + "22" * 20: 5}, timestamp=3)
    assert told["config"]["clique"] == {"period": 2, "epoch": 9}
    assert told["config"]["londonBlock"] == 0
    assert not {"shanghaiTime", "terminalTotalDifficulty"} & set(told["config"])
    assert told["alloc"] == {"0x" + "22" * 20: {"balance": "0x5"}}


@pytest.mark.parametrize("wrong", [{"validators": 2}, {"standbys": -1}, {"block_s": 0}, {"epoch": 0}])
def test_a_plan_that_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="3 validators or more"):
        Plan(**wrong)


def test_keys_are_files_that_their_owner_alone_may_read(tmp_path: Path) -> None:
    made = Identity.make(tmp_path / "area")
    for file in (made.keystore, made.passphrase, made.node_key):
        assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "area").stat().st_mode & 0o777 == 0o700
    assert made.passphrase.read_text().strip() not in made.keystore.read_text()
    assert made.node_key.read_text() not in repr(made)
