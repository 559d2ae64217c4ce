"""What a household signs, built by a library's general EIP-712 encoder.

So it agrees with what the agent signs only if both follow the standard.
"""

from __future__ import annotations

from typing import Any

from eth_account.messages import SignableMessage, encode_typed_data


def reading_message(chain_id: int, contract: str, reading: int) -> SignableMessage:
    """A reading's message to sign, or to recover its signer from.

    Args:
        chain_id: The chain's number.
        contract: The market's address.
        reading: The packed word.
    """
    typed: dict[str, Any] = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Reading": [{"name": "reading", "type": "uint256"}],
        },
        "primaryType": "Reading",
        "domain": {"name": "EnergyMarket", "version": "1", "chainId": chain_id, "verifyingContract": contract},
        "message": {"reading": reading},
    }
    return encode_typed_data(full_message=typed)
