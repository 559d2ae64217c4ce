"""``prosumer-agent``: from arguments to an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import cast

from agent.cli.arguments import parser
from agent.cli.misuse import Misuse
from agent.domain.errors import AgentError, ConfigurationInvalid

DONE, FAILED, MISUSE, BAD_CONFIGURATION = 0, 1, 2, 78

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command.

    Args:
        arguments: the process's own by default.

    Returns:
        0 done, 1 failed, 2 misuse, 78 bad configuration.
    """
    line = parser()
    asked = line.parse_args(arguments)
    try:
        code = _room(asked.module)(asked)
        sys.stdout.flush()
    except Misuse as error:
        line.error(f"{asked.module}: {error}")
    except ConfigurationInvalid as error:
        for problem in error.problems:
            print(f"prosumer-agent: {problem}", file=sys.stderr)
        return BAD_CONFIGURATION
    except AgentError as error:
        print(f"prosumer-agent: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("prosumer-agent: interrupted", file=sys.stderr)
        return FAILED
    except EOFError:
        # Ctrl-D at a prompt for a passphrase or a name.
        print("prosumer-agent: the input ended before everything was typed; run it again", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Whoever read us has seen enough (`| head`). The interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


def _room(name: str) -> Command:
    """The command's module, loaded only now: ``keys show`` needs no chain library, ``--help`` needs nothing."""
    return cast("Command", importlib.import_module(f"agent.cli.{name}").command)
