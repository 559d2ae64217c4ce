"""Who sealed a block of a Clique chain: the signature at the end of the header's extra data says it.

EIP-225: the last 65 bytes of ``extraData`` sign the header without them. The header's hash covers them.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

_EXTRA = 12  # the extra data's place among a header's fields
_VANITY_BYTES = 32
_SEAL_BYTES = 65
_SHORT = 55  # a longer string or list has its length before it
_STRING, _LIST = 0x80, 0xC0


def header_hash(fields: Sequence[bytes]) -> bytes:
    """A block's hash, from its header's fields in their order; numbers without leading zeros."""
    return keccak(_listed(fields))


def signer(fields: Sequence[bytes]) -> str | None:
    """Who sealed the block, checksummed; None where no signature is there or it recovers to nobody.

    Args:
        fields: the header's, in their order; numbers without leading zeros.
    """
    extra = fields[_EXTRA]
    if len(extra) < _VANITY_BYTES + _SEAL_BYTES:
        return None
    signed = [*fields[:_EXTRA], extra[:-_SEAL_BYTES], *fields[_EXTRA + 1 :]]
    try:
        key = Signature(extra[-_SEAL_BYTES:]).recover_public_key_from_msg_hash(keccak(_listed(signed)))
    except (BadSignature, ValidationError):
        return None
    return str(key.to_checksum_address())


def _listed(items: Sequence[bytes]) -> bytes:
    """A flat list in RLP."""
    body = b"".join(_string(item) for item in items)
    return _prefixed(body, _LIST)


def _string(item: bytes) -> bytes:
    return item if len(item) == 1 and item[0] < _STRING else _prefixed(item, _STRING)


def _prefixed(body: bytes, base: int) -> bytes:
    if len(body) <= _SHORT:
        return bytes([base + len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([base + _SHORT + len(length)]) + length + body
