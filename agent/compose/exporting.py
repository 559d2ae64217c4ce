"""What ``evidence export`` needs: the journal's own evidence, and full nodes for what it does not keep."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.adapters import private_files
from agent.compose import parts
from agent.compose.looking import open_journal_view
from agent.compose.proving import head_check_by, known_by
from agent.configuration import Configuration
from agent.domain.errors import BadEvidence, BadRequest, NodeUnavailable
from agent.domain.outbox import Entry
from agent.light import evidence_file
from agent.light.evidence import Evidence
from agent.proving import exporting
from agent.proving.exporting import Known
from agent.proving.questions import Source

__all__ = ["Export", "export_readings", "export_transaction", "save"]


@dataclass(frozen=True, slots=True)
class Export:
    """Evidence for others.

    Attributes:
        file: the evidence file's text.
        source: who told it, in words.
    """

    file: str
    source: str


def export_transaction(configuration: Configuration, tx_hash: str, *, linked: bool) -> Export:
    """The evidence of one of the household's own transactions: the journal's, or else a full node's, checked.

    Args:
        configuration: journal, pins and nodes.
        tx_hash: ``0x`` hex; of a transaction whose fee was raised, any of its hashes.
        linked: with every header from the pinned block on.

    Raises:
        BadRequest: it is none of the household's, or not mined.
        NodeUnavailable: no full node proved it.
    """
    view = open_journal_view(configuration)
    try:
        entry = view.entry_of(tx_hash)
        if entry is None:
            raise BadRequest(
                f"{tx_hash} is none of this household's transactions; 'prosumer-agent readings' and 'orders' show them"
            )
        kept = None if linked else view.evidence_of(tx_hash)
        if kept is not None:
            return Export(kept, "the journal")
        hashes = _hashes(entry)
        known = known_by(configuration, view.place(), linked=linked)
    finally:
        view.close()
    return _asked(configuration, known, lambda source: exporting.of_transaction(source, known, hashes))


def export_readings(configuration: Configuration, *, linked: bool) -> Export:
    """The evidence of the household's slot, which covers every reading up to now.

    Raises:
        NodeUnavailable: no full node proved it, and the journal keeps none either.
    """
    view = open_journal_view(configuration)
    try:
        kept, known = view.slot_evidence(), known_by(configuration, view.place(), linked=linked)
    finally:
        view.close()
    account, depth = configuration.household.account, configuration.chain.depth
    try:
        return _asked(configuration, known, lambda source: exporting.of_slot(source, known, account, depth))
    except NodeUnavailable:
        if kept is None or linked:
            raise
        return Export(kept, "the journal, since no full node proves a newer one now")


def save(path: Path, export: Export) -> None:
    """Write the evidence, whole or not at all.

    Raises:
        BadRequest: it cannot be written.
    """
    private_files.write(path, export.file.encode("ascii"))


def _hashes(entry: Entry) -> list[str]:
    """The transaction that was mined, as nodes told it, and the others of its nonce, which alone is proven."""
    if entry.inclusion is None:
        raise BadRequest(f"that transaction is {entry.state}, and not mined yet; nothing can be proven of it")
    return list(dict.fromkeys([entry.inclusion.tx_hash, *(attempt.tx_hash for attempt in entry.attempts)]))


def _asked(configuration: Configuration, known: Known, gather: Callable[[Source], Evidence]) -> Export:
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), wrapper_class=_QUIET)
    nodes = parts.open_nodes(configuration, log, check_head=head_check_by(known.at(None)))
    problems = []
    try:
        nodes.statuses()
        for source in nodes.sources():
            try:
                return Export(evidence_file.written(gather(source)), source.name)
            except BadEvidence as error:
                problems.append(f"{source.name} told what cannot be true: {error}")
            except NodeUnavailable as error:
                problems.append(f"{source.name}: {error}")
    finally:
        nodes.close()
    raise NodeUnavailable(f"no full node proves it: {'; '.join(problems) or 'none answers'}")


_QUIET = structlog.make_filtering_bound_logger(logging.ERROR)
