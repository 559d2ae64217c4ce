"""Numbers and bytes as JSON has them: ``0x`` hex of the form that JSON-RPC prescribes."""

from __future__ import annotations

import re

from agent.domain.errors import BadEvidence

_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
# A group that repeats costs sixty times the text's memory: a node's answer of 2 MB would take 120 MB.
_OCTETS = re.compile(r"0x[0-9a-fA-F]*\Z")
_SHOWN = 40


def number_of(value: object, what: str, bits: int = 256) -> int:
    """A number in ``0x`` hex; leading zeros are taken, since Ganache writes some.

    Raises:
        BadEvidence: it is no such number, or has more than ``bits`` bits.
    """
    if not isinstance(value, str) or not _NUMBER.match(value):
        raise BadEvidence(f"{what} is {shown(value)}, where a number in 0x hex belongs")
    number = int(value, 16)
    if number >> bits:
        raise BadEvidence(f"{what} is {value}, where at most {bits} bits belong")
    return number


def octets_of(value: object, what: str, length: int | None = None) -> bytes:
    """Bytes in ``0x`` hex.

    Raises:
        BadEvidence: they are not, or not ``length`` of them.
    """
    if not isinstance(value, str) or len(value) % 2 or not _OCTETS.match(value):
        raise BadEvidence(f"{what} is {shown(value)}, where bytes in 0x hex belong")
    found = bytes.fromhex(value[2:])
    if length is not None and len(found) != length:
        raise BadEvidence(f"{what} has {len(found)} bytes, where {length} belong")
    return found


def shown(value: object) -> str:
    """A value that somebody else wrote, short enough for a message."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
