"""The household's key bound to its market: what it signs is valid on one chain and for one contract."""

from __future__ import annotations

from agent.adapters.keystore import Keystore, recover_reading
from agent.domain.fees import Fee
from agent.domain.readings import Reading, SignedReading
from agent.domain.signing import SigningDomain


class HouseholdKey:
    """Signs readings and transactions for one market.

    Args:
        keystore: the opened keystore.
        domain: the chain and the contract.
    """

    def __init__(self, keystore: Keystore, domain: SigningDomain) -> None:
        self._keystore = keystore
        self._domain = domain

    @property
    def address(self) -> str:
        """The account, checksummed."""
        return self._keystore.address

    def sign_reading(self, reading: Reading) -> SignedReading:
        """Sign by EIP-712.

        Raises:
            BadReading: a field does not fit its width, or it is another household's.
        """
        return self._keystore.sign_reading(reading, self._domain)

    def made_by(self, signed: SignedReading) -> str:
        """The address whose key signed a reading.

        Raises:
            BadReading: the signature is none.
        """
        return recover_reading(signed, self._domain)

    def sign_transaction(  # noqa: PLR0917 - as the submit stage's port
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int
    ) -> tuple[str, bytes]:
        """Sign an EIP-1559 transaction; returns its hash and the signed bytes."""
        return self._keystore.sign_transaction(nonce, to, data, gas, fee, value, self._domain.chain_id)
