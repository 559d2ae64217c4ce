"""Any interleaving of turns, crashes, bad meters, reorganisations and restored copies ends well (I1, I2, I3, I7)."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.adapters.journal import FILE_NAME
from agent.domain.outbox import State
from agent.domain.readings import ReadingState
from agent.domain.samples import MeterRole
from tests.fakes.chain import Chain
from tests.fakes.home import RULES, STAGES, Home
from tests.fakes.world import FakeClock

# What chance reaches is reached by the other tests too, and counting would double the time it takes.
pytestmark = pytest.mark.no_cover

MODULUS = 6_000
roles = st.sampled_from(list(MeterRole))


class Interleavings(RuleBasedStateMachine):
    """Hypothesis chooses what happens next; after each thing the invariants are looked at."""

    proven = False

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="spine-"))
        self.clock = FakeClock()
        self.clock.advance(10)
        self.chain = Chain(self.clock)
        self.home = Home(self.directory, self.chain, self.clock, modulus=MODULUS, proven=self.proven)
        self.final: set[int] = set()
        self.swapped = self.restored = self.paused = False

    @initialize()
    def begin(self) -> None:
        for _ in range(3):
            self.home.turns("poll", "follow")
            self.home.pass_time(1)

    # -- the agent

    @rule(stages=st.lists(st.sampled_from(STAGES), min_size=1, max_size=6))
    def turns(self, stages: list[str]) -> None:
        self.home.turns(*stages)

    @rule(seconds=st.sampled_from([1, 20, 300, 900]))
    def round(self, seconds: int) -> None:
        self.home.pass_time(seconds)
        self.home.turns("poll", "poll")
        self.home.turns()

    @rule(point=st.integers(1, 12))
    def crash_soon(self, point: int) -> None:
        self.home.fuse.left = point

    @rule(fresh=st.booleans())
    def restart(self, fresh: bool) -> None:
        self.home.fresh = fresh and not self.restored
        self.home.kill()
        self.home.start()

    @rule(busy=st.booleans())
    def hold_the_journal(self, busy: bool) -> None:
        self.home.journal.busy = busy

    @rule()
    def copy(self) -> None:
        self.home.journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(self.directory / FILE_NAME, self.directory / "copy")

    @precondition(lambda self: (self.directory / "copy").exists() and not self.swapped)
    @rule()
    def restore(self) -> None:
        self.home.kill()
        for suffix in ("-wal", "-shm"):
            (self.directory / (FILE_NAME + suffix)).unlink(missing_ok=True)
        shutil.copy(self.directory / "copy", self.directory / FILE_NAME)
        self.restored, self.home.fresh = True, False
        self.final.clear()
        self.home.start()
        # A restored copy learns of the chain before any of its transactions is lost sight of.
        for node in self.chain.nodes:
            node.fault, node.behind = "", 0
        self.home.turns("follow")

    # -- the meters

    @rule(role=roles, fault=st.sampled_from(["", "", "silent", "unknown"]))
    def meter(self, role: MeterRole, fault: str) -> None:
        self.home.meters[role].fault = fault

    @rule(role=roles, blip=st.sampled_from(["zero", "spike"]))
    def blip(self, role: MeterRole, blip: str) -> None:
        """One wrong value between good ones; one that repeats is a reset, and the swaps play that."""
        if self.home.meters[role].good_reads > 0:
            self.home.meters[role].blip = blip

    @precondition(lambda self: not self.restored)
    @rule(role=roles)
    def swap(self, role: MeterRole) -> None:
        meter = self.home.meters[role]
        meter.wh, meter.serial, self.swapped = 100.0, f"{meter.serial}'", True
        (self.directory / "copy").unlink(missing_ok=True)

    @rule()
    def office(self) -> None:
        """The registration office confirms the epoch that the agent has reached."""
        epoch = self.home.meter_rows.epoch()
        if epoch > self.chain.top.state.epoch:
            self.chain.office(epoch=epoch, sequence=0, produced_wh=0, consumed_wh=0, tokens_wh=0)

    # -- the chain

    @rule()
    def mine(self) -> None:
        self.chain.mine()

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        """What is mined into a pause is reverted."""
        self.chain.market = replace(self.chain.market, paused=paused)
        self.paused |= paused

    @rule(depth=st.integers(1, 6), keep=st.booleans())
    def reorganise(self, depth: int, keep: bool) -> None:
        self.chain.reorganise(depth, keep=keep)

    @precondition(lambda self: not self.restored)
    @rule()
    def evict(self) -> None:
        self.chain.evict()

    @rule(node=st.integers(0, 2), fault=st.sampled_from(["", "silent", "deaf"]), behind=st.integers(0, 3))
    def node(self, node: int, fault: str, behind: int) -> None:
        self.chain.nodes[node].fault, self.chain.nodes[node].behind = fault, behind

    @rule(invents=st.integers(0, 2))
    def liars(self, invents: int) -> None:
        """One lies; where everything is proven, two of three may."""
        for node in self.chain.nodes[1:]:
            node.fault = ""
        for node in self.chain.nodes[3 - (invents if self.proven else min(invents, 1)) :]:
            node.fault = "invents"

    # -- what always holds

    @invariant()
    def each_reading_is_mined_at_most_once(self) -> None:
        booked = Counter((one.epoch, one.sequence) for one in self.chain.booked())
        assert max(booked.values(), default=0) <= 1

    @invariant()
    def no_nonce_has_two_live_intents(self) -> None:
        assert self.restored or all(len(intents) == 1 for intents in self.chain.intents().values())

    @invariant()
    def registers_never_fall_within_an_epoch(self) -> None:
        rows = self.home.journal.query("SELECT epoch, produced_wh, consumed_wh FROM reading ORDER BY id")
        for before, after in pairwise(rows):
            assert after["epoch"] >= before["epoch"]
            if after["epoch"] == before["epoch"]:
                assert after["produced_wh"] >= before["produced_wh"]
                assert after["consumed_wh"] >= before["consumed_wh"]

    @invariant()
    def final_only_with_agreement_and_depth(self) -> None:
        finals = {one.id: one for one in self.home.entries() if one.state is State.FINAL}
        for entry_id in finals.keys() - self.final:
            found = finals[entry_id].inclusion
            assert found is not None
            if self.proven:
                # However many nodes lie, and however few answer.
                assert self.chain.deep(found, RULES.depth)
            else:
                assert self.chain.holders(found, RULES.depth) >= RULES.agreement
        self.final = set(finals)

    @invariant()
    def a_readings_state_follows_its_transaction(self) -> None:
        rows = self.home.journal.query(
            "SELECT r.state AS reading, e.state AS entry FROM reading r JOIN entry e ON e.id = r.entry_id"
        )
        for row in rows:
            if row["reading"] == ReadingState.FINAL:
                assert row["entry"] == State.FINAL
            elif row["reading"] == ReadingState.BUNDLED:
                assert not State(row["entry"]).ended

    # -- and in the end

    def teardown(self) -> None:
        try:
            self.heal()
            self.judge()
        finally:
            self.home.journal.close()
            shutil.rmtree(self.directory)

    def heal(self) -> None:
        self.home.fuse.left = None
        self.home.journal.busy = False
        self.chain.market = replace(self.chain.market, paused=False)
        for node in self.chain.nodes:
            node.fault, node.behind = "", 0
        for meter in self.home.meters.values():
            meter.fault = meter.blip = ""
        for _ in range(3):
            self.home.interval()
            self.office()
        self.home.settle(20)
        if self.restored and self.home.outbox.halted() is not None:
            # A transaction of the newer life came to light behind a gap in its nonces: a stranger's looks the same.
            self.home.outbox.resume()
        self.home.settle(20)

    def judge(self) -> None:
        home, state = self.home, self.chain.top.state
        assert home.outbox.halted() is None
        assert home.outbox.open_entries() == []
        allowed = {ReadingState.FINAL, ReadingState.COVERED}
        if self.paused:
            # One that was reverted again and again is given up: its energy is in the next one.
            allowed.add(ReadingState.REFUSED)
        assert set(home.states()) <= allowed
        booked = self.chain.booked()
        mined = {(one.epoch, one.sequence): one for one in booked}
        for sealed in home.readings.sealed_after(0, 0, 10_000):
            row = home.journal.one(
                "SELECT state FROM reading WHERE epoch = ? AND sequence = ?",
                (sealed.signed.reading.epoch, sealed.signed.reading.sequence),
            )
            key = (sealed.signed.reading.epoch, sealed.signed.reading.sequence)
            if row is not None and row["state"] == ReadingState.FINAL:
                assert mined[key] == sealed.signed.reading
        last = home.readings.sealed_after(state.epoch, 0, 10_000)[-1]
        assert (state.epoch, state.sequence) == (home.meter_rows.epoch(), last.signed.reading.sequence)
        # The energy of the intervals is the difference of the registers, as the meters themselves say.
        here = [one for one in booked if one.epoch == state.epoch]
        steps = [after.produced_wh - before.produced_wh for before, after in pairwise(here)]
        assert sum(steps) == here[-1].produced_wh - here[0].produced_wh
        assert state.tokens_wh == state.produced_wh == here[-1].produced_wh
        if not self.swapped:
            true = home.meters[MeterRole.PRODUCTION].wh - (home.clock.now_ms() - home.polls[0].state().at_ms) / 3600
            assert abs(home.polls[0].newest().register_wh - true) <= 1
        ends = [row["interval_end"] for row in home.journal.query("SELECT interval_end FROM reading ORDER BY id")]
        assert ends == sorted(set(ends))
        if not self.restored:
            assert len({one.taken_at // 900 for one in here}) == len(here)


# Enough to pass each kind of trouble many times over, and still a few seconds.
Interleavings.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    # A failing story is not shortened, since that takes minutes; each of its steps is printed.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
TestInterleavings = Interleavings.TestCase


class ProvenInterleavings(Interleavings):
    """The same where everything that ends is proven first."""

    proven = True


ProvenInterleavings.TestCase.settings = settings(Interleavings.TestCase.settings, max_examples=40)
TestProvenInterleavings = ProvenInterleavings.TestCase
