"""Asking a person."""

from __future__ import annotations

import sys

from agent.domain.errors import BadRequest


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees; whoever ends the input (Ctrl-D) does not.

    Args:
        question: ends without a question mark's alternatives; they are added.
        yes: agreed beforehand, by ``--yes``.

    Raises:
        BadRequest: there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BadRequest("nobody can be asked without a terminal; add --yes if it is meant")
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        print()  # the question's line is open still
        return False
