"""How a command says that it was asked wrongly, where the parser of the command line could not know."""

from __future__ import annotations


class Misuse(Exception):
    """The command line cannot mean anything: said with the usage, exit code 2."""
