"""What a household signs: the EIP-712 type of a reading and the domain that binds it to one contract on one chain."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.readings import Reading

DOMAIN_NAME = "EnergyMarket"
DOMAIN_VERSION = "1"
DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"

# The one place that names the struct: ABI type, name in the struct, attribute of Reading. The household is no field,
# since the signer is the household: leaving it out saves each reading a word of calldata and of hashing.
READING_FIELDS = (
    ("uint8", "epoch", "epoch"),
    ("uint24", "sequence", "sequence"),
    ("uint32", "takenAt", "taken_at"),
    ("uint40", "producedWh", "produced_wh"),
    ("uint40", "consumedWh", "consumed_wh"),
    ("uint8", "flags", "flags"),
)
READING_TYPE = "Reading(" + ",".join(f"{kind} {name}" for kind, name, _ in READING_FIELDS) + ")"

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
    """The struct's fields as EIP-712 hashes them: one big-endian 32-byte word each, type hash left out.

    Raises:
        BadReading: a field does not fit its width.
    """
    reading.packed()  # the same widths; refuses what the contract could never unpack
    return b"".join(int(getattr(reading, attribute)).to_bytes(_WORD_BYTES, "big") for _, _, attribute in READING_FIELDS)
