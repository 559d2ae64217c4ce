"""``prosumer-operator collect``: hears the households, stores their readings, and reports on them."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.cli.misuse import Misuse
from agent.cli.table import grid, moment
from agent.domain.errors import ConfigurationInvalid
from agent.domain.signing import SigningDomain
from agent.domain.silence import PERIODS
from agent.domain.standing import Account
from agent.operator.answer import Answer, Told
from agent.operator.deployed import deployed_here
from agent.operator.options import Commands, Shared, account, add_command, opened, whole
from agent.stages.collect import Collect, Pace

if TYPE_CHECKING:
    from agent.compose.collecting import BrokerAsked, DatabaseAsked, Households

_PORTS = {"mqtt": 1883, "mqtts": 8883}
# While nothing comes: short against a second, long against what a turn costs.
_IDLE_S = 0.02
# While acknowledgements wait for the broker's confirmation of others: thousands of households are told in a second.
_OWING_S = 0.001
_GOODBYE_S = 2.0
_MOST_NAMED = 6


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "collect",
        "Collect the households' signed readings over MQTT, or report on what has been collected.",
        [shared.database, shared.state, shared.output],
    )
    command.add_argument("--report", action="store_true", help="print what has been collected, and end")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--area", metavar="AREA", help="the one distribution area to collect")
    where.add_argument("--all-areas", action="store_true", help="collect every area of the broker")
    broker = command.add_argument_group("broker")
    broker.add_argument("--broker", metavar="URL", help="mqtts://HOST:PORT; mqtt:// on this machine alone")
    broker.add_argument("--broker-ca", type=Path, metavar="PEM", help="the broker's own certificate authority")
    broker.add_argument("--certificate", type=Path, metavar="PEM", help="the collector's certificate")
    broker.add_argument("--certificate-key", type=Path, metavar="PEM", help="its key, if it is not in --certificate")
    broker.add_argument("--broker-user", metavar="NAME", help="account at the broker, if it has accounts")
    broker.add_argument("--broker-password-file", type=Path, metavar="FILE", help="its password, one line")
    broker.add_argument("--broker-plain", action="store_true", help="take mqtt:// off this machine (it can be read)")
    broker.add_argument(
        "--client-id",
        default="prosumer-collector",
        metavar="NAME",
        help="one for each collector, always the same (default: %(default)s)",
    )
    market = command.add_argument_group("market", "who is enrolled is asked of --node; without one, name the market")
    market.add_argument("--node", metavar="URL", help="JSON-RPC of the company's own full node")
    market.add_argument("--allow-plain", action="store_true", help="take http:// off loopback too (it can be read)")
    market.add_argument("--ca-file", metavar="PEM", help="the node's own certificate authority")
    market.add_argument("--deployments", type=Path, metavar="DIR", help="deployment files by chain id")
    market.add_argument("--chain-id", type=whole, metavar="N", help="the market's chain")
    market.add_argument("--contract", type=account, metavar="ADDRESS", help="the market's contract")
    command.add_argument(
        "--silent-after",
        type=_periods,
        default=PERIODS,
        metavar="N",
        help="reporting periods without a reading until a household counts as silent (default: %(default)s)",
    )
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Collect until a signal comes, or report.

    Raises:
        Misuse: what is needed to collect is missing.
        ConfigurationInvalid: broker, database or node are not as they should be.
    """
    from agent.compose import collecting  # noqa: PLC0415 - else --help waits for the libraries

    database = collecting.DatabaseAsked(asked.database, asked.database_password_file, asked.state_dir.expanduser())
    if asked.report:
        return report(database, asked.area)
    if asked.broker is None or not (asked.area or asked.all_areas):
        raise Misuse("--broker is needed, and --area or --all-areas (or --report)")
    if asked.node is None and (asked.chain_id is None or asked.contract is None):
        raise Misuse("--node is needed to know the market, or --chain-id and --contract")
    if asked.node is not None and (asked.chain_id is not None or asked.contract is not None):
        raise Misuse("--node tells chain and contract: leave --chain-id and --contract out")
    broker = _broker(asked)
    if asked.node is None:
        return _collect(asked, broker, database, SigningDomain(asked.chain_id, asked.contract), None)
    with opened(asked) as wiring:
        pin = deployed_here(wiring.chain, wiring.deployments).pin
        return _collect(asked, broker, database, SigningDomain(pin.chain_id, pin.contract), wiring.chain)


def _collect(
    asked: argparse.Namespace,
    broker: BrokerAsked,
    place: DatabaseAsked,
    market: SigningDomain,
    chain: Households | None,
) -> Answer:
    from agent.compose import collecting  # noqa: PLC0415 - as above

    with place.open(begins=True) as database:
        stage = collecting.open_collector(
            broker=broker,
            area=asked.area,
            database=database,
            market=market,
            chain=chain,
            pace=Pace(periods=asked.silent_after),
            json_log=asked.json,
        )
        manager = collecting.service_manager()
        with _stopped_by_signals() as stopped:
            manager.ready("collects")
            try:
                while not stopped.is_set():
                    manager.alive()
                    if not stage.run_once():
                        stopped.wait(_OWING_S if stage.owes else _IDLE_S)
            finally:
                manager.stopping()
                stage.stop(_GOODBYE_S)
    return Answer(_counted(stage))


