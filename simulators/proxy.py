"""A proxy before a full node that fails, lies and forgets on request: `python -m simulators.proxy --help`.

It reads HTTP and JSON-RPC, so that a fault can be kept to one method and a lie to one answer. For anything
that is not JSON-RPC over HTTP there is `stream_proxy`.
"""

from __future__ import annotations

import argparse
import collections
import json
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulators.control import CommandError, Commands, ControlSocket
from simulators.gate import Gate
from simulators.http_messages import Message, Stream
from simulators.stream_proxy import StreamMode, StreamProxy

_CONNECT_S: Final = 5.0
_REPLY_S: Final = 60.0
_REMEMBERED: Final = 10_000
_HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

Rewrite = Callable[[object, Sequence[object]], object]
"""Turns a method's true result into a false one; it is given the result and the call's parameters."""


class RpcMode(StrEnum):
    """What the proxy does with a request."""

    PASS = "pass"  # noqa: S105 - a mode's name, no password
    BLACKHOLE = "blackhole"
    """Take it, pass nothing on, never answer."""
    SLOW = "slow"
    """Pass it on, and answer after `delay_s`."""
    DROP_REPLY = "drop-reply"
    """Pass it on, and break the connection instead of answering: lost after acceptance."""
    MUTE_REPLY = "mute-reply"
    """Pass it on, and never answer: lost after acceptance, and the client waits out its timeout."""
    RESET = "reset"
    """Break the connection instead of passing it on."""
    HTML_502 = "html-502"
    """Answer 502 with a page, as a gateway does before a node that is down."""
    HTML_200 = "html-200"
    """Answer 200 with a page, as a captive portal does."""
    HALF_OPEN = "half-open"
    """Read nothing any more, and close nothing: the peer's power is gone."""
    REFUSE = "refuse"
    """End open connections and refuse new ones: the node is not running."""


@dataclass(frozen=True, slots=True)
class _Rule:
    mode: RpcMode = RpcMode.PASS
    methods: frozenset[str] = frozenset()
    times: int | None = None
    delay_s: float = 1.0


