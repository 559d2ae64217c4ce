"""The daemon, wired: every stage gets by name only what it uses."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.attested_rows import AttestedRows
from agent.adapters.chain_rows import ChainRows
from agent.adapters.clock import SystemClock
from agent.adapters.decision_rows import DecisionRows
from agent.adapters.event_log import EventLog, Logger
from agent.adapters.event_rows import EventRows
from agent.adapters.journal import Journal, open_journal
from agent.adapters.journal_hold import JournalHold
from agent.adapters.lie_rows import LieRows
from agent.adapters.market import Market
from agent.adapters.market_rows import MarketRows
from agent.adapters.meter_rows import MeterRows
from agent.adapters.meters import DriverMeter
from agent.adapters.node_events import NodeEvents
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.adapters.systemd import Systemd
from agent.compose import parts
from agent.compose.proving import open_proving
from agent.compose.rule import open_trade
from agent.configuration import Configuration
from agent.daemon import Daemon
from agent.domain.outbox import Rules
from agent.domain.registers import RegisterRules
from agent.domain.samples import MeterRole, Sample
from agent.proving.attesting import Attestor
from agent.proving.following import Following
from agent.schedule import Loop
from agent.stages.attest import Attest
from agent.stages.confirm import Confirm
from agent.stages.follow import Follow
from agent.stages.ledger import Ledger, Start
from agent.stages.poll import Poll
from agent.stages.publish import Publish
from agent.stages.record import Record
from agent.stages.retain import Retain
from agent.stages.seal import Seal
from agent.stages.submit import Fees, Submit
from contracts import load_artifact

# A journal whose newest row is younger than this at the start cannot have missed what another copy of it did.
_FRESH_S = 300


# Each commit costs the card some 40 kB, however little is in it.
_MINUTES_AT_ONCE = 2
# A turn that reads five weeks of blocks would be taken for one that hangs: six pieces take a slow node half a minute.
_BOOK_PIECES_AT_ONCE = 6
# A decision with eight acts asks the full nodes 64 questions, one after another: slow nodes are no turn that hangs.
_TRADE_SLACK_S = 600.0
# Where something was left out, a turn looks for it at each node and proves up to sixteen blocks.
_ATTEST_SLACK_S = 600.0


@dataclass(frozen=True, slots=True)
class LiveView:
    """The newest sample of each meter, for telemetry."""

    polls: Mapping[MeterRole, Poll]

    def latest(self) -> Mapping[MeterRole, Sample]:
        """The newest samples; a meter that has none is missing."""
        samples = ((role, poll.latest()) for role, poll in self.polls.items())
        return {role: sample for role, sample in samples if sample is not None}


@dataclass(frozen=True, slots=True)
class Rows:
    """The journal's rooms."""

    journal: Journal
    meters: MeterRows
    readings: ReadingRows
    outbox: OutboxRows
    events: EventRows
    chain: ChainRows
    market: MarketRows
    lies: LieRows


