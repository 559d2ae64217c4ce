"""The search for personal data finds them in every form that it claims to know: else it would prove nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from tests.fakes.disguises import disguises, traces, traces_below

TEXTS = ("ژیلاسنج", "Quxterwald", "8402716935")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("around", [b"", b"\x93", b"before it: "])
def test_every_form_is_found(text: str, around: bytes) -> None:
    for form, disguised in disguises(text).items():
        assert f"{text!r} as {form}" in list(traces(around + disguised + around, [text]))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("before", range(6))
def test_base64_is_found_wherever_it_begins(text: str, before: int) -> None:
    hidden = base64.b64encode(b"x" * before + text.encode() + b"yz")
    assert any("base64 of utf-8" in trace for trace in traces(hidden, [text]))


def test_other_content_holds_none(tmp_path: Path) -> None:
    assert list(traces(json.dumps({"household": "0xabc", "hash": keccak(b"x").hex()}).encode() * 99, TEXTS)) == []
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "log").write_text("household Quxterwald reads 0x" + b"QUXTERWALD".hex())
    assert traces_below(tmp_path, TEXTS) == ["below/log: 'Quxterwald' as utf-8"]
    assert traces_below(tmp_path, TEXTS, leaving_out=["log"]) == []


def test_hexadecimal_digits_are_found_in_either_case() -> None:
    assert "'Quxterwald' as hex of utf-8" in list(traces(b"0x" + b"Quxterwald".hex().upper().encode(), TEXTS))
