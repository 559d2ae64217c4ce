"""An MQTT 5 broker on loopback: Mosquitto where there is one, else one that comes as a Python package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulators.certificates import Authority
from simulators.process import Child, StartError

_PLACES: Final = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto")
_EMBEDDED: Final = "iotcore"
_START_S: Final = 20.0
_POLL_S: Final = 0.05
_EMBEDDED_BROKER: Final = (
    "import logging,sys\n"
    "from iotcore.iotcore import IotCoreBroker\n"
    "logging.basicConfig()\n"
    "logging.getLogger('rumqttd').setLevel(logging.CRITICAL)\n"  # it reports each packet as an error
    "IotCoreBroker(config_path=sys.argv[1]).run_forever()\n"
)
"""The package's own launcher listens on every address and speaks MQTT 3.1.1 only: its file does better."""

HOUSEHOLD_RULES: Final = """\
pattern readwrite energy/v1/+/%u/#
user collector
topic readwrite energy/#
"""
"""A household, known by its certificate's common name, keeps to its own topics; the collector sees all of them."""


@dataclass(frozen=True, slots=True)
class Security:
    """TLS with client certificates, and who may do what.

    Attributes:
        authority: Signs the broker and its clients.
        rules: Mosquitto's access list, one rule a line.
        server_name: Common name of the broker's own certificate.
        alternatives: What that certificate answers for; another host's name makes a broker to be refused.
        days: How long it holds; negative makes an expired one.
    """

    authority: Authority
    rules: str = HOUSEHOLD_RULES
    server_name: str = "broker"
    alternatives: tuple[str, ...] = ("DNS:localhost", "IP:127.0.0.1")
    days: int = 2


def find_mosquitto() -> Path | None:
    """Find the Mosquitto broker, which Debian keeps off an ordinary user's PATH."""
    for candidate in (shutil.which("mosquitto"), *_PLACES):
        if candidate is not None and os.access(candidate, os.X_OK):
            return Path(candidate)
    return None


class Broker:
    """One broker. Use it as a context manager, or `start` and `stop` it; its port stays the same.

    With Mosquitto everything below works. The embedded broker (iotcore, which is rumqttd) speaks MQTT 5 too:
    retained messages, durable sessions and QoS 1 were tried. It keeps nothing on disk, sends packets above a
    client's maximum size, and has no access rules: it refuses `security`.

    Args:
        port: Port to listen on; 0 lets the system choose.
        security: TLS and access rules; anonymous and in the clear on loopback where it is left out.
        persistence: Whether sessions, retained and queued messages outlive a clean stop.
        directory: Where configuration and persistence go; a temporary one, removed at the end, otherwise.
        embedded: Take the embedded broker, or never (None: when there is no Mosquitto).
        busy: For tens of thousands of messages: it logs subscriptions and faults alone, and keeps what waits for a
            slow subscriber instead of dropping it beyond a thousand messages. Mosquitto only.

    Raises:
        StartError: There is neither broker, or the embedded one was asked for more than it has.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        security: Security | None = None,
        persistence: bool = True,
        directory: Path | None = None,
        embedded: bool | None = None,
        busy: bool = False,
    ) -> None:
        self._busy = busy
        self.port = port or _free_port()
        self._security = security
        self._persistence = persistence
        self._mosquitto = None if embedded else find_mosquitto()
        if self._mosquitto is None:
            _check_embedded(security, allowed=embedded is not False)
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="broker-")
        self._directory = directory or Path(self._temporary.name if self._temporary else ".")
        self._child: Child | None = None

    @property
    def name(self) -> str:
        """Which broker this is."""
        return "Mosquitto" if self._mosquitto is not None else "embedded broker"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        return "127.0.0.1", self.port

    @property
    def pid(self) -> int:
        """Its process number.

        Raises:
            StartError: It does not run.
        """
        if self._child is None:
            raise StartError(f"{self.name} does not run: start it first")
        return self._child.pid

    def start(self) -> Self:
        """Start it and wait until it lets clients in. Doing it twice is doing it once.

        Raises:
            StartError: It did not start; with its own words.
        """
        if self._child is not None:
            return self
        self._directory.mkdir(parents=True, exist_ok=True)
        child = self._mosquitto_child() if self._mosquitto is not None else self._embedded_child()
        deadline = time.monotonic() + _START_S
        while not _answers(self.port):
            if not child.running or time.monotonic() > deadline:
                failure = child.failure(f"nobody listens on port {self.port}")
                child.kill()
                raise failure
            time.sleep(_POLL_S)
        self._child = child
        return self

    def stop(self) -> None:
        """Stop it cleanly, so that it saves what it keeps."""
        if self._child is not None:
            child, self._child = self._child, None
            child.stop()

    def kill(self) -> None:
        """End it with SIGKILL, so that it saves nothing."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()

    def output(self) -> str:
        """Give the last lines of its log (what clients subscribed to among them)."""
        return "" if self._child is None else self._child.output()

    def close(self) -> None:
        """Stop it for good and remove its temporary directory."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _mosquitto_child(self) -> Child:
        # stderr: on a pipe, what goes to stdout is kept back by the thousand bytes.
        kinds = ("error", "warning", "notice", "subscribe") if self._busy else ("all",)
        lines = [f"listener {self.port} 127.0.0.1", "log_dest stderr", *(f"log_type {kind}" for kind in kinds)]
        if self._busy:
            lines.append("max_queued_messages 100000")
        if os.geteuid() == 0:
            lines.append("user root")  # else it changes to a user that cannot read a test's directory
        if self._persistence:
            lines += ["persistence true", f"persistence_location {self._directory}/", "autosave_interval 0"]
        lines += ["allow_anonymous true"] if self._security is None else self._secure(self._security)
        config = self._directory / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return Child([str(self._mosquitto), "-c", str(config)], self.name)

    def _secure(self, security: Security) -> list[str]:
        server = security.authority.server(security.server_name, security.alternatives, security.days)
        rules = self._directory / "rules"
        rules.write_text(security.rules, encoding="utf-8")
        rules.chmod(0o600)
        return [
            "allow_anonymous false",
            f"cafile {security.authority.certificate}",
            f"certfile {server.certificate}",
            f"keyfile {server.key}",
            "require_certificate true",
            "use_identity_as_username true",
            f"acl_file {rules}",
        ]

    def _embedded_child(self) -> Child:
        config = self._directory / "embedded.toml"
        config.write_text(_embedded_config(self.port), encoding="utf-8")
        return Child([sys.executable, "-I", "-c", _EMBEDDED_BROKER, str(config)], self.name)


def _check_embedded(security: Security | None, *, allowed: bool) -> None:
    install = "install the Debian package mosquitto"
    if not allowed or importlib.util.find_spec(_EMBEDDED) is None:
        raise StartError(f"there is no Mosquitto: {install}, or the Python package {_EMBEDDED}")
    if security is not None:
        raise StartError(f"the embedded broker has no TLS with access rules: {install}")


def _embedded_config(port: int) -> str:
    return f"""\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 100
dynamic_filters = true
"""


def _free_port() -> int:
    # Mosquitto cannot tell which port it was given, so one is chosen for it.
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0):
            return True
    except OSError:
        return False
