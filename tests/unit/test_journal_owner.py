"""A journal is one household's on one chain, and one agent's at a time (faults 40, 47; I3)."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.chain_rows import ChainRows
from agent.adapters.journal import open_journal
from agent.adapters.journal_hold import FILE_NAME, JournalHold, held
from agent.domain.errors import ConfigurationInvalid, JournalBusy
from agent.domain.market import ChainPin
from tests.fakes.world import HOUSEHOLD

PIN = ChainPin(1337, "0x" + "11" * 32, "0x" + "22" * 20, "0x" + "33" * 32)
STRANGER = "0x" + "44" * 20


def test_a_second_agent_is_refused_by_the_number_of_the_first(tmp_path: Path) -> None:
    first = JournalHold(tmp_path)
    with pytest.raises(JournalBusy, match=rf"process {os.getpid()}.*end that one"):
        JournalHold(tmp_path)
    first.close()
    JournalHold(tmp_path).close()

    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_killed_agent_holds_nothing(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from agent.adapters.journal_hold import JournalHold;"
        "hold = JournalHold(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -9

    JournalHold(tmp_path).close()


def test_a_command_sees_whether_an_agent_holds_the_journal(tmp_path: Path) -> None:
    assert not held(tmp_path)
    hold = JournalHold(tmp_path)
    assert held(tmp_path)
    assert held(tmp_path)
    hold.close()

    assert not held(tmp_path)
    JournalHold(tmp_path).close()


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalBusy, match="cannot be made now"):
        JournalHold(tmp_path / "missing")


def test_the_same_household_opens_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        journal, _ = open_journal(tmp_path)
        ChainRows(journal).bind(HOUSEHOLD, PIN)
        journal.close()


@pytest.mark.parametrize(
    ("account", "pin", "key"),
    [
        (STRANGER, PIN, "household.account"),
        (HOUSEHOLD, replace(PIN, chain_id=1), "chain.id"),
        (HOUSEHOLD, replace(PIN, genesis_hash="0x" + "55" * 32), "chain.genesis"),
        (HOUSEHOLD, replace(PIN, contract="0x" + "66" * 20), "chain.contract"),
    ],
)
def test_another_key_chain_or_contract_is_refused_by_its_setting(
    tmp_path: Path, account: str, pin: ChainPin, key: str
) -> None:
    journal, _ = open_journal(tmp_path)
    ChainRows(journal).bind(HOUSEHOLD, PIN)
    with pytest.raises(ConfigurationInvalid) as refused:
        ChainRows(journal).bind(account, pin)
    journal.close()

    assert [problem.split(":")[0] for problem in refused.value.problems] == [key]
