"""The forms in which a text could stand in another's bytes without being seen by a plain search."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from eth_utils.crypto import keccak

_CODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-be", "cp1256")
_PACKED = re.compile(r"[0-9]{2,}")


def disguises(text: str) -> dict[str, bytes]:
    """Each form by its name. Those of hexadecimal digits are lower case."""
    forms: dict[str, bytes] = {}
    for coding in _CODINGS:
        try:
            raw = text.encode(coding)
        except UnicodeEncodeError:
            continue
        forms[coding] = raw
        forms[f"{coding} reversed"] = raw[::-1]
        forms[f"hex of {coding}"] = raw.hex().encode()
        for shift in range(3):
            # As it stands inside a longer text, which decides where its groups of three bytes begin.
            inside = base64.b64encode(b"\0" * shift + raw)
            forms[f"base64 of {coding}, shifted by {shift}"] = inside[
                -(-8 * shift // 6) : 4 * ((shift + len(raw)) // 3)
            ]
        for digest in (keccak, lambda content: sha256(content).digest()):
            # A hash without a salt tells a national ID to whoever tries them all.
            forms[f"{digest.__name__} hash of {coding}"] = digest(raw)
            forms[f"hex of {digest.__name__} hash of {coding}"] = digest(raw).hex().encode()
    forms["JSON's escapes"] = json.dumps(text)[1:-1].encode()
    forms["an address's escapes"] = quote(text).encode()
    if _PACKED.fullmatch(text):
        forms["packed decimal"] = bytes.fromhex(text if len(text) % 2 == 0 else f"0{text}")
        forms["an integer"] = int(text).to_bytes(5, "big")
        forms["an integer in hex"] = int(text).to_bytes(5, "big").hex().encode()
        forms["Persian digits"] = text.translate({48 + digit: 0x6F0 + digit for digit in range(10)}).encode()
    # One name a form: what is ASCII looks alike in several codings.
    named = {disguised: form for form, disguised in reversed(forms.items())}
    return {form: disguised for disguised, form in named.items()}


def traces(content: bytes, texts: Iterable[str]) -> Iterator[str]:
    """Which texts a content holds, and in which form."""
    lower = content.lower()
    for text in texts:
        for form, disguised in disguises(text).items():
            if disguised in (lower if form.startswith("hex") or "in hex" in form else content):
                yield f"{text!r} as {form}"


def traces_below(folder: Path, texts: Iterable[str], leaving_out: Iterable[str] = ()) -> list[str]:
    """The same for every file below a folder, but those named."""
    sought, left_out = list(texts), set(leaving_out)
    return [
        f"{path.relative_to(folder)}: {trace}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out
        for trace in traces(path.read_bytes(), sought)
    ]
