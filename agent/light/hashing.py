"""Keccak-256 and whose signature it is: what every check rests on, and done by libraries."""

from __future__ import annotations

from eth_hash.auto import keccak as _keccak
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError

SIGNATURE_BYTES = 65


def keccak(data: bytes) -> bytes:
    """Keccak-256, 32 bytes."""
    return _keccak(data)


def signer(message_hash: bytes, signature: bytes) -> bytes | None:
    """The account that signed, 20 bytes; None where the signature recovers to nobody.

    Args:
        message_hash: 32 bytes.
        signature: ``r``, ``s`` and the parity (0 or 1), 65 bytes.
    """
    if len(signature) != SIGNATURE_BYTES:
        return None
    try:
        key = Signature(signature).recover_public_key_from_msg_hash(message_hash)
    except (BadSignature, ValidationError):
        return None
    return key.to_canonical_address()


def shown(address: bytes) -> str:
    """An address as people compare it, checksummed."""
    return str(to_checksum_address(address))
