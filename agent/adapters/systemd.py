"""What systemd is told: ready, alive, stopping (the notify protocol, sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

# Between "reloading" and "ready" lie the last turns and a whole start, which no loop accompanies with signs of life.
# The unit's own times for a start still hold meanwhile.
_BEGINNING_ANEW_S = 240


class Systemd:
    """The service manager; silent where there is none.

    Args:
        environ: the process's environment; ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` are read from it.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the abstract namespace, whose names begin with a NUL byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watchdog_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if for_us else 0.0

    @property
    def watchdog_s(self) -> float | None:
        """Seconds within which a sign of life is expected; None if nobody watches."""
        return self._watchdog_s or None

    def ready(self, status: str) -> None:
        """The service runs."""
        # A watchdog's time that `reloading` stretched is set back.
        watchdog = f"\nWATCHDOG=1\nWATCHDOG_USEC={round(self._watchdog_s * 1e6)}" if self._watchdog_s else ""
        self._send(f"READY=1\nSTATUS={status}{watchdog}")

    def alive(self) -> None:
        """Every loop has made progress."""
        self._send("WATCHDOG=1")

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={status}")

    def reloading(self, monotonic_us: int) -> None:
        """The process begins anew with a new configuration; ``ready`` follows.

        Args:
            monotonic_us: microseconds of the monotonic clock, by which newer systemd orders messages.
        """
        watchdog = f"\nWATCHDOG=1\nWATCHDOG_USEC={_BEGINNING_ANEW_S * 1_000_000}" if self._watchdog_s else ""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us}{watchdog}")

    def stopping(self) -> None:
        """The service is on its way out."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect(self._address)
            channel.sendall(message.encode())
