"""How deep Python may call, after libraries that raise the limit for the whole process."""

from __future__ import annotations

import sys

_PYTHONS_OWN = 1_000


def bound_recursion() -> None:
    """Set the limit back to Python's own; to be called by who imports eth-account or web3, after the import.

    Both bring py_ecc, which raises it to 100,000 for pairings that nobody here computes. At that limit a node's or a
    broker's JSON of a few hundred kilobytes of brackets ends the interpreter with a segmentation fault, where at
    Python's own it is a ``RecursionError``, which the readers of foreign text take as what it is: no answer.
    """
    sys.setrecursionlimit(_PYTHONS_OWN)
