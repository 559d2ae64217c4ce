"""What systemd is told (sd_notify(3)); the socket is a fake."""

from __future__ import annotations

import os
from typing import Self

import pytest

from agent.adapters import systemd as room
from agent.adapters.systemd import Systemd


class Channel:
    """Keeps what was sent, and to whom."""

    said: list[tuple[str, str]]

    def __init__(self, *_: int) -> None:
        self.address = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def connect(self, address: str) -> None:
        self.address = address

    def sendall(self, message: bytes) -> None:
        Channel.said.append((self.address, message.decode()))


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    Channel.said = []
    monkeypatch.setattr(room.socket, "socket", Channel)
    return Channel.said


def test_every_message(said: list[tuple[str, str]]) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": "/run/notify"})
    systemd.ready("2 meters")
    systemd.alive()
    systemd.status("waits")
    systemd.reloading(7)
    systemd.stopping()

    assert said == [
        ("/run/notify", "READY=1\nSTATUS=2 meters"),
        ("/run/notify", "WATCHDOG=1"),
        ("/run/notify", "STATUS=waits"),
        ("/run/notify", "RELOADING=1\nMONOTONIC_USEC=7"),
        ("/run/notify", "STOPPING=1"),
    ]


def test_an_abstract_address_begins_with_nul(said: list[tuple[str, str]]) -> None:
    Systemd({"NOTIFY_SOCKET": "@notify"}).alive()

    assert said[0][0] == "\0notify"


def test_silent_where_there_is_none(said: list[tuple[str, str]]) -> None:
    Systemd({}).ready("x")

    assert said == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog(environ: dict[str, str], expected: float | None) -> None:
    assert Systemd(environ).watchdog_s == expected
