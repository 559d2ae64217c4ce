"""Where the market keeps a seller's orders, and what is in such a slot; the contract's compiler says so."""

from __future__ import annotations

from dataclasses import dataclass

from agent.domain.attested import OrderWord
from agent.light.state import SlotField


@dataclass(frozen=True, slots=True)
class OrderLayout:
    """Where orders lie and what is in their slots.

    Attributes:
        base: the key of account 0's first place.
        places: how many a seller has; an order lies in the one that its number names, modulo.
        left: where a slot says what is left of the order, Wh; 0 when it is over.
        number: where it says which order that is; 0 if there never was one.
    """

    base: int
    places: int
    left: SlotField
    number: SlotField

    def key(self, seller: bytes, number: int) -> int:
        """The key of the slot that an order lies in.

        Args:
            seller: the account, 20 bytes.
            number: the order's.
        """
        return self.base + int.from_bytes(seller, "big") * self.places + number % self.places

    def unpack(self, word: int) -> OrderWord:
        """A slot's 256 bits."""
        return OrderWord(number=_of(self.number, word), left_wh=_of(self.left, word))


def _of(field: SlotField, word: int) -> int:
    return word >> field.offset & ((1 << field.bits) - 1)
