"""Options that several of the operator's commands share, and what they open."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from eth_utils.address import is_address, to_checksum_address

from agent.cli.misuse import Misuse
from agent.domain.amounts import typed_wei
from agent.domain.errors import BadRequest
from agent.domain.market import Settlement
from agent.domain.orders import MOST_ENERGY_WH, MOST_PRICE
from agent.operator.ports import Register
from agent.operator.sending import Sender

if TYPE_CHECKING:
    from agent.operator.wiring import Wiring

# The contract's widths, and its longest reporting period.
_MOST_WEI = (1 << 256) - 1
_MOST_POWER_W = (1 << 24) - 1
_MOST_PERIOD_S = 86_400
_MOST_NUMBER = (1 << 63) - 1
_DEFAULT_STATE = Path("~/.local/state/prosumer-operator")


class Commands(Protocol):
    """Where a command is added: what ``add_subparsers`` returns."""

    def add_parser(  # noqa: D102 - argparse's own
        self,
        name: str,
        *,
        parents: list[argparse.ArgumentParser],
        help: str,  # noqa: A002 - argparse's own name
        description: str,
    ) -> argparse.ArgumentParser: ...


def add_command(
    commands: Commands, name: str, about: str, parents: list[argparse.ArgumentParser]
) -> argparse.ArgumentParser:
    """Add one command's line.

    Args:
        commands: where to.
        name: what is typed.
        about: one sentence, in the list of commands and above its own options.
        parents: the options that it shares with others.
    """
    return commands.add_parser(name, help=about, description=about, parents=parents)


@dataclass(frozen=True, slots=True)
class Shared:
    """Options to take over as ``parents``.

    Attributes:
        output: ``--json``. Every command takes it.
        chain: the company's full node and the deployment files.
        key: the operator's key and what concerns its transactions; ``--keystore`` is needed.
        key_if_needed: the same, and ``--keystore`` may be left out.
        database: the office's database. Its default is a file in ``--state-dir``, which ``key`` brings.
        state: ``--state-dir`` alone, for a command that takes no key.
    """

    output: argparse.ArgumentParser
    chain: argparse.ArgumentParser
    key: argparse.ArgumentParser
    key_if_needed: argparse.ArgumentParser
    database: argparse.ArgumentParser
    state: argparse.ArgumentParser


def shared() -> Shared:
    """The shared options, new ones each time."""
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--json", action="store_true", help="print JSON in place of text")
    return Shared(output, _chain(), _key(needed=True), _key(needed=False), _database(), _state())


@contextmanager
def opened(asked: argparse.Namespace) -> Iterator[Wiring]:
    """The parts of a command with ``Shared.chain``, closed at its end.

    Raises:
        ConfigurationInvalid: the node's URL is none, or plain without leave.
    """
    from agent.operator.wiring import Wiring  # noqa: PLC0415 - else --help waits a second for the chain's libraries

    with Wiring(
        node_url=asked.node,
        allow_plain=asked.allow_plain,
        ca_file=asked.ca_file,
        deployments=asked.deployments,
    ) as wiring:
        yield wiring


def sender(
    wiring: Wiring, asked: argparse.Namespace, *, begins: bool = False, unit: Settlement | None = None
) -> Sender:
    """What sends transactions for a command with ``Shared.key``; its key is opened here.

    Args:
        wiring: the command's parts.
        asked: its arguments.
        begins: whether the state directory may begin with this command; the default one always may.
        unit: what money is called on screens; None for what the deployed market says.

    Raises:
        BadRequest: there is no such state directory, so that what an interrupted command sent is not in it.
        KeystoreInvalid: the key cannot be opened.
        NodeUnavailable: the node did not tell its chain.
    """
    state = asked.state_dir.expanduser()
    if not begins and asked.state_dir != _DEFAULT_STATE and not state.is_dir():
        raise BadRequest(
            f"there is no folder {state}: name with --state-dir the one that deploy or approve made, or leave it out"
        )
    return wiring.sender(
        keystore=asked.keystore,
        passphrase_file=asked.passphrase_file,
        state=state,
        most_fee=asked.max_fee,
        depth=asked.depth,
        timeout_s=asked.timeout,
        unit=unit,
    )


@contextmanager
def register(asked: argparse.Namespace, *, begins: bool = False) -> Iterator[Register]:
    """What the registration office keeps, for a command with ``Shared.database`` and a state directory.

    Args:
        asked: its arguments.
        begins: whether an office may begin with this command.

    Raises:
        ConfigurationInvalid: the database's URL is wrong or holds a password, or there is no such file.
        DatabaseUnavailable: it cannot be reached or is locked.
        DatabaseInvalid: it is another program's, damaged, or a newer release's.
    """
    from agent.compose.database import open_register  # noqa: PLC0415 - SQLAlchemy, only where it is needed

    place = asked.database, asked.database_password_file, asked.state_dir.expanduser()
    with open_register(*place, begins=begins) as opened_register:
        yield opened_register


def account(text: str) -> str:
    """An account, checksummed. Mixed case is a checksum and must be right; all lower or upper case carries none."""
    if not is_address(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address, or its checksum is wrong (0x and 40 hex digits)")
    return str(to_checksum_address(text))


def whole(text: str) -> int:
    """A whole number of 0 or more."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return number


