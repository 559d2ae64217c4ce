"""HTTP/1.1 messages as whole byte strings: just what a proxy for JSON-RPC needs.

Source: RFC 9112. Bodies are delimited by Content-Length or chunked; nothing else is passed.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

_CHUNK: Final = 65_536
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """One request or response.

    Attributes:
        head: First line and headers, without the empty line.
        body: The body, chunks joined.
    """

    head: bytes
    body: bytes

    def to_bytes(self, body: bytes | None = None) -> bytes:
        """Give the message with its own or another body, its length corrected."""
        body = self.body if body is None else body
        kept = [
            line
            for line in self.head.split(b"\r\n")
            if not line.lower().startswith((b"content-length:", b"transfer-encoding:"))
        ]
        return b"\r\n".join([*kept, b"Content-Length: %d" % len(body)]) + _END + body


class Stream:
    """Takes messages off a connection.

    Args:
        connection: The connection, with a timeout or without.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def message(self) -> Message | None:
        """Read the next message.

        Returns:
            The message, or None when the connection ended before one began.

        Raises:
            ConnectionError: It ended in the middle.
            OSError: It broke, or its timeout passed.
        """
        while _END not in self._buffer:
            if not self._more():
                if self._buffer:
                    raise ConnectionError("the connection ended in the middle of a header")
                return None
        head, _, self._buffer = self._buffer.partition(_END)
        fields = _fields(head)
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            return Message(head, self._chunked())
        return Message(head, self._exactly(int(fields.get(b"content-length", b"0"))))

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self._line().split(b";")[0], 16):
            body += self._exactly(size)
            self._line()
        while self._line():
            pass
        return body

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not self._more():
                raise ConnectionError("the connection ended in the middle of a chunk")
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise ConnectionError(f"the connection ended after {len(self._buffer)} of {count} bytes")
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _more(self) -> bool:
        data = self._connection.recv(_CHUNK)
        self._buffer += data
        return bool(data)


def _fields(head: bytes) -> dict[bytes, bytes]:
    fields = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip()
    return fields
