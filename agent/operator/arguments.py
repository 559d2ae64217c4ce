"""What can be said on ``prosumer-operator``'s command line."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from eth_utils.address import is_address, to_checksum_address

# Registration takes a day or two; a register that is older has carried energy which nobody watched.
_MOST_AGE_S = 7 * 24 * 3600
_DEFAULT_STATE = Path("~/.local/state/prosumer-operator")
_PRICES = {
    "service-cost": "what carrying a kWh costs the buyer",
    "feed-in": "the feed-in tariff for a kWh, the lowest price of a trade",
    "retail": "the retail tariff for a kWh, the highest price of a trade",
}
_EPILOG = """\
exit codes: 0 done; 1 failed, and said why; 2 misuse; 78 bad configuration (node URL)

The key is the one in --keystore (made with: prosumer-agent keys new). Its passphrase comes from the systemd
credential keystore-passphrase, from --passphrase-file, or from a prompt; never from an argument.
A command that was interrupted goes on with the same transaction when it is run again.
"""


def _account(text: str) -> str:
    # Mixed case is a checksum and must be right; all lower or all upper case carries none.
    if not is_address(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address, or its checksum is wrong (0x and 40 hex digits)")
    return str(to_checksum_address(text))


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return number


def _seconds(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 second")
    return number


def _watts(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 W")
    return number


def _model(text: str) -> str:
    if not text or ":" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no model's name, such as eastron_sdm120")
    return text


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    chain = common.add_argument_group("chain and key")
    chain.add_argument("--node", required=True, metavar="URL", help="JSON-RPC of the company's own full node")
    chain.add_argument("--allow-plain", action="store_true", help="take http:// off loopback too (it can be read)")
    chain.add_argument("--ca-file", metavar="PEM", help="the node's own certificate authority")
    chain.add_argument("--keystore", type=Path, metavar="FILE", help="the operator's V3 keystore; what signs needs it")
    chain.add_argument("--passphrase-file", type=Path, metavar="FILE", help="the keystore's: one line, mode 0600")
    chain.add_argument(
        "--deployments", type=Path, metavar="DIR", help="deployment files by chain id (default: deployments)"
    )
    chain.add_argument(
        "--state-dir",
        type=Path,
        default=_DEFAULT_STATE,
        metavar="DIR",
        help="keeps what was sent until it is mined (default: %(default)s)",
    )
    chain.add_argument(
        "--max-fee",
        type=_whole,
        default=500_000_000_000,
        metavar="WEI",
        help="the most for a unit of gas (default: %(default)s)",
    )
    chain.add_argument(
        "--depth",
        type=_whole,
        default=0,
        metavar="BLOCKS",
        help="to wait for on top of a transaction (default: %(default)s)",
    )
    chain.add_argument(
        "--timeout",
        type=_seconds,
        default=180,
        metavar="S",
        help="seconds to wait for each transaction (default: %(default)s)",
    )
    common.add_argument("--json", action="store_true", help="print JSON in place of text")

    whole = argparse.ArgumentParser(
        prog="prosumer-operator",
        description="What the distribution company and the registration office run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {version('prosumer-agent')}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, parents=[common])

    _deploy(command("deploy", "Deploy a market and write its deployment file."))
    _approve(command("approve", "Verify an enrolment request and enrol the household."))
    _suspend(command("suspend", "Refuse a household's readings, or take them again."))
    _replace_meter(command("replace-meter", "Enter a household's new meter, or one whose register began anew."))
    _parameters(command("parameters", "Show the market's parameters, or set those that are named."))
    return whole


def _deploy(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--token-name", default="Energy", metavar="NAME", help="of the energy token (default: %(default)s)"
    )
    command.add_argument("--token-symbol", default="ENERGY", metavar="SYMBOL", help="its symbol (default: %(default)s)")
    for role in ("admin", "registration-office", "distribution-agent"):
        command.add_argument(
            f"--{role}", type=_account, metavar="ADDRESS", help="account of this role (default: the key's own)"
        )
    command.add_argument(
        "--reporting-period",
        type=_seconds,
        default=900,
        metavar="S",
        help="an interval's length, seconds (default: %(default)s)",
    )
    for price, about in _PRICES.items():
        command.add_argument(f"--{price}", type=_whole, default=0, metavar="WEI", help=f"{about} (default: 0)")
    command.add_argument("--again", action="store_true", help="deploy although this chain has a market already")


def _approve(command: argparse.ArgumentParser) -> None:
    command.add_argument("request", type=Path, metavar="REQUEST.json", help="written by prosumer-agent enrol")
    command.add_argument(
        "--rated-power",
        type=_watts,
        metavar="W",
        help="the connection's rating by its contract; refuse a request that states another (default: believe the"
        " request, so compare it yourself: the rating bounds what the household's readings may say)",
    )
    command.add_argument(
        "--fund", type=_whole, metavar="WEI", help="top the household's account up to this balance, for its gas"
    )
    command.add_argument(
        "--max-age",
        type=_seconds,
        default=_MOST_AGE_S,
        metavar="S",
        help="how old its registers may be, seconds (default: %(default)s)",
    )


def _suspend(command: argparse.ArgumentParser) -> None:
    command.add_argument("household", type=_account, metavar="ADDRESS", help="the household's account")
    command.add_argument("--lift", action="store_true", help="take its readings again")


def _replace_meter(command: argparse.ArgumentParser) -> None:
    command.add_argument("household", type=_account, metavar="ADDRESS", help="the household's account")
    command.add_argument("--meter", required=True, choices=("production", "consumption"), help="which of the two")
    command.add_argument("--profile", required=True, type=_model, metavar="MODEL", help="the new meter's model")
    command.add_argument("--serial", required=True, metavar="NUMBER", help="the new meter's serial number")
    command.add_argument(
        "--opening", required=True, type=_whole, metavar="WH", help="its register when it was put in, Wh"
    )
    command.add_argument(
        "--closing", type=_whole, metavar="WH", help="the old meter's last register, Wh (default: the last one booked)"
    )
    command.add_argument("--reset", action="store_true", help="it is the same meter, whose register began anew")


def _parameters(command: argparse.ArgumentParser) -> None:
    command.add_argument("--reporting-period", type=_seconds, metavar="S", help="an interval's length, seconds")
    for price, about in _PRICES.items():
        command.add_argument(f"--{price}", type=_whole, metavar="WEI", help=about)
    paused = command.add_mutually_exclusive_group()
    paused.add_argument("--pause", dest="paused", action="store_true", default=None, help="stop reports and transfers")
    paused.add_argument("--resume", dest="paused", action="store_false", default=None, help="let them go on")
