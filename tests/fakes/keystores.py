"""Keystores of keys that are worth nothing."""

from __future__ import annotations

import json
from pathlib import Path

from eth_account import Account


def quick_keystore(path: Path, key: bytes, passphrase: str) -> None:
    """A thousand rounds instead of a million: each command opens it, and what that costs is tested elsewhere."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(json.dumps(Account.encrypt(key, passphrase, kdf="pbkdf2", iterations=1000)))
