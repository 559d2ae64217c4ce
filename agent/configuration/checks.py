"""What a single value of the configuration must be. Each check returns the value or raises ``ValueError`` in words."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eth_hash.auto import keccak

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-f]{64}")
_MOST_AREA = 64
# Wide enough for a nibble of the hash to count as "8 or more" in EIP-55.
_UPPER_FROM = 8


def is_loopback(host: str) -> bool:
    """Whether ``host`` never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checksummed(address: str) -> str:
    """An address with EIP-55's capitals.

    Args:
        address: ``0x`` and 40 hexadecimal digits.
    """
    digits = address[2:].lower()
    nibbles = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= _UPPER_FROM else digit
        for digit, nibble in zip(digits, nibbles, strict=False)
    )


def an_address(value: str) -> str:
    """An Ethereum address whose capitals prove that it was copied whole."""
    if not _ADDRESS.fullmatch(value):
        raise ValueError(f"{value!r} is no address; 0x and 40 hexadecimal digits are")
    if value == checksummed(value):  # also one of decimal digits alone
        return value
    if value in {value.lower(), "0x" + value[2:].upper()}:
        raise ValueError(f"{value!r} has no checksum; compare it with its source, then write {checksummed(value)}")
    raise ValueError(f"{value!r} has a wrong checksum: a digit is mistyped; copy it again from its source")


def a_hash(value: str) -> str:
    """A keccak-256 hash."""
    if not _HASH.fullmatch(value.lower()):
        raise ValueError(f"{value!r} is no hash; 0x and 64 hexadecimal digits are")
    return value.lower()


def an_area(value: str) -> str:
    """A distribution area's name, which is also one level of an MQTT topic."""
    if not 0 < len(value) <= _MOST_AREA or set(value) & set("+#/$ \0") or not value.isprintable():
        raise ValueError(
            f"{value!r} cannot be a topic level; 1 to {_MOST_AREA} characters without + # / $ and space are"
        )
    return value


def a_node_url(value: str) -> str:
    """A full node's address. The value is not repeated, since a provider's address may carry a token."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("is no address; https://HOST:PORT is") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("is no address of a full node's JSON-RPC; https://HOST:PORT is")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or a password, and a configuration holds no secrets; leave it out")
    return value


def a_host(value: str) -> str:
    """A machine's name or address, without scheme, port or path."""
    if not value or set(value) & set("/@ \t") or "://" in value:
        raise ValueError(f"{value!r} is no host; a name or an address alone is")
    return value


def host_of(url: str) -> str:
    """The host that an address names; empty if none."""
    return urlsplit(url).hostname or ""


def a_time_zone(value: str) -> str:
    """A time zone that this machine knows."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; a name such as UTC or Asia/Tehran is right") from None
    return value
