"""What may become of a request, and where a household's own words come from."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import profile
from agent.domain.errors import BadRequest
from agent.domain.office_requests import KeptRequest, RequestKind, RequestState, approvable, refusable, signed_text
from agent.domain.personal_data import PersonalData

KEPT = KeptRequest(
    number=7,
    kind=RequestKind.EDIT,
    chain_id=31337,
    contract="0xC",
    household="0xH",
    created_at=1000,
    personal_data_hash="0x" + "ab" * 32,
    state=RequestState.RECEIVED,
    received_at=1100,
    decided_at=None,
    decided_by="",
    why="",
    transaction="",
    erased_at=None,
)
SARA = PersonalData("سارا", "Rad", "0123456789")


@given(st.integers(0, 2000), st.one_of(st.none(), st.integers(0, 2000)))
def test_only_what_is_newer_than_the_newest_approved_may_be_approved(created_at: int, newest: int | None) -> None:
    request = replace(KEPT, created_at=created_at)
    if newest is None or created_at > newest:
        approvable(request, newest)
    else:
        with pytest.raises(BadRequest, match="ask anew"):
            approvable(request, newest)


@pytest.mark.parametrize("state", [RequestState.APPROVED, RequestState.REFUSED])
def test_a_decision_stands(state: RequestState) -> None:
    decided = replace(KEPT, state=state, decided_at=1200)
    with pytest.raises(BadRequest, match=f"request 7 was {state.value} at 1970-01-01 00:20:00Z; that stands"):
        approvable(decided, None)
    with pytest.raises(BadRequest, match="that stands"):
        refusable(decided)


def test_what_waits_may_be_refused_and_without_its_data_not_approved() -> None:
    refusable(KEPT)
    with pytest.raises(BadRequest, match="erased"):
        approvable(replace(KEPT, erased_at=1200), None)


def test_the_signature_is_no_part_of_what_is_signed() -> None:
    assert (
        signed_text({"b": "ی", "a": 1, "signature": "0x"}) == signed_text({"a": 1, "b": "ی"}) == '{"a":1,"b":"\\u06cc"}'
    )


# Where the names come from.


def written(tmp_path: Path, name: str, content: str | bytes, mode: int = 0o600) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("profile.toml", 'first_name = " سارا "\nfamily_name = "Rad"\nnational_id = "۰۱۲۳۴۵۶۷۸۹"\n'),
        ("profile", '\ufefffirst_name = "سارا"\nfamily_name = "Rad"\nnational_id = "012-345678-9"\n'),
        ("profile.json", json.dumps({"first_name": "سارا", "family_name": "Rad", "national_id": "0123456789"})),
    ],
)
def test_a_profile_is_read_in_its_one_spelling(tmp_path: Path, name: str, content: str) -> None:
    assert profile.find(written(tmp_path, name, content)) == SARA


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.toml", "first_name = canary", "is no TOML"),
        ("p.toml", b"\xff", "is no TOML"),
        ("p.json", '{"first_name": "canary"', "is no JSON"),
        ("p.json", '["canary"]', "is no object"),
        ("p.json", "[" * 4000, "is no JSON|is no object"),
        ("p.toml", 'first_name = "canary"\nfamily_name = "b"\n', "has the texts"),
        ("p.toml", 'first_name = "canary"\nfamily_name = "b"\nnational_id = 123456789\n', "in quotes"),
        ("p.toml", 'first_name = "canary"\nfamily_name = "b"\nnational_id = "1"\nmore = "x"\n', "nothing else"),
        ("p.toml", 'first_name = "canary"\nfamily_name = "b"\nnational_id = "0123456780"\n', "check digit"),
        ("p.toml", "#" * 5000, "longer than"),
    ],
)
def test_a_wrong_profile_is_named_and_not_repeated(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        profile.find(written(tmp_path, name, content))
    assert "canary" not in str(refused.value)
    assert "0123456780" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_profile_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BadRequest, match="chmod 600"):
        profile.find(written(tmp_path, "p.toml", "", mode))
    with pytest.raises(BadRequest, match="No such file"):
        profile.find(tmp_path / "nothing")


def test_a_person_is_asked_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = iter(["سارا", "Rad", "0123456789"])

    def ask(question: str) -> str:
        asked.append(question)
        return next(answers)

    assert profile.find(None, ask) == SARA
    assert asked == ["First name: ", "Family name: ", "National ID: "]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with pytest.raises(BadRequest, match="--profile FILE"):
        profile.find(None)
