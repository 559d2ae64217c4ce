"""An account whose key a simulator holds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """An account of a chain that is worth nothing.

    Attributes:
        address: 0x and 40 lower-case hexadecimal digits.
        key: Its private key, 0x and 64 digits; worthless, and kept out of `repr` all the same.
    """

    address: str
    key: str = field(repr=False)
