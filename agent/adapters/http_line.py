"""The HTTP line to a full node: where it may go, and how much of an answer is read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from agent.domain.errors import AnswerTooLong, ConfigurationInvalid, NodeUnavailable

# A block with the hashes of 1,000 transactions has 70 kB, a proof 12 kB: beyond this nobody answers in good faith.
_MOST_BYTES = 2 * 1024 * 1024
_CHUNK_BYTES = 16 * 1024
# Two stages may ask at once, and a request that hangs must not block them.
_CONNECTIONS = 4


class Log(Protocol):
    """Structured events (structlog fits)."""

    def info(self, event: str, **facts: object) -> None:
        """Something in good order."""

    def warning(self, event: str, **facts: object) -> None:
        """A fault that the agent itself will try to end."""

    def error(self, event: str, **facts: object) -> None:
        """A fault that a person must end."""


class _BoundedBody:
    """An HTTP body that ends, in bytes and in seconds: a read timeout alone lets a node drip for hours."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, most_bytes: int, timeout_s: float) -> None:
        self._raw = raw
        self._most_bytes = most_bytes
        self._deadline = time.monotonic() + timeout_s

    def stream(self, _amount: int, *, decode_content: bool | None = None) -> Iterator[bytes]:
        """The body in pieces as they arrive; called by requests in place of urllib3's own."""
        left = self._most_bytes
        # read1 returns after one receive, so that the deadline is looked at however slowly the bytes come.
        while chunk := self._raw.read1(_CHUNK_BYTES, decode_content=decode_content):
            left -= len(chunk)
            if left < 0:
                raise AnswerTooLong(f"its answer is longer than {self._most_bytes} bytes")
            if time.monotonic() > self._deadline:
                raise NodeUnavailable("its answer came too slowly")
            yield chunk

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()

    def release_conn(self) -> None:
        """Keep the connection for the next request."""
        self._raw.release_conn()


class BoundedAdapter(HTTPAdapter):
    """Hands requests each answer with its bounds."""

    def __init__(self, most_bytes: int, timeout_s: float) -> None:
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s
        super().__init__(pool_connections=1, pool_maxsize=_CONNECTIONS, max_retries=0)

    def build_response(self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse) -> requests.Response:
        """The answer, not read yet."""
        response = super().build_response(req, resp)
        response.raw = _BoundedBody(resp, self._most_bytes, self._timeout_s)
        return response


def open_session(timeout_s: float) -> requests.Session:
    """A session whose answers are bounded and that the environment does not bend.

    Args:
        timeout_s: within which a body must end, seconds.
    """
    session = requests.Session()
    # A proxy or a .netrc from the environment must not decide where a household's transactions go.
    session.trust_env = False
    adapter = BoundedAdapter(_MOST_BYTES, timeout_s)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def checked_place(url: str, log: Log, *, allow_plain: bool) -> str:
    """Host and port: the name of a node in logs, without the user, password or key that a URL may carry.

    Args:
        url: of a node's JSON-RPC.
        log: told when the connection is plain off loopback.
        allow_plain: take ``http://`` off loopback too.

    Raises:
        ConfigurationInvalid: it is no URL, or plain without leave.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationInvalid(["the full node's URL: not a URL; https://HOST:PORT belongs there"]) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationInvalid(["the full node's URL: not a URL; https://HOST:PORT belongs there"])
    place = f"{host}:{port or (443 if parts.scheme == 'https' else 80)}"
    if parts.scheme == "http" and not _loopback(host):
        if not allow_plain:
            raise ConfigurationInvalid(
                [f"the full node's URL: http:// to {place} is readable on the way; use https, or allow_plain"]
            )
        log.warning("node.plain", node=place, advice="anyone on the way can read and change it: use https://")
    return place


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
