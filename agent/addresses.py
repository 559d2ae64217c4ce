"""Addresses as they may be shown: a URL's user and password, and a provider's token in its path, stay hidden."""

from __future__ import annotations

import re

# To the last @ of the line: a password may hold any character, also a quote or a space.
_USER = re.compile(r"://[^\n]*@")
_PATH = re.compile(r"(https?://[^\s'\"/?#]*)[/?#][^\s'\"]+", re.IGNORECASE)
# As urllib3 has it, in the text of each of its errors.
_BARE_PATH = re.compile(r"(with url: )\S+")


def without_secrets(text: str) -> str:
    """A text that may hold addresses, with scheme, host and port of each alone.

    Args:
        text: before it is shortened: an address that was cut off does not show any more where its password ends.
    """
    for secret, shown in ((_USER, "://…@"), (_PATH, r"\1/…"), (_BARE_PATH, r"\1/…")):
        text = secret.sub(shown, text)
    return text
