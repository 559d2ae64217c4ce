"""Follow: what the contract says of the market and of this household takes effect here, without a restart.

The first answer after a start also settles whether this journal is the newest: one that was restored from a backup
continues above everything that the chain has already seen.
"""

from __future__ import annotations

import threading
from typing import Protocol

from agent.domain.errors import JournalBusy, NodeUnavailable
from agent.domain.market import Head, HouseholdState, Parameters
from agent.stages.ports import Clock, Events, Together

# Readings that were signed but had not reached the chain when the journal was lost may have been published; new
# numbers begin beyond any that can have been given out in ten days of quarter hours.
_LEAP = 1_000
# A block may be this far ahead of a right clock: validators accept some drift in each other's.
_AHEAD_S = 60
# A block that has come since the last look, a quarter of a minute ago, is not older than this on a right clock.
_OLD_S = 120
# A chain or a clock is worth a word when the newest block is older than this.
_STALE_S = 600


class Nodes(Protocol):
    """The full nodes, asked together. Every method raises NodeUnavailable."""

    def head(self) -> Head:
        """The newest block that they agree on."""

    def parameters(self) -> Parameters:
        """The market's parameters."""

    def household(self, witnesses: int = 1) -> HouseholdState:
        """What the contract holds of the household, said by so many nodes or more."""

    def pending_nonce(self, witnesses: int = 1) -> int:
        """The account's next nonce, counting what waits in the mempools, said by so many nodes or more."""


class MeterRows(Protocol):
    """The journal's rows about meters."""

    def epoch(self) -> int:
        """The epoch in force; 0 before the contract named the first."""

    def follow_epoch(self, contract_epoch: int, contract_sequence: int) -> bool:
        """Take over an epoch that the registration office opened; returns whether it changed."""


class ReadingRows(Protocol):
    """The journal's rows about readings."""

    def next_sequence(self, epoch: int) -> int:
        """The sequence of the epoch's next reading."""

    def raise_floor(self, epoch: int, sequence: int) -> None:
        """Never number a reading of the epoch at or below ``sequence`` again."""

    def raise_end(self, taken_at: int) -> None:
        """State no interval again that ended at or before ``taken_at``."""


class Outbox(Protocol):
    """The outbox's rows."""

    def next_nonce(self) -> int:
        """The lowest nonce that this journal has not given away."""

    def raise_nonce_floor(self, nonce: int) -> None:
        """Never give a nonce below ``nonce`` away."""

    def halted(self) -> str | None:
        """Why submission is stopped, or None."""


class ParameterRows(Protocol):
    """The journal's copy of what the chain said last."""

    def parameters(self) -> Parameters | None:
        """The parameters, or None if the contract was never asked."""

    def set_parameters(self, parameters: Parameters) -> None:
        """Keep the parameters."""

    def set_household(self, household: HouseholdState, head: Head) -> None:
        """Keep what the contract holds of the household, and at which block."""


