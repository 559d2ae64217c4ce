"""The collector's parts: subscription, database, market, and the stage that joins them."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from agent.adapters.broker_place import Names, Place, Tls
from agent.adapters.clock import SystemClock
from agent.adapters.keystore import recover_reading
from agent.adapters.mqtt import Subscription
from agent.adapters.office_database import Database
from agent.adapters.office_database.collected import COLLECTED, CollectedReadings
from agent.adapters.systemd import Systemd
from agent.compose.database import open_database
from agent.domain.market import HouseholdState
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import topic_level
from agent.stages.collect import Collect, Pace

_STEP_S = 2.0
_NAMES = Names(
    host="--broker",
    port="--broker",
    tls="use mqtts://",
    plain="add --broker-plain",
    certificate="--certificate",
    login="--broker-user and --broker-password-file",
    client="this collector",
)


@dataclass(frozen=True, slots=True)
class BrokerAsked:
    """Which broker, and by what the collector proves who it is.

    Attributes:
        host: name or address.
        port: TCP port.
        tls: whether TLS is spoken.
        ca_file: PEM of who vouches for the broker; None for the system's list.
        certificate: PEM of the collector's certificate; None if it shows none.
        key: PEM of its key; None if it stands in ``certificate``.
        username: account at the broker; None if it has none.
        password_file: file with its password alone.
        allow_plain: whether a plain connection may leave this machine.
        client_id: the collector's name at the broker.
    """

    host: str
    port: int
    tls: bool
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    allow_plain: bool = False
    client_id: str = "prosumer-collector"


@dataclass(frozen=True, slots=True)
class DatabaseAsked:
    """Which database.

    Attributes:
        url: where it is; None for a file in ``state``.
        password_file: PostgreSQL's password, or None.
        state: the operator's state directory.
    """

    url: str | None
    password_file: Path | None
    state: Path

    def open(self, *, begins: bool) -> Database:
        """The database with the collector's tables; see ``open_database`` for the argument and what is raised."""
        return open_database(self.url, self.password_file, self.state, [COLLECTED], begins=begins)


class Households(Protocol):
    """The company's own full node."""

    def household(self, contract: str, account: str) -> HouseholdState:
        """What the contract holds of a household; raises NodeUnavailable."""


class Enrolled:
    """Who is enrolled in a market, by the company's own full node."""

    def __init__(self, chain: Households, contract: str) -> None:
        self._chain = chain
        self._contract = contract

    def enrolled(self, household: str) -> bool:
        """Whether the market knows the household; raises NodeUnavailable."""
        return self._chain.household(self._contract, household).enrolled


def reports(database: Database, area: str | None) -> CollectedReadings:
    """What has been collected."""
    return CollectedReadings(database, area)


def open_collector(
    *,
    broker: BrokerAsked,
    area: str | None,
    database: Database,
    market: SigningDomain,
    chain: Households | None,
    pace: Pace,
    json_log: bool,
) -> Collect:
    """The collect stage with all its parts; it connects when it first runs.

    Args:
        broker: which broker.
        area: the one area to collect; None for all.
        database: with the collector's tables.
        market: for which readings must be signed.
        chain: asked who is enrolled; None to take any household that signs for itself.
        pace: how it works.
        json_log: whether each line of the log is JSON.

    Raises:
        ConfigurationInvalid: the broker's parts do not go together, or the database holds another market's readings.
        DatabaseUnavailable: the database takes nothing just now.
    """
    log = _logger(json_log=json_log)
    place = Place(
        host=broker.host,
        port=broker.port,
        tls=Tls(broker.ca_file, broker.certificate, broker.key) if broker.tls else None,
        allow_plain=broker.allow_plain,
        username=broker.username,
        password_file=broker.password_file,
        names=_NAMES,
    )
    store = CollectedReadings(database, area)
    store.claim(market)
    level = "+" if area is None else topic_level("--area", area)
    subscription = Subscription(
        place=place,
        client_id=broker.client_id,
        topics=[f"energy/v1/{level}/+/reading", f"energy/v1/{level}/+/status"],
        log=log,
        random=random.random,
    )
    return Collect(
        source=subscription,
        store=store,
        market=market,
        recover=recover_reading,
        register=None if chain is None else Enrolled(chain, market.contract),
        clock=SystemClock(require_synchronised=False, step_tolerance_s=_STEP_S),
        events=log,
        pace=pace,
    )


def service_manager() -> Systemd:
    """Whom to tell that the collector is ready and alive; silent where nobody asks."""
    return Systemd(os.environ)


def _logger(*, json_log: bool) -> structlog.typing.FilteringBoundLogger:
    renderer: Callable[..., str | bytes] = (
        structlog.processors.JSONRenderer(default=str)
        if json_log
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    made: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            renderer,
        ],
    )
    return made
