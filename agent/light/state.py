"""What a header's state root proves of an account, a contract's slot, and a household's last reading in it.

``eth_getProof`` gives the proofs; what it says beside them is not needed and not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from agent.domain.readings import Reading
from agent.light import rlp, tries
from agent.light.hashing import keccak, shown

NO_CODE = keccak(b"")
_FIELDS = 4
_WORD_BYTES = 32
_WORD_BITS, _ADDRESS_BITS = 256, 160


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


@dataclass(frozen=True, slots=True)
class SlotField:
    """A field's place in the household's slot.

    Attributes:
        name: of ``HouseholdSlot``'s attribute.
        offset: its lowest bit.
        bits: how many it has.
    """

    name: str
    offset: int
    bits: int


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Where a household's slot lies and what is in it; the contract's compiler says so, and not this room.

    Attributes:
        base: the key of account 0's slot; a household's is higher by its account.
        fields: one for each attribute of ``HouseholdSlot``.

    Raises:
        ValueError: the fields are others, overlap, or reach beyond the slot; or the base leaves accounts no room.
    """

    base: int
    fields: tuple[SlotField, ...]

    def __post_init__(self) -> None:
        wanted, named = sorted(one.name for one in fields(HouseholdSlot)), sorted(one.name for one in self.fields)
        if named != wanted:
            raise ValueError(f"the slot's fields are {', '.join(named)}, where {', '.join(wanted)} belong")
        end = 0
        for field in sorted(self.fields, key=lambda one: one.offset):
            if field.bits < 1 or field.offset < end or field.offset + field.bits > _WORD_BITS:
                raise ValueError(
                    f"{field.name} has the {field.bits} bits from {field.offset} on, which are not its own"
                )
            end = field.offset + field.bits
        if self.base >> _WORD_BITS or self.base % (1 << _ADDRESS_BITS):
            raise ValueError(f"the slots begin at {self.base:#x}, where a multiple of 2^{_ADDRESS_BITS} belongs")

    def key(self, household: bytes) -> int:
        """The key of a household's slot.

        Args:
            household: the account, 20 bytes.
        """
        return self.base + int.from_bytes(household, "big")

    def unpack(self, word: int) -> HouseholdSlot:
        """A slot's 256 bits, field by field."""
        return HouseholdSlot(**{one.name: word >> one.offset & ((1 << one.bits) - 1) for one in self.fields})


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
