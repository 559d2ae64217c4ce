"""The agent as installed on a booted machine by the steps of systemd/README.md, between a rig's meters and chain."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from eth_account import Account
from paho.mqtt.enums import CallbackAPIVersion

from simulators.collector import Collector
from simulators.rig import AREA, Rig, Scene
from tests.system.machine import Machine, locked_packages

UNIT = "prosumer-agent.service"
CONFIGURATION = "/etc/prosumer-agent/prosumer-agent.toml"
STATE = "/var/lib/prosumer-agent"
PASSPHRASE = "/etc/prosumer-agent/keystore-passphrase"  # noqa: S105 - not a secret: where one lies
CHECKOUT = "/root/prosumer-agent"
PACKAGES = "/root/packages"
SERIAL = "/dev/ttyUSB0"
_DIALOUT = 20  # the same number on every Debian
_DROP_INS = f"/etc/systemd/system/{UNIT}.d"


class InstalledRig(Rig):
    """A rig whose agent, once it is installed, is asked inside the machine."""

    machine: Machine | None = None

    def agent(self, *arguments: str) -> str:
        """Run one `prosumer-agent` command as README does: as the service's user."""
        if self.machine is None:
            return super().agent(*arguments)
        return self.machine.run("runuser", "-u", "prosumer-agent", "--", "prosumer-agent", *arguments)


class Tape:
    """Everything that goes over the broker, as it came."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="tape", protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = lambda _client, _data, said: self.messages.append((said.topic, bytes(said.payload)))
        self._client.connect(*address)
        self._client.loop_start()

    def close(self) -> None:
        """Stop listening."""
        self._client.disconnect()
        self._client.loop_stop()

    def statuses(self) -> list[dict[str, Any]]:
        """The agent's status messages, oldest first."""
        return [json.loads(payload) for topic, payload in self.messages if topic.endswith("/status")]


@dataclass(slots=True)
class Installed:
    """A household's machine, with the agent installed and configured, and what it talks to.

    Attributes:
        machine: The machine.
        rig: Meters, chain and broker.
        collector: Who acknowledges its readings.
        tape: Everything said over the broker.
        key: The household's private key.
        passphrase: What opens the keystore in the machine.
    """

    machine: Machine
    rig: InstalledRig
    collector: Collector
    tape: Tape
    key: bytes = field(repr=False)
    passphrase: str = field(repr=False)

    def configuration(self) -> str:
        """The machine's configuration: the rig's with the installed places."""
        rig = self.rig
        text = rig.configuration.read_text(encoding="utf-8")
        line = f"rtu://{rig.meters.addresses()['consumption']['path']}?"
        for theirs, ours in (
            (line, f"rtu://{SERIAL}?"),
            (f'directory = "{rig.state}"', f'directory = "{STATE}"'),
            (f'path = "{rig.scene.directory}/household-key.json"', f'path = "{STATE}/keystore.json"'),
            (f"{rig.scene.directory}/household-passphrase", PASSPHRASE),
        ):
            assert theirs in text, f"the rig's configuration no longer says {theirs}"
            text = text.replace(theirs, ours)
        return text

    def show(self, *names: str) -> dict[str, str]:
        """Properties of the service, as systemd states them."""
        asked = [f"--property={','.join(names)}"] if names else []
        lines = self.machine.run("systemctl", "show", "--all", UNIT, *asked).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def main_pid(self) -> int:
        """The daemon's process, as numbered inside."""
        return int(self.show("MainPID")["MainPID"])

    def log(self) -> str:
        """What the service said since it was installed, also before a cut."""
        return self.machine.run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT)

    def wait_for(self, said: Callable[[], bool], what: str, *, within_s: float) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + within_s
        while not said():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within_s:g} s: {what}; the log ends with:\n{self.log()[-3000:]}")
            time.sleep(0.5)

    def wait_for_final(self, more: int, *, within_s: float = 60) -> None:
        """Wait until more transactions became final than until now."""
        before = self.log().count('"transaction.final"')
        self.wait_for(
            lambda: self.log().count('"transaction.final"') >= before + more, "transactions final", within_s=within_s
        )

    @contextmanager
    def drop_in(self, name: str, text: str) -> Iterator[None]:
        """Restart the service with an addition to its unit, and at the end without it."""
        self.machine.write(f"{_DROP_INS}/{name}.conf", text)
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", UNIT)
        try:
            yield
        finally:
            self.machine.run("rm", f"{_DROP_INS}/{name}.conf")
            self.machine.run("systemctl", "daemon-reload")
            self.machine.run("systemctl", "restart", UNIT)