def build(
    configuration: Configuration,
    *,
    logger: Logger,
    environ: Mapping[str, str],
    may_reload: Callable[[], str | None],
) -> Daemon:
    """The daemon for a configuration; nothing runs yet.

    Args:
        configuration: what the household's file says.
        logger: where the log goes.
        environ: the process's environment, for systemd's socket and credentials.
        may_reload: says what is wrong with a new configuration, or None.

    Raises:
        Stop: the key or the journal cannot be opened, or the journal is another household's.
        JournalBusy: another agent has the journal.
        drivers.errors.ConfigurationError: the meters' configuration is wrong.
    """
    directory = configuration.journal.directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = parts.open_key(configuration, environ)
    clock = parts.open_clock(configuration)
    hold = JournalHold(directory)  # before the file is looked at: a damaged one is moved away
    journal, damaged = open_journal(directory)
    rows = Rows(
        journal,
        MeterRows(journal),
        ReadingRows(journal, key.address),
        OutboxRows(journal),
        EventRows(journal),
        ChainRows(journal),
        MarketRows(journal),
        LieRows(journal),
    )
    rows.chain.bind(key.address, parts.pin(configuration))
    events = EventLog(logger=logger, rows=rows.events, clock=clock)
    _tell_start(configuration, events, key.address, damaged)
    proving = open_proving(configuration, journal=journal, lies=rows.lies, clock=clock, events=events)
    nodes = proving.nodes
    polls = _polls(configuration, rows, clock, events)
    began_at = clock.now_ms() // 1000
    fresh = 0 <= began_at - (rows.meters.newest_minute() or 0) <= _FRESH_S
    rules = Rules(
        depth=configuration.chain.depth,
        agreement=parts.agreement(configuration),
        resend_s=configuration.fees.resend_after_s,
        bump_s=configuration.fees.bump_after_s,
    )
    follow = Follow(
        nodes=nodes,
        parameters=rows.chain,
        meters=rows.meters,
        readings=rows.readings,
        outbox=rows.outbox,
        journal=journal,
        clock=clock,
        events=events,
        agreement=rules.agreement,
        fresh=fresh,
    )
    record = Record(
        production=polls[MeterRole.PRODUCTION],
        consumption=polls[MeterRole.CONSUMPTION],
        meters=rows.meters,
        readings=rows.readings,
        journal=journal,
        contract=follow,
        clock=clock,
        events=events,
        minutes_at_once=_MINUTES_AT_ONCE,
    )
    seal = Seal(readings=rows.readings, journal=journal, signer=key, gate=follow, clock=clock)
    fees = Fees(most=configuration.fees.max_fee_per_gas_wei)
    codec = Market(load_artifact().abi)
    submit = Submit(
        outbox=rows.outbox,
        readings=rows.readings,
        journal=journal,
        nodes=nodes,
        signer=key,
        codec=codec,
        contract=configuration.chain.contract,
        rules=rules,
        fees=fees,
        may_submit=follow.may_submit,
        clock=clock,
        events=events,
    )
    confirm = Confirm(
        outbox=rows.outbox,
        readings=rows.readings,
        journal=journal,
        nodes=nodes,
        signer=key,
        codec=codec,
        rules=rules,
        fees=fees,
        proofs=proving.prover,
        began_at=began_at,
        clock=clock,
        events=events,
    )
    market = parts.open_market_events(configuration, nodes, pieces_at_once=_BOOK_PIECES_AT_ONCE)
    ledger = Ledger(
        nodes=market,
        rows=rows.market,
        journal=journal,
        start=Start(key.address, configuration.chain.deployed_at, proving.deep_enough(rules.depth)),
        clock=clock,
        events=events,
    )
    retain = Retain(
        meters=rows.meters,
        readings=rows.readings,
        outbox=rows.outbox,
        events=rows.events,
        decisions=DecisionRows(journal),
        market=rows.market,
        clock=clock,
        minute_rows_days=configuration.journal.minute_rows_days,
        readings_years=configuration.journal.readings_years,
    )
    sample_s, rule = configuration.meters.sample_every_s, configuration.rule.enabled
    loops = [
        Loop("poll.production", polls[MeterRole.PRODUCTION].run_once, every_s=sample_s),
        Loop("poll.consumption", polls[MeterRole.CONSUMPTION].run_once, every_s=sample_s),
        # Behind the polls of the same second, so that a boundary's samples are there when it looks.
        Loop("record", record.run_once, every_s=1.0, offset_s=0.2, wakes=("seal",)),
        Loop("seal", seal.run_once, every_s=5.0, wakes=("submit", "publish")),
        Loop("submit", submit.run_once, every_s=5.0),
        # What the contract has booked is the rule's to decide upon, where there is one, and has made events.
        Loop("confirm", confirm.run_once, every_s=2.0, offset_s=0.5, wakes=("ledger", *(["trade"] if rule else ()))),
        Loop("follow", follow.run_once, every_s=15.0, offset_s=0.7, at_once=True, wakes=("record",)),
        *_following(proving.following),
        Loop("ledger", ledger.run_once, every_s=30.0, offset_s=5.0, wakes=("ledger",)),
        *_attesting(
            proving.attestor,
            account=key.address,
            ledger=ledger,
            journal=journal,
            market=market,
            clock=clock,
            events=events,
        ),
        # An interval's events in one commit: each commit wears the card.
        Loop("events", events.flush, every_s=20.0, offset_s=10.0),
        Loop("retain", retain.run_once, every_s=3600.0, offset_s=1800.0),
    ]
    if rule:
        trade = open_trade(
            configuration,
            account=key.address,
            nodes=nodes,
            book=market,
            follow=follow,
            journal=journal,
            clock=clock,
            events=events,
        )
        loops.append(
            Loop("trade", trade.run_once, every_s=30.0, offset_s=8.0, wakes=("submit",), slack_s=_TRADE_SLACK_S)
        )
    closers: list[Callable[[str], None]] = [lambda _: record.stop()]
    if configuration.telemetry.enabled:
        publish = Publish(
            broker=parts.open_telemetry(configuration, events),
            readings=rows.readings,
            history=rows.events,
            live=LiveView(polls),
            clock=clock,
            events=events,
            topics=parts.topics(configuration),
            origin=parts.origin(configuration),
            pace=parts.pace(configuration),
        )
        loops.append(Loop("publish", publish.run_once, every_s=1.0, offset_s=0.6, at_once=True))
        closers.append(lambda reason: publish.stop(reason, deadline_s=2.0))
    closers += [lambda _: nodes.close(), lambda _: _flush(events), lambda _: journal.close(), lambda _: hold.close()]
    return Daemon(
        loops=loops,
        clock=clock,
        service=Systemd(environ),
        events=events,
        closers=closers,
        may_reload=may_reload,
        status=f"household {key.address}" + (" (unproven chain)" if configuration.chain.unproven else ""),
    )


