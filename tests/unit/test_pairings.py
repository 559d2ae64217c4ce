"""Whoever does need the pairings that are left alone at the start finds them: nothing of eth-keyfile is broken."""

from __future__ import annotations

import json
import subprocess
import sys

# Of py_ecc's own, before the agent puts its stand-ins.
REAL = "from py_ecc import bls, bls12_381"
ASKED = """
import json, sys, warnings
{first}
from agent.adapters import keystore
from eth_keyfile import keyfile
key = b"\\x07" * 32
file = keyfile.create_keyfile_json(key, b"a passphrase", version=4, kdf="pbkdf2", iterations=2)
opened = keyfile.decode_keyfile_json(file, b"a passphrase")
from py_ecc.bls import G2Basic
from py_ecc.bls12_381 import G1, curve_order
import py_ecc.bls.ciphersuites
print(json.dumps([file["pubkey"], opened == key, keyfile.MAX_V4_PRIVATE_KEY, curve_order, str(G1), str(G2Basic)]))
"""


def told(first: str) -> list[object]:
    # In a process of its own: here another test may have loaded them.
    said = subprocess.check_output([sys.executable, "-c", ASKED.format(first=first)], text=True)
    answers: list[object] = json.loads(said)
    return answers


def test_what_needs_the_pairings_finds_them() -> None:
    expected = told(REAL)

    assert told("") == expected
    assert len(str(expected[0])) == 96


def test_what_is_in_no_module_is_an_error_as_ever() -> None:
    asked = "from agent.adapters import keystore\nfrom py_ecc.bls import Nothing"

    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "ImportError: cannot import name 'Nothing' from 'py_ecc.bls'" in done.stderr
