"""``prosumer-operator``: the distribution company's and the registration office's command line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from agent.cli.misuse import Misuse
from agent.domain.errors import AgentError, ConfigurationInvalid, NodeUnavailable, Rejected
from agent.operator import refusals
from agent.operator.answer import Answer
from agent.operator.arguments import parser

DONE, FAILED, MISUSE, BAD_CONFIGURATION = 0, 1, 2, 78
# What a person ended: with Ctrl-C, or a prompt with Ctrl-D.
_ENDED = {
    KeyboardInterrupt: "interrupted; the same command goes on where it stopped",
    EOFError: "the input ended before everything was typed; run it again",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the process's own by default.

    Returns:
        0 done, 1 failed, 2 misuse, 78 bad configuration.
    """
    line = parser()
    asked = line.parse_args(arguments)
    try:
        answer: Answer = asked.run(asked)
    except Misuse as error:
        line.error(f"{asked.command}: {error}")
    except ConfigurationInvalid as error:
        print(f"prosumer-operator: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
    except NodeUnavailable as error:
        # Without the user and password that a URL may carry. It was parsed before anything was asked.
        print(
            f"prosumer-operator: full node {urlsplit(asked.node).netloc.rpartition('@')[2]}: {error}", file=sys.stderr
        )
        return FAILED
    except Rejected as error:
        print(f"prosumer-operator: {refusals.told(error)}", file=sys.stderr)
        return FAILED
    except AgentError as error:
        print(f"prosumer-operator: {error}", file=sys.stderr)
        return FAILED
    except (KeyboardInterrupt, EOFError) as end:
        print(f"prosumer-operator: {_ENDED[type(end)]}", file=sys.stderr)
        return FAILED
    try:
        print(json.dumps(answer.told) if asked.json else answer)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has seen enough (`| head`). The interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


if __name__ == "__main__":
    sys.exit(main())