def wei(text: str) -> int:
    """An amount of money: digits, or with an exponent such as 900e18."""
    try:
        return _at_most(typed_wei(text), _MOST_WEI, text, "wei")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def price(text: str) -> int:
    """Money for a kWh, as the contract can hold it."""
    return _at_most(wei(text), MOST_PRICE, text, "wei for a kWh")


def register_wh(text: str) -> int:
    """A meter's register, Wh, as the contract can hold it."""
    return _at_most(whole(text), MOST_ENERGY_WH, text, "Wh")


def request_number(text: str) -> int:
    """The number of a request."""
    return _at_most(whole(text), _MOST_NUMBER, text, "as a request's number")


def period(text: str) -> int:
    """A reporting period, seconds, as the contract takes it."""
    return _at_most(seconds(text), _MOST_PERIOD_S, text, "s")


def named(text: str) -> str:
    """A name that a screen can show."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is no name: screens could not show it")
    return text


def seconds(text: str) -> int:
    """A whole number of seconds, 1 or more."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 second")
    return number


def blocks(text: str) -> int:
    """A whole number of blocks, 1 or more."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 block")
    return number


def watts(text: str) -> int:
    """A whole number of watts, 1 or more."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 W")
    return _at_most(number, _MOST_POWER_W, text, "W")


def _at_most(number: int, most: int, text: str, unit: str) -> int:
    if number > most:
        raise argparse.ArgumentTypeError(f"{text} is too much; {most} {unit} is the most")
    return number


PRICES = {
    "service-cost": "what carrying a kWh costs the buyer, wei (900e18 is 900 units of 18 decimals)",
    "feed-in": "the feed-in tariff for a kWh, the lowest price of a trade",
    "retail": "the retail tariff for a kWh, the highest price of a trade",
}
"""The market's prices by the names of their options."""


def check_band(asked: argparse.Namespace) -> None:
    """Whether ``PRICES`` that were named together leave a price between them.

    Raises:
        Misuse: they do not.
    """
    if None not in {asked.feed_in, asked.retail} and asked.feed_in > asked.retail:
        raise Misuse(
            f"a feed-in tariff of {asked.feed_in} wei is above the retail tariff of {asked.retail} wei, so that no"
            " price suits both sides; set --retail to as much as --feed-in or more"
        )


def _chain() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    chain = options.add_argument_group("chain")
    chain.add_argument("--node", required=True, metavar="URL", help="JSON-RPC of the company's own full node")
    chain.add_argument("--allow-plain", action="store_true", help="take http:// off loopback too (it can be read)")
    chain.add_argument("--ca-file", metavar="PEM", help="the node's own certificate authority")
    chain.add_argument(
        "--deployments", type=Path, metavar="DIR", help="deployment files by chain id (default: deployments)"
    )
    return options


def _database() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    group = options.add_argument_group("database")
    group.add_argument(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST:PORT/NAME, no password in it (default: a file in --state-dir)",
    )
    group.add_argument(
        "--database-password-file", type=Path, metavar="FILE", help="PostgreSQL's password: one line, mode 0600"
    )
    return options


def _state() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--state-dir",
        type=Path,
        default=_DEFAULT_STATE,
        metavar="DIR",
        help="keeps what was sent until it is mined, and the database (default: %(default)s)",
    )
    return options


def _key(*, needed: bool) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False, parents=[_state()])
    key = options.add_argument_group("key and transactions")
    key.add_argument(
        "--keystore", required=needed, type=Path, metavar="FILE", help="the operator's V3 keystore; what signs needs it"
    )
    key.add_argument("--passphrase-file", type=Path, metavar="FILE", help="the keystore's: one line, mode 0600")
    key.add_argument(
        "--max-fee",
        type=wei,
        default=500_000_000_000,
        metavar="WEI",
        help="the most for a unit of gas (default: %(default)s)",
    )
    key.add_argument(
        "--depth",
        type=whole,
        default=0,
        metavar="BLOCKS",
        help="to wait for on top of a transaction (default: %(default)s)",
    )
    key.add_argument(
        "--timeout",
        type=seconds,
        default=180,
        metavar="S",
        help="seconds to wait for each transaction (default: %(default)s)",
    )
    return options
