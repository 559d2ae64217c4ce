"""Personal data of a household: spelt in one way, checked, and the text that their hash on the chain is made of.

The hash covers a random salt too, which is nowhere on the chain. A national ID alone is one of a thousand million, and
a computer tries them all within minutes; whoever has not the salt learns nothing from the hash, and when the office
forgets the salt, nobody can tell any more whose hash it was.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from agent.domain.errors import BadRequest

SALT_BYTES = 32
MOST_NAME = 64
"""A name's characters."""

JOINERS = frozenset("\u200c\u200d")
"""Join or part letters inside a Persian word; no other invisible character may hide in a text of a request."""

_ID_DIGITS = 10
# Keyboards for Arabic have these where Persian has its own, and they look alike.
_TO_PERSIAN = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک"})
_BETWEEN = frozenset(" -.'\u2019") | JOINERS


@dataclass(frozen=True, slots=True, repr=False)
class PersonalData:
    """Who a household is. It has no ``repr``, so that no trace and no log shows it.

    Attributes:
        first_name: as on the identity card.
        family_name: as on the identity card.
        national_id: ten digits, ASCII.
    """

    first_name: str
    family_name: str
    national_id: str


def personal_data(first_name: str, family_name: str, national_id: str) -> PersonalData:
    """Personal data as a person wrote them, spelt in one way and checked.

    Raises:
        BadRequest: a name or the national ID cannot be right. The message does not repeat it.
    """
    return PersonalData(
        first_name=_name(first_name, "the first name"),
        family_name=_name(family_name, "the family name"),
        national_id=_national_id(national_id),
    )


def canonical(data: PersonalData, salt: bytes) -> bytes:
    """What is hashed: the salt, then JSON with sorted keys, no spaces, and ASCII escapes.

    Raises:
        BadRequest: the salt has another length.
    """
    if len(salt) != SALT_BYTES:
        raise BadRequest(f"the salt has {len(salt)} bytes; it has {SALT_BYTES}")
    facts = {"familyName": data.family_name, "firstName": data.first_name, "nationalId": data.national_id}
    return salt + json.dumps(facts, sort_keys=True, separators=(",", ":")).encode("ascii")


def fingerprint(data: PersonalData, salt: bytes, keccak: Callable[[bytes], bytes]) -> bytes:
    """What stands for personal data on the chain, 32 bytes.

    Args:
        data: the personal data.
        salt: chosen at random by the household.
        keccak: Keccak-256.

    Raises:
        BadRequest: the salt has another length.
    """
    return keccak(canonical(data, salt))


def normal_name(text: str) -> str:
    """A name in one spelling: NFC, Persian yeh and kaf, no space around it and one between its parts."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_TO_PERSIAN).split())


def normal_id(text: str) -> str:
    """A national ID in one spelling: digits of any script become ASCII, without spaces and hyphens."""
    return "".join(
        str(digit) if (digit := unicodedata.decimal(character, None)) is not None else character
        for character in text
        if not character.isspace() and character != "-"
    )


def check_digit(nine: str) -> int:
    """The last digit that belongs to a national ID's first nine.

    Each of the nine digits is multiplied by its place, counted from the right (10, 9, ... 2). Of the sum's remainder by
    11, a remainder below 2 is the check digit itself, and any other is taken from 11. This is the rule of Iran's
    National Organization for Civil Registration, as it is published for the card's holders; 0123456789 satisfies it.

    Args:
        nine: the first nine digits, ASCII.
    """
    rest = sum(int(digit) * (_ID_DIGITS - place) for place, digit in enumerate(nine)) % 11
    return rest if rest < 2 else 11 - rest  # noqa: PLR2004 - the rule's own number, explained above


def _national_id(text: str) -> str:
    digits = normal_id(text)
    if len(digits) != _ID_DIGITS or not (digits.isascii() and digits.isdigit()):
        raise BadRequest(f"the national ID has {_ID_DIGITS} digits, with the zeros at its beginning")
    # Ten equal digits satisfy the rule, and nobody has them.
    if len(set(digits)) == 1 or int(digits[-1]) != check_digit(digits[:-1]):
        raise BadRequest("the national ID's check digit does not fit the nine before it: one of them is mistyped")
    return digits


def _name(text: str, what: str) -> str:
    name = normal_name(text)
    if not 1 <= len(name) <= MOST_NAME:
        raise BadRequest(f"{what} has {len(name)} characters; 1 to {MOST_NAME} belong there")
    # A letter first: a name that begins with a mark or a joiner would show in another's place.
    if not unicodedata.category(name[0]).startswith("L"):
        raise BadRequest(f"{what} begins with no letter")
    if any(unicodedata.category(letter)[0] not in "LM" and letter not in _BETWEEN for letter in name):
        raise BadRequest(f"{what} has a character that is in no name; letters, spaces, hyphens and apostrophes are")
    return name
