"""Who may seal blocks is pinned in the configuration: all of it, or a chain that is said to be unproven."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.compose.parts import light_pins
from agent.compose.pins import slot_layout
from agent.configuration import PREFIX, load
from agent.domain.market import ChainPin
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.light.seals import Place, Rules
from tests.unit.test_configuration import ACCOUNT, GOOD, HASH, PINS, UNPROVEN, problems

LOWER = "0x00000000219ab540356cBB839Cbe05303d7705Fa"
OTHER = "0x" + "cd" * 32
BOTH = f'validators = ["{ACCOUNT}", "{LOWER}"]\n'


def pins(path: Path, text: str, environ: dict[str, str] | None = None) -> Pins | None:
    path.write_text(text)
    return light_pins(load(path, environ or {}))


def test_pins_are_the_genesis_unless_a_checkpoint_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    expected = Pins(
        chain=ChainPin(31337, HASH, ACCOUNT, HASH),
        rules=Rules(Consensus.QBFT, 30_000),
        place=Place(0, bytes.fromhex(HASH[2:]), (bytes.fromhex(ACCOUNT[2:]),)),
        layout=slot_layout(),
        depth=12,
    )

    assert pins(file, GOOD) == expected
    assert pins(file, GOOD.replace(PINS, f'{PINS}checkpoint_hash = "{HASH}"\n')) == expected
    later = GOOD.replace(
        PINS, f'consensus = "clique"\nepoch = 9\n{BOTH}checkpoint_block = 18\ncheckpoint_hash = "{OTHER}"\n'
    )
    both = (bytes.fromhex(LOWER[2:]), bytes.fromhex(ACCOUNT[2:]))
    assert pins(file, later) == replace(
        expected, rules=Rules(Consensus.CLIQUE, 9), place=Place(18, bytes.fromhex(OTHER[2:]), both)
    )


def test_an_unproven_chain_has_no_pins(tmp_path: Path) -> None:
    assert pins(tmp_path / "x.toml", UNPROVEN) is None


def test_the_environment_names_validators_as_toml_does(tmp_path: Path) -> None:
    found = pins(tmp_path / "x.toml", GOOD, {f"{PREFIX}CHAIN__VALIDATORS": f'["{LOWER}"]'})

    assert found is not None
    assert found.place.validators == (bytes.fromhex(LOWER[2:]),)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ("", [r"consensus: is missing, .*\"clique\" is right, as .*, or chain\.unproven", r"validators: is missing"]),
        ('consensus = "ibft2"\n', [r"validators: is missing; those who may seal"]),
        (BOTH, [r"consensus: is missing"]),
        (PINS + "unproven = true\n", ["consensus: is set while chain.unproven", "validators: is set while"]),
        (PINS.replace("qbft", "raft"), [r"consensus: is 'raft', but .*; right is: how blocks are sealed"]),
        (PINS.replace(f'"{ACCOUNT}"', ""), ["validators: names nobody"]),
        (PINS.replace(f'"{ACCOUNT}"', f'"{ACCOUNT}", "{ACCOUNT}"'), [f"validators: names {ACCOUNT} more than once"]),
        (PINS.replace(ACCOUNT, ACCOUNT.lower()), [r"validators\[0\]: .* has no checksum"]),
        (PINS + "epoch = 0\n", ["epoch: is 0, but"]),
        (PINS + "checkpoint_block = 4\n", ["checkpoint_hash: is missing while chain.checkpoint_block is 4"]),
        (PINS + f'checkpoint_hash = "{OTHER}"\n', ["checkpoint_hash: is not chain.genesis, and"]),
    ],
)
def test_what_is_missing_or_contradicts_is_told_at_once(tmp_path: Path, now: str, told: list[str]) -> None:
    found = problems(tmp_path / "x.toml", GOOD.replace(PINS, now))

    assert len(found) == len(told)
    for problem, expected in zip(found, told, strict=True):
        assert re.match(rf"chain\.{expected}", problem), problem