class RpcProxy:
    """Passes JSON-RPC over HTTP to one full node, and fails on request. Every method is thread-safe.

    Args:
        upstream: Host and port of the full node.
        port: Port to listen on; 0 lets the system choose.
    """

    def __init__(self, upstream: tuple[str, int], port: int = 0) -> None:
        self.upstream = upstream
        self._changed = threading.Condition()
        self._closing = False
        self._rule = _Rule()
        self._rewrites: dict[str, Rewrite] = {}
        self._calls: collections.deque[tuple[str, list[object]]] = collections.deque(maxlen=_REMEMBERED)
        self._gate = Gate(self._converse, port)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to; the same for the proxy's whole life."""
        return self._gate.address

    @property
    def url(self) -> str:
        """What to give to a client."""
        return f"http://{self.address[0]}:{self.address[1]}"

    @property
    def mode(self) -> RpcMode:
        """What it does now."""
        return self._rule.mode

    def set_mode(
        self, mode: RpcMode, *, methods: Iterable[str] = (), times: int | None = None, delay_s: float = 1.0
    ) -> None:
        """Change what it does with requests from now on.

        Args:
            mode: What to do.
            methods: Do it to these JSON-RPC methods only; to all where it is empty. `HALF_OPEN` and `REFUSE`
                hold for the whole node.
            times: Do it so many times, then pass; for ever where it is left out.
            delay_s: What `SLOW` waits.
        """
        with self._changed:
            self._rule = _Rule(mode, frozenset(methods), times, delay_s)
            self._changed.notify_all()
        if mode is RpcMode.REFUSE:
            self._gate.refuse()
        elif not self._closing:
            self._gate.listen()

    def rewrite(self, method: str, change: Rewrite) -> None:
        """Lie about one method's results until `tell_truth`."""
        with self._changed:
            self._rewrites[method] = change

    def claim_chain(self, chain_id: int) -> None:
        """Claim another chain's number."""
        self.rewrite("eth_chainId", lambda _result, _params: hex(chain_id))
        self.rewrite("net_version", lambda _result, _params: str(chain_id))

    def claim_receipts(self, **fields: object) -> None:
        """Put these fields into every receipt that exists (`status="0x1"`, another `blockHash`)."""

        def change(result: object, _params: Sequence[object]) -> object:
            return {**result, **fields} if isinstance(result, dict) else result

        self.rewrite("eth_getTransactionReceipt", change)

    def tell_truth(self) -> None:
        """Stop every lie."""
        with self._changed:
            self._rewrites.clear()

    def calls(self, method: str | None = None) -> list[tuple[str, list[object]]]:
        """Give the last calls that clients made, method and parameters, oldest first."""
        with self._changed:
            return [call for call in self._calls if method is None or call[0] == method]

    def close(self) -> None:
        """Stop listening and end every connection."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._gate.refuse()

    def commands(self) -> Commands:
        """Give what may be asked over a control socket."""
        return {"mode": self._mode_command, "rewrite": self._rewrite_command, "truth": self._truth_command}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _converse(self, client: socket.socket) -> None:
        requests = Stream(client)
        try:
            with _Node(self.upstream) as node:
                while self._may_read() and (request := requests.message()) is not None:
                    if not self._serve(client, node, request):
                        self._gate.drop(client)
                        return
        except (OSError, ValueError):  # either side broke off or speaks no HTTP: the client learns it by the reset
            self._gate.drop(client)
            return
        self._gate.leave(client)

    def _may_read(self) -> bool:
        with self._changed:
            while self._rule.mode is RpcMode.HALF_OPEN and not self._closing:
                self._changed.wait()
            return not self._closing

    def _serve(self, client: socket.socket, node: _Node, request: Message) -> bool:
        """Serve one request; False to break the connection."""
        calls = _calls(request.body)
        rule = self._choose(calls)
        match rule.mode:
            case RpcMode.RESET:
                return False
            case RpcMode.BLACKHOLE | RpcMode.HALF_OPEN:
                return self._hold()
            case RpcMode.HTML_502 | RpcMode.HTML_200:
                client.sendall(_page(rule.mode))
                return True
        response = node.ask(request)
        if rule.mode is RpcMode.DROP_REPLY:
            return False
        if rule.mode is RpcMode.MUTE_REPLY:
            return self._hold()
        if rule.mode is RpcMode.SLOW:
            with self._changed:
                self._changed.wait_for(lambda: self._closing, rule.delay_s)
        client.sendall(response.to_bytes(self._lie(calls, response.body)))
        return True

    def _hold(self) -> bool:
        """Keep a client waiting until the proxy changes its mode; then break the connection."""
        with self._changed:
            before = self._rule
            self._changed.wait_for(lambda: self._closing or self._rule.mode is not before.mode)
        return False

    def _choose(self, calls: Sequence[tuple[str, list[object]]]) -> _Rule:
        with self._changed:
            self._calls.extend(calls)
            rule = self._rule
            wanted = not rule.methods or any(method in rule.methods for method, _ in calls)
            if rule.mode is RpcMode.PASS or not wanted or rule.times == 0:
                return _Rule()
            if rule.times is not None:
                self._rule = replace(rule, times=rule.times - 1)
            return rule

    def _lie(self, calls: Sequence[tuple[str, list[object]]], body: bytes) -> bytes | None:
        with self._changed:
            rewrites = dict(self._rewrites)
        if not any(method in rewrites for method, _ in calls):
            return None
        answers = json.loads(body)
        for (method, params), told in zip(calls, answers if isinstance(answers, list) else [answers], strict=False):
            if method in rewrites and "result" in told:
                told["result"] = rewrites[method](told["result"], params)
        return json.dumps(answers).encode()

    def _mode_command(self, words: list[str]) -> Mapping[str, object]:
        if not words or words[0] not in set(RpcMode):
            raise CommandError(f"give one of {', '.join(RpcMode)}, then the methods it is kept to")
        self.set_mode(RpcMode(words[0]), methods=words[1:])
        return {"mode": self.mode.value}

    def _rewrite_command(self, words: list[str]) -> Mapping[str, object]:
        if len(words) < 2:  # noqa: PLR2004 - a method and a value
            raise CommandError('give a method and its false result as JSON: rewrite eth_chainId "0x5"')
        claimed = json.loads(" ".join(words[1:]))
        self.rewrite(words[0], lambda _result, _params: claimed)
        return {}

    def _truth_command(self, _words: list[str]) -> Mapping[str, object]:
        self.tell_truth()
        return {}


class _Node:
    """One connection to the full node, made when it is first needed and again when the node closed it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connection: socket.socket | None = None
        self._stream: Stream | None = None

    def ask(self, request: Message) -> Message:
        if self._connection is None or self._stream is None:
            self._connection = socket.create_connection(self._address, _CONNECT_S)
            self._connection.settimeout(_REPLY_S)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = Stream(self._connection)
        self._connection.sendall(request.to_bytes())
        response = self._stream.message()
        if response is None:
            raise ConnectionError(f"the full node at {self._address} closed the connection without an answer")
        return response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()


