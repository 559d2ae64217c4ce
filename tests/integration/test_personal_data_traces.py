"""A household's personal data are in the office's database and in the files it wrote them into, and nowhere else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.domain.personal_data import check_digit
from simulators.process import StartError
from simulators.rig import Rig, Scene, stop_agent
from tests.fakes.disguises import traces, traces_below
from tests.integration.telemetry_house import connect_without_binding

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

PATIENCE_S = 90
FIRST, FAMILY = "ژیلاسنج", "Quxterwald"
NATIONAL_ID = f"840271693{check_digit('840271693')}"
# What a household wrote them into on purpose, before the office had them.
OWN_FILES = ("profile.toml", "enrolment.json")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    who = f'first_name = "{FIRST}"\nfamily_name = "{FAMILY}"\nnational_id = "{NATIONAL_ID}"\n'
    with Rig(Scene(tmp_path_factory.mktemp("person") / "scene", profile=who)) as running:
        yield running


class Capture:
    """Every byte of every message that the broker carries."""

    def __init__(self, rig: Rig) -> None:
        self.heard: list[bytes] = []
        subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="capture", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            message.topic.encode() + b"\n" + bytes(message.payload)
        )
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.connect(*rig.broker.address)
        self._client.loop_start()
        assert subscribed.wait(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def blocks(rig: Rig) -> str:
    """The chain with its transactions, and every log and receipt."""
    told = []
    for number in range(rig.chain.block_number() + 1):
        told.append(rig.chain.rpc("eth_getBlockByNumber", hex(number), True))
        told.append(rig.chain.rpc("eth_getBlockReceipts", hex(number)))
    return json.dumps(told)


def test_a_search_of_chain_messages_journal_and_logs_finds_none(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    connect_without_binding(monkeypatch)
    who = (FIRST, FAMILY, NATIONAL_ID)
    folder = rig.scene.directory
    request = json.loads((folder / "enrolment.json").read_text())
    salt = bytes.fromhex(request["salt"][2:])
    capture = Capture(rig)
    agent = rig.start_agent()
    try:
        end = time.monotonic() + PATIENCE_S
        while len(rig.ledger.readings(rig.household)) < 2 or not any(b"/reading\n" in one for one in capture.heard):
            assert agent.poll() is None, (folder / "agent.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.2)
        rig.agent("status")
    finally:
        stop_agent(agent)
        capture.close()

    # The household's state as it lies on the disk, its log, its configuration; the operator's state but its database.
    assert traces_below(folder, who, leaving_out=(*OWN_FILES, "office.sqlite", "office.sqlite-wal")) == []
    assert traces_below(rig.state, who) == []
    assert (rig.state / "journal.sqlite").stat().st_size > 0
    assert (folder / "agent.log").stat().st_size > 0
    messages = b"\n".join(capture.heard)
    assert list(traces(messages, who)) == []
    chain = blocks(rig)
    carried = chain.encode() + bytes.fromhex("".join(inputs(chain)))
    assert list(traces(carried, who)) == []

    # The salt would make the hash on the chain tell a name that is guessed: it is where the data are.
    assert salt.hex() not in chain
    assert salt.hex().encode() not in messages
    assert salt.hex() not in (folder / "agent.log").read_text()
    # And the search sees what is there: the hash on the chain, the data with the office and in the household's request.
    assert request["personalDataHash"][2:] in chain
    found = "\n".join(traces_below(folder, who))
    assert all(f"{name}: '{text}' as utf-8" in found for name in ("profile.toml", "office.sqlite") for text in who)
    assert f"enrolment.json: '{FIRST}' as JSON's escapes" in found


def inputs(chain: str) -> list[str]:
    """The calldata and log data of every transaction, hexadecimal digits."""
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            found.extend(
                inner[2:] for name, inner in value.items() if name in {"input", "data"} and len(inner) % 2 == 0
            )
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(json.loads(chain))
    return found


def test_an_edited_profile_goes_the_same_way(rig: Rig, tmp_path: Path) -> None:
    profile, edit = tmp_path / "profile.json", tmp_path / "profile-edit.json"
    family = "Zwexhammer"
    profile.write_text(json.dumps({"first_name": FIRST, "family_name": family, "national_id": NATIONAL_ID}))
    profile.chmod(0o600)
    said = rig.agent("enrol", "--edit", "--profile", str(profile), "--output", str(edit), "--yes", "--json")
    done = rig.operator("approve", str(edit), *rig.market.operator_options, "--yes", "--json")

    request = json.loads(edit.read_text())
    assert request["personalDataHash"][2:] in blocks(rig)
    assert list(traces((said + done + blocks(rig)).encode(), (FIRST, family, NATIONAL_ID))) == []
    assert request["salt"] not in said
    state = ("--state-dir", str(rig.scene.directory / "operator"))
    shown = json.loads(rig.operator("requests", "show", "2", *state, "--json"))
    assert shown["personalData"]["familyName"] == family
    history = json.loads(rig.operator("requests", "list", "--household", rig.household, *state, "--json"))
    assert [one["state"] for one in history["requests"]] == ["approved", "approved"]
    rig.operator("requests", "erase", rig.household, "--yes", *state)
    assert traces_below(rig.scene.directory / "operator", (FIRST, FAMILY, family, NATIONAL_ID)) == []


def test_the_command_refuses_a_profile_that_others_may_read(rig: Rig, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(f'first_name = "{FIRST}"\n')
    profile.chmod(0o644)
    with pytest.raises(StartError, match="may be read by others") as refused:
        rig.agent("enrol", "--profile", str(profile), "--output", str(tmp_path / "out.json"), "--yes")
    assert FIRST not in str(refused.value)
