"""Proxies that fail on request, before a small HTTP node and before an echo."""

from __future__ import annotations

import http.client
import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from simulators.control import CommandError, ControlSocket, listens, tell
from simulators.demo import __main__ as demo
from simulators.proxy import RpcMode, RpcProxy
from simulators.stream_proxy import StreamMode, StreamProxy

QUIET_S = 0.3
LONG_S = 20.0
ROOT = Path(__file__).resolve().parents[2]


class Node(ThreadingHTTPServer):
    """Answers eth_chainId and receipts, and counts what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []
        self.chunked = False


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Node

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        batch = asked if isinstance(asked, list) else [asked]
        self.server.asked += [call["method"] for call in batch]
        results = {"eth_chainId": "0x1", "eth_getTransactionReceipt": {"status": "0x0", "gasUsed": "0x5208"}}
        told = [{"jsonrpc": "2.0", "id": call["id"], "result": results.get(call["method"])} for call in batch]
        body = json.dumps(told if isinstance(asked, list) else told[0]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = len(body) // 2
            for part in (body[:half], body[half:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(node: Node) -> Iterator[RpcProxy]:
    with RpcProxy(("127.0.0.1", node.server_address[1])) as running:
        yield running


class Caller:
    """A client that keeps its connection, as web libraries do."""

    def __init__(self, address: tuple[str, int], timeout_s: float = LONG_S) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=timeout_s)

    def raw(self, *methods: str, batch: bool = False) -> tuple[int, bytes]:
        calls = [{"jsonrpc": "2.0", "id": at, "method": method, "params": []} for at, method in enumerate(methods)]
        body = json.dumps(calls if batch else calls[0])
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.read()

    def call(self, method: str) -> object:
        return json.loads(self.raw(method)[1])["result"]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def caller(proxy: RpcProxy) -> Iterator[Caller]:
    client = Caller(proxy.address)
    yield client
    client.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_it_passes_calls_on_one_connection(proxy: RpcProxy, node: Node, caller: Caller, chunked: bool) -> None:
    node.chunked = chunked
    assert [caller.call("eth_chainId") for _ in range(3)] == ["0x1"] * 3
    told = json.loads(caller.raw("eth_chainId", "eth_getTransactionReceipt", batch=True)[1])
    assert [answer["id"] for answer in told] == [0, 1]
    assert [method for method, _ in proxy.calls()] == node.asked
    assert len(proxy.calls("eth_chainId")) == 4


@pytest.mark.parametrize(("mode", "status"), [(RpcMode.HTML_502, 502), (RpcMode.HTML_200, 200)])
def test_it_answers_a_page(proxy: RpcProxy, node: Node, caller: Caller, mode: RpcMode, status: int) -> None:
    proxy.set_mode(mode)
    got, body = caller.raw("eth_chainId")
    assert got == status
    assert body.startswith(b"<html>")
    assert node.asked == []


@pytest.mark.parametrize(
    ("mode", "passed_on"), [(RpcMode.BLACKHOLE, 0), (RpcMode.MUTE_REPLY, 1), (RpcMode.HALF_OPEN, 0)]
)
def test_it_never_answers(proxy: RpcProxy, node: Node, mode: RpcMode, passed_on: int) -> None:
    proxy.set_mode(mode)
    impatient = Caller(proxy.address, QUIET_S)
    with pytest.raises(TimeoutError):
        impatient.call("eth_chainId")
    assert len(node.asked) == passed_on
    impatient.close()
    proxy.set_mode(RpcMode.PASS)
    fresh = Caller(proxy.address)
    assert fresh.call("eth_chainId") == "0x1"
    fresh.close()


def test_a_kept_connection_goes_half_open(proxy: RpcProxy, node: Node) -> None:
    impatient = Caller(proxy.address, QUIET_S)
    assert impatient.call("eth_chainId") == "0x1"
    proxy.set_mode(RpcMode.HALF_OPEN)
    with pytest.raises(TimeoutError):
        impatient.call("eth_chainId")
    impatient.close()
    assert node.asked == ["eth_chainId"]


@pytest.mark.parametrize(("mode", "passed_on"), [(RpcMode.DROP_REPLY, 1), (RpcMode.RESET, 0)])
def test_it_breaks_the_connection(proxy: RpcProxy, node: Node, caller: Caller, mode: RpcMode, passed_on: int) -> None:
    proxy.set_mode(mode, times=1)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        caller.call("eth_chainId")
    assert len(node.asked) == passed_on
    caller.close()
    assert caller.call("eth_chainId") == "0x1"


def test_a_fault_is_kept_to_its_methods(proxy: RpcProxy, node: Node, caller: Caller) -> None:
    proxy.set_mode(RpcMode.HTML_502, methods=["eth_sendRawTransaction"])
    assert caller.call("eth_chainId") == "0x1"
    assert caller.raw("eth_sendRawTransaction")[0] == 502
    assert node.asked == ["eth_chainId"]


def test_it_is_slow(proxy: RpcProxy, caller: Caller) -> None:
    proxy.set_mode(RpcMode.SLOW, delay_s=0.4)
    started = time.monotonic()
    assert caller.call("eth_chainId") == "0x1"
    assert time.monotonic() - started >= 0.35


def test_it_refuses_and_comes_back_on_the_same_port(proxy: RpcProxy, caller: Caller) -> None:
    address = proxy.address
    proxy.set_mode(RpcMode.REFUSE)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, LONG_S)
    proxy.set_mode(RpcMode.PASS)
    assert proxy.address == address
    assert caller.call("eth_chainId") == "0x1"


def test_it_lies(proxy: RpcProxy, caller: Caller) -> None:
    proxy.claim_chain(5)
    proxy.claim_receipts(status="0x1")
    assert caller.call("eth_chainId") == "0x5"
    assert caller.call("eth_getTransactionReceipt") == {"status": "0x1", "gasUsed": "0x5208"}
    proxy.tell_truth()
    assert caller.call("eth_chainId") == "0x1"


@pytest.mark.usefixtures("proxy")
def test_a_node_that_is_down_is_a_broken_connection(node: Node, caller: Caller) -> None:
    node.shutdown()
    node.server_close()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        caller.call("eth_chainId")


def test_it_runs_by_itself_and_is_steered_by_a_socket(node: Node, tmp_path: Path) -> None:
    control = tmp_path / "control"
    upstream = f"127.0.0.1:{node.server_address[1]}"
    command = [sys.executable, "-m", "simulators.proxy", upstream, "--control", str(control)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        caller = Caller((ready["host"], ready["port"]))
        assert caller.call("eth_chainId") == "0x1"
        assert tell(control, "mode html-502")["mode"] == "html-502"
        assert caller.raw("eth_chainId")[0] == 502
        tell(control, "mode pass")
        tell(control, 'rewrite eth_chainId "0x9"')
        assert caller.call("eth_chainId") == "0x9"
        with pytest.raises(CommandError, match="give one of"):
            tell(control, "mode sideways")
        tell(control, "quit")
        assert process.wait(LONG_S) == 0
        caller.close()


class Echo:
    """Echoes bytes to each client."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.listener.getsockname()[:2]
        self.heard = b""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(client,), daemon=True).start()

    def _echo(self, client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(512):
                    self.heard += data
                    client.sendall(data)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    running = Echo()
    yield running
    running.listener.shutdown(socket.SHUT_RDWR)
    running.listener.close()


@pytest.fixture
def stream(echo: Echo) -> Iterator[StreamProxy]:
    with StreamProxy(echo.address) as running:
        yield running


def quiet(connection: socket.socket) -> bool:
    return not select.select([connection], [], [], QUIET_S)[0]


def exactly(connection: socket.socket, count: int) -> bytes:
    # A socket with a timeout does not wait for all that MSG_WAITALL asks for.
    got = b""
    while len(got) < count and (more := connection.recv(count - len(got))):
        got += more
    return got


def echoed(connection: socket.socket, data: bytes) -> bytes:
    connection.settimeout(LONG_S)
    connection.sendall(data)
    return exactly(connection, len(data))


@pytest.mark.parametrize(
    ("mode", "arrived"),
    [(StreamMode.BLACKHOLE, b"one"), (StreamMode.DROP_REPLY, b"onetwo"), (StreamMode.HALF_OPEN, b"one")],
)
def test_an_open_stream_goes_quiet(stream: StreamProxy, echo: Echo, mode: StreamMode, arrived: bytes) -> None:
    with socket.create_connection(stream.address, LONG_S) as connection:
        assert echoed(connection, b"one") == b"one"
        stream.set_mode(mode)
        connection.sendall(b"two")
        assert quiet(connection)
        assert echo.heard == arrived
        stream.set_mode(StreamMode.PASS)
        # Half-open lets go what it held, the others had swallowed it.
        expected = b"twothree" if mode is StreamMode.HALF_OPEN else b"three"
        connection.sendall(b"three")
        assert exactly(connection, len(expected)) == expected


def test_a_stream_is_slow(stream: StreamProxy) -> None:
    with socket.create_connection(stream.address, LONG_S) as connection:
        stream.set_mode(StreamMode.SLOW, delay_s=0.2)
        started = time.monotonic()
        assert echoed(connection, b"slow") == b"slow"
        assert time.monotonic() - started >= 0.35  # there and back


def test_open_streams_are_reset(stream: StreamProxy) -> None:
    with socket.create_connection(stream.address, LONG_S) as connection:
        assert echoed(connection, b"one") == b"one"
        stream.set_mode(StreamMode.RESET)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    stream.set_mode(StreamMode.PASS)
    with socket.create_connection(stream.address, LONG_S) as connection:
        assert echoed(connection, b"two") == b"two"


def test_a_stream_is_refused_and_comes_back(stream: StreamProxy) -> None:
    address = stream.address
    stream.set_mode(StreamMode.REFUSE)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, LONG_S)
    stream.set_mode(StreamMode.PASS)
    with socket.create_connection(address, LONG_S) as connection:
        assert echoed(connection, b"back") == b"back"


def test_a_second_demonstration_leaves_the_files_of_the_first_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_DIRECTORY", tmp_path)
    monkeypatch.setattr(demo.signal, "signal", lambda *_: None)
    place = tmp_path / "control"
    with ControlSocket(place, {}):
        assert listens(place)
        assert demo.main(["--for", "1"]) == 1
        assert f"another demonstration runs in {tmp_path}: end it first" in capsys.readouterr().err
        assert place.exists()
    assert not listens(place)
