"""Who sealed a block of a Clique chain: the signature at the end of the header's extra data says it.

EIP-225: the last 65 bytes of ``extraData`` sign the header without them. The header's hash covers them.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.light import rlp
from agent.light.hashing import SIGNATURE_BYTES, keccak, shown
from agent.light.hashing import signer as signer_of

VANITY_BYTES = 32
_EXTRA = 12  # the extra data's place among a header's fields


def header_hash(fields: Sequence[bytes]) -> bytes:
    """A block's hash, from its header's fields in their order; numbers without leading zeros."""
    return keccak(rlp.encode(fields))


def signer(fields: Sequence[bytes]) -> str | None:
    """Who sealed the block, checksummed; None where no signature is there or it recovers to nobody.

    Args:
        fields: the header's, in their order; numbers without leading zeros.
    """
    found = sealer(fields)
    return None if found is None else shown(found)


def sealer(fields: Sequence[bytes]) -> bytes | None:
    """The same, 20 bytes."""
    extra = fields[_EXTRA]
    if len(extra) < VANITY_BYTES + SIGNATURE_BYTES:
        return None
    signed = [*fields[:_EXTRA], extra[:-SIGNATURE_BYTES], *fields[_EXTRA + 1 :]]
    return signer_of(keccak(rlp.encode(signed)), extra[-SIGNATURE_BYTES:])
