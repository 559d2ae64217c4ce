"""Which consensus seals a chain's blocks, and who may seal the first one: its block 0 says both.

Clique's lists its signers between vanity and seal. QBFT and IBFT 2 share their mix hash, and write an absent vote and
the round in ways that exclude each other (``bft.py``).
"""

from __future__ import annotations

from agent.domain.errors import BadEvidence
from agent.light import bft, clique
from agent.light.hashing import SIGNATURE_BYTES
from agent.light.headers import Consensus
from agent.light.seals import BFT_MIX, NO_MIX, clique_signers

_WHAT = "block 0"


def sealing(mix_hash: bytes, extra_data: bytes) -> tuple[Consensus, tuple[bytes, ...]]:
    """The consensus, and the validators of the block after the genesis, 20 bytes each, in ascending order.

    ``UNSEALED`` and nobody, where the genesis is none of the three's.

    Args:
        mix_hash: block 0's, 32 bytes.
        extra_data: block 0's.

    Raises:
        BadEvidence: it is in the form of a consensus and names no validators, or some twice.
    """
    if mix_hash == BFT_MIX:
        consensus, found = _bft(extra_data)
    elif mix_hash == NO_MIX and len(extra_data) >= clique.VANITY_BYTES + SIGNATURE_BYTES:
        consensus, found = Consensus.CLIQUE, clique_signers(extra_data, _WHAT)
    else:
        return Consensus.UNSEALED, ()
    if not found:
        raise BadEvidence(f"{_WHAT} names no validators; those that a contract names cannot be pinned")
    if len({*found}) < len(found):
        raise BadEvidence(f"{_WHAT} names a validator twice")
    return consensus, tuple(sorted(found))


def _bft(extra_data: bytes) -> tuple[Consensus, tuple[bytes, ...]]:
    why = ""
    for consensus in (Consensus.QBFT, Consensus.IBFT2):
        try:
            return consensus, bft.decode(extra_data, ibft2=consensus is Consensus.IBFT2).validators
        except BadEvidence as error:
            why = str(error)
    raise BadEvidence(f"{_WHAT} has the mix hash of QBFT and IBFT 2, and the extra data of neither: {why}")
