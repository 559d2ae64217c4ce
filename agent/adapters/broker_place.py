"""Where the MQTT broker is, who connects to it, and by what each side proves it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from agent.domain.errors import BrokerUnavailable, ConfigurationInvalid

_MOST_PASSWORD_BYTES = 4_096
_MOST_PORT = 65_535


class _ClosingSocket(ssl.SSLSocket):
    """A TLS socket that a failed handshake closes: paho forgets it, and the file descriptor would stay open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 # ssl's own signature
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class Tls:
    """The files for TLS.

    Attributes:
        ca_file: PEM of who vouches for the broker; None for the system's list.
        certificate_file: PEM of the household's certificate; None if it shows none.
        key_file: PEM of its key, without a passphrase; None if it stands in ``certificate_file``.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """A fresh context: files are read at each attempt, so that a renewed certificate needs no restart.

        Raises:
            BrokerUnavailable: a file cannot be read or is not what it should be.
        """
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca_file)
        except OSError as wrong:
            raise BrokerUnavailable(f"CA file {self.ca_file}: {_reason(wrong)}; expected PEM certificates") from wrong
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _ClosingSocket
        if self.certificate_file is not None:
            try:
                # An empty passphrase, since OpenSSL would else ask at the terminal and stall a service.
                context.load_cert_chain(self.certificate_file, self.key_file, password="")
            except OSError as wrong:
                raise BrokerUnavailable(
                    f"certificate {self.certificate_file} with key {self.key_file or self.certificate_file}: "
                    f"{_reason(wrong)}; expected PEM, a key that fits, and no passphrase"
                ) from wrong
        return context


@dataclass(frozen=True, slots=True)
class Names:
    """What a person calls the parts of a place, so that a message names what to put right.

    Attributes:
        host: where the host's name stands.
        port: where the port stands.
        tls: what turns TLS on.
        plain: what allows a plain connection off this machine.
        certificate: where the client's certificate stands.
        login: where an account's name and its password's file stand.
        client: who connects.
    """

    host: str = "telemetry.host"
    port: str = "telemetry.port"
    tls: str = "set telemetry.ca_file (TLS)"
    plain: str = "telemetry.allow_plain = true"
    certificate: str = "telemetry.certificate_file"
    login: str = "telemetry.username and telemetry.password_file"
    client: str = "this household"


_HOUSEHOLDS = Names()


@dataclass(frozen=True, slots=True)
class Place:
    """One broker.

    Attributes:
        host: name or address.
        port: TCP port.
        tls: how TLS is done; None for a plain connection.
        allow_plain: whether a plain connection may leave this machine.
        username: account at the broker, if it has accounts.
        password_file: file with its password alone; read at each attempt, kept nowhere.
        names: what a person calls these parts.

    Raises:
        ConfigurationInvalid: the parts do not go together, or are not safe off loopback.
    """

    host: str
    port: int
    tls: Tls | None = None
    allow_plain: bool = False
    username: str | None = None
    password_file: Path | None = None
    names: Names = field(default=_HOUSEHOLDS, repr=False)

    def __post_init__(self) -> None:
        problems, names = [], self.names
        if not self.host or len(self.host) > 253 or not self.host.isascii() or not self.host.isprintable():  # noqa: PLR2004 # DNS
            problems.append(f"{names.host} is {self.host!r}; expected a name or an address in ASCII")
        if not 1 <= self.port <= _MOST_PORT:
            problems.append(f"{names.port} is {self.port}; expected 1 to {_MOST_PORT}")
        if self.password_file is not None and self.username is None:
            problems.append(f"a password file is set without a user name: set {names.login}, or neither")
        if not self.loopback and self.tls is None and not self.allow_plain:
            problems.append(
                f"{names.host} {self.host} is not this machine, and a plain connection is readable on the way: "
                f"{names.tls}, or {names.plain}"
            )
        if not self.loopback and self.tls and not self.tls.certificate_file and self.password_file is None:
            problems.append(
                f"{names.host} {self.host} could not tell {names.client} from another: "
                f"set {names.certificate}, or {names.login}"
            )
        if problems:
            raise ConfigurationInvalid(problems)

    def __str__(self) -> str:
        return f"broker {self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def plain_off_loopback(self) -> bool:
        """Whether others may read what is sent."""
        return self.tls is None and not self.loopback

    def password(self) -> str | None:
        """The password, or None without one.

        Raises:
            BrokerUnavailable: the file cannot be read, is empty or is no password.
        """
        if self.password_file is None:
            return None
        try:
            with self.password_file.open(encoding="utf-8") as file:
                password = file.read(_MOST_PASSWORD_BYTES).rstrip("\r\n")
        except UnicodeDecodeError:
            # Not chained: the original error shows the bytes.
            raise BrokerUnavailable(f"password file {self.password_file}: not UTF-8; expected one line") from None
        except OSError as wrong:
            raise BrokerUnavailable(f"password file {self.password_file}: {_reason(wrong)}") from wrong
        if not password or "\n" in password:
            raise BrokerUnavailable(f"password file {self.password_file}: expected one line that is not empty")
        return password

    def explain(self, error: OSError) -> str:
        """Why no connection came about, in words that help an installer."""
        match error:
            case ssl.SSLCertVerificationError():
                said = f"its certificate was refused: {error.verify_message}; nothing was sent"
            case ssl.SSLError():
                said = f"no TLS could be agreed: {_reason(error)}"
            case socket.gaierror():
                said = "the name cannot be resolved"
            case ConnectionRefusedError():
                said = "nothing listens there"
            case TimeoutError():
                said = "no answer in time"
            case _:
                said = _reason(error)
        return f"{self}: {said}"


@dataclass(frozen=True, slots=True)
class Presence:
    """Who connects, and what the broker tells others when the connection is lost.

    Attributes:
        client_id: unique at the broker; two connections with the same one end each other.
        will_topic: where the last will goes, retained; None to leave none.
        will_payload: the last will.
        listen_topic: the one topic to subscribe to; None to subscribe to nothing.
    """

    client_id: str
    will_topic: str | None = None
    will_payload: bytes = b""
    listen_topic: str | None = None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.strerror or str(error)
