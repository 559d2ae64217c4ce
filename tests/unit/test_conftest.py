"""A unit test reaches no network and no clock: the guard of tests/conftest.py, tried."""

from __future__ import annotations

import _socket
import socket
import time
from time import sleep as sleep_taken_early

import pytest


def _pair() -> object:
    return socket.socketpair()  # looked up at run time, as code under test does


@pytest.mark.parametrize(
    "reach",
    [
        pytest.param(socket.socket, id="socket"),
        pytest.param(_socket.socket, id="the C type below it"),
        pytest.param(_pair, id="socketpair"),
        pytest.param(lambda: socket.create_connection(("127.0.0.1", 1)), id="connection"),
        pytest.param(lambda: socket.getaddrinfo("localhost", 1), id="name lookup"),
    ],
)
def test_no_socket(reach: object) -> None:
    assert callable(reach)

    with pytest.raises(AssertionError, match="a unit test reached for the network"):
        reach()


def test_no_sleep() -> None:
    with pytest.raises(AssertionError, match="hand the code a clock"):
        time.sleep(0)

    assert sleep_taken_early is not time.sleep, "a function imported early is not caught: inject the clock"
