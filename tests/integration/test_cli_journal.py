"""Commands that look into a journal, and the one that changes it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from agent.adapters.journal import open_journal
from agent.adapters.lie_rows import LieRows
from agent.adapters.outbox_rows import OutboxRows
from agent.compose.pins import judge
from agent.configuration import load
from agent.domain.lies import Lie

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

ACCOUNT = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
HASH = "0x" + "ab" * 32
PATIENCE_S = 60
ANOTHER_NODE = '[[chain.nodes]]\nurl = "http://127.0.0.1:2"\narea = "north"\n'
PINS = f'consensus = "clique"\nepoch = 30000\nvalidators = ["{ACCOUNT}"]'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(f"""
[household]
account = "{ACCOUNT}"
area = "north"
rated_power_w = 15000
[meters.production]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:1"
[meters.consumption]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:2"
[chain]
id = 31337
genesis = "{HASH}"
contract = "{ACCOUNT}"
code_hash = "{HASH}"
unproven = true
[[chain.nodes]]
url = "http://127.0.0.1:1"
area = "north"
[journal]
directory = "{tmp_path}/state"
""")
    (tmp_path / "state").mkdir(mode=0o700)
    journal, _ = open_journal(tmp_path / "state")
    OutboxRows(journal).halt("nonce 5 was used by a stranger")
    journal.close()
    return path


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", "--config", str(file), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def test_a_halt_is_shown_and_ended_only_when_asked(file: Path) -> None:
    shown = run(file, "status")
    unasked = run(file, "keys", "resume")
    still = json.loads(run(file, "status", "--json").stdout)
    resumed = run(file, "keys", "resume", "--yes")
    after = json.loads(run(file, "status", "--json").stdout)
    again = run(file, "keys", "resume")

    assert shown.returncode == 0, shown.stderr
    assert "SUBMISSION IS HALTED: nonce 5 was used by a stranger" in shown.stdout
    assert "unproven" in shown.stdout
    assert (unasked.returncode, still["halted"]) == (1, "nonce 5 was used by a stranger")
    assert (resumed.returncode, after["halted"]) == (0, None)
    assert after["unproven"] is True
    assert again.stdout == "Submission is not halted.\n"


def test_a_node_that_the_agent_caught_lying_is_shown_and_not_asked(file: Path) -> None:
    with closing(open_journal(file.parent / "state")[0]) as journal:
        now = int(time.time())
        LieRows(journal).begin(judge(load(file, {}).chain))
        LieRows(journal).keep(Lie(now, now + 3_600, "127.0.0.1:1", "north", "its seal is nobody's", '{"number":"0x1"}'))

    shown = run(file, "status")
    told = json.loads(run(file, "status", "--json").stdout)
    found = json.loads(run(file, "check", "--json").stdout)["findings"]

    assert "its seal is nobody's" in shown.stdout
    assert told["lies"][0]["told"] == '{"number":"0x1"}'
    (node,) = [one for one in found if one["part"] == "full node 127.0.0.1:1"]
    assert "caught lying at" in node["said"], "not: cannot be reached"

    corrected = file.read_text(encoding="utf-8").replace("unproven = true", PINS) + ANOTHER_NODE
    file.write_text(corrected, encoding="utf-8")
    found = json.loads(run(file, "check", "--json").stdout)["findings"]
    (node,) = [one for one in found if one["part"] == "full node 127.0.0.1:1"]
    assert "cannot be reached" in node["said"], "by other pins it may have told the truth"


def test_an_empty_journal_has_no_readings(file: Path) -> None:
    assert "no reading yet" in run(file, "readings").stdout
    assert json.loads(run(file, "readings", "--json").stdout) == {"unproven": True, "readings": []}


def test_a_reader_that_has_seen_enough_is_no_error(file: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m agent --config {file} status | true"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [("orders",), ("wallet",), ("sell", "--energy", "1", "--price", "1", "--yes")])
def test_trading_says_what_is_missing(file: Path, command: tuple[str, ...]) -> None:
    """No node, a journal of another release, no journal: each in words, and none in a traceback."""
    away = run(file, *command)
    journal, _ = open_journal(file.parent / "state")
    journal.execute("PRAGMA user_version = 1")
    journal.close()
    older = run(file, *command)
    for part in (file.parent / "state").iterdir():
        part.unlink()
    missing = run(file, *command)

    for told, words in ((away, "no full node gave a usable answer"), (older, "restart the agent"), (missing, "once")):
        assert (told.returncode, told.stdout) == (1, "")
        assert words in told.stderr
        assert "Traceback" not in told.stderr
