"""The pairings that eth-keyfile loads into every program, left alone until somebody computes with them.

eth-account, and so web3, takes them from py_ecc for the keystores of validators' BLS keys. Loading them computes tables
for half a second on a desktop and for two on a small board, at each start of each command; no household has such a key.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_SUITES = "py_ecc.bls"
_CURVE = "py_ecc.bls12_381"
_CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


class _StandIn(ModuleType):
    """A module of py_ecc; whatever it does not hold is asked of the real one, which then takes its place."""

    def __getattr__(self, name: str) -> object:
        # The import system asks each module for such names, as does whatever looks through all modules.
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r}, which is not loaded yet, has no attribute {name!r}")
        return getattr(_real(self.__name__), name)


class _Suite:
    """The signatures of validators, found when one is asked for."""

    def __getattr__(self, name: str) -> object:
        return getattr(_real(_SUITES).G2ProofOfPossession, name)


def leave_pairings() -> None:
    """Put stand-ins where eth-keyfile looks; to be called before eth-account or web3 is imported.

    They hold the two names that it takes while it is loaded. Where py_ecc's own are loaded already, those stay.
    """
    for name, held in ((_SUITES, {"G2ProofOfPossession": _Suite()}), (_CURVE, {"curve_order": _CURVE_ORDER})):
        stand_in = _StandIn(name)
        vars(stand_in).update(held)
        sys.modules.setdefault(name, stand_in)


def _real(name: str) -> ModuleType:
    # Both go: while one is loaded, it may ask for parts of the other.
    for held in (_SUITES, _CURVE):
        if isinstance(sys.modules.get(held), _StandIn):
            del sys.modules[held]
    return importlib.import_module(name)
