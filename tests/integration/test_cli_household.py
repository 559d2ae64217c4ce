"""The commands around a whole household: two simulated meters, a chain, a broker, as an installer meets them."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from agent.adapters.keystore import keystore_address, reading_digest, recover_text
from agent.domain.office_requests import signed_text
from agent.domain.readings import Flags, Reading
from agent.domain.signing import SigningDomain
from simulators.rig import Rig, Scene

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

PATIENCE_S = 90


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(Scene(tmp_path_factory.mktemp("household") / "scene")) as running:
        yield running


def run(rig: Rig, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", "--config", str(rig.configuration), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(done.stdout)["findings"]:
        found.setdefault(each["part"], []).append((each["level"], each["said"]))
    return found


def test_check_finds_a_good_household_good(rig: Rig) -> None:
    done = run(rig, "check", "--json")

    found = findings(done)
    problems = {part: said for part, said in found.items() if any(level == "problem" for level, _ in said)}
    assert problems == {}
    assert done.returncode == 0
    assert found["enrolment"][0][0] == "ok"
    assert found["broker"][0][0] == "ok"
    points = json.loads(done.stdout)["meters"]["production"]["points"]
    energy = next(point for point in points if point["name"] == "export_energy")
    assert len(energy["raw"]) == 8
    assert float(energy["value"]) > 1000


def test_check_shows_raw_and_scaled_and_says_unproven(rig: Rig) -> None:
    done = run(rig, "check")

    assert done.returncode == 0, done.stdout
    assert "import_energy" in done.stdout
    assert "unproven" in done.stdout


def test_check_names_an_unplugged_meter_and_goes_on_with_the_other(rig: Rig) -> None:
    rig.meters.unplug("consumption")
    try:
        done = run(rig, "check", "--json")
    finally:
        rig.meters.replug("consumption")

    found = findings(done)
    assert done.returncode == 1
    assert found["consumption meter"][0][0] == "problem"
    assert "problem" not in [level for level, _ in found["production meter"]]


def test_check_names_a_lost_node_and_broker(rig: Rig, tmp_path: Path) -> None:
    lost = tmp_path / "agent.toml"
    text = rig.configuration.read_text().replace(rig.chain.url, "http://127.0.0.1:9")
    lost.write_text(text.replace(f"port = {rig.broker.address[1]}", "port = 9"))

    done = subprocess.run(
        [sys.executable, "-m", "agent", "check", "--json", "--config", str(lost)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    found = findings(done)
    assert done.returncode == 1
    assert found["broker"][0] == ("problem", "broker 127.0.0.1:9: nothing listens there")
    assert [level for level, _ in found["full node 127.0.0.1:9"]] == ["problem"]
    assert found["enrolment"][0][0] == "problem"


def test_the_request_is_signed_by_the_household(rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "request.json"

    who = ["--profile", str(rig.scene.directory / "profile.toml")]

    first = run(rig, "enrol", "--output", str(file), "--yes", *who)
    second = run(rig, "enrol", "--output", str(file), "--yes", *who)

    request: dict[str, Any] = json.loads(file.read_text())
    assert first.returncode == 0, first.stderr
    assert "kWh" in first.stdout
    assert recover_text(signed_text(request), request["signature"]) == request["household"] == rig.household
    assert second.returncode == 1
    assert "there already" in second.stderr


def test_nothing_is_signed_unasked(rig: Rig, tmp_path: Path) -> None:
    who = ["--profile", str(rig.scene.directory / "profile.toml")]

    done = run(rig, "enrol", "--output", str(tmp_path / "request.json"), *who)

    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert not (tmp_path / "request.json").exists()


def test_nobody_is_enrolled_without_a_name(rig: Rig, tmp_path: Path) -> None:
    done = run(rig, "enrol", "--output", str(tmp_path / "request.json"), "--yes")

    assert done.returncode == 1
    assert "--profile" in done.stderr


def test_probe_finds_the_meter_and_gives_its_configuration(rig: Rig) -> None:
    place = rig.meters.addresses()["production"]

    done = subprocess.run(
        [sys.executable, "-m", "agent", "probe", f"tcp://{place['host']}:{place['port']}", "--json"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    met = json.loads(done.stdout)["meters"]
    assert done.returncode == 0, done.stderr
    assert [(meter["profile"], meter["unit"], meter["certain"]) for meter in met] == [("eastron_sdm120", 1, True)]


def test_before_the_first_start_there_is_no_journal(rig: Rig) -> None:
    done = run(rig, "status")

    assert done.returncode == 1
    assert "has the agent been started once?" in done.stderr


def test_an_unknown_meter_model_ends_the_start_with_78(rig: Rig, tmp_path: Path) -> None:
    wrong = tmp_path / "agent.toml"
    text = rig.configuration.read_text().replace('"eastron_sdm120"', '"eastron_sdm12"').replace("sdm630", "sdm63")
    wrong.write_text(text.replace(f'directory = "{rig.state}"', f'directory = "{tmp_path}/state"'))

    done = subprocess.run(
        [sys.executable, "-m", "agent", "run", "--config", str(wrong)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    assert done.returncode == 78
    assert "meters.production.profile: there is no meter profile 'eastron_sdm12'" in done.stderr
    assert "meters.consumption.profile: there is no meter profile 'eastron_sdm63'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flags", [Flags.NONE, Flags.LATE | Flags.PRODUCTION_HELD])
def test_the_contract_hashes_a_reading_as_we_do(rig: Rig, flags: Flags) -> None:
    reading = Reading(rig.household, 1, 7, 1_782_104_400, 1_236_030, 2_345_946, flags)
    domain = SigningDomain(31337, rig.contract)
    call = keccak(text="readingDigest(uint256)")[:4] + reading.packed().to_bytes(32)

    told = rig.chain.rpc("eth_call", {"to": rig.contract, "data": "0x" + call.hex()}, "latest")

    assert told == "0x" + reading_digest(reading, domain).hex()


def test_the_keystore_is_the_households(rig: Rig) -> None:
    assert keystore_address(rig.scene.directory / "household-key.json") == rig.household


def test_a_running_agent_shows_its_key_nowhere_and_reloads_in_place(rig: Rig, tmp_path: Path) -> None:
    file, log = tmp_path / "agent.toml", tmp_path / "agent.log"
    file.write_text(
        rig.configuration.read_text().replace(f'directory = "{rig.state}"', f'directory = "{tmp_path}/state"')
    )
    with log.open("wb") as output:
        agent = subprocess.Popen(
            [sys.executable, "-m", "agent", "--config", str(file), "run"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        told(log, "transaction.sent", 1)
        seen = b"".join(Path(f"/proc/{agent.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        agent.send_signal(signal.SIGHUP)
        told(log, "agent.started", 2)
        assert agent.poll() is None
        for arguments in (["status", "--json"], ["readings", "--json"], ["check"]):
            done = subprocess.run(
                [sys.executable, "-m", "agent", "--config", str(file), *arguments],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False,
            )  # fmt: skip
            seen += done.stdout + done.stderr
    finally:
        agent.send_signal(signal.SIGTERM)
        code = agent.wait(PATIENCE_S)
    seen += b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    passphrase = (rig.scene.directory / "household-passphrase").read_text().strip()
    key = bytes(Account.decrypt((rig.scene.directory / "household-key.json").read_text(), passphrase))

    forms = [key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key), passphrase.encode()]
    assert [form for form in forms if form in seen] == []
    assert code == 0


def told(log: Path, event: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while log.read_text().count(f'"event": "{event}"') < count:
        assert time.monotonic() < deadline, f"{event} was not told {count} times:\n{log.read_text()[-3000:]}"
        time.sleep(0.1)
