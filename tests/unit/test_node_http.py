"""Every way in which a request can fail becomes NodeUnavailable, and what is read of an answer is bounded."""

from __future__ import annotations

import http.client
import inspect
import io
import json
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests
import urllib3
import web3.exceptions
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters import http_line
from agent.adapters.full_node import HttpRpc
from agent.adapters.node_faults import RpcRefused
from agent.domain.errors import ConfigurationInvalid, NodeUnavailable


class Lines:
    """A log that is kept."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **facts: object) -> None:
        self.said.append((event, facts))

    warning = error = info


class Wire(requests.adapters.HTTPAdapter):
    """Answers from a script in place of a socket."""

    def __init__(self, status: int = 200, body: bytes = b"", fault: Exception | None = None) -> None:
        super().__init__()
        self.status, self.body, self.fault = status, body, fault
        self.bounds = http_line.BoundedAdapter(2 * 1024 * 1024, 5.0)
        self.seen: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override] # its options are of no interest
        self.seen.append(request)
        if self.fault is not None:
            raise self.fault
        raw = urllib3.HTTPResponse(io.BytesIO(self.body), status=self.status, preload_content=False)
        return self.bounds.build_response(request, raw)


def rpc_over(wire: Wire, url: str = "http://127.0.0.1:1") -> HttpRpc:
    rpc = HttpRpc(url, timeout_s=5.0, log=Lines())
    rpc._session.mount("http://", wire)
    return rpc


def instances(module: object, root: type[BaseException]) -> Iterator[BaseException]:
    """One instance of each exception class of a module, made without its constructor's demands."""
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, root) and not issubclass(kind, Warning):
            found = kind.__new__(kind)
            if isinstance(found, requests.RequestException):
                found.response = None
                found.request = None
            yield found


FAULTS = [
    *instances(requests.exceptions, requests.RequestException),
    *instances(urllib3.exceptions, urllib3.exceptions.HTTPError),
    *instances(http.client, http.client.HTTPException),
    *instances(web3.exceptions, web3.exceptions.Web3Exception),
    OSError(5, "Input/output error"),
    ConnectionResetError(104, "reset"),
    TimeoutError("timed out"),
    RecursionError("maximum recursion depth exceeded"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{type(fault).__module__}.{type(fault).__name__}")
def test_every_fault_of_the_libraries_is_mapped(fault: Exception) -> None:
    with pytest.raises(NodeUnavailable) as caught:
        rpc_over(Wire(fault=fault)).call("eth_chainId", [])
    assert caught.value.__cause__ is fault
    assert len(str(caught.value)) < 200


def test_the_list_of_faults_is_not_empty_handed() -> None:
    assert len(FAULTS) > 80


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 502, 503])
def test_an_html_page_is_no_answer(status: int) -> None:
    with pytest.raises(NodeUnavailable, match=f"HTTP status {status}" if status >= 400 else "not JSON"):
        rpc_over(Wire(status, b"<html>Bad Gateway</html>")).call("eth_chainId", [])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>portal</html>", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"jsonrpc":"2.0","id":0,"result":' + b"[" * 1_000_000, "nested deeper"),
        (b'{"a":' * 65, "nested deeper"),
        (b'{"jsonrpc":"2.0","id":0,"result":' + b"9" * 100_000 + b"}", "not JSON"),
        (b"null", "NoneType|None"),
        (b"[]", "list"),
        (b"7", "7"),
        (b'{"jsonrpc":"2.0","id":0}', "neither result nor error"),
        (b'{"error":"boom"}', "its error"),
        (b" " * (2 * 1024 * 1024 + 1), "longer than 2097152 bytes"),
    ],
    ids=[
        "html",
        "empty",
        "not utf-8",
        "deep",
        "deep objects",
        "digits",
        "null",
        "list",
        "number",
        "nothing",
        "text error",
        "huge",
    ],
)
def test_a_malformed_answer_is_no_answer(body: bytes, says: str) -> None:
    with pytest.raises(NodeUnavailable, match=says):
        rpc_over(Wire(body=body)).call("eth_chainId", [])


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with suppress(NodeUnavailable):
        rpc_over(Wire(body=body)).call("eth_chainId", [])


def test_a_result_is_handed_on() -> None:
    wire = Wire(body=json.dumps({"jsonrpc": "2.0", "id": 0, "result": "0x7a69"}).encode())
    assert rpc_over(wire).call("eth_chainId", []) == "0x7a69"
    sent = json.loads(wire.seen[0].body or "")
    assert (sent["method"], sent["params"]) == ("eth_chainId", [])
    assert len(wire.seen) == 1


def test_an_rpc_error_keeps_code_and_data() -> None:
    body = json.dumps({"error": {"code": 3, "message": "execution reverted", "data": "0x12"}}).encode()
    with pytest.raises(RpcRefused) as caught:
        rpc_over(Wire(body=body)).call("eth_call", [])
    assert (caught.value.code, caught.value.data) == (3, "0x12")


def test_a_failed_send_is_not_repeated_below_us() -> None:
    wire = Wire(fault=requests.ConnectionError("reset"))
    with pytest.raises(NodeUnavailable):
        rpc_over(wire).call("eth_sendRawTransaction", ["0x"])
    assert len(wire.seen) == 1


def test_plain_http_off_loopback_is_refused() -> None:
    with pytest.raises(ConfigurationInvalid, match="allow_plain"):
        HttpRpc("http://192.0.2.1:8545", timeout_s=5.0, log=Lines())


def test_plain_http_off_loopback_by_leave_is_told() -> None:
    log = Lines()
    rpc = HttpRpc("http://192.0.2.1:8545", timeout_s=5.0, log=log, allow_plain=True)
    assert rpc.name == "192.0.2.1:8545"
    assert [event for event, _ in log.said] == ["node.plain"]


@pytest.mark.parametrize(
    "url", ["http://localhost:8545", "http://127.0.0.2:8545", "http://[::1]:8545", "https://n.example"]
)
def test_loopback_and_tls_need_no_leave(url: str) -> None:
    log = Lines()
    HttpRpc(url, timeout_s=5.0, log=log)
    assert log.said == []


@pytest.mark.parametrize("url", ["", "node", "ftp://node", "http://", "http://node:port", "http://[::1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="not a URL"):
        HttpRpc(url, timeout_s=5.0, log=Lines())


def test_the_name_of_a_node_shows_no_secret_of_its_url() -> None:
    rpc = HttpRpc("https://user:canary@node.example/canary?key=canary", timeout_s=5.0, log=Lines())
    assert rpc.name == "node.example:443"


def test_an_answer_that_drips_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 2))
    monkeypatch.setattr(http_line.time, "monotonic", lambda: float(next(now)))
    with pytest.raises(NodeUnavailable, match="too slowly"):
        rpc_over(Wire(body=b" " * 1_000_000)).call("eth_chainId", [])
