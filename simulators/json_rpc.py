"""Calls of a full node's JSON-RPC: over HTTP, as everybody, and over its own socket, as who runs it."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ANSWER_S: Final = 30.0
_CHUNK: Final = 65_536


class RpcError(Exception):
    """The full node refused a call.

    Attributes:
        code: JSON-RPC error code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def over_http(url: str, method: str, params: Sequence[object], timeout_s: float = ANSWER_S) -> object:
    """Call a method of a node on loopback.

    Args:
        url: Where it listens.
        method: Its name.
        params: Its parameters, as JSON holds them (numbers in hexadecimal where the method asks so).
        timeout_s: How long it may be silent.

    Returns:
        The result.

    Raises:
        RpcError: The node refused; with its own words.
        OSError: The node does not answer.
    """
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        url, _asked(method, params), {"Content-Type": "application/json"}
    )
    # Without a proxy from the environment: this is loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as response:
        return _result(method, response.read())


def over_socket(path: Path, method: str, params: Sequence[object], timeout_s: float = ANSWER_S) -> object:
    """Call a method over the Unix socket of a node, which takes what it does not take over HTTP.

    Args:
        path: The socket.
        method: Its name.
        params: Its parameters, as JSON holds them.
        timeout_s: How long it may be silent.

    Returns:
        The result.

    Raises:
        RpcError: The node refused; with its own words.
        OSError: The node does not answer.
    """
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout_s)
        line.connect(str(path))
        line.sendall(_asked(method, params) + b"\n")
        while not answer.endswith(b"\n"):
            if not (more := line.recv(_CHUNK)):
                raise ConnectionError(f"{method}: {path} ended in the middle of an answer")
            answer += more
    return _result(method, answer)


def _asked(method: str, params: Sequence[object]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()


def _result(method: str, answer: bytes) -> object:
    told: dict[str, Any] = json.loads(answer)
    if "error" in told:
        raise RpcError(f"{method}: {told['error'].get('message')}", int(told["error"].get("code", 0)))
    return told.get("result")
