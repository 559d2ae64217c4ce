"""The collector beside a full node: it keeps enrolled households alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from agent.adapters.keystore import Keystore
from agent.cli.enrol import personal
from agent.domain.office_requests import ENROLMENT_SCHEMA, signed_text
from agent.domain.personal_data import PersonalData
from agent.domain.readings import Reading
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import Origin, SealedReading, Topics, reading_message
from simulators.ground import Ground
from tests.integration.collector_line import Publisher
from tests.integration.telemetry_house import PATIENCE_S, connect_without_binding

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

ROOT = Path(__file__).parents[2]
ENROLLED, STRANGER = (Keystore(Account.from_key(bytes(31) + bytes([number])), Path("unused")) for number in (7, 9))


def wait_for(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def enrol(ground: Ground, key: Keystore) -> None:
    asked = {
        "schema": ENROLMENT_SCHEMA,
        "household": key.address,
        "area": "north",
        "ratedPowerW": 8000,
        "productionMeter": {"profile": "eastron_sdm120", "serial": "1", "registerWh": 0},
        "consumptionMeter": {"profile": "eastron_sdm120", "serial": "2", "registerWh": 0},
        "chainId": ground.chain.chain_id,
        "contract": ground.contract,
        "createdAt": int(time.time()) - 10,
        **personal(PersonalData("Sara", "Nemune", "0123456789"), bytes(31) + b"\1"),
    }
    signed = Account.from_key(bytes(31) + b"\x07").sign_message(encode_defunct(text=signed_text(asked)))
    request = ground.directory / "request.json"
    request.write_text(json.dumps({**asked, "signature": "0x" + signed.signature.hex()}), encoding="utf-8")
    ground.operator("approve", *ground.operator_options, "--yes", str(request))


def message(ground: Ground, key: Keystore) -> tuple[str, bytes]:
    market = SigningDomain(ground.chain.chain_id, ground.contract)
    now = int(time.time())
    signed = key.sign_reading(Reading(key.address, 1, 1, now, 10, 20), market)
    payload = reading_message(
        Origin(key.address, market, "0.1.0"), SealedReading(signed, now, 900), follows=(0, 0), delivered=(0, 0)
    )
    return Topics("north", key.address).reading, payload


def test_enrolled_households_alone_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect_without_binding(monkeypatch)
    command = [sys.executable, "-m", "agent.operator", "collect"]
    database = ["--database", f"sqlite:///{tmp_path / 'office.sqlite'}"]
    with Ground(tmp_path / "ground", block_s=0.2) as ground:
        enrol(ground, ENROLLED)
        words = ["--broker", f"mqtt://127.0.0.1:{ground.broker.port}", "--area", "north", *ground.chain_options]
        running = subprocess.Popen([*command, *words, *database], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: "SUBSCRIBE from prosumer-collector" in ground.broker.output(), "it subscribes")
            publisher = Publisher(ground.broker)
            for key in (ENROLLED, STRANGER):
                topic, payload = message(ground, key)
                publisher.send(payload, topic=topic)
            ack = f"/{ENROLLED.address}/ack"
            wait_for(lambda: ack in ground.broker.output(), "the enrolled household has its acknowledgement")
            publisher.close()
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=30)
    assert running.returncode == 0
    told = subprocess.run(
        [*command, "--report", "--json", *database], cwd=ROOT, check=True, capture_output=True, text=True
    )
    found = json.loads(told.stdout)
    assert [(one["household"], one["enrolled"]) for one in found["households"]] == [(ENROLLED.address, True)]
    assert found["refusedOfUnknown"] == {"not_enrolled": 1}
