"""A node behind TLS: nothing is said to one whose certificate does not verify."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.adapters.full_node import HttpRpc
from agent.domain.errors import NodeUnavailable
from simulators.certificates import Authority, Identity

pytestmark = pytest.mark.integration


class Quiet:
    """A log that is not kept."""

    def info(self, event: str, **facts: object) -> None: ...

    warning = error = info


class Answers(http.server.BaseHTTPRequestHandler):
    """Says chain 31337 to everything, and remembers what it was told."""

    heard: list[bytes]

    def do_POST(self) -> None:
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": 0, "result": "0x7a69"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that refuses the certificate breaks the handshake: that is what is tested."""


@contextmanager
def serving(identity: Identity) -> Iterator[tuple[str, list[bytes]]]:
    heard: list[bytes] = []
    handler = type("Handler", (Answers,), {"heard": heard})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    with Server(("127.0.0.1", 0), handler) as server:
        # The handshake belongs to the connection's own thread, so that a refusal does not stop the server.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", heard
        server.shutdown()
        thread.join()


def ask(url: str, ca_file: Path | None) -> object:
    rpc = HttpRpc(url, timeout_s=5.0, log=Quiet(), ca_file=str(ca_file) if ca_file else None)
    try:
        return rpc.call("eth_chainId", [])
    finally:
        rpc.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_the_companys_own_authority_is_trusted_when_it_is_named(authority: Authority) -> None:
    with serving(authority.server("node", ("IP:127.0.0.1",))) as (url, heard):
        assert ask(url, authority.certificate) == "0x7a69"
    assert len(heard) == 1


def test_a_certificate_that_nobody_known_signed_is_refused(authority: Authority) -> None:
    with (
        serving(authority.server("node", ("IP:127.0.0.1",))) as (url, heard),
        pytest.raises(NodeUnavailable, match="certificate does not verify"),
    ):
        ask(url, None)
    assert heard == []


def test_a_certificate_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Other authority")
    with (
        serving(authority.server("node", ("IP:127.0.0.1",))) as (url, heard),
        pytest.raises(NodeUnavailable, match="certificate does not verify"),
    ):
        ask(url, other.certificate)
    assert heard == []


def test_a_certificate_for_another_host_is_refused(authority: Authority) -> None:
    with (
        serving(authority.server("node", ("IP:127.0.0.9",))) as (url, heard),
        pytest.raises(NodeUnavailable, match="certificate does not verify"),
    ):
        ask(url, authority.certificate)
    assert heard == []


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    with (
        serving(authority.server("node", ("IP:127.0.0.1",), days=-1)) as (url, heard),
        pytest.raises(NodeUnavailable, match="certificate does not verify"),
    ):
        ask(url, authority.certificate)
    assert heard == []
