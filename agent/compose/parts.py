"""Meters, full nodes, broker, clock and key, each made from the configuration."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

from agent.adapters.broker_place import Place, Presence, Tls
from agent.adapters.clock import SystemClock
from agent.adapters.full_node import CheckHead, FullNode, HttpRpc
from agent.adapters.household_key import HouseholdKey
from agent.adapters.http_line import Log
from agent.adapters.keystore import Keystore
from agent.adapters.line_settings import line_settings
from agent.adapters.market import Market
from agent.adapters.market_logs import MarketLogs
from agent.adapters.mqtt import Telemetry
from agent.adapters.node_events import NodeEvents
from agent.adapters.node_pool import NodePool
from agent.compose.pins import chain_pin, pins_of
from agent.configuration import Configuration, MeterSettings
from agent.domain.errors import ConfigurationInvalid, KeystoreInvalid
from agent.domain.lies import Lie
from agent.domain.market import ChainPin
from agent.domain.samples import MeterRole
from agent.domain.signing import SigningDomain
from agent.domain.telemetry import Origin, Topics, status_message
from agent.light.evidence import Pins
from agent.passphrase import find as find_passphrase
from agent.stages.publish import Pace
from contracts import load_artifact
from drivers.catalogue import Catalogue
from drivers.errors import UnknownProfileError
from drivers.line import LinePool
from drivers.meter import Counts, Meter
from drivers.opening import open_meter
from drivers.profile import Profile

# Twice an interval at most would do; a minute keeps what is sent again after a crash short.
_STORE_MARKS_S = 60.0
# A full node that takes longer is as good as away: the others are asked, and it has its turn again.
_NODE_TIMEOUT_S = 5.0


def open_meters(configuration: Configuration) -> dict[MeterRole, Meter]:
    """Both meters; two on one line share it. Nothing is sent before the first read.

    Raises:
        ConfigurationInvalid: profiles are named that nobody has.
        drivers.errors.ConfigurationError: a profile is wrong, or the meters contradict each other.
    """
    pool, catalogue = LinePool(), Catalogue([configuration.meters.models_directory])
    settings = {
        MeterRole.PRODUCTION: configuration.meters.production,
        MeterRole.CONSUMPTION: configuration.meters.consumption,
    }
    profiles = _profiles(settings, catalogue)
    return {
        role: open_meter(
            pool.line(line_settings(meter.place)),
            profiles[role],
            meter.unit,
            _counts(role, meter),
            meter.serial,
            name=role,
        )
        for role, meter in settings.items()
    }


def _profiles(settings: Mapping[MeterRole, MeterSettings], catalogue: Catalogue) -> dict[MeterRole, Profile]:
    found, problems = {}, []
    for role, meter in settings.items():
        try:
            found[role] = catalogue.profile(meter.profile)
        except UnknownProfileError as error:
            problems.append(f"meters.{role}.profile: {error}")
    if problems:
        raise ConfigurationInvalid(problems)
    return found


def _counts(role: MeterRole, meter: MeterSettings) -> Counts:
    """Production leaves the premises, so it counts as export, unless the installer wired the meter the other way."""
    usual, other = (Counts.EXPORT, Counts.IMPORT) if role is MeterRole.PRODUCTION else (Counts.IMPORT, Counts.EXPORT)
    return usual if meter.direction == "normal" else other


def pin(configuration: Configuration) -> ChainPin:
    """The chain and the contract that the household agreed to."""
    return chain_pin(configuration.chain)


def light_pins(configuration: Configuration) -> Pins | None:
    """What proofs rest on; None where the chain is unproven."""
    return pins_of(configuration.chain)


def signing_domain(configuration: Configuration) -> SigningDomain:
    """Where the household's signatures are valid."""
    return SigningDomain(configuration.chain.id, configuration.chain.contract)


