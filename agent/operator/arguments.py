"""What can be said on ``prosumer-operator``'s command line: a table of its commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.metadata import version

from agent.operator import (
    approve,
    collect,
    consensus,
    deploy,
    fund,
    invoices,
    parameters,
    pins,
    replace_meter,
    requests,
    suspend,
    trades,
)
from agent.operator.options import Commands, Shared, shared

# One line a command, in the order of --help. A command's module has ``add(commands, shared)``, which adds its parser
# with the options that it shares with others and sets ``run``: what does it, from the parsed arguments to an Answer.
_TABLE: tuple[Callable[[Commands, Shared], None], ...] = (
    deploy.add,
    pins.add,
    requests.add,
    approve.add,
    fund.add,
    suspend.add,
    replace_meter.add,
    parameters.add,
    trades.add,
    consensus.add,
    invoices.add,
    collect.add,
)
_EPILOG = """\
exit codes: 0 done; 1 failed, and said why; 2 misuse; 78 bad configuration (URL of the node or the database)

The key is the one in --keystore (made with: prosumer-agent keys new). Its passphrase comes from the systemd
credential keystore-passphrase, from --passphrase-file, or from a prompt; never from an argument.
A command that was interrupted goes on with the same transaction when it is run again.
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(
        prog="prosumer-operator",
        description="What the distribution company and the registration office run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {version('prosumer-agent')}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    options = shared()
    for add in _TABLE:
        add(commands, options)
    return whole