def _calls(body: bytes) -> list[tuple[str, list[object]]]:
    """Take the calls out of a JSON-RPC request; none where it is no JSON-RPC."""
    try:
        asked = json.loads(body)
    except ValueError:
        return []
    batch = asked if isinstance(asked, list) else [asked]
    return [(str(call.get("method")), list(call.get("params") or ())) for call in batch if isinstance(call, dict)]


def _page(mode: RpcMode) -> bytes:
    line = b"HTTP/1.1 502 Bad Gateway" if mode is RpcMode.HTML_502 else b"HTTP/1.1 200 OK"
    return Message(line + b"\r\nContent-Type: text/html", _HTML).to_bytes()


def main(arguments: list[str] | None = None) -> int:
    """Serve until `quit`, SIGINT or SIGTERM.

    Returns:
        0 when it was told to stop.
    """
    parser = argparse.ArgumentParser(prog="python -m simulators.proxy", description=__doc__)
    parser.add_argument("upstream", help="HOST:PORT of the full node or broker")
    parser.add_argument("--kind", choices=("rpc", "stream"), default="rpc", help="JSON-RPC or any protocol")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: the system's choice)")
    parser.add_argument("--control", type=Path, required=True, help="Unix socket for commands")
    asked = parser.parse_args(arguments)
    host, _, number = asked.upstream.rpartition(":")
    if not number.isdecimal():
        parser.error(f"{asked.upstream} is no HOST:PORT")
    upstream = (host, int(number))
    finished = threading.Event()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: finished.set())
    with ExitStack() as stack:
        if asked.kind == "rpc":
            rpc = stack.enter_context(RpcProxy(upstream, asked.port))
            address, commands = rpc.address, rpc.commands()
        else:
            stream = stack.enter_context(StreamProxy(upstream, asked.port))
            address, commands = stream.address, {"mode": lambda words: _stream_mode(stream, words)}

        def leave(_: list[str]) -> Mapping[str, object]:
            finished.set()
            return {}

        control = stack.enter_context(ControlSocket(asked.control, {**commands, "quit": leave}))
        ready = {"ready": True, "host": address[0], "port": address[1], "control": str(control.path)}
        print(json.dumps(ready), flush=True)
        finished.wait()
    return 0


def _stream_mode(stream: StreamProxy, words: list[str]) -> Mapping[str, object]:
    if not words or words[0] not in set(StreamMode):
        raise CommandError(f"give one of {', '.join(StreamMode)}")
    stream.set_mode(StreamMode(words[0]))
    return {"mode": stream.mode.value}


if __name__ == "__main__":
    sys.exit(main())
