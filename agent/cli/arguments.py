"""What can be said on ``prosumer-agent``'s command line."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from agent.cli import periods, trading_arguments, typed
from agent.cli.table import LAST_S
from agent.configuration.line import parse_line
from agent.domain.lines import Line

DEFAULT_CONFIGURATION = Path("/etc/prosumer-agent/prosumer-agent.toml")

_EPILOG = """\
exit codes: 0 done; 1 failed, and said why; 2 misuse; 78 bad configuration (every problem named)

No command takes a secret as an argument or from the environment. The keystore's passphrase comes from the systemd
credential keystore-passphrase, from the file in keystore.passphrase_file, or from a prompt. A new one has 12
characters or more.
"""


def _line(text: str) -> Line:
    try:
        return parse_line(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def moment(text: str) -> int:
    """A time that a person typed, UTC epoch seconds."""
    # A year, month or day cannot be meant by a bare number, so epoch seconds and dates do not clash.
    if text.isascii() and text.isdigit():
        if (at := int(text)) > LAST_S:
            raise argparse.ArgumentTypeError(f"{text} s is after the year 9999; seconds since 1970 are meant")
        return at
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    try:
        stated = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; 2026-03-21, 2026-03-21T12:00Z or UTC epoch seconds are"
        ) from None
    return int((stated if stated.tzinfo else stated.replace(tzinfo=UTC)).timestamp())


def parser() -> argparse.ArgumentParser:
    """The command line; ``asked.module`` names the room that carries the command out."""
    line = argparse.ArgumentParser(
        prog="prosumer-agent",
        description="The household's light node: reads two meters, signs readings, brings them onto the chain.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIGURATION,
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )
    line.add_argument("--version", action="version", version=f"%(prog)s {version('prosumer-agent')}")
    # Also after the command, where most people write it; SUPPRESS keeps the first default from being overwritten.
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--config",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help=f"the configuration (default: {DEFAULT_CONFIGURATION})",
    )
    listing = argparse.ArgumentParser(add_help=False, parents=[shared])
    listing.add_argument("--json", action="store_true", help="for a program: integers in Wh, W and UTC epoch seconds")

    commands = line.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, about: str, *, module: str, parent: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about, parents=[parent])
        made.set_defaults(module=module)
        return made

    command("run", "Run the agent until it is told to stop.", module="run", parent=shared)
    command(
        "check", "Try meters, key, clock, full nodes and broker; say what is wrong.", module="check", parent=listing
    )
    probe = command("probe", "Search a line for meters and show what they say.", module="probe", parent=listing)
    probe.add_argument(
        "line",
        nargs="?",
        type=_line,
        metavar="LINE",
        help="tcp://HOST:PORT, rtu-over-tcp://HOST:PORT or 'rtu:///dev/...?baud=9600&parity=N&stop=1' (in quotes);"
        " without one, the serial lines of this machine are listed",
    )
    probe.add_argument(
        "--models", type=Path, metavar="DIR", help="folder of own profiles (default: the configuration's)"
    )
    probe.add_argument(
        "--thorough", action="store_true", help="also settings that no maker delivers; takes hours on a serial line"
    )
    _keys(
        command("keys", "Make, bring, show and re-encrypt the household's key.", module="keys", parent=shared), listing
    )
    enrol = command(
        "enrol", "Write the request with which the registration office enrols you.", module="enrol", parent=listing
    )
    enrol.add_argument("--edit", action="store_true", help="edit the names or national ID of an enrolled household")
    enrol.add_argument(
        "--profile",
        type=Path,
        metavar="FILE",
        help="names and national ID in TOML or JSON, mode 0600, in place of prompts",
    )
    enrol.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the request's file (default: enrolment-request.json, with --edit profile-edit.json)",
    )
    enrol.add_argument("--production-serial", metavar="SERIAL", help="of a production meter that does not state it")
    enrol.add_argument("--consumption-serial", metavar="SERIAL", help="of a consumption meter that does not state it")
    enrol.add_argument("--yes", action="store_true", help="sign without asking")
    command("status", "The agent at one glance, also while it runs.", module="status", parent=listing)
    readings = command("readings", "The newest readings and how far they have come.", module="readings", parent=listing)
    readings.add_argument(
        "--limit", type=typed.rows, default=24, metavar="ROWS", help="how many (default: %(default)s)"
    )
    readings.add_argument(
        "--since",
        type=moment,
        default=0,
        metavar="TIME",
        help="from this interval's end on: 2026-03-21, 2026-03-21T12:00Z or UTC epoch seconds (default: all)",
    )
    _invoice(
        command(
            "invoice",
            "What you owe for a month by your own account; whether the operator says so too.",
            module="invoice",
            parent=listing,
        )
    )
    _evidence(
        command("evidence", "What proves a transaction or a reading to anybody.", module="evidence", parent=shared),
        listing,
    )
    trading_arguments.add(command, listing)
    return line


def _invoice(invoice: argparse.ArgumentParser) -> None:
    periods.add(invoice, "; without it the one that runs")
    invoice.add_argument("--html", type=Path, metavar="FILE", help="also write the page to print")
    invoice.add_argument("--language", choices=("en", "fa"), help="of that page, instead of invoice.language")
    invoice.add_argument(
        "--compare", type=Path, metavar="FILE", help="the operator's invoice (JSON); exit code 1 if it differs"
    )


def _evidence(evidence: argparse.ArgumentParser, listing: argparse.ArgumentParser) -> None:
    actions = evidence.add_subparsers(required=True, metavar="ACTION", dest="action")
    about = "Write one file that proves a transaction, or your readings, to anybody who has the pins."
    export = actions.add_parser("export", help=about, description=about, parents=[listing])
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "transaction", nargs="?", type=typed.tx_hash, metavar="TX", help="hash of one of your own transactions"
    )
    what.add_argument("--readings", action="store_true", help="your newest reading in the market, and so all before it")
    export.add_argument(
        "--linked", action="store_true", help="with every header since the pinned block, so that none is taken as given"
    )
    export.add_argument("--output", type=Path, metavar="FILE", help="the file (default: evidence-....json)")
    about = "Check an evidence file without asking anybody; exit code 0 if it is proven, else 1."
    verify = actions.add_parser("verify", help=about, description=about, parents=[listing])
    verify.add_argument("file", type=Path, metavar="FILE", help="the evidence, a JSON file")
    verify.add_argument(
        "--pins",
        type=Path,
        metavar="FILE",
        help="a TOML file with the [chain] section that the distribution company states (default: the configuration's)",
    )


def _keys(keys: argparse.ArgumentParser, listing: argparse.ArgumentParser) -> None:
    actions = keys.add_subparsers(required=True, metavar="ACTION", dest="action")
    place = argparse.ArgumentParser(add_help=False, parents=[listing])
    place.add_argument(
        "--keystore", type=Path, metavar="FILE", help="the household's keystore (default: the configuration's)"
    )
    place.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="its passphrase: one line, mode 0600 (default: the configuration's, or a prompt)",
    )

    def action(name: str, about: str, *, parent: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=about, description=about, parents=[parent])

    action("new", "Make a new key.", parent=place)
    action("show", "Show address, file and key derivation; needs no passphrase.", parent=place)
    bring = action("import", "Bring a key from another keystore, or typed at a prompt.", parent=place)
    source = bring.add_mutually_exclusive_group(required=True)
    source.add_argument("source", nargs="?", type=Path, metavar="KEYSTORE", help="a V3 keystore of another program")
    source.add_argument("--typed", action="store_true", help="type the private key at a prompt")
    bring.add_argument(
        "--source-passphrase-file", type=Path, metavar="FILE", help="the other keystore's passphrase: one line"
    )
    change = action("change-passphrase", "Encrypt the key with a new passphrase.", parent=place)
    change.add_argument(
        "--new-passphrase-file", type=Path, metavar="FILE", help="holds the new passphrase, in one line"
    )
    resume = action(
        "resume", "Let a halted agent submit again, when nobody else uses the key any more.", parent=listing
    )
    resume.add_argument("--yes", action="store_true", help="do not ask")
