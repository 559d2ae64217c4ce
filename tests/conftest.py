"""What holds for every test: unit tests are pure, integration tests stay on this machine.

The interpreter's own audit events are watched, since they fire for every way to open a socket,
also for one that imported its function before the test began.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says how busy the machine is, and fails nothing.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

TESTS = Path(__file__).parent


class Forbidden(AssertionError):
    """A test did what its kind may not do.

    An AssertionError, because the code under test maps OSError and must not swallow this.
    """


class Reach(Enum):
    """How far the running test may reach."""

    ANYWHERE = "between tests, and in tests that make networks of their own"
    LOOPBACK = "integration tests"
    NOWHERE = "unit tests"


class _Guard:
    reach = Reach.ANYWHERE


def _is_loopback(host: object) -> bool:
    # No host at all is the resolver's word for this machine; for bind it is every interface.
    if host in (None, "localhost", b"localhost"):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _host_of(event: str, arguments: tuple[object, ...]) -> object:
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        return arguments[0]
    address = arguments[1]
    # A Unix socket's address is a path, and a connected one's is None: both stay on this machine.
    return address[0] if isinstance(address, tuple) else None


_REACHING = frozenset({"socket.connect", "socket.sendto", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname"})


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if not event.startswith("socket.") or _Guard.reach is Reach.ANYWHERE:
        return
    if _Guard.reach is Reach.NOWHERE and (event in _REACHING or event == "socket.__new__"):
        raise Forbidden(f"a unit test reached for the network ({event}); use a fake, or tests/integration")
    if _Guard.reach is Reach.LOOPBACK and event in _REACHING:
        host = _host_of(event, arguments)
        if not _is_loopback(host):
            raise Forbidden(f"a test left this machine ({event} to {host!r}); tests stay on 127.0.0.1 or ::1")


sys.addaudithook(_watch)


def _kind(path: Path) -> str:
    parts = path.relative_to(TESTS).parts if path.is_relative_to(TESTS) else ()
    return parts[0] if len(parts) > 1 else ""


@pytest.hookimpl(tryfirst=True)  # before -m chooses among the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, and skip, with the reason, what needs root."""
    for item in items:
        kind = _kind(item.path)
        if kind == "integration":
            item.add_marker(pytest.mark.integration)
        elif kind == "unit" and item.get_closest_marker("integration"):
            raise pytest.UsageError(f"{item.nodeid} is marked integration; move it to tests/integration")
        elif kind == "unit":
            item.add_marker(pytest.mark.untimed)
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root: run it with sudo, or as root"))


@pytest.fixture(autouse=True)
def _held_to_its_reach(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold the running test to its reach; a unit test cannot sleep either."""
    if _kind(request.path) == "unit":
        monkeypatch.setattr(time, "sleep", _no_sleep)
        # The pair is made before its audit event, and one end would be left open.
        monkeypatch.setattr(socket, "socketpair", _no_socketpair)
        _Guard.reach = Reach.NOWHERE
    elif request.node.get_closest_marker("root"):
        _Guard.reach = Reach.ANYWHERE
    else:
        _Guard.reach = Reach.LOOPBACK
    try:
        yield
    finally:
        _Guard.reach = Reach.ANYWHERE


def _no_sleep(seconds: float) -> NoReturn:
    raise Forbidden(f"a unit test slept {seconds} s; hand the code a clock")


def _no_socketpair(*_arguments: object) -> NoReturn:
    raise Forbidden("a unit test reached for the network (socket.socketpair); use a fake, or tests/integration")
