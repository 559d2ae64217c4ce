"""Personal data: one spelling, the national ID's rule, and a hash that both sides make alike."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain import personal_data as room
from agent.domain.errors import BadRequest
from agent.domain.personal_data import PersonalData, check_digit, fingerprint, normal_id, normal_name, personal_data

NINE = st.text("0123456789", min_size=9, max_size=9)
SALT = bytes(range(32))


@pytest.mark.parametrize(
    "digits",
    # The first is the example that the rule is published with; the others are worked out by hand, for the remainders
    # two, ten (twice), zero and one.
    ["0123456789", "0000000019", "0000000051", "1000000001", "0000000310", "0000000061"],
)
def test_ids_worked_out_by_hand(digits: str) -> None:
    assert personal_data("a", "b", digits).national_id == digits


@pytest.mark.parametrize("digit", "0123456789")
def test_ten_equal_digits_satisfy_the_rule_and_are_refused(digit: str) -> None:
    assert check_digit(digit * 9) == int(digit)
    with pytest.raises(BadRequest, match="check digit"):
        personal_data("a", "b", digit * 10)


@pytest.mark.parametrize("text", ["", "123456789", "01234567890", "012345678a", "-" * 10, "½123456789"])
def test_what_has_not_ten_digits_is_no_id(text: str) -> None:
    with pytest.raises(BadRequest, match="10 digits"):
        personal_data("a", "b", text)


@given(NINE)
def test_one_check_digit_belongs_to_nine_digits(nine: str) -> None:
    right = [last for last in "0123456789" if accepted(nine + last)]
    assert right == ([] if set(nine) == {str(check_digit(nine))} else [str(check_digit(nine))])


def accepted(digits: str) -> bool:
    try:
        personal_data("a", "b", digits)
    except BadRequest:
        return False
    return True


@given(NINE, st.integers(0, 8), st.integers(1, 9))
def test_one_mistyped_digit_is_found_but_where_two_remainders_have_one_check_digit(
    nine: str, place: int, step: int
) -> None:
    other = nine[:place] + str((int(nine[place]) + step) % 10) + nine[place + 1 :]
    if remainder(nine) in {1, 10} and remainder(other) in {1, 10}:
        assert check_digit(nine) == check_digit(other) == 1
    else:
        assert check_digit(nine) != check_digit(other)


def remainder(nine: str) -> int:
    return sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True)) % 11


@pytest.mark.parametrize("text", ["۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", " 012-345678-9\n", "०१२३४५६७८९", "012 345 6789"])
def test_digits_of_any_script_become_ascii(text: str) -> None:
    assert personal_data("a", "b", text).national_id == "0123456789"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Sara ", "Sara"),
        ("علي", "علی"),
        ("كريمي\tنژاد", "کریمی نژاد"),
        ("موسى", "موسی"),
        ("Jose\u0301", "José"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("O\u2019Neil-Smith Jr.", "O\u2019Neil-Smith Jr."),
    ],
)
def test_names_have_one_spelling(typed: str, kept: str) -> None:
    data = personal_data(typed, typed, "0123456789")
    assert (data.first_name, data.family_name) == (kept, kept)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "0 characters"), (" \n ", "0 characters"), ("x" * 65, "65 characters"),
        ("\u0301e", "begins with no letter"), ("\u200cx", "begins with no letter"), ("5x", "begins with no letter"),
        ("x5", "in no name"), ("x\u202ey", "in no name"), ("x\0", "in no name"), ("x;y", "in no name"),
        ("x<b>", "in no name"), ("x\U0001f600", "in no name"),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_without_repeating_it(name: str, says: str) -> None:
    with pytest.raises(BadRequest, match=f"the first name.*{says}") as first:
        personal_data(name, "b", "0123456789")
    with pytest.raises(BadRequest, match=f"the family name.*{says}"):
        personal_data("b", name, "0123456789")
    assert not name.strip() or name not in str(first.value)


@given(st.text(max_size=80))
def test_a_spelling_is_its_own(text: str) -> None:
    assert normal_name(normal_name(text)) == normal_name(text) == unicodedata.normalize("NFC", normal_name(text))
    assert normal_id(normal_id(text)) == normal_id(text)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=14))
def test_any_text_is_taken_in_its_one_spelling_or_refused(first: str, family: str, digits: str) -> None:
    try:
        data = personal_data(first, family, digits)
    except BadRequest:
        return
    assert personal_data(data.first_name, data.family_name, data.national_id) == data


def keccak(content: bytes) -> bytes:
    return hashlib.sha3_256(content).digest()


def test_the_hashed_text_is_fixed() -> None:
    data = personal_data("سارا", "O'Neil", "0123456789")
    assert room.canonical(data, SALT) == SALT + (
        b'{"familyName":"O\'Neil","firstName":"\\u0633\\u0627\\u0631\\u0627","nationalId":"0123456789"}'
    )
    assert fingerprint(data, SALT, keccak) == keccak(room.canonical(data, SALT))
    for salt in (b"", SALT[1:], SALT + b"x"):
        with pytest.raises(BadRequest, match="the salt has"):
            fingerprint(data, salt, keccak)


NAMES = st.text("abcیک '-", min_size=1, max_size=6).map(normal_name).filter(lambda name: name[:1].isalpha())
DATA = st.builds(
    lambda first, family, nine: PersonalData(first, family, nine + str(check_digit(nine))), NAMES, NAMES, NINE
)


@given(DATA, DATA, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_hash_tells_every_field_and_the_salt_apart(
    one: PersonalData, other: PersonalData, salt: bytes, second: bytes
) -> None:
    same = (one, salt) == (other, second)
    assert (fingerprint(one, salt, keccak) == fingerprint(other, second, keccak)) is same


def test_no_trace_shows_personal_data() -> None:
    data = personal_data("Sara", "Rad", "0123456789")
    assert not any(word in f"{data!r} {data} {[data]}" for word in ("Sara", "Rad", "0123456789"))
