"""What ``evidence verify`` needs: pins, a file, and what the market's calls and events mean. It asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.deployments import load_market, load_market_logs
from agent.adapters.market_logs import Log
from agent.compose.pins import pins_of, unsealed
from agent.configuration import PinSettings
from agent.domain.errors import BadEvidence, BadRequest, NodeUnavailable
from agent.domain.market_calls import MarketCall
from agent.domain.market_events import MarketEvent
from agent.light import evidence_file
from agent.light.evidence import Evidence, Verdict, verify

__all__ = ["Call", "Checked", "check"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction asked of the market.

    Attributes:
        function: its name in the contract.
        arguments: by name, as the contract has them.
        asked: the same as a household asks it; None for what is not of the market's four.
    """

    function: str
    arguments: Mapping[str, object]
    asked: MarketCall | None


@dataclass(frozen=True, slots=True)
class Checked:
    """Evidence that was looked at.

    Attributes:
        evidence: as the file has it.
        verdict: what it is worth.
        call: what the transaction asked of the market; None if there is none, or it is another contract's.
        events: what the receipt says of the market, in its order.
        unread: how many of the market's logs in the receipt mean nothing here, as a token's transfer.
    """

    evidence: Evidence
    verdict: Verdict
    call: Call | None
    events: tuple[MarketEvent, ...]
    unread: int


def check(path: Path, chain: PinSettings) -> Checked:
    """What an evidence file proves to somebody who has these pins.

    Raises:
        BadRequest: it cannot be read, or is no evidence.
    """
    evidence = _read(path)
    verdict = verify(evidence, pins_of(chain) or unsealed(chain))
    events, unread = _events(verdict, chain.contract)
    return Checked(evidence, verdict, _call(verdict, chain.contract), events, unread)


def _read(path: Path) -> Evidence:
    most = evidence_file.MOST_BYTES
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise BadRequest(f"{path}: cannot be read ({error.strerror}); name an evidence file") from error
    if len(content) > most:
        raise BadRequest(f"{path}: is longer than {most >> 20} MiB, which no evidence is; name an evidence file")
    try:
        return evidence_file.read(content.decode("ascii"))
    except (UnicodeDecodeError, BadEvidence) as error:
        why = str(error) if isinstance(error, BadEvidence) else f"byte {error.start} is not ASCII"
        raise BadRequest(f"{path}: is no evidence: {why}") from error


def _call(verdict: Verdict, contract: str) -> Call | None:
    transaction = verdict.transaction
    if transaction is None or transaction.to != bytes.fromhex(contract[2:]):
        return None
    market, _ = load_market()
    called = market.called(transaction.data)
    return None if called is None else Call(*called, market.understood(transaction.data))


def _events(verdict: Verdict, contract: str) -> tuple[tuple[MarketEvent, ...], int]:
    transaction, receipt, header = verdict.transaction, verdict.receipt, verdict.header
    if transaction is None or receipt is None or header is None:
        return (), 0
    address, logs = bytes.fromhex(contract[2:]), load_market_logs(contract)
    found: list[MarketEvent] = []
    unread = 0
    for index, said in enumerate(receipt.logs):
        if said.address != address:
            continue
        place = (header.number, "0x" + verdict.block_hash.hex(), index, "0x" + transaction.tx_hash.hex())
        try:
            event = logs.event(Log(*place, said.topics, said.data), header.timestamp)
        except NodeUnavailable:
            event = None  # another release's event; what is proven stays proven
        if event is None:
            unread += 1
        else:
            found.append(event)
    return tuple(found), unread
