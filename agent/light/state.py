"""What a header's state root proves of an account, a contract's slot, and a household's last reading in it.

``eth_getProof`` gives the proofs; what it says beside them is not needed and not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.domain.readings import Reading
from agent.light import rlp, tries
from agent.light.hashing import keccak, shown

HOUSEHOLD_SLOTS = 1 << 160
"""A household's slot has the key 2^160 + account: contracts/README.md."""

NO_CODE = keccak(b"")
_FIELDS = 4
_WORD_BYTES = 32

# Bits of each field from the lowest up: contracts/src/HouseholdSlot.sol.
_SLOT = (
    ("consumed_wh", 40),
    ("produced_wh", 40),
    ("taken_at", 32),
    ("sequence", 24),
    ("epoch", 8),
    ("production_held_s", 24),
    ("consumption_held_s", 24),
    ("rated_power_w", 24),
    ("tokens_wh", 40),
)


@dataclass(frozen=True, slots=True)
class Account:
    """An account in the state.

    Attributes:
        nonce: how many transactions it sent; of a contract, how many it created and one.
        balance: wei.
        storage_root: root of its storage, 32 bytes.
        code_hash: Keccak-256 of its code; ``NO_CODE`` for a plain account.
    """

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes


NEVER_USED = Account(0, 0, tries.EMPTY_ROOT, NO_CODE)
"""An account that the state does not hold."""


@dataclass(frozen=True, slots=True)
class HouseholdSlot:
    """What the market's slot of a household holds.

    Attributes:
        consumed_wh: last consumption register, Wh.
        produced_wh: last production register, Wh.
        taken_at: of the last reading, UTC epoch seconds; of the enrolment before it.
        sequence: of the last reading; 0 if there is none in this epoch.
        epoch: whose readings the contract takes; 0 before enrolment.
        production_held_s: seconds for which the production meter has not answered.
        consumption_held_s: the same of the consumption meter.
        rated_power_w: the connection's rating, W; 0 unless the household is active.
        tokens_wh: energy tokens held, Wh.
    """

    consumed_wh: int
    produced_wh: int
    taken_at: int
    sequence: int
    epoch: int
    production_held_s: int
    consumption_held_s: int
    rated_power_w: int
    tokens_wh: int

    @property
    def active(self) -> bool:
        """Whether the household may report, offer and buy."""
        return self.rated_power_w > 0

    def last_reading(self, household: bytes) -> Reading | None:
        """The last reading that the contract booked, without the flags, which a slot does not keep; None if none.

        Args:
            household: the account, 20 bytes.
        """
        if self.sequence == 0:
            return None
        return Reading(
            household=shown(household),
            epoch=self.epoch,
            sequence=self.sequence,
            taken_at=self.taken_at,
            produced_wh=self.produced_wh,
            consumed_wh=self.consumed_wh,
        )

    @classmethod
    def unpack(cls, word: int) -> HouseholdSlot:
        """A slot's 256 bits, field by field."""
        values = {}
        for name, bits in _SLOT:
            values[name] = word & ((1 << bits) - 1)
            word >>= bits
        return cls(**values)


def household_key(household: bytes) -> int:
    """The key of a household's slot.

    Args:
        household: the account, 20 bytes.
    """
    return HOUSEHOLD_SLOTS | int.from_bytes(household, "big")


def account(state_root: bytes, address: bytes, proof: Sequence[bytes]) -> Account:
    """An account, proven; ``NEVER_USED`` where the proof shows that the state does not hold it.

    Args:
        state_root: the header's, 32 bytes.
        address: 20 bytes.
        proof: ``accountProof``.

    Raises:
        BadEvidence: the proof does not lead from the root to the account.
    """
    what = f"proof of the account {shown(address)}"
    value = tries.proven(state_root, keccak(address), proof, what)
    if value is None:
        return NEVER_USED
    nonce, balance, storage_root, code_hash = rlp.a_list(rlp.decode(value, what), what, _FIELDS)
    return Account(
        nonce=rlp.a_number(nonce, f"{what}: nonce", 64),
        balance=rlp.a_number(balance, f"{what}: balance"),
        storage_root=rlp.a_string(storage_root, f"{what}: storage root", tries.HASH_BYTES),
        code_hash=rlp.a_string(code_hash, f"{what}: code hash", tries.HASH_BYTES),
    )


def slot(storage_root: bytes, key: int, proof: Sequence[bytes]) -> int:
    """A storage slot's word, proven; 0 where the proof shows that nothing was stored.

    Args:
        storage_root: the account's.
        key: the slot's.
        proof: ``storageProof[…].proof``.

    Raises:
        BadEvidence: the proof does not lead from the root to the slot.
    """
    what = f"proof of the slot {key:#x}"
    value = tries.proven(storage_root, keccak(key.to_bytes(_WORD_BYTES, "big")), proof, what)
    return 0 if value is None else rlp.a_number(rlp.decode(value, what), what)