def report(place: DatabaseAsked, area: str | None) -> Answer:
    """What has been collected, by household.

    Args:
        place: which database.
        area: one area; None for all.

    Raises:
        ConfigurationInvalid: there is no database.
        DatabaseUnavailable: it cannot be read just now.
    """
    from agent.compose import collecting  # noqa: PLC0415 - as above

    with place.open(begins=False) as database:
        accounts, unknown = collecting.reports(database, area).report()
    told: Told = {"households": [_account(one) for one in accounts], "refusedOfUnknown": unknown}
    return Answer(told, _text(accounts, unknown))


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM or Ctrl-C sets; a second one ends the process as usual."""
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, _frame: object) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _broker(asked: argparse.Namespace) -> BrokerAsked:
    from agent.compose import collecting  # noqa: PLC0415 - as above

    url = urlsplit(asked.broker)
    try:
        port = url.port
    except ValueError:
        port = 0
    if url.scheme not in _PORTS or not url.hostname or port == 0 or url.path not in {"", "/"} or url.query:
        raise ConfigurationInvalid(["--broker is no broker's URL; mqtts://HOST:PORT would be right"])
    if url.username is not None or url.password is not None:
        raise ConfigurationInvalid(["--broker has a user in it: use --broker-user and --broker-password-file"])
    if url.scheme == "mqtt" and (asked.broker_ca or asked.certificate):
        raise ConfigurationInvalid(["--broker-ca and --certificate are for TLS: say mqtts:// in --broker"])
    return collecting.BrokerAsked(
        host=url.hostname,
        port=port or _PORTS[url.scheme],
        tls=url.scheme == "mqtts",
        ca_file=asked.broker_ca,
        certificate=asked.certificate,
        key=asked.certificate_key,
        username=asked.broker_user,
        password_file=asked.broker_password_file,
        allow_plain=asked.broker_plain,
        client_id=asked.client_id,
    )


def _periods(text: str) -> int:
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 period")
    return number


def _counted(stage: Collect) -> Told:
    counts = stage.counts
    return {
        "received": counts.received,
        "verified": counts.verified,
        "stored": counts.stored,
        "dropped": counts.dropped,
        "refused": {str(reason): times for reason, times in sorted(counts.refused.items())},
    }


def _account(one: Account) -> Told:
    standing = one.standing
    epoch, sequence = standing.highest
    return {
        "household": standing.household,
        "area": standing.area,
        "enrolled": True if standing.enrolled else None,
        "epoch": epoch,
        "sequence": sequence,
        "takenAt": standing.newest,
        "heardAt": standing.heard_at,
        "acknowledged": dict(zip(("epoch", "sequence"), standing.holding.acknowledged, strict=True)),
        "missing": [dict(zip(("epoch", "first", "last"), missing, strict=True)) for missing in one.missing],
        "neverCome": [
            {"epoch": hole.epoch, "first": hole.first, "last": hole.last, "why": str(hole.why)} for hole in one.never
        ],
        "online": standing.online,
        "silentSince": standing.quiet_at,
        "silentWhy": None if standing.quiet is None else str(standing.quiet),
        "refused": one.refused,
    }


def _text(accounts: list[Account], unknown: dict[str, int]) -> str:
    heads = ("household", "area", "enrolled", "last", "taken", "missing", "never come", "silent since", "refused")
    lines = [grid(heads, [_row(one) for one in accounts])]
    silent = sum(one.standing.quiet is not None for one in accounts)
    lines.append(f"\nhouseholds: {len(accounts)}, silent: {silent}")
    if unknown:
        lines.append(f"refused of households that are not known: {_refused(unknown)}")
    return "\n".join(lines)


def _row(one: Account) -> tuple[object, ...]:
    standing = one.standing
    quiet = "" if standing.quiet is None else f"{moment(standing.quiet_at)} ({standing.quiet})"
    return (
        standing.household,
        standing.area,
        "yes" if standing.enrolled else "not checked",
        "/".join(map(str, standing.highest)),
        moment(standing.newest),
        _several([_span(*missing) for missing in one.missing]),
        _several([f"{_span(hole.epoch, hole.first, hole.last)} {hole.why}" for hole in one.never]),
        quiet,
        _refused(one.refused),
    )


def _span(epoch: int, first: int, last: int | None) -> str:
    return f"{epoch}/{first}" if last == first else f"{epoch}/{first}-{'' if last is None else last}"


def _several(spans: list[str]) -> str:
    more = [f"and {len(spans) - _MOST_NAMED} more"] if len(spans) > _MOST_NAMED else []
    return ", ".join([*spans[:_MOST_NAMED], *more])


def _refused(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {times}" for reason, times in sorted(reasons.items()))
