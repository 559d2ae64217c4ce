"""Who signed what, worked out once: a thousand rewrites leave most signatures as they were."""

from __future__ import annotations

from functools import lru_cache

import pytest

from agent.light import clique, hashing, seals


def remember_signers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recover each pair of hash and signature once; other bytes in either are another pair, and recovered anew."""
    remembered = lru_cache(maxsize=4_096)(hashing.signer)
    monkeypatch.setattr(seals, "signer", remembered)
    monkeypatch.setattr(clique, "signer_of", remembered)
