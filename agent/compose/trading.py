"""What the trading commands use: the desk beside the daemon, on the journal that the daemon holds.

A command writes one thing only, a queued intent, in one short transaction of its own; the daemon signs and sends it.
"""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.adapters.attested_rows import AttestedRows
from agent.adapters.chain_rows import ChainRows
from agent.adapters.clock import SystemClock
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.journal_hold import held
from agent.adapters.market import Market
from agent.adapters.node_pool import NodePool
from agent.adapters.outbox_rows import OutboxRows
from agent.compose import parts
from agent.compose.proving import head_check_by, pins_now
from agent.configuration import Configuration
from agent.domain.attested import Attested
from agent.domain.errors import BadRequest
from agent.domain.outbox import Entry
from agent.stages.desk import Book, Desk
from contracts import load_artifact


@dataclass(frozen=True, slots=True)
class TradingRoom:
    """The desk, and what has become of an order."""

    desk: Desk
    unproven: bool
    directory: Path
    outbox: OutboxRows
    ledger: AttestedRows
    closers: ExitStack

    def agent_runs(self) -> bool:
        """Whether an agent holds the journal: what is queued is signed and sent by it alone."""
        return held(self.directory)

    def seen(self, key: str) -> tuple[Entry, str] | None:
        """The entry with a key, and why it is in its state; None if there is none.

        Raises:
            JournalBusy: the journal cannot be read just now.
        """
        entry = self.outbox.by_key(key)
        return None if entry is None else (entry, self.outbox.why(entry.id))

    def attested(self) -> Attested | None:
        """How far the household's own trades are proven; None where nothing is."""
        return None if self.unproven else self.ledger.attested()

    def close(self) -> None:
        """Let go of the nodes and the journal."""
        self.closers.close()


def make_desk(
    configuration: Configuration, *, journal: Journal, nodes: NodePool, book: Book, clock: SystemClock
) -> Desk:
    """The desk over a journal and the full nodes.

    Args:
        configuration: whose it is.
        journal: where it queues.
        nodes: what it asks.
        book: everybody's orders.
        clock: the process's one: a step of the wall clock is taken in there, and another would distrust it for ever.
    """
    return Desk(
        account=configuration.household.account,
        contract=configuration.chain.contract,
        most_fee=configuration.fees.max_fee_per_gas_wei,
        outbox=OutboxRows(journal),
        journal=journal,
        nodes=nodes,
        book=book,
        codec=Market(load_artifact().abi),
        clock=clock,
    )


def open_trading(configuration: Configuration) -> TradingRoom:
    """The desk for one command.

    Raises:
        BadRequest: there is no journal yet, or it is of another release.
        JournalBusy: it cannot be opened just now.
        ConfigurationInvalid: a node's URL is none, or plain without leave.
    """
    directory = configuration.journal.directory
    if not _has_journal(directory):
        raise BadRequest(f"there is no journal in {directory}; start the agent once: systemctl start prosumer-agent")
    with ExitStack() as closers:
        journal = Journal(directory / FILE_NAME)
        closers.callback(journal.close)
        if not journal.current():
            raise BadRequest(
                f"the journal in {directory} is of another release than this command; restart the agent, which brings"
                " it up to date: systemctl restart prosumer-agent"
            )
        # A person hears what is wrong from the command itself; its parts' log is for those who look further.
        log = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr), wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
        )
        check_head = head_check_by(pins_now(configuration, ChainRows(journal).place()))
        nodes = parts.open_nodes(configuration, log, check_head=check_head)
        closers.callback(nodes.close)
        desk = make_desk(
            configuration,
            journal=journal,
            nodes=nodes,
            book=parts.open_market_events(configuration, nodes),
            clock=parts.open_clock(configuration),
        )
        return TradingRoom(
            desk,
            configuration.chain.unproven,
            directory,
            OutboxRows(journal),
            AttestedRows(journal),
            closers.pop_all(),
        )


def _has_journal(directory: Path) -> bool:
    try:
        return (directory / FILE_NAME).exists()
    except PermissionError as error:
        raise BadRequest(
            f"{directory} is for the agent's user alone; run this as: sudo -u prosumer-agent prosumer-agent ..."
        ) from error
