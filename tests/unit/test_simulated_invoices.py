"""When the simulators have both sides' invoices made: of a block that every agent has read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from simulators.ground import run_command
from simulators.invoices import compared, issue
from simulators.process import StartError

KNOWN, HEAD = 90, 100


def issued_by(folder: Path, passing: Iterator[int]) -> tuple[Any, list[int]]:
    """A market whose chain goes on by so many blocks while each command starts, and the blocks it issued of."""
    blocks: list[int] = []

    def operator(*words: str) -> str:
        blocks.append(HEAD + next(passing) - int(words[words.index("--depth") + 1]))
        files = [{"household": "0xa", "json": str(folder / "a.json")}]
        return json.dumps({"block": blocks[-1], "invoices": files})

    serving = SimpleNamespace(rpc=lambda _: hex(HEAD))
    return SimpleNamespace(directory=folder, chain_options=(), serving=serving, operator=operator), blocks


def rigs(*known: int) -> dict[str, Any]:
    def told(block: int) -> str:
        return json.dumps({"asOfBlock": block})

    return {
        f"home {block}": SimpleNamespace(household="0xa", agent=lambda *_, block=block: told(block)) for block in known
    }


def test_invoices_that_differ_are_an_answer_and_another_failure_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(code: int, out: str) -> dict[str, Any]:
        done = SimpleNamespace(returncode=code, stdout=out, stderr="no journal")
        monkeypatch.setattr("simulators.ground.subprocess.run", lambda *_, **__: done)
        rig = SimpleNamespace(agent=lambda *words, answers: run_command(words, answers=answers))
        return compared(rig, Path("issued.json"))

    assert ended(1, '{"agrees": false}') == {"agrees": False}
    for code, out in ((1, ""), (78, "{}")):
        with pytest.raises(StartError, match="no journal"):
            ended(code, out)


def test_invoices_are_of_a_block_that_every_agent_has_read(tmp_path: Path) -> None:
    ground, blocks = issued_by(tmp_path, iter([3]))

    assert set(issue(ground, rigs(KNOWN, KNOWN + 4)).values()) == {tmp_path / "a.json"}
    assert blocks == [KNOWN - 2]


def test_a_command_that_starts_slowly_is_given_again_with_more_to_spare(tmp_path: Path) -> None:
    ground, blocks = issued_by(tmp_path, iter([6, 6]))

    issue(ground, rigs(KNOWN))

    assert blocks == [KNOWN + 1, KNOWN - 9]


def test_a_command_that_is_never_fast_enough_is_told(tmp_path: Path) -> None:
    ground, _ = issued_by(tmp_path, iter([200, 200, 200]))

    with pytest.raises(StartError, match=r"up to block 245 .* up to block 90"):
        issue(ground, rigs(KNOWN))