def _following(following: Following | None) -> list[Loop]:
    """Who may seal is followed where blocks are sealed; a turn that did not reach the newest block wakes the next."""
    if following is None:
        return []
    return [Loop("validators", following.run_once, every_s=30.0, offset_s=3.0, at_once=True, wakes=("validators",))]


def _attesting(
    attestor: Attestor | None,
    *,
    account: str,
    ledger: Ledger,
    journal: Journal,
    market: NodeEvents,
    clock: SystemClock,
    events: EventLog,
) -> list[Loop]:
    """What the ledger has is proven where blocks are sealed."""
    if attestor is None:
        return []
    attest = Attest(
        household=account,
        nodes=market,
        proofs=attestor,
        rows=AttestedRows(journal),
        journal=journal,
        reached=ledger.reached,
        clock=clock,
        events=events,
        random=random.random,
    )
    return [Loop("attest", attest.run_once, every_s=30.0, offset_s=12.0, wakes=("attest",), slack_s=_ATTEST_SLACK_S)]


def _polls(configuration: Configuration, rows: Rows, clock: SystemClock, events: EventLog) -> dict[MeterRole, Poll]:
    return {
        role: Poll(
            role=role,
            meter=DriverMeter(meter),
            clock=clock,
            events=events,
            rules=RegisterRules(
                rated_power_w=configuration.household.rated_power_w,
                confirmations=configuration.meters.confirmations,
                modulus_wh=meter.modulus_wh,
            ),
            state=rows.meters.register(role),
        )
        for role, meter in parts.open_meters(configuration).items()
    }


def _tell_start(configuration: Configuration, events: EventLog, account: str, damaged: Path | None) -> None:
    """What an auditor asks first: which key, which chain, whether the journal is the old one."""
    events.info("key.opened", account=account, process=os.getpid())
    if damaged is not None:
        events.error(
            "journal.set_aside",
            file=str(damaged),
            advice="keep the file for the distribution company; a new journal was begun. Replace the card",
        )
    if configuration.chain.unproven:
        events.warning(
            "chain.unproven", advice="for development only: set chain.unproven to false and name two full nodes"
        )
    if configuration.rule.enabled:
        rule = configuration.rule
        events.info("rule.on", self_first=rule.self_first, sell=rule.sell, buy=rule.buy)
    if not configuration.clock.require_synchronised:
        events.warning("clock.unchecked", advice="for development only: set clock.require_synchronised to true")


def _flush(events: EventLog) -> None:
    events.flush(last=True)