@contextmanager
def installed(directory: Path) -> Iterator[Installed]:
    """Make everything, install the agent and start it; nothing is left at the end."""
    with ExitStack() as stack:
        rig = stack.enter_context(InstalledRig(Scene(directory=directory / "rig", speed=60.0)))
        serial = Path(str(rig.meters.addresses()["consumption"]["path"])).resolve()
        # As udev gives a serial adapter to its group.
        os.chown(serial, 0, _DIALOUT)
        serial.chmod(0o660)
        machine = stack.enter_context(Machine(directory / "machine", binds={serial: SERIAL}))
        machine.bring_checkout(CHECKOUT)
        packages = locked_packages(machine.root)
        (machine.root / PACKAGES.lstrip("/")).mkdir()
        for wheel in packages.iterdir():
            (machine.root / PACKAGES.lstrip("/") / wheel.name).write_bytes(wheel.read_bytes())
        machine.boot()
        print(machine.run("sh", f"{CHECKOUT}/systemd/install", "--packages", PACKAGES))
        tape = Tape(rig.broker.address)
        stack.callback(tape.close)
        collector = stack.enter_context(Collector(rig.broker.address, AREA, rig.household))
        house = Installed(machine, rig, collector, tape, *_bring_key(machine, rig))
        machine.write(CONFIGURATION, house.configuration())
        _try_by_hand(machine)
        # The adapter is simulated by a pseudo-terminal, whose driver has another name.
        machine.write(f"{_DROP_INS}/simulated-adapter.conf", "[Service]\nDeviceAllow=char-pts rw\n")
        machine.run("systemctl", "daemon-reload")
        rig.machine = machine
        machine.run("systemctl", "enable", UNIT)
        machine.run("systemctl", "start", UNIT, expected=None)
        assert house.show("ActiveState")["ActiveState"] == "active", house.log()[-3000:]
        yield house


def _try_by_hand(machine: Machine) -> None:
    """README's commands before the first start, by the users that it names."""
    # `probe` itself takes minutes on a serial line; that the service's user may open the adapter is what counts here.
    opening = f"import os; os.close(os.open('{SERIAL}', os.O_RDWR | os.O_NOCTTY))"
    machine.run("runuser", "-u", "prosumer-agent", "--", "python3", "-c", opening)
    machine.run("prosumer-agent", "check")
    who = 'first_name = "Sara"\nfamily_name = "Nemune"\nnational_id = "0123456789"\n'
    machine.write("/root/profile.toml", who, 0o600)
    written = ("--profile", "/root/profile.toml", "--output", "/root/enrolment-request.json")
    machine.run("prosumer-agent", "enrol", "--yes", *written)
    new = ("--keystore", "/root/new/keystore.json", "--passphrase-file", PASSPHRASE)
    machine.run("prosumer-agent", "keys", "new", *new)


def _bring_key(machine: Machine, rig: InstalledRig) -> tuple[bytes, str]:
    """The household's key, imported by README's steps; the key and the passphrase that the machine made."""
    stored = (rig.scene.directory / "household-key.json").read_text(encoding="utf-8")
    theirs = (rig.scene.directory / "household-passphrase").read_text(encoding="utf-8").strip()
    machine.write("/root/brought.json", stored, 0o600)
    machine.write("/root/brought-passphrase", theirs + "\n", 0o600)
    machine.run("sh", "-c", f"umask 077; head -c 24 /dev/urandom | base64 > {PASSPHRASE}")
    source = ("/root/brought.json", "--source-passphrase-file", "/root/brought-passphrase")
    machine.run("prosumer-agent", "keys", "import", *source, "--passphrase-file", PASSPHRASE)
    machine.run("chown", "prosumer-agent:", f"{STATE}/keystore.json")
    machine.run("rm", "/root/brought.json", "/root/brought-passphrase")
    passphrase = (machine.root / PASSPHRASE.lstrip("/")).read_text(encoding="ascii").strip()
    return bytes(Account.decrypt(stored, theirs)), passphrase


def shapes_of(secret: bytes) -> dict[str, bytes]:
    """How a secret could show itself; hexadecimal with 0x holds the one without."""
    return {
        "raw": secret,
        "hexadecimal": secret.hex().encode(),
        "HEXADECIMAL": secret.hex().upper().encode(),
        "base64": base64.b64encode(secret).rstrip(b"="),
        "base64 for URLs": base64.urlsafe_b64encode(secret).rstrip(b"="),
        "a decimal number": str(int.from_bytes(secret, "big")).encode(),
        "a list of numbers": ", ".join(str(byte) for byte in secret).encode(),
    }


def leaks(secret: bytes, places: dict[str, bytes]) -> list[str]:
    """Where a secret shows itself, and how."""
    shapes = shapes_of(secret)
    return [
        f"{place}: {shape}" for place, content in places.items() for shape, form in shapes.items() if form in content
    ]