def open_nodes(
    configuration: Configuration,
    log: Log,
    *,
    check_head: CheckHead | None = None,
    keep_lie: Callable[[Lie], None] | None = None,
    lies: Sequence[Lie] = (),
) -> NodePool:
    """The full nodes of the pinned chain.

    Args:
        configuration: which they are.
        log: told how they stand.
        check_head: looks at each newest block; None where nothing is proven.
        keep_lie: keeps what a node said that cannot be true; None for commands, which have no journal to write to.
        lies: those kept before, newest first.
    """
    pinned = pin(configuration)
    nodes = []
    for node in configuration.chain.nodes:
        ca_file = str(node.ca_file) if node.ca_file else None
        rpc = HttpRpc(node.url, timeout_s=_NODE_TIMEOUT_S, allow_plain=node.allow_plain, ca_file=ca_file, log=log)
        nodes.append(
            FullNode(
                name=rpc.name,
                area=node.area,
                rpc=rpc,
                pin=pinned,
                monotonic=time.monotonic,
                check_head=check_head,
            )
        )
    return NodePool(
        nodes,
        pin=pinned,
        account=configuration.household.account,
        area=configuration.household.area,
        market=Market(load_artifact().abi),
        clock=time.monotonic,
        random=random.random,
        log=log,
        keep_lie=keep_lie,
        lies=lies,
    )


def market_logs(configuration: Configuration) -> MarketLogs:
    """What reads the pinned contract's events."""
    return MarketLogs(load_artifact().abi, configuration.chain.contract)


def open_market_events(
    configuration: Configuration, nodes: NodePool, *, pieces_at_once: int | None = None
) -> NodeEvents:
    """The market's events, as enough of the full nodes say them.

    Args:
        configuration: names the contract and how many nodes there are.
        nodes: what is asked.
        pieces_at_once: how much of the order book one call reads at most; None for all of it.
    """
    return NodeEvents(
        nodes, market_logs(configuration), agreement=agreement(configuration), pieces_at_once=pieces_at_once
    )


def agreement(configuration: Configuration) -> int:
    """How many full nodes must say the same before anything is final: one only where the chain is unproven."""
    return min(2, len(configuration.chain.nodes))


def open_clock(configuration: Configuration) -> SystemClock:
    """The system's clock under the configured trust."""
    return SystemClock(
        require_synchronised=configuration.clock.require_synchronised,
        step_tolerance_s=configuration.clock.step_tolerance_s,
    )


def open_key(configuration: Configuration, environ: Mapping[str, str]) -> HouseholdKey:
    """The household's key, opened with the passphrase that the system or a person gives.

    Raises:
        KeystoreInvalid: it cannot be opened, or it is the key of another account than the configured one.
    """
    path = configuration.keystore.path
    keystore = Keystore.open(path, find_passphrase(configuration.keystore.passphrase_file, environ))
    if keystore.address != configuration.household.account:
        raise KeystoreInvalid(
            f"keystore {path} holds the key of {keystore.address}, but household.account is"
            f" {configuration.household.account}; name the right file in keystore.path"
        )
    return HouseholdKey(keystore, signing_domain(configuration))


def origin(configuration: Configuration) -> Origin:
    """Whose telemetry it is."""
    return Origin(configuration.household.account, signing_domain(configuration), version("prosumer-agent"))


def topics(configuration: Configuration) -> Topics:
    """Where the telemetry goes."""
    return Topics(configuration.household.area, configuration.household.account)


def open_telemetry(configuration: Configuration, log: Log, *, trying: bool = False) -> Telemetry:
    """The connection to the broker; it connects when it is first tended.

    Args:
        configuration: which broker, and who we are.
        log: where losses are told.
        trying: under another name, and without a will: a broker ends the older of two sessions with one name, so a
            command beside a running agent would cut that off.
    """
    settings = configuration.telemetry
    tls = Tls(settings.ca_file, settings.certificate_file, settings.key_file) if settings.tls else None
    place = Place(
        host=settings.host or "",  # never empty where telemetry is enabled: the configuration refuses that
        port=settings.port,
        tls=tls,
        allow_plain=settings.allow_plain,
        username=settings.username,
        password_file=settings.password_file,
    )
    where, who = topics(configuration), origin(configuration)
    name = f"prosumer-agent-{who.household}"
    presence = (
        Presence(f"{name}-trying")
        if trying
        else Presence(
            client_id=name,
            will_topic=where.status,
            will_payload=status_message(who, online=False, reason="the connection was lost", at=None),
            listen_topic=where.acknowledgement if settings.acknowledgements else None,
        )
    )
    return Telemetry(place=place, presence=presence, log=log, random=random.random)


def pace(configuration: Configuration) -> Pace:
    """How fast telemetry goes."""
    settings = configuration.telemetry
    return Pace(
        live_every_s=settings.live_every_s,
        replay_after_s=settings.replay_after_s,
        acknowledged=settings.acknowledgements,
        store_every_s=_STORE_MARKS_S,
    )
