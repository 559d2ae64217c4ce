"""The keystore for the commands that make one; a module of its own, so that it loads nothing else."""

from __future__ import annotations

from agent.adapters.keystore import Keystore

__all__ = ["Keystore"]
