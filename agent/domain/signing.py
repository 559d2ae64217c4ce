"""What a household signs: the EIP-712 type of a reading and the domain that binds it to one contract on one chain."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.readings import Reading

DOMAIN_NAME = "EnergyMarket"
DOMAIN_VERSION = "1"
DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"

# The one place that names the struct. It holds the packed word (agent/domain/readings.py) and not its fields, and no
# household, since the signer is the household: both save calldata and hashing where an area carries many readings.
READING_TYPE = "Reading(uint256 reading)"

_WORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningDomain:
    """Where a signed reading is valid: elsewhere the same signature recovers to a stranger (EIP-712).

    Attributes:
        chain_id: EIP-155 chain id.
        contract: the market's address, checksummed ``0x`` hex.
    """

    chain_id: int
    contract: str


def abi_encoded(reading: Reading) -> bytes:
    """The struct's one field as EIP-712 hashes it: a big-endian 32-byte word; the type hash is left out.

    Raises:
        BadReading: a field does not fit its width.
    """
    return reading.packed().to_bytes(_WORD_BYTES, "big")
