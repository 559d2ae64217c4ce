"""Vectors of others, read and never copied: where they are, or why a test that needs them skips."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "PROSUMER_VECTORS"
_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"


def vectors(name: str) -> dict[str, Any]:
    """One file of vectors, by its path inside their folder."""
    folder = Path(os.environ.get(VARIABLE) or _BESIDE)
    file = folder / name
    if not file.is_file():
        pytest.skip(f"no {name} here: {VARIABLE} names the folder that has ethereum/tests' and go-ethereum's vectors")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
