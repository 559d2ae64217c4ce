"""The connections between nodes: there, ended, and made again."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Final

from simulators.consortium.geth import Node
from simulators.consortium.waiting import happens, wait_until

REDIAL_S: Final = 45.0
"""A node that is told to connect does so at once; one that dialled the same peer before waits for 35 s."""

_CONNECT_S: Final = 3.0
_QUIET_LOOKS: Final = 4

Pair = tuple[Node, Node]


def connected(one: Node, other: Node) -> bool:
    """Whether both say that they are connected."""
    return other.identity.public_key in one.peers() and one.identity.public_key in other.peers()


def join(one: Node, other: Node) -> None:
    """Connect two.

    Raises:
        TimeoutError: They did not find each other.
    """
    # One dials, so that two connections do not end each other; if it may not dial again so soon, the other.
    other.command("admin_addPeer", one.enode)
    if not happens(partial(connected, one, other), _CONNECT_S):
        one.command("admin_addPeer", other.enode)
        wait_until(partial(connected, one, other), f"a connection of {one.area} and {other.area}", REDIAL_S)


def cut(pairs: Collection[Pair]) -> None:
    """End the connections of pairs, and let neither dial the other again.

    Raises:
        TimeoutError: One did not end.
    """
    # A connection that was being made while its end was ordered comes up after all: hence again, until none does.
    quiet = 0

    def parted() -> bool:
        nonlocal quiet
        quiet = 0 if any([_end(*pair) for pair in pairs]) else quiet + 1  # noqa: C419 - all of them, not up to the first
        return quiet == _QUIET_LOOKS

    wait_until(parted, "the end of the connections", REDIAL_S)


def _end(one: Node, other: Node) -> bool:
    """End a connection; whether there was one."""
    found = other.identity.public_key in one.peers() or one.identity.public_key in other.peers()
    one.command("admin_removePeer", other.enode)
    other.command("admin_removePeer", one.enode)
    return found
