"""Commands that look into a journal, and the one that changes it.

They run in this process, since what starting one costs is not what is tested here.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.adapters.journal import open_journal
from agent.adapters.lie_rows import LieRows
from agent.adapters.outbox_rows import OutboxRows
from agent.cli.main import main
from agent.compose.pins import judge
from agent.configuration import load
from agent.domain.lies import Lie

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

ACCOUNT = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
HASH = "0x" + "ab" * 32
PATIENCE_S = 60
ANOTHER_NODE = '[[chain.nodes]]\nurl = "http://127.0.0.1:2"\narea = "north"\n'
PINS = f'consensus = "clique"\nepoch = 30000\nvalidators = ["{ACCOUNT}"]'
Run = Callable[..., subprocess.CompletedProcess[str]]


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


@pytest.fixture
def run(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # no terminal, also where pytest has one

    def carried_out(*arguments: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = main(["--config", str(file), *arguments])
        told = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, told.out, told.err)

    return carried_out


def test_a_halt_is_shown_and_ended_only_when_asked(run: Run) -> None:
    shown = run("status")
    unasked = run("keys", "resume")
    still = json.loads(run("status", "--json").stdout)
    resumed = run("keys", "resume", "--yes")
    after = json.loads(run("status", "--json").stdout)
    again = run("keys", "resume")

    assert shown.returncode == 0, shown.stderr
    assert "SUBMISSION IS HALTED: nonce 5 was used by a stranger" in shown.stdout
    assert "unproven" in shown.stdout
    assert (unasked.returncode, still["halted"]) == (1, "nonce 5 was used by a stranger")
    assert (resumed.returncode, after["halted"]) == (0, None)
    assert after["unproven"] is True
    assert again.stdout == "Submission is not halted.\n"


def test_a_node_that_the_agent_caught_lying_is_shown_and_not_asked(file: Path, run: Run) -> None:
    with closing(open_journal(file.parent / "state")[0]) as journal:
        now = int(time.time())
        LieRows(journal).begin(judge(load(file, {}).chain))
        LieRows(journal).keep(Lie(now, now + 3_600, "127.0.0.1:1", "north", "its seal is nobody's", '{"number":"0x1"}'))

    shown = run("status")
    told = json.loads(run("status", "--json").stdout)
    found = json.loads(run("check", "--json").stdout)["findings"]

    assert "its seal is nobody's" in shown.stdout
    assert told["lies"][0]["told"] == '{"number":"0x1"}'
    (node,) = [one for one in found if one["part"] == "full node 127.0.0.1:1"]
    assert "caught lying at" in node["said"], "not: cannot be reached"

    corrected = file.read_text(encoding="utf-8").replace("unproven = true", PINS) + ANOTHER_NODE
    file.write_text(corrected, encoding="utf-8")
    found = json.loads(run("check", "--json").stdout)["findings"]
    (node,) = [one for one in found if one["part"] == "full node 127.0.0.1:1"]
    assert "cannot be reached" in node["said"], "by other pins it may have told the truth"


def test_an_empty_journal_has_no_readings(run: Run) -> None:
    assert "no reading yet" in run("readings").stdout
    assert json.loads(run("readings", "--json").stdout) == {"unproven": True, "readings": []}


def test_a_reader_that_has_seen_enough_is_no_error(file: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m agent --config {file} status | true"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [("orders",), ("wallet",), ("sell", "--energy", "1", "--price", "1", "--yes")])
def test_trading_says_what_is_missing(file: Path, run: Run, command: tuple[str, ...]) -> None:
    """No node, a journal of another release, no journal: each in words, and none in a traceback."""
    away = run(*command)
    journal, _ = open_journal(file.parent / "state")
    journal.execute("PRAGMA user_version = 1")
    journal.close()
    older = run(*command)
    for part in (file.parent / "state").iterdir():
        part.unlink()
    missing = run(*command)

    for told, words in ((away, "no full node gave a usable answer"), (older, "restart the agent"), (missing, "once")):
        assert (told.returncode, told.stdout) == (1, "")
        assert words in told.stderr
        assert "Traceback" not in told.stderr
