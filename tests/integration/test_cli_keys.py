"""The key's commands as a person runs them: real programs, a real terminal, and nothing secret anywhere else."""

from __future__ import annotations

import base64
import json
import os
import pty
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from eth_account import Account

from agent.adapters.keystore import Keystore

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

KEY = bytes.fromhex("c0ffee" * 10 + "4321")
ADDRESS = str(Account.from_key(KEY).address)
PASSPHRASE = "c4nary-Passphrase"  # noqa: S105 - a canary: it must show up nowhere
OTHER = "another passphrase"
PATIENCE_S = 60


def program(directory: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "agent", "--config", str(directory / "agent.toml"), *arguments]


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program(directory, *arguments),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def type_into(directory: Path, arguments: Sequence[str], answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Run a command on a terminal of its own and answer its prompts; gives the exit code and all that was shown."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        program(directory, *arguments), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    guard = threading.Timer(PATIENCE_S, child.kill)
    guard.start()
    shown = ""
    waiting = list(answers)
    try:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # EIO: the other side is closed
                break
            if not piece:
                break
            shown += piece.decode()
            # A prompt is answered once, and only after what came before it was.
            if waiting and shown.count(waiting[0][0]) > [prompt for prompt, _ in answers[: -len(waiting)]].count(
                waiting[0][0]
            ):
                os.write(ours, waiting.pop(0)[1].encode() + b"\n")
        return child.wait(PATIENCE_S), shown
    finally:
        guard.cancel()
        child.kill()
        child.wait()
        os.close(ours)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    (tmp_path / "agent.toml").write_text(f'[keystore]\npath = "{tmp_path}/state/keystore.json"\n')
    return tmp_path


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def leaks(text: str) -> list[str]:
    """The forms in which the canary key or passphrase would show."""
    forms = [KEY.hex(), KEY.hex()[:32], base64.b64encode(KEY).decode(), KEY.decode("latin-1"), PASSPHRASE]
    return [form for form in forms if form.lower() in text.lower()]


def test_a_key_is_made_typed_shown_and_reencrypted_without_an_echo(home: Path) -> None:
    code, shown = type_into(
        home, ["keys", "import", "--typed"],
        [("Private key", KEY.hex()), ("New passphrase", PASSPHRASE), ("The same again: ", PASSPHRASE)],
    )  # fmt: skip
    assert code == 0, shown
    assert ADDRESS in shown
    assert leaks(shown) == []

    told = run(home, "keys", "show", "--json")
    keystore = home / "state" / "keystore.json"
    assert json.loads(told.stdout) == {"address": ADDRESS, "file": str(keystore), "kdf": "pbkdf2, c = 1000000"}
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600

    code, shown = type_into(
        home, ["keys", "change-passphrase"],
        [("Passphrase of the keystore: ", PASSPHRASE), ("New passphrase", OTHER), ("The same again: ", OTHER)],
    )  # fmt: skip
    assert code == 0, shown
    assert leaks(shown) == []
    assert Keystore.open(keystore, OTHER.encode()).address == ADDRESS

    code, shown = type_into(home, ["keys", "change-passphrase"], [("Passphrase of the keystore: ", PASSPHRASE)])
    assert code == 1
    assert "the passphrase is wrong" in shown
    assert leaks(shown) == []

    left = "".join(file.read_text() for file in home.rglob("*") if file.is_file())
    assert leaks(left) == []


def test_a_short_passphrase_is_refused_for_a_new_key_and_for_a_changed_one(home: Path) -> None:
    short, good = secret_file(home / "short", "hello"), secret_file(home / "good", PASSPHRASE)
    keystore = home / "state" / "keystore.json"

    made = run(home, "keys", "new", "--passphrase-file", str(short))
    assert (made.returncode, made.stdout) == (1, "")
    assert "12 characters or more, and the one in" in made.stderr
    assert not keystore.exists()

    source = secret_file(home / "theirs.json", json.dumps(Account.encrypt(KEY, "hello", kdf="pbkdf2", iterations=10)))
    theirs = ("keys", "import", str(source), "--source-passphrase-file", str(short), "--passphrase-file")
    assert run(home, *theirs, str(short)).returncode == 1
    assert not keystore.exists()
    assert run(home, *theirs, str(good)).returncode == 0

    changed = run(
        home, "keys", "change-passphrase", "--passphrase-file", str(good), "--new-passphrase-file", str(short)
    )
    assert changed.returncode == 1
    assert "has 5" in changed.stderr
    assert Keystore.open(keystore, PASSPHRASE.encode()).address == ADDRESS


def test_a_new_key_never_replaces_one(home: Path) -> None:
    secret = secret_file(home / "passphrase", PASSPHRASE)
    first = run(home, "keys", "new", "--json", "--passphrase-file", str(secret))
    second = run(home, "keys", "new", "--passphrase-file", str(secret))

    assert first.returncode == 0, first.stderr
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "never overwritten" in second.stderr
    assert json.loads(run(home, "keys", "show", "--json").stdout) == json.loads(first.stdout)
    assert leaks(first.stdout + first.stderr + second.stdout + second.stderr) == []


def test_a_heavy_foreign_keystore_is_brought(home: Path) -> None:
    source = secret_file(
        home / "theirs.json", json.dumps(Account.encrypt(KEY, "theirs", kdf="scrypt", iterations=8192))
    )
    theirs, ours = secret_file(home / "theirs", "theirs"), secret_file(home / "ours", PASSPHRASE)

    done = run(
        home, "keys", "import", str(source), "--source-passphrase-file", str(theirs), "--passphrase-file", str(ours)
    )

    assert done.returncode == 0, done.stderr
    assert Keystore.open(home / "state" / "keystore.json", PASSPHRASE.encode()).address == ADDRESS


def test_a_plain_key_file_is_refused(home: Path) -> None:
    plain = secret_file(home / "plain", KEY.hex())
    ours = secret_file(home / "ours", PASSPHRASE)

    done = run(
        home, "keys", "import", str(plain), "--source-passphrase-file", str(ours), "--passphrase-file", str(ours)
    )

    assert done.returncode == 1
    assert "plain private key" in done.stderr
    assert leaks(done.stdout + done.stderr) == []
    assert not (home / "state").exists() or not list((home / "state").iterdir())


@pytest.mark.parametrize("arguments", [["keys", "new"], ["keys", "import", "--typed"]])
def test_without_a_terminal_nobody_is_asked(home: Path, arguments: list[str]) -> None:
    done = run(home, *arguments)

    assert done.returncode == 1
    assert "terminal" in done.stderr


def test_a_bad_configuration_is_told_whole_with_78(home: Path) -> None:
    (home / "agent.toml").write_text('[household]\naccunt = "x"\n[keystore]\npassphrase = "c4nary-Passphrase"\n')

    for command in ("run", "check", "enrol", "status", "readings"):
        done = run(home, command)

        assert done.returncode == 78, command
        assert "did you mean 'account'" in done.stderr
        assert "keystore.passphrase: a configuration holds no secrets" in done.stderr
        assert done.stderr.count("\n") >= 6
        assert leaks(done.stdout + done.stderr) == []


def test_the_process_that_holds_the_key_cannot_be_dumped() -> None:
    program = (
        "import ctypes, os, resource\nfrom agent.privacy import close_process\nassert close_process()\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)))"
    )

    told = subprocess.run(
        [
            sys.executable, "-c",
            program,
        ],
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip

    assert told.stdout.strip() == "0 (0, 0) 0o77"


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], {"web3", "eth_account", "sqlite3", "paho", "pymodbus", "serial", "structlog"}),
        (["probe"], {"web3", "eth_account", "sqlite3", "paho", "structlog"}),
        (["keys", "show", "--keystore", "/nonexistent"], {"web3", "sqlite3", "paho", "pymodbus", "structlog"}),
        (["status", "--config", "/nonexistent"], {"web3", "eth_account", "sqlite3", "paho", "pymodbus", "structlog"}),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], unwanted: set[str]) -> None:
    program = (
        "import json, sys\nfrom agent.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print(json.dumps([name for name in sys.modules if '.' not in name]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )

    assert not set(json.loads(done.stdout.splitlines()[-1])) & unwanted