class Follow:
    """Keeps the journal's view of the contract up to date.

    Args:
        agreement: how many nodes must say that the chain knows more than this journal: numbers that are left out on the
            word of one that lies never come back.
        fresh: whether the journal was written so recently that no other copy can have gone on without it; then
            readings may be numbered before the chain has been asked.
    """

    def __init__(
        self,
        *,
        nodes: Nodes,
        parameters: ParameterRows,
        meters: MeterRows,
        readings: ReadingRows,
        outbox: Outbox,
        journal: Together,
        clock: Clock,
        events: Events,
        agreement: int,
        fresh: bool,
    ) -> None:
        self._nodes = nodes
        self._rows = parameters
        self._meters = meters
        self._readings = readings
        self._outbox = outbox
        self._journal = journal
        self._clock = clock
        self._events = events
        self._agreement = agreement
        self._fresh = fresh
        self._lock = threading.Lock()
        self._parameters = parameters.parameters()
        self._household: HouseholdState | None = None
        self._reconciled = False
        self._doubted = False
        self._stale = False
        self._last_block: int | None = None
        # The wall clock's distance from the monotonic one when both were last compared with the chain, seconds.
        self._compared: float | None = None

    def run_once(self) -> bool:
        """Ask the contract; returns whether something changed."""
        try:
            head = self._nodes.head()
            self._compare_clock(head)
            parameters, household = self._nodes.parameters(), self._nodes.household()
            nonce = None if self._reconciled else self._nodes.pending_nonce()
            if nonce is not None and self._is_behind(household, nonce):
                household = self._nodes.household(self._agreement)
                nonce = self._nodes.pending_nonce(self._agreement)
            with self._journal.transaction():
                changed = self._take_parameters(parameters)
                changed |= self._take_household(household, head)
                if nonce is not None:
                    self._reconcile(household, nonce)
        except (NodeUnavailable, JournalBusy):  # the pool and the record stage say so
            return False
        self._reconciled = True
        with self._lock:
            self._parameters, self._household = parameters, household
        return changed

    def reporting_period_s(self) -> int | None:
        """The reporting period in force, seconds; None until the contract has been asked once."""
        with self._lock:
            return None if self._parameters is None else self._parameters.reporting_period_s

    def booked(self, epoch: int) -> tuple[int, int] | None:
        """Production and consumption register that the contract holds in an epoch, Wh; None if that is not known."""
        with self._lock:
            held = self._household
        return None if held is None or held.epoch != epoch else (held.produced_wh, held.consumed_wh)

    def may_number(self) -> bool:
        """Whether readings may be numbered."""
        return not self._doubted and not self._stepped() and (self._reconciled or self._fresh)

    def may_submit(self) -> bool:
        """Whether transactions may be signed."""
        return not self._doubted and not self._stepped() and self._reconciled

    def _take_parameters(self, parameters: Parameters) -> bool:
        known = self._rows.parameters()
        if parameters == known:
            return False
        self._rows.set_parameters(parameters)
        self._events.info(
            "parameters.changed",
            reporting_period_s=parameters.reporting_period_s,
            paused=parameters.paused,
            service_cost=parameters.service_cost,
        )
        return True

    def _take_household(self, household: HouseholdState, head: Head) -> bool:
        before = self._household
        if household != before:
            self._rows.set_household(household, head)
        changed = self._meters.follow_epoch(household.epoch, household.sequence)
        if changed:
            self._events.info("epoch.opened", epoch=household.epoch)
        if before is not None and before.active == household.active:
            return changed
        if household.active:
            self._events.info("household.active", epoch=household.epoch)
        elif household.enrolled:
            self._events.error("household.suspended", advice="ask the registration office why")
        else:
            self._events.warning(
                "household.not_enrolled",
                advice="run 'prosumer-agent enrol' and hand the file to the registration office",
            )
        return True

    def _is_behind(self, household: HouseholdState, nonce: int) -> bool:
        """Whether the chain knows more than this journal.

        A transaction that the journal does not know may carry numbers that are not on the chain yet.
        """
        return household.sequence >= self._readings.next_sequence(household.epoch) or nonce > self._outbox.next_nonce()

    def _reconcile(self, household: HouseholdState, nonce: int) -> None:
        """Continue above what the chain has seen, should this journal be an old copy."""
        if not self._is_behind(household, nonce):
            return
        ours, given = self._readings.next_sequence(household.epoch), self._outbox.next_nonce()
        if household.epoch:
            self._readings.raise_floor(household.epoch, max(household.sequence, ours - 1) + _LEAP)
            self._readings.raise_end(household.taken_at)
        if self._outbox.halted() is None and nonce > given:
            self._outbox.raise_nonce_floor(nonce)
        self._events.warning(
            "journal.behind_chain",
            chain_sequence=household.sequence,
            journal_sequence=ours - 1,
            chain_nonce=nonce,
            journal_nonce=given,
            advice="an older copy of the journal is in use: what lies between is on the chain but not in it;"
            " if none was restored, run 'prosumer-agent keys' to see who else has the key",
        )

    def _compare_clock(self, head: Head) -> None:
        """A living chain shows a clock that is wrong, and nothing is numbered or signed until that is over.

        A block from the future shows one that is behind. A block that has just come and is old shows one that is
        ahead; an old block alone does not, since the chain may stand still.
        """
        difference = head.timestamp - self._clock.now_ms() // 1000
        fresh_block = self._last_block is not None and head.number > self._last_block
        self._last_block = head.number
        behind, ahead = difference > _AHEAD_S, fresh_block and -difference > _OLD_S
        doubted = behind or ahead or ((self._doubted or self._stepped()) and -difference > _OLD_S)
        if doubted and not self._doubted:
            self._events.error(
                "clock.contradicted",
                seconds=difference,
                advice="this clock and the chain's differ; check the time server: nothing is signed until they agree",
            )
        elif self._doubted and not doubted:
            self._events.info("clock.agrees")
        self._doubted = doubted
        self._compared = self._offset()
        stale = not doubted and -difference > _STALE_S
        if stale and not self._stale:
            self._events.warning(
                "chain.stale",
                seconds=-difference,
                advice="either the chain stands still or this clock is ahead; compare with a watch",
            )
        self._stale = stale

    def _offset(self) -> float:
        return self._clock.now_ms() / 1000 - self._clock.monotonic()

    def _stepped(self) -> bool:
        """Whether the wall clock has been set since it was compared with the chain: the next look decides.

        One reading that is numbered at a time to come would keep every right one out until that time.
        """
        return self._compared is not None and abs(self._offset() - self._compared) > _AHEAD_S
